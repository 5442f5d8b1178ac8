//! How the embedding e enters each iteration: the injection `A(s, e)`, one of five.
//!
//! What depends on e alone is prepared once for all iterations of a pass.

mod ffn;
mod linear;

use burn::module::Module;
use burn::tensor::Tensor;

use self::ffn::Ffn;
use self::linear::Linear;
use crate::config::{InjectionKind, ModelConfig};
use crate::init::{Fusion, Part, Place, Table, Weights};

/// `A(s, e)`.
#[derive(Module, Debug)]
pub enum Injection {
    /// `[s ; e] · W`.
    Linear(Linear),
    /// `s + e`.
    Add(Add),
    /// `s ⊙ e`.
    Gate(Gate),
    /// `MLP [s ; e]`.
    Ffn(Ffn),
    /// `s`.
    None(Nothing),
}

/// A sum; it has no parameters.
#[derive(Module, Debug)]
pub struct Add;

/// A product of elements; it has no parameters.
#[derive(Module, Debug)]
pub struct Gate;

/// No injection: the state is passed on as it is.
#[derive(Module, Debug)]
pub struct Nothing;

/// Adds the parameters of the injection to the table.
pub(crate) fn parameters(table: &mut Table<'_>) {
    let h = table.config.d_model;
    match table.config.injection {
        // The adapter keeps the plain std whatever it writes into.
        InjectionKind::Linear => {
            let drawn = table.drawn(Place::Input, Fusion::None);
            table.matrix("injection.adapter", [2 * h, h], Part::Adapter, drawn);
        }
        InjectionKind::Ffn => table.feed_forward("injection.mlp", 2 * h, Part::Adapter),
        InjectionKind::Add | InjectionKind::Gate | InjectionKind::None => {}
    }
}

impl Injection {
    /// Builds the injection.
    pub fn new(config: &ModelConfig, weights: &Weights<'_>) -> Self {
        match config.injection {
            InjectionKind::Linear => Self::Linear(Linear::new(weights)),
            InjectionKind::Add => Self::Add(Add),
            InjectionKind::Gate => Self::Gate(Gate),
            InjectionKind::Ffn => Self::Ffn(Ffn::new(weights)),
            InjectionKind::None => Self::None(Nothing),
        }
    }

    /// Computes what the iterations of a pass share.
    ///
    /// # Shapes
    ///
    /// `embedding`: e, `[batch, seq, d_model]`.
    pub fn prepare(&self, embedding: Tensor<3>) -> Prepared {
        Prepared(match self {
            Self::Linear(linear) => linear.prepare(embedding),
            Self::Add(_) | Self::Gate(_) | Self::Ffn(_) | Self::None(_) => embedding,
        })
    }

    /// Injects the embedding that was prepared into the state.
    ///
    /// # Shapes
    ///
    /// `state` and the result: `[batch, seq, d_model]`.
    pub fn forward(&self, state: Tensor<3>, prepared: &Prepared) -> Tensor<3> {
        let prepared = prepared.0.clone();
        match self {
            Self::Linear(linear) => linear.forward(state, prepared),
            Self::Add(Add) => state + prepared,
            Self::Gate(Gate) => state * prepared,
            Self::Ffn(ffn) => ffn.forward(state, prepared),
            Self::None(Nothing) => state,
        }
    }
}

/// What an injection makes of e, the same for every iteration of a pass: `e · W_e` with the lower
/// half of a linear injection's adapter, for the others e itself; `[batch, seq, d_model]`.
#[derive(Clone, Debug)]
pub struct Prepared(pub(crate) Tensor<3>);

impl Prepared {
    /// Returns the same as a constant.
    #[must_use]
    pub fn without_autodiff(&self) -> Self {
        Self(self.0.clone().without_autodiff())
    }
}

#[cfg(test)]
impl Injection {
    /// A linear injection with this adapter.
    pub(crate) fn with_adapter(matrix: Tensor<2>) -> Self {
        Self::Linear(Linear::with_adapter(matrix))
    }
}
