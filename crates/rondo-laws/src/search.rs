//! Searches the schedule with the lowest predicted final loss, among schedules that never rise.
//!
//! The search starts from several shapes. Each is changed, at a few knots, until the predicted loss
//! falls no further. The best result is returned, without the knots that lie on a line between
//! others.

mod descent;
mod knots;
mod monotone;

use serde::Serialize;

use self::descent::Descent;
use self::knots::Knots;
use crate::error::LawError;
use crate::law::Law;
use crate::schedule::{MOST_STEPS, Schedule, sum_before_peak};

/// A knot is left out if it is nearer than this share of the peak to the line through its
/// neighbours.
const STRAIGHT: f64 = 2e-4;

/// The run for which a schedule is searched.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Horizon {
    /// The number of steps of the linear warm-up, which ends at the peak.
    pub warmup: u64,
    /// The number of steps of the run, including the warm-up.
    pub steps: u64,
    /// The rate from which the schedule falls.
    pub peak: f64,
    /// The lowest allowed rate, at least 0.
    pub floor: f64,
}

impl Horizon {
    /// Returns the step at which the peak is reached.
    fn first(&self) -> u64 {
        self.warmup.max(1)
    }

    /// Makes a schedule from pairs of step and rate that begin at the end of the warm-up.
    ///
    /// # Errors
    /// [`LawError::Curve`] for steps that do not ascend, and for a rate that is negative or not
    /// finite.
    pub fn schedule(&self, pieces: &[(u64, f64)]) -> Result<Schedule, LawError> {
        let before = sum_before_peak(self.first(), self.peak);
        Schedule::new("schedule", before, pieces.to_vec())
    }

    fn validate(&self) -> Result<(), LawError> {
        let wrong = |problem: String| Err(LawError::Search { problem });
        let Self { peak, floor, .. } = *self;
        if !(peak.is_finite() && peak > 0.0) {
            return wrong(format!("the peak must be a positive number, found {peak}"));
        }
        if !(floor >= 0.0 && floor <= peak) {
            return wrong(format!(
                "the floor must be 0 to the peak {peak}, found {floor}"
            ));
        }
        if self.steps <= self.first() || self.steps > MOST_STEPS {
            return wrong(format!(
                "the run must have more steps than its warm-up of {} and at most {MOST_STEPS}, found {}",
                self.warmup, self.steps
            ));
        }
        Ok(())
    }
}

/// A searched schedule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// Pairs of step and rate, from the end of the warm-up to the last step. The rate is linear
    /// between them.
    pub pieces: Vec<(u64, f64)>,
    /// The predicted loss at the last step.
    pub loss: f64,
}

