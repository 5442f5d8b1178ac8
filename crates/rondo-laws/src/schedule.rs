//! The learning rate over the steps of a run, logged or planned.

use crate::error::LawError;

/// The maximum number of steps of a schedule; every step takes memory.
pub(crate) const MOST_STEPS: u64 = 20_000_000;

/// Rates at some steps, with straight lines between them, and the summed rate of all earlier steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    before: f64,
    points: Vec<(u64, f64)>,
}

impl Schedule {
    /// Makes a schedule from `points`, pairs of step and rate with ascending steps, joined by
    /// straight lines. `before` is the summed rate of all steps before the first point. These are
    /// the steps of the warm-up, which no law describes.
    ///
    /// # Errors
    /// [`LawError::Curve`] with `name` if there are no points, if the steps do not ascend or span
    /// more than 20 million, if a number is negative or not finite, and if the rate is zero from
    /// the start.
    pub fn new(name: &str, before: f64, points: Vec<(u64, f64)>) -> Result<Self, LawError> {
        let wrong = |problem: String| LawError::Curve {
            curve: name.to_owned(),
            problem,
        };
        let (Some(&(first, rate)), Some(&(last, _))) = (points.first(), points.last()) else {
            return Err(wrong("has no points".into()));
        };
        if let Some(pair) = points.windows(2).find(|pair| pair[1].0 <= pair[0].0) {
            let (one, next) = (pair[0].0, pair[1].0);
            return Err(wrong(format!(
                "steps must ascend, found {next} after {one}"
            )));
        }
        if last - first >= MOST_STEPS {
            return Err(wrong(format!(
                "must span at most {MOST_STEPS} steps, found {first} to {last}"
            )));
        }
        let usable = |value: f64| value.is_finite() && value >= 0.0;
        if let Some((step, rate)) = points.iter().find(|(_, rate)| !usable(*rate)) {
            return Err(wrong(format!(
                "the learning rate must be a number at least 0, found {rate} at step {step}"
            )));
        }
        if !usable(before) {
            return Err(wrong(format!(
                "the summed rate before the first step must be a number at least 0, found {before}"
            )));
        }
        if before + rate <= 0.0 {
            return Err(wrong(format!(
                "the summed rate must be above 0 at the first step, {first}: give the warm-up"
            )));
        }
        Ok(Self { before, points })
    }

    /// Returns the summed rate of all steps before the first point.
    pub fn before(&self) -> f64 {
        self.before
    }

    /// Returns the pairs of step and rate.
    pub fn points(&self) -> &[(u64, f64)] {
        &self.points
    }

    /// Returns, for each point, the summed rate of all steps up to that point.
    pub fn sums(&self) -> Vec<f64> {
        let steps = Steps::of(self);
        steps.logged.iter().map(|k| steps.sums[*k]).collect()
    }
}

/// Returns the summed rate of the steps before step `warmup` of a linear warm-up that reaches `peak`
/// there: `Σ_{i<w} peak·i/w = peak·(w − 1)/2`.
pub fn sum_before_peak(warmup: u64, peak: f64) -> f64 {
    peak * warmup.saturating_sub(1) as f64 / 2.0
}

/// A schedule with one number per step; step 0 is the step of the first point.
#[derive(Clone, Debug)]
pub(crate) struct Steps {
    /// η_k.
    pub(crate) rates: Vec<f64>,
    /// η_{k−1} − η_k; 0 for the first step.
    pub(crate) drops: Vec<f64>,
    /// S1: the summed rate of all steps up to k, including those before the first point.
    pub(crate) sums: Vec<f64>,
    /// The indices of the schedule's points among the steps.
    pub(crate) logged: Vec<usize>,
}

impl Steps {
    /// Computes the rate of every step of a schedule.
    pub(crate) fn of(schedule: &Schedule) -> Self {
        let first = schedule.points[0].0;
        let places = schedule
            .points
            .iter()
            .map(|(step, _)| (step - first) as usize);
        let rates: Vec<f64> = schedule.points.iter().map(|(_, rate)| *rate).collect();
        Self::through(schedule.before, &places.collect::<Vec<_>>(), &rates)
    }

    /// Joins the rates `points` at the step indices `places` by straight lines. The first index
    /// must be 0.
    pub(crate) fn through(before: f64, places: &[usize], points: &[f64]) -> Self {
        let mut rates = vec![points[0]];
        let mut drops = vec![0.0];
        for (pair, ends) in places.windows(2).zip(points.windows(2)) {
            let (count, [start, end]) = (pair[1] - pair[0], [ends[0], ends[1]]);
            // All steps of one piece use one slope. Differences of rounded rates would be noise
            // where the rate is constant.
            let slope = (end - start) / count as f64;
            rates.extend((1..count).map(|i| start + slope * i as f64));
            rates.push(end);
            drops.extend((0..count).map(|_| -slope));
        }
        let sums = rates.iter().scan(before, |sum, rate| {
            *sum += rate;
            Some(*sum)
        });
        Self {
            sums: sums.collect(),
            rates,
            drops,
            logged: places.to_vec(),
        }
    }

    /// Returns the summed rate of all steps before step k.
    pub(crate) fn sum_before(&self, k: usize) -> f64 {
        self.sums[k] - self.rates[k]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_between_two_points_is_linear_and_every_step_counts() {
        let schedule = Schedule::new("a", 10.0, vec![(5, 4.0), (7, 2.0), (8, 2.0)]);
        let schedule = schedule.expect("a schedule");
        let steps = Steps::of(&schedule);
        assert_eq!(steps.rates, [4.0, 3.0, 2.0, 2.0]);
        assert_eq!(steps.drops, [0.0, 1.0, 1.0, 0.0]);
        assert_eq!(steps.sums, [14.0, 17.0, 19.0, 21.0]);
        assert_eq!(schedule.sums(), [14.0, 19.0, 21.0]);
    }

    #[test]
    fn a_warm_up_is_summed_as_the_triangle_it_is() {
        // The rates before step 4 are 1/4, 2/4 and 3/4 of the peak.
        assert!((sum_before_peak(4, 2.0) - 3.0).abs() < 1e-12);
        assert!(sum_before_peak(0, 2.0).abs() < 1e-12);
    }

    #[test]
    fn what_no_law_can_be_applied_to_is_refused() {
        let refused = |before, points: &[(u64, f64)]| {
            let error = Schedule::new("a", before, points.to_vec()).expect_err("a refusal");
            error.to_string()
        };
        assert_eq!(refused(0.0, &[]), "curve `a`: has no points");
        assert!(refused(0.0, &[(2, 1.0), (2, 1.0)]).ends_with("found 2 after 2"));
        assert!(refused(0.0, &[(2, f64::NAN)]).ends_with("found NaN at step 2"));
        assert!(refused(-1.0, &[(2, 1.0)]).ends_with("found -1"));
        assert!(refused(0.0, &[(2, 0.0), (3, 1.0)]).ends_with("step, 2: give the warm-up"));
        assert!(refused(0.0, &[(0, 1.0), (u64::MAX, 1.0)]).contains("at most 20000000 steps"));
    }
}
