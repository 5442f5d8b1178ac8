//! Perplexity against recurrence depth: the gain from more iterations.

use crate::axis::Axis;
use crate::depths::Depths;
use crate::error::FigureError;
use crate::legend::{Entry, Legend};
use crate::lines::Line;
use crate::marker::Marker;
use crate::page::Page;
use crate::palette::series;
use crate::panel::Panel;
use crate::picture::Picture;
use crate::scene::Stroke;
use crate::table::Table;

const NAME: &str = "depth-perplexity";
const HEIGHT: f64 = 720.0;

/// Perplexity of one checkpoint or run.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthCurve {
    /// The name of the checkpoint or run.
    pub name: String,
    /// Pairs of recurrence depth (at least 1) and perplexity, in ascending order of depth. A
    /// perplexity that is not finite makes a gap.
    pub points: Vec<(usize, f64)>,
}

/// Draws a line for each curve. The depth is on a log axis with a tick at each depth; the
/// perplexity is on a linear axis, or on a log axis if it spans more than a decade.
///
/// Its table has the columns `name,depth,perplexity`.
///
/// # Errors
/// [`FigureError::Empty`] without curves, or if a curve has no perplexity that is finite and
/// positive; [`FigureError::Range`] for depth 0.
pub fn depth_perplexity(curves: &[DepthCurve]) -> Result<Picture, FigureError> {
    for curve in curves {
        if curve.points.iter().any(|(depth, _)| *depth == 0) {
            let what = format!("recurrence depth of `{}`", curve.name);
            return Err(FigureError::range(NAME, what, "at least 1", &0));
        }
        if !curve.points.iter().any(|(_, p)| p.is_finite() && *p > 0.0) {
            let reason = format!("`{}` has no evaluation", curve.name);
            return Err(FigureError::empty(NAME, reason));
        }
    }
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let depths = Depths::of(points().map(|(depth, _)| *depth));
    let perplexities: Vec<f64> = points().map(|(_, perplexity)| *perplexity).collect();
    let x = Axis::depths("Recurrence Depth", depths.as_slice());
    let y = Axis::log_over_a_decade("Val PPL", &perplexities, 0.06);
    let (Some(x), Some(y)) = (x, y) else {
        return Err(FigureError::empty(NAME, "no run is given"));
    };
    let caption: Vec<String> = y.clamp_note().into_iter().collect();
    let strokes = (0..curves.len()).map(|index| Stroke::solid(series(index), 3.0));
    let legend = Legend::of(
        curves
            .iter()
            .zip(strokes.clone())
            .map(|(curve, stroke)| Entry {
                mark: Some((Marker::Circle, stroke.colour)),
                ..Entry::line(curve.name.clone(), stroke)
            }),
    );
    let title = "Validation perplexity against recurrence depth";
    let Page { mut scene, body } = Page::new(title, HEIGHT, &caption, &Legend::default(), &legend);
    let lines: Vec<Line> = curves
        .iter()
        .zip(strokes)
        .map(|(curve, stroke)| {
            let values = curve.points.iter().map(|(depth, p)| (*depth as f64, *p));
            Line::marked(values.collect(), stroke)
        })
        .collect();
    Panel::fit(body, x, y).plot(&mut scene, &lines, &[]);
    Ok(Picture::new(NAME, scene, table(curves)))
}

fn table(curves: &[DepthCurve]) -> Table {
    let mut table = Table::new("name,depth,perplexity");
    for curve in curves {
        for (depth, perplexity) in &curve.points {
            table.row(&[&curve.name, depth, perplexity]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::refused;
    use crate::golden;

    fn curve(name: &str, points: &[(usize, f64)]) -> DepthCurve {
        DepthCurve {
            name: name.into(),
            points: points.to_vec(),
        }
    }

    #[test]
    fn every_depth_has_a_tick_and_every_curve_a_row_in_the_legend() {
        let curves = [
            curve("step 400", &[(1, 37.9), (4, 33.7), (12, f64::NAN)]),
            curve("step 800", &[(1, 19.2), (6, 14.8)]),
        ];
        let picture = depth_perplexity(&curves).expect("a picture");
        golden::check(NAME, &picture);
        let expected = "\
name,depth,perplexity
step 400,1,37.9
step 400,4,33.7
step 400,12,
step 800,1,19.2
step 800,6,14.8
";
        assert_eq!(picture.csv(), expected);
    }

    #[test]
    fn more_than_a_decade_makes_the_axis_log() {
        let curves = [curve("a", &[(1, 1100.0), (4, 30.0)])];
        let svg = depth_perplexity(&curves).expect("a picture").svg();
        assert!(svg.contains(">Val PPL (log)<"));
    }

    #[test]
    fn depth_zero_and_curves_without_an_evaluation_are_refused() {
        let drawn = |points| depth_perplexity(&[curve("a", points)]);
        refused(
            drawn(&[(0, 3.0)]),
            "picture depth-perplexity: recurrence depth of `a`: must be at least 1, found 0",
        );
        refused(drawn(&[(4, f64::NAN)]), "`a` has no evaluation");
        refused(depth_perplexity(&[]), "no run is given");
    }
}
