//! What the states of a forward pass tell: correlations, residuals and norms.
//!
//! Token correlation of a state x `[batch, seq, d_model]`: each token's features are centred and
//! scaled to length 1; c is the mean dot product over all pairs of positions, minus 1/S. As the
//! mean of all pairwise dot products is the squared length of the mean vector, no S × S matrix is
//! needed. c is at most 1 − 1/S; the headline `hidden_state_corr` is c·S/(S−1), the mean over
//! off-diagonal pairs, exactly 1 where every token has one state.
//!
//! Iteration correlation: Pearson correlation over features of s_i and s_{i−1}, averaged over
//! tokens. Names as in the reference implementation of arXiv 2502.05171.
//!
//! Everything is computed on the device into one vector, so that a logged step reads once. A
//! correlation that does not exist (one position, a constant state) is NaN there and `None` in a
//! [`Reading`].

use burn::tensor::Tensor;

use crate::looped::Forward;
use crate::ops::length;
use crate::recurrence::Trace;

const SCALARS: usize = 7;
const PER_ITERATION: usize = 5;

/// The telemetry of one forward pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// c·S/(S−1) of n_f(s_r).
    pub hidden_state_corr: Option<f64>,
    /// c of n_f(s_r).
    pub recurrent_state_token_corr: Option<f64>,
    /// c of n_f(y).
    pub last_hidden_token_corr: Option<f64>,
    /// Mean over i ≥ 2 of the iteration correlation.
    pub iteration_corr: Option<f64>,
    /// ‖n_f(s_r)‖, mean over tokens.
    pub recurrent_state_norm: f64,
    /// ‖n_f(y)‖, mean over tokens.
    pub last_hidden_norm: f64,
    /// ‖n_f(s_r) − e‖, mean over tokens.
    pub recurrent_diff: f64,
    /// ‖n_f(s_r) − s_{r−1}‖, mean over tokens.
    pub recurrent_residual: f64,
    /// The same over ‖n_f(s_r)‖, mean over tokens.
    pub rel_residual: f64,
    /// Iteration i at index i − 1.
    pub iterations: Iterations,
}

/// Telemetry of each iteration, on raw states; means over tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Iterations {
    /// Token correlation c of s_i.
    pub token_corr: Vec<Option<f64>>,
    /// Correlation of s_i and s_{i−1}; none for i = 1, whose predecessor is noise.
    pub state_corr: Vec<Option<f64>>,
    /// ‖s_i − s_{i−1}‖.
    pub residual: Vec<Option<f64>>,
    /// ‖s_i − s_{i−1}‖ / ‖s_i‖.
    pub rel_residual: Vec<Option<f64>>,
    /// ‖s_i‖.
    pub state_norm: Vec<Option<f64>>,
}

/// Computes the telemetry on the device.
///
/// # Shapes
///
/// Returns `[7 + 5·r]` for a trace of r iterations; [`Reading::new`] takes it apart.
///
/// # Panics
///
/// Panics on a trace without an iteration.
pub fn measure(forward: &Forward, trace: &Trace) -> Tensor<1> {
    let embedding = forward.embedding.clone().without_autodiff();
    let state = forward.readout.state.clone().without_autodiff();
    let hidden = forward.readout.hidden.clone().without_autodiff();
    let before_last = trace.states[trace.states.len() - 2].clone();
    let residual = length(state.clone() - before_last);
    let state_length = length(state.clone());
    let mut values = vec![
        token_corr(unit(state.clone())),
        token_corr(unit(hidden.clone())),
        state_length.clone().mean(),
        length(hidden).mean(),
        length(state - embedding).mean(),
        residual.clone().mean(),
        (residual / state_length).mean(),
    ];
    let mut previous_unit = unit(trace.states[0].clone());
    for pair in trace.states.windows(2) {
        let [previous, current] = [&pair[0], &pair[1]];
        let current_unit = unit(current.clone());
        let residual = length(current.clone() - previous.clone());
        let norm = length(current.clone());
        values.push(token_corr(current_unit.clone()));
        values.push((current_unit.clone() * previous_unit).sum_dim(2).mean());
        values.push(residual.clone().mean());
        values.push((residual / norm.clone()).mean());
        values.push(norm.mean());
        previous_unit = current_unit;
    }
    Tensor::cat(values, 0)
}

/// Feature vectors centred and scaled to length 1; NaN where a vector is constant.
fn unit(x: Tensor<3>) -> Tensor<3> {
    let centred = x.clone() - x.mean_dim(2);
    centred.clone() / length(centred)
}

/// c of unit vectors `[batch, seq, d_model]`, as `[1]`.
fn token_corr(unit: Tensor<3>) -> Tensor<1> {
    let [_, seq, _] = unit.dims();
    let mean_vector = unit.mean_dim(1);
    mean_vector.square().sum_dim(2).mean() - 1.0 / seq as f64
}

