//! Parameters of the diagonal and the orthogonal injection: two numbers for each channel, and a
//! matrix M for e.
//!
//! ```text
//! Δ = softplus(dt_bias)    a = e^a_log    decay = e^(−Δa)    u = step ⊙ (e · M)
//! ```
//!
//! where step is Δ or `(1 − e^(−Δa)) / a`. At the start of training `a_log = 0`,
//! `dt_bias = ln(√5 − 1)` and M = I, so that Δ is ½ ln 5 and the decay √(1/5) (Parcae, arXiv
//! 2604.12946, and its public code).

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::init::{Initializer, Part, Role, Table, Weights};
use crate::ops::{
    self, Channels, ChannelsTensors, Coefficient, Precision, Projection, ProjectionTensors,
};

/// The parameters, below `injection.rates` in the module tree.
#[derive(Module, Debug)]
pub(super) struct Rates {
    a_log: Param<Tensor<1>>,
    dt_bias: Param<Tensor<1>>,
    matrix: Param<Tensor<2>>,
    #[module(skip)]
    precision: Precision,
}

/// Adds the parameters to the table.
pub(super) fn parameters(table: &mut Table<'_>) {
    let h = table.config.d_model;
    let step = Initializer::Constant((5.0_f64.sqrt() - 1.0).ln());
    for (name, init) in [("a_log", Initializer::Zeros), ("dt_bias", step)] {
        let name = format!("injection.rates.{name}");
        table.push(&name, vec![h], Part::Adapter, Role::Rate, init);
    }
    let name = "injection.rates.matrix";
    table.matrix(name, [h, h], Part::Adapter, Initializer::Identity);
}

impl Rates {
    pub(super) fn new(weights: &Weights<'_>) -> Self {
        Self {
            a_log: weights.get("injection.rates.a_log"),
            dt_bias: weights.get("injection.rates.dt_bias"),
            matrix: weights.get("injection.rates.matrix"),
            precision: weights.precision(),
        }
    }

    /// Returns u. `step` is [`Coefficient::Step`] or [`Coefficient::Hold`].
    ///
    /// # Shapes
    ///
    /// `embedding` and the result: `[batch, seq, d_model]`.
    pub(super) fn update(&self, step: Coefficient, embedding: Tensor<3>) -> Tensor<3> {
        let [d_in, _] = self.matrix.dims();
        let projection = Projection {
            rows: 0..d_in,
            precision: self.precision,
        };
        let ops = ops::of(&embedding);
        let tensors = ProjectionTensors {
            x: embedding,
            weight: self.matrix.val(),
            base: None,
        };
        let x = ops.project(projection, tensors);
        self.channels(step, x, None)
    }

    /// Returns `c ⊙ x + base`, with the coefficient c of each channel.
    pub(super) fn channels(
        &self,
        coefficient: Coefficient,
        x: Tensor<3>,
        base: Option<Tensor<3>>,
    ) -> Tensor<3> {
        let tensors = ChannelsTensors {
            x,
            base,
            a_log: self.a_log(),
            dt_bias: self.dt_bias(),
        };
        ops::of(&tensors.x).channels(Channels { coefficient }, tensors)
    }

    pub(super) fn a_log(&self) -> Tensor<1> {
        self.a_log.val()
    }

    pub(super) fn dt_bias(&self) -> Tensor<1> {
        self.dt_bias.val()
    }

    /// Returns `e^(−Δa)` of each channel, `[d_model]`, without its graph.
    pub(super) fn decay(&self) -> Tensor<1> {
        let [a_log, dt_bias] = [&self.a_log, &self.dt_bias].map(|x| x.val().without_autodiff());
        ops::coefficients(Coefficient::Decay, a_log, dt_bias)
    }
}