/// Searches the schedule with the lowest predicted loss at the last step. It starts at the peak,
/// never rises, and never falls below the floor.
///
/// # Errors
/// [`LawError::Search`] for a run without steps after its warm-up, and for an impossible peak or
/// floor.
pub fn best_schedule(law: &Law, horizon: &Horizon) -> Result<Found, LawError> {
    horizon.validate()?;
    let knots = Knots::new(horizon);
    let places = knots.places();
    let length = *places.last().unwrap_or(&1) as f64;
    let Horizon { peak, floor, .. } = *horizon;
    // The rate is constant until the share `until` of the run, then falls linearly to the floor.
    let held = |until: f64| -> Vec<f64> {
        let share = |place: &usize| (1.0 - *place as f64 / length) / (1.0 - until);
        let rate = |place| floor + (peak - floor) * f64::min(share(place), 1.0);
        places.iter().map(rate).collect()
    };
    let descent = Descent::new(law, horizon, &knots);
    let lowest = [0.0, 0.5, 0.8, 0.95].map(|until| descent.down_from(held(until)));
    let best = lowest
        .into_iter()
        .min_by(|one, other| one.loss.total_cmp(&other.loss));
    let rates = best.map(|state| state.rates).unwrap_or_default();
    let needed = knots::needed(places, &rates, STRAIGHT * peak);
    let pieces: Vec<(u64, f64)> = needed
        .into_iter()
        .map(|i| (horizon.first() + places[i] as u64, rates[i]))
        .collect();
    let losses = law.predict(&horizon.schedule(&pieces)?);
    Ok(Found {
        pieces,
        loss: losses.last().copied().unwrap_or(f64::NAN),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::LawKind;
    use crate::law::tests::{MULTI_POWER, TISSUE};

    const HORIZON: Horizon = Horizon {
        warmup: 250,
        steps: 6000,
        peak: 3e-4,
        floor: 0.0,
    };

    fn laws() -> [Law; 2] {
        let law = |kind, constants: &[f64]| Law::new(kind, constants.to_vec()).expect("a law");
        [
            law(LawKind::Tissue, &TISSUE),
            law(LawKind::MultiPower, &MULTI_POWER),
        ]
    }

    /// Returns the final loss of a schedule that follows `shape`, a function f(p) that falls from 1
    /// to 0. The schedule has a point at every tenth step.
    fn final_loss(law: &Law, horizon: &Horizon, shape: impl Fn(f64) -> f64) -> f64 {
        let length = horizon.steps - horizon.warmup;
        let pieces = (0..=length / 10).map(|i| {
            let share = (10 * i) as f64 / length as f64;
            let rate = horizon.floor + (horizon.peak - horizon.floor) * shape(share);
            (horizon.warmup + 10 * i, rate)
        });
        let schedule = horizon.schedule(&pieces.collect::<Vec<_>>());
        let losses = law.predict(&schedule.expect("a schedule"));
        *losses.last().expect("points")
    }

    #[test]
    fn the_best_schedule_beats_constant_linear_cosine_and_cooldowns() {
        for law in laws() {
            for floor in [0.0, 3e-5] {
                let horizon = Horizon { floor, ..HORIZON };
                let found = best_schedule(&law, &horizon).expect("a schedule");
                let cosine = |p: f64| f64::midpoint(1.0, (std::f64::consts::PI * p).cos());
                let mut shapes = vec![
                    final_loss(&law, &horizon, |_| 1.0),
                    final_loss(&law, &horizon, |p| 1.0 - p),
                    final_loss(&law, &horizon, cosine),
                ];
                shapes.extend([0.6, 0.7, 0.8, 0.9, 0.95].map(|held| {
                    final_loss(&law, &horizon, |p| ((1.0 - p) / (1.0 - held)).min(1.0))
                }));
                for loss in shapes {
                    assert!(
                        found.loss < loss,
                        "{} {floor}: {} {loss}",
                        law.kind(),
                        found.loss
                    );
                }
            }
        }
    }

    #[test]
    fn the_best_schedule_is_held_and_then_falls_to_the_floor() {
        for law in laws() {
            let found = best_schedule(&law, &HORIZON).expect("a schedule");
            let pieces = &found.pieces;
            assert_eq!(pieces[0], (HORIZON.warmup, HORIZON.peak));
            assert!(
                pieces.is_sorted_by(|a, b| a.0 < b.0 && a.1 >= b.1),
                "{pieces:?}"
            );
            let held = pieces
                .iter()
                .filter(|(_, rate)| *rate > 0.99 * HORIZON.peak);
            let until = held.map(|(step, _)| *step).max().expect("the first");
            assert!(until > HORIZON.steps / 3, "{}: {pieces:?}", law.kind());
            let (last, rate) = pieces[pieces.len() - 1];
            assert_eq!(last, HORIZON.steps);
            assert!(rate < 0.1 * HORIZON.peak, "{}: {pieces:?}", law.kind());
        }
    }

    #[test]
    fn moving_any_one_rate_of_the_best_schedule_does_not_help() {
        for law in laws() {
            let found = best_schedule(&law, &HORIZON).expect("a schedule");
            for i in 1..found.pieces.len() - 1 {
                for target in [found.pieces[i - 1].1, found.pieces[i + 1].1] {
                    let mut pieces = found.pieces.clone();
                    pieces[i].1 = f64::midpoint(pieces[i].1, target);
                    let schedule = HORIZON.schedule(&pieces).expect("a schedule");
                    let losses = law.predict(&schedule);
                    let loss = losses.last().expect("points");
                    assert!(found.loss < loss + 2e-5, "{}: {i} {loss}", law.kind());
                }
            }
        }
    }

    #[test]
    fn slopes_of_the_final_loss_are_those_of_its_values() {
        let knots = Knots::new(&Horizon {
            steps: 900,
            ..HORIZON
        });
        let places = knots.places();
        let rates: Vec<f64> = (0..places.len())
            .map(|i| 3e-4 / (1.0 + 0.03 * i as f64))
            .collect();
        for law in laws() {
            let (loss, by_step) = law.last(&knots.steps(&rates));
            let slopes = knots.gathered(&by_step);
            for i in 0..rates.len() {
                let moved = |share: f64| {
                    let mut rates = rates.clone();
                    rates[i] *= 1.0 + share;
                    law.last(&knots.steps(&rates)).0
                };
                let slope = (moved(1e-5) - moved(-1e-5)) / (2e-5 * rates[i]);
                let error = (slope - slopes[i]).abs() * rates[i];
                assert!(error < 1e-8, "{}: {i} {error:e} {loss}", law.kind());
            }
        }
    }

    #[test]
    fn runs_that_cannot_be_planned_are_refused() {
        let refused = |horizon: Horizon| {
            let error = best_schedule(&laws()[0], &horizon).expect_err("a refusal");
            error.to_string()
        };
        let steps = |steps| Horizon { steps, ..HORIZON };
        assert!(refused(steps(250)).ends_with("warm-up of 250 and at most 20000000, found 250"));
        let peak = Horizon {
            peak: f64::NAN,
            ..HORIZON
        };
        assert!(refused(peak).ends_with("must be a positive number, found NaN"));
        let floor = Horizon {
            floor: 1.0,
            ..HORIZON
        };
        assert!(refused(floor).contains("must be 0 to the peak 0.0003, found 1"));
    }

    #[test]
    fn the_shortest_run_has_a_schedule() {
        let horizon = Horizon {
            warmup: 0,
            steps: 2,
            ..HORIZON
        };
        for law in laws() {
            let found = best_schedule(&law, &horizon).expect("a schedule");
            assert_eq!(found.pieces.len(), 2);
        }
    }
}