impl Reading {
    /// Takes the values of [`measure`] apart, for sequences of `seq` tokens.
    ///
    /// # Panics
    ///
    /// Panics where `values` are not 7 + 5·r.
    pub fn new(values: &[f32], seq: usize) -> Self {
        let (scalars, rest) = values.split_at(SCALARS);
        assert_eq!(rest.len() % PER_ITERATION, 0, "telemetry is 7 + 5·r values");
        let number = |i: usize| f64::from(scalars[i]);
        let correlation = |x: f32| (seq > 1 && x.is_finite()).then_some(f64::from(x));
        let column = |offset: usize, from: usize, keep: &dyn Fn(f32) -> Option<f64>| {
            let cell = |(i, row): (usize, &[f32])| (i >= from).then(|| keep(row[offset])).flatten();
            rest.chunks(PER_ITERATION)
                .enumerate()
                .map(cell)
                .collect::<Vec<_>>()
        };
        let finite = |x: f32| x.is_finite().then_some(f64::from(x));
        let iterations = Iterations {
            token_corr: column(0, 0, &correlation),
            state_corr: column(1, 1, &finite),
            residual: column(2, 0, &finite),
            rel_residual: column(3, 0, &finite),
            state_norm: column(4, 0, &finite),
        };
        let known: Vec<f64> = iterations.state_corr.iter().flatten().copied().collect();
        let token = correlation(scalars[0]);
        Self {
            hidden_state_corr: token.map(|c| c * seq as f64 / (seq as f64 - 1.0)),
            recurrent_state_token_corr: token,
            last_hidden_token_corr: correlation(scalars[1]),
            iteration_corr: (!known.is_empty())
                .then(|| known.iter().sum::<f64>() / known.len() as f64),
            recurrent_state_norm: number(2),
            last_hidden_norm: number(3),
            recurrent_diff: number(4),
            recurrent_residual: number(5),
            rel_residual: number(6),
            iterations,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::looped::Readout;
    use burn::tensor::Device;

    fn state(rows: [[f32; 4]; 2]) -> Tensor<3> {
        Tensor::from_data([rows], &Device::flex())
    }

    fn read(state: &Tensor<3>, trace: &Trace) -> Reading {
        let [_, seq, _] = state.dims();
        let readout = Readout {
            latent: state.clone(),
            state: state.clone(),
            hidden: state.clone(),
        };
        let forward = Forward {
            embedding: state.zeros_like(),
            readout,
            densities: Vec::new(),
        };
        let values: Vec<f32> = measure(&forward, trace).into_data().iter().collect();
        Reading::new(&values, seq)
    }

    #[test]
    fn equal_tokens_correlate_to_one_and_opposite_ones_to_minus_one() {
        let row = [3.0, 1.0, -1.0, 0.0];
        let same = state([row, row]);
        let opposite = state([row, row.map(|x| 1.0 - x)]);
        let trace = Trace {
            states: vec![opposite.clone(), same.clone()],
        };
        let reading = read(&same, &trace);
        assert!((reading.hidden_state_corr.expect("two positions") - 1.0).abs() < 1e-6);
        assert!((reading.recurrent_state_token_corr.expect("two positions") - 0.5).abs() < 1e-6);
        let reading = read(&opposite, &trace);
        assert!((reading.hidden_state_corr.expect("two positions") + 1.0).abs() < 1e-6);
    }

    #[test]
    fn an_iteration_that_only_scales_the_state_correlates_fully_with_the_one_before() {
        let a = state([[3.0, 1.0, -1.0, 0.0], [0.0, 2.0, 0.0, 1.0]]);
        let trace = Trace {
            states: vec![a.clone(), a.clone() * 2.0, a.clone() * 4.0],
        };
        let reading = read(&a, &trace);
        assert_eq!(reading.iterations.state_corr[0], None);
        assert!((reading.iteration_corr.expect("two iterations") - 1.0).abs() < 1e-6);
        assert!((reading.iterations.rel_residual[1].expect("finite") - 0.5).abs() < 1e-6);
        let norm = f64::midpoint(11.0_f64.sqrt(), 5.0_f64.sqrt()) * 4.0;
        assert!((reading.iterations.state_norm[1].expect("finite") - norm).abs() < 1e-5);
    }

    #[test]
    fn a_zero_state_or_a_single_position_has_no_correlation() {
        let zero = state([[0.0; 4]; 2]);
        let a = state([[3.0, 1.0, -1.0, 0.0], [0.0, 2.0, 0.0, 1.0]]);
        let states = vec![zero.clone(), a.clone(), zero];
        let reading = read(&a, &Trace { states });
        assert_eq!(reading.iteration_corr, None);
        let one: Tensor<3> = a.slice(burn::tensor::s![.., 0..1, ..]);
        let states = vec![one.clone(), one.clone()];
        let reading = read(&one, &Trace { states });
        assert_eq!(reading.hidden_state_corr, None);
    }
}
