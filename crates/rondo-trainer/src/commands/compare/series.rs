//! The curves of the subjects of a comparison. The curve of a group shows the mean and the standard
//! deviation over its runs.

use std::collections::BTreeMap;

use rondo_figures::chart::{ChartPoint, Curve, Look};

use super::groups::Subject;
use super::mean::Mean;

/// Returns the curves of subjects; `points` returns the points of one run. A group has one curve
/// for the mean of all its runs, with a band of one standard deviation, and one curve for each run.
pub(super) fn curves(
    subjects: &[Subject],
    names: &[&str],
    points: impl Fn(usize) -> Vec<ChartPoint>,
) -> Vec<Curve> {
    let of_subject = |(index, subject): (usize, &Subject)| {
        let look = Look::of_run(index);
        let series: Vec<Vec<ChartPoint>> = subject.members.iter().map(|run| points(*run)).collect();
        let mean = mean(&series);
        let has_mean = subject.is_group() && !mean.is_empty();
        let runs = subject.members.iter().zip(series);
        let mut curves: Vec<Curve> = runs
            .map(|(run, points)| Curve {
                name: names[*run].to_owned(),
                look,
                single: has_mean,
                points,
            })
            .collect();
        if has_mean {
            curves.push(Curve {
                name: mean_name(subject),
                look,
                single: false,
                points: mean,
            });
        }
        curves
    };
    subjects.iter().enumerate().flat_map(of_subject).collect()
}

/// Returns the name of a subject's curve.
pub(super) fn mean_name(subject: &Subject) -> String {
    match subject.is_group() {
        true => format!("{} (mean of {})", subject.name, subject.members.len()),
        false => subject.name.clone(),
    }
}

/// Returns the mean and the standard deviation at every x at which all series have a finite value,
/// in ascending order of x.
pub(super) fn mean(series: &[Vec<ChartPoint>]) -> Vec<ChartPoint> {
    // No x is negative, so the bits of the x values sort in the same order as the values.
    let mut found: BTreeMap<u64, (ChartPoint, Vec<f64>)> = BTreeMap::new();
    for point in series.iter().flatten().filter(|point| point.y.is_finite()) {
        let place = found.entry(point.x.to_bits());
        place
            .or_insert_with(|| (*point, Vec::new()))
            .1
            .push(point.y);
    }
    found
        .into_values()
        .filter(|(_, values)| values.len() == series.len())
        .filter_map(|(point, values)| {
            let mean = Mean::of(values)?;
            Some(ChartPoint {
                y: mean.value,
                spread: mean.sd,
                ..point
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[(f64, f64)]) -> Vec<ChartPoint> {
        let point = |&(x, y): &(f64, f64)| ChartPoint {
            x,
            step: None,
            y,
            spread: None,
        };
        values.iter().map(point).collect()
    }

    #[test]
    fn a_mean_is_drawn_where_every_run_has_a_number() {
        let first = points(&[(1.0, 2.0), (2.0, 4.0), (3.0, 1.0)]);
        let second = points(&[(1.0, 4.0), (2.0, f64::NAN)]);
        let mean = mean(&[first, second]);
        assert_eq!(mean.len(), 1);
        assert_eq!((mean[0].x, mean[0].y), (1.0, 3.0));
        assert_eq!(mean[0].spread, Some(2.0_f64.sqrt()));
    }

    #[test]
    fn a_group_has_its_mean_and_its_runs_in_one_look() {
        let subjects = [
            Subject {
                name: "a".to_owned(),
                members: vec![0, 2],
            },
            Subject {
                name: "b".to_owned(),
                members: vec![1],
            },
        ];
        let found = curves(&subjects, &["a0", "b", "a1"], |run| {
            points(&[(1.0, run as f64)])
        });
        let told: Vec<(&str, bool)> = found.iter().map(|c| (c.name.as_str(), c.single)).collect();
        assert_eq!(
            told,
            [
                ("a0", true),
                ("a1", true),
                ("a (mean of 2)", false),
                ("b", false)
            ]
        );
        assert!((found[2].points[0].y - 1.0).abs() < 1e-12);
        assert!(found[0].look == found[2].look && found[2].look != found[3].look);
    }
}
