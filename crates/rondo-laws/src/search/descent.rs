//! Descends from one schedule until the predicted loss falls no further.
//!
//! Each move takes the rates at the knots down the gradient of the loss, and then to the nearest
//! sequence that never rises. The step length is that of Barzilai and Borwein; it is halved until
//! the loss falls. In distances, each knot is weighted by its mass: the number of steps that it
//! represents.

use super::knots::Knots;
use super::{Horizon, monotone};
use crate::law::Law;

/// The maximum number of moves from one start.
const MOVES: usize = 400;
/// The descent stops after a move that lowers the loss by no more than this share of the loss.
const ENOUGH: f64 = 1e-11;
/// The maximum number of trial lengths of one move; each is half of the length before.
const HALVINGS: i32 = 40;

/// Rates at the knots, the predicted loss, and the derivatives of the loss with respect to the
/// rates. Each derivative is divided by the mass of its knot.
pub(super) struct State {
    pub(super) rates: Vec<f64>,
    pub(super) loss: f64,
    slopes: Vec<f64>,
}

/// The data that all descents share.
pub(super) struct Descent<'a> {
    law: &'a Law,
    horizon: &'a Horizon,
    knots: &'a Knots,
    masses: Vec<f64>,
}

impl<'a> Descent<'a> {
    pub(super) fn new(law: &'a Law, horizon: &'a Horizon, knots: &'a Knots) -> Self {
        let steps = knots.places().last().map_or(1, |last| last + 1);
        Self {
            law,
            horizon,
            knots,
            masses: knots.gathered(&vec![1.0; steps]),
        }
    }

    /// Descends from the given rates and returns the final state.
    pub(super) fn down_from(&self, start: Vec<f64>) -> State {
        let mut state = self.evaluate(start);
        let steepest = state.slopes[1..]
            .iter()
            .fold(0.0, |most: f64, slope| most.max(slope.abs()));
        let mut length = 0.1 * self.horizon.peak / steepest.max(f64::MIN_POSITIVE);
        for _ in 0..MOVES {
            let Some((next, step)) = self.lower(&state, length) else {
                break;
            };
            let won = state.loss - next.loss;
            let bend = self.product(&step, &difference(&next.slopes, &state.slopes));
            length = match bend > 0.0 {
                true => self.product(&step, &step) / bend,
                false => 4.0 * length,
            };
            let enough = won <= ENOUGH * next.loss.abs();
            state = next;
            if enough || !length.is_finite() {
                break;
            }
        }
        state
    }

    fn evaluate(&self, rates: Vec<f64>) -> State {
        let (loss, by_step) = self.law.last(&self.knots.steps(&rates));
        let slopes = self.knots.gathered(&by_step);
        let slopes = slopes.iter().zip(&self.masses);
        State {
            slopes: slopes.map(|(slope, mass)| slope / mass).collect(),
            rates,
            loss,
        }
    }

    /// Returns a state with a lower loss, and the change of the rates that leads to it. Tries the
    /// step lengths `longest`, `longest/2`, `longest/4` and so on. Returns `None` if none of them
    /// lowers the loss.
    fn lower(&self, state: &State, longest: f64) -> Option<(State, Vec<f64>)> {
        (0..HALVINGS).find_map(|halvings| {
            let next = self.evaluate(self.moved(state, longest * 0.5_f64.powi(halvings)));
            let step = difference(&next.rates, &state.rates);
            let promised = -self.product(&state.slopes, &step);
            let falls = next.loss.is_finite() && next.loss <= state.loss - 1e-4 * promised.max(0.0);
            falls.then_some((next, step))
        })
    }

    /// Moves the rates by `length` down the gradient, then returns the nearest rates that never
    /// rise.
    fn moved(&self, state: &State, length: f64) -> Vec<f64> {
        let Horizon { peak, floor, .. } = *self.horizon;
        let pairs = state.rates.iter().zip(&state.slopes);
        let mut rates: Vec<f64> = pairs.map(|(rate, slope)| rate - length * slope).collect();
        // The rate at the end of the warm-up is the peak.
        rates[0] = peak;
        monotone::project(&mut rates[1..], &self.masses[1..], floor, peak);
        rates
    }

    fn product(&self, xs: &[f64], ys: &[f64]) -> f64 {
        let pairs = xs.iter().zip(ys).zip(&self.masses);
        pairs.map(|((x, y), mass)| x * y * mass).sum()
    }
}

fn difference(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter().zip(other).map(|(x, y)| x - y).collect()
}
