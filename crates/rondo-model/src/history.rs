//! Adds weighted differences to earlier states to the state that enters an iteration (history-state
//! injection, arXiv 2609.36636, eq. 3).
//!
//! ```text
//! s ← s_i + Σ_{j = 1 … m} B_j (s_{i−j} − s_i)      m = min(w, i − 1), 0 for i = 0
//! ```
//!
//! w is the configured window. The earlier states are outputs of iterations, s_1, …, s_{i−1}. As in
//! the paper, s_0 is not among the earlier states, so the first two iterations read none. B_j is a
//! number, a number for each channel, or a matrix, and it is the same in every iteration. B_j is
//! zero at the start of training, so the model starts as the loop without a history. The injection
//! of e is applied to the sum; the paper has no injection and starts from s_0 = e.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::config::{HistoryForm, HistoryInjection, ModelConfig};
use crate::contraction::Contraction;
use crate::init::{Initializer, Part, Role, Table, Weights};
use crate::ops::{self, Difference, DifferenceTensors, Precision, Projection, ProjectionTensors};
use crate::recurrence::LoopState;

/// The coefficients of all lags.
#[derive(Module, Debug)]
pub enum History {
    /// One number, or one number for each channel.
    Rows(Rows),
    /// A matrix.
    Dense(Dense),
}

/// A row for each lag, `[w, 1]` or `[w, d_model]`.
#[derive(Module, Debug)]
pub struct Rows {
    coefficients: Param<Tensor<2>>,
}

/// A matrix for each lag, `[d_model, d_model]`, which multiplies the difference.
#[derive(Module, Debug)]
pub struct Dense {
    lags: Vec<Param<Tensor<2>>>,
    #[module(skip)]
    precision: Precision,
}

/// Adds the parameters to the table, if a history is configured.
pub(crate) fn parameters(table: &mut Table<'_>) {
    let h = table.config.d_model;
    let Some(HistoryInjection { window, form, .. }) = table.config.injection.history() else {
        return;
    };
    let mut rows = |width: usize| {
        let (name, shape) = ("history.coefficients", vec![window, width]);
        table.push(name, shape, Part::History, Role::Rate, Initializer::Zeros);
    };
    match form {
        HistoryForm::Scalar => rows(1),
        HistoryForm::Channel => rows(h),
        HistoryForm::Dense => {
            for lag in 0..window {
                let name = format!("history.lags.{lag}");
                table.matrix(&name, [h, h], Part::History, Initializer::Zeros);
            }
        }
    }
}

impl History {
    /// Builds the history, if it is configured.
    pub fn new(config: &ModelConfig, weights: &Weights<'_>) -> Option<Self> {
        let HistoryInjection { window, form, .. } = config.injection.history()?;
        Some(match form {
            HistoryForm::Scalar | HistoryForm::Channel => Self::Rows(Rows {
                coefficients: weights.get("history.coefficients"),
            }),
            HistoryForm::Dense => Self::Dense(Dense {
                lags: (0..window)
                    .map(|lag| weights.get(&format!("history.lags.{lag}")))
                    .collect(),
                precision: weights.precision(),
            }),
        })
    }

    /// Returns w, the number of lags.
    pub fn window(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.coefficients.dims()[0],
            Self::Dense(dense) => dense.lags.len(),
        }
    }

    /// Returns s_i plus its weighted differences to the earlier states that `state` carries.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_model]`.
    pub fn forward(&self, state: &LoopState) -> Tensor<3> {
        let x = state.state();
        let ops = ops::of(x);
        let lags = state.past().iter().enumerate();
        let sum = match self {
            Self::Rows(rows) => lags.fold(None, |base, (lag, past)| {
                let tensors = DifferenceTensors {
                    x: x.clone(),
                    past: past.clone(),
                    base,
                    coefficients: rows.coefficients.val(),
                };
                Some(ops.difference(Difference { lag }, tensors))
            }),
            Self::Dense(dense) => lags.fold(None, |base, (lag, past)| {
                let matrix = dense.lags[lag].val();
                let [d_in, _] = matrix.dims();
                let projection = Projection {
                    rows: 0..d_in,
                    precision: dense.precision,
                };
                let tensors = ProjectionTensors {
                    x: past.clone() - x.clone(),
                    weight: matrix,
                    base: Some(base.unwrap_or_else(|| x.clone())),
                };
                Some(ops.project(projection, tensors))
            }),
        };
        sum.unwrap_or_else(|| x.clone())
    }

    /// Returns statistics of the factors on the state's channels when the window is full:
    /// `1 − Σ_j B_j`, or the diagonal of this matrix if the B_j are matrices.
    pub(crate) fn contraction(&self) -> Contraction {
        let taken: Tensor<1> = match self {
            Self::Rows(rows) => {
                let coefficients = rows.coefficients.val().without_autodiff();
                coefficients.sum_dim(0).flatten(0, 1)
            }
            Self::Dense(dense) => {
                let diagonal = |matrix: &Param<Tensor<2>>| -> Tensor<1> {
                    let matrix = matrix.val().without_autodiff();
                    let [d_model, _] = matrix.dims();
                    let eye = Tensor::eye(d_model, &matrix.device());
                    (matrix * eye).sum_dim(0).flatten(0, 1)
                };
                let mut lags = dense.lags.iter().map(diagonal);
                let first = lags.next().expect("a window has a lag");
                lags.fold(first, |sum, lag| sum + lag)
            }
        };
        Contraction::of(-taken + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn tensor(value: f32) -> Tensor<3> {
        Tensor::from_data([[[value]]], &Device::flex())
    }

    /// Returns the state after three iterations, with s_i = i²: the state is 9, and the earlier
    /// states are 4 and 1.
    fn third() -> LoopState {
        let state = LoopState::from(tensor(0.0));
        let squares = [1.0, 4.0, 9.0].map(tensor);
        squares
            .into_iter()
            .fold(state, |state, next| state.followed_by(next, 2))
    }

    #[test]
    fn each_earlier_state_draws_by_its_own_coefficient() {
        let device = Device::flex();
        let coefficients = Param::from_data([[0.5], [0.25]], &device);
        let rows = History::Rows(Rows { coefficients });
        let lags = [[[0.5]], [[0.25]]]
            .map(|lag| Param::from_data(lag, &device))
            .to_vec();
        let precision = Precision::F32;
        let dense = History::Dense(Dense { lags, precision });
        for history in [rows, dense] {
            assert_eq!(history.window(), 2);
            // 9 + ½ (4 − 9) + ¼ (1 − 9).
            let y: f32 = history.forward(&third()).into_scalar();
            assert!((y - 4.5).abs() < 1e-6, "{y}");
            let first: f32 = history.forward(&tensor(7.0).into()).into_scalar();
            assert!((first - 7.0).abs() < 1e-6);
            let contraction = history.contraction().mean.into_scalar::<f32>();
            assert!((contraction - 0.25).abs() < 1e-6);
        }
    }
}
