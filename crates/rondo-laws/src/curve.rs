//! The loss of a run over its steps, with its learning rates.

use crate::error::LawError;
use crate::schedule::{Schedule, sum_before_peak};

/// A run's loss at the points of its schedule, after the warm-up.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    name: String,
    schedule: Schedule,
    losses: Vec<f64>,
}

/// The values that a run logged at a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The step, counted from 1.
    pub step: u64,
    /// The learning rate of that step.
    pub rate: f64,
    /// The loss, in nat/token.
    pub loss: f64,
}

impl Curve {
    /// Makes the curve of a run whose rate rose linearly over its first `warmup` steps. Points
    /// before step `warmup` are not part of the curve; only their rates count, in the sum of rates.
    /// If there are no such points, the rate of the first point is taken as the peak: it is reached
    /// at step `warmup` and stays constant until the first point.
    ///
    /// # Errors
    /// [`LawError::Curve`] if no point remains after the warm-up, if the steps do not ascend, or if
    /// a number is not finite, a rate negative, or a loss not positive.
    pub fn new(name: &str, warmup: u64, points: &[Point]) -> Result<Self, LawError> {
        let ended = points.partition_point(|point| point.step < warmup);
        let Some(first) = points.get(ended) else {
            return Err(LawError::Curve {
                curve: name.to_owned(),
                problem: format!("has no point at or after step {warmup}, the end of the warm-up"),
            });
        };
        let before = match ended {
            0 => {
                let peak = warmup.max(1);
                let held = first.step.saturating_sub(peak);
                sum_before_peak(peak, first.rate) + first.rate * held as f64
            }
            _ => {
                let rise = points[..=ended]
                    .iter()
                    .map(|point| (point.step, point.rate));
                let start = points[0];
                let zero = start.rate * start.step.saturating_sub(1) as f64 / 2.0;
                let risen = Schedule::new(name, zero, rise.collect())?;
                risen.sums()[ended] - first.rate
            }
        };
        Self::after(name, before, &points[ended..])
    }

    /// Makes a curve from points after the warm-up. `before` is the summed rate of all steps before
    /// the first point.
    ///
    /// # Errors
    /// [`LawError::Curve`], as for [`Curve::new`].
    pub fn after(name: &str, before: f64, points: &[Point]) -> Result<Self, LawError> {
        let rates = points.iter().map(|point| (point.step, point.rate));
        let schedule = Schedule::new(name, before, rates.collect())?;
        let usable = |loss: f64| loss.is_finite() && loss > 0.0;
        if let Some(point) = points.iter().find(|point| !usable(point.loss)) {
            let (loss, step) = (point.loss, point.step);
            return Err(LawError::Curve {
                curve: name.to_owned(),
                problem: format!("the loss must be a number above 0, found {loss} at step {step}"),
            });
        }
        Ok(Self {
            name: name.to_owned(),
            schedule,
            losses: points.iter().map(|point| point.loss).collect(),
        })
    }

    /// Returns the curve's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the learning rates of the run.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Returns the loss at each point of the schedule.
    pub fn losses(&self) -> &[f64] {
        &self.losses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(rates: &[(u64, f64)]) -> Vec<Point> {
        let point = |&(step, rate): &(u64, f64)| Point {
            step,
            rate,
            loss: 3.0,
        };
        rates.iter().map(point).collect()
    }

    #[test]
    fn a_warm_up_that_was_not_logged_is_summed_to_the_first_rate() {
        // The rates are 0.5, 1.0, 1.5 and 2.0 during the warm-up, and 2.0 at steps 5 and 6.
        let curve = Curve::new("a", 4, &points(&[(7, 2.0), (8, 1.0)])).expect("a curve");
        assert!((curve.schedule().before() - 9.0).abs() < 1e-12, "{curve:?}");
        let curve = Curve::new("a", 0, &points(&[(1, 2.0), (2, 1.0)])).expect("a curve");
        assert!(curve.schedule().before().abs() < 1e-12);
    }

    #[test]
    fn a_warm_up_that_was_logged_is_summed_as_it_was_and_left_out() {
        let logged = points(&[(1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0), (5, 2.0)]);
        let curve = Curve::new("a", 4, &logged).expect("a curve");
        assert!((curve.schedule().before() - 3.0).abs() < 1e-12);
        assert_eq!(curve.schedule().points(), [(4, 2.0), (5, 2.0)]);
        assert_eq!(curve.losses(), [3.0, 3.0]);
        // Only every other step of the same run was logged.
        let sparse = points(&[(2, 1.0), (4, 2.0), (5, 2.0)]);
        assert_eq!(Curve::new("a", 4, &sparse), Ok(curve));
    }

    #[test]
    fn curves_without_a_point_or_with_an_impossible_loss_are_refused() {
        let mut bad = points(&[(1, 1.0)]);
        bad[0].loss = 0.0;
        let error = Curve::new("a", 0, &bad).expect_err("a refusal");
        assert!(error.to_string().ends_with("above 0, found 0 at step 1"));
        let error = Curve::new("a", 9, &bad).expect_err("a refusal");
        assert!(error.to_string().contains("at or after step 9"));
    }
}
