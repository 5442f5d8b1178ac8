//! How the embedding e enters each iteration: the injection `A(s, e)`.
//!
//! | kind | `A(s, e)` |
//! |---|---|
//! | linear | `[s ; e] · W` |
//! | add | `s + e` |
//! | gate | `s ⊙ e` |
//! | ffn | `MLP [s ; e]` |
//! | scalar | `(1 − α) s + α e`, or `s + α e` |
//! | diagonal | `e^(−Δa) ⊙ s + Δ ⊙ (e · B)`, or with `(1 − e^(−Δa)) / a` in place of the second Δ |
//! | orthogonal | `(r − c u) + u`; r, u: the terms of diagonal; `c = ⟨r, u⟩ / (‖u‖² + 1e-6)` |
//! | none | `s` |
//! | history | one of the first four kinds, on the state plus differences ([`crate::history`]) |
//!
//! s is the state. The part that depends on e alone is computed once for all iterations of a pass.

mod diagonal;
mod ffn;
mod linear;
mod orthogonal;
mod rates;
mod scalar;

use burn::module::Module;
use burn::tensor::Tensor;

use self::diagonal::Diagonal;
use self::ffn::Ffn;
use self::linear::Linear;
use self::orthogonal::Orthogonal;
use self::scalar::Scalar;
use crate::config::{InjectionKind, ModelConfig};
use crate::contraction::Contraction;
use crate::init::{Fusion, Initializer, Part, Place, Role, Table, Weights};

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
    /// One learned number mixes s and e.
    Scalar(Scalar),
    /// A decay for each channel, and a matrix for e.
    Diagonal(Diagonal),
    /// Like diagonal, but the component of the state along the update is removed.
    Orthogonal(Orthogonal),
}

/// The sum; it has no parameters.
#[derive(Module, Debug)]
pub struct Add;

/// The elementwise product; it has no parameters.
#[derive(Module, Debug)]
pub struct Gate;

/// No injection: the state is unchanged.
#[derive(Module, Debug)]
pub struct Nothing;

/// Adds the parameters of the injection to the table.
pub(crate) fn parameters(table: &mut Table<'_>) {
    let h = table.config.d_model;
    match table.config.injection.of_embedding() {
        // The adapter has the std of an input matrix, although it writes into the residual stream.
        InjectionKind::Linear => {
            let drawn = table.drawn(Place::Input, Fusion::None);
            table.matrix("injection.adapter", [2 * h, h], Part::Adapter, drawn);
        }
        InjectionKind::Ffn => table.feed_forward("injection.mlp", 2 * h, Part::Adapter),
        InjectionKind::Scalar(scalar) => {
            let start = Initializer::Constant(scalar.start);
            let (name, shape) = ("injection.alpha", vec![1]);
            table.push(name, shape, Part::Adapter, Role::Rate, start);
        }
        InjectionKind::Diagonal(_) | InjectionKind::Orthogonal => rates::parameters(table),
        InjectionKind::Add | InjectionKind::Gate | InjectionKind::None => {}
        InjectionKind::History(_) => unreachable!("e enters beside a history in another way"),
    }
}

impl Injection {
    /// Builds the injection of e.
    ///
    /// # Panics
    ///
    /// Never panics, because [`InjectionKind::of_embedding`] does not return a history.
    pub fn new(config: &ModelConfig, weights: &Weights<'_>) -> Self {
        match config.injection.of_embedding() {
            InjectionKind::Linear => Self::Linear(Linear::new(weights)),
            InjectionKind::Add => Self::Add(Add),
            InjectionKind::Gate => Self::Gate(Gate),
            InjectionKind::Ffn => Self::Ffn(Ffn::new(weights)),
            InjectionKind::None => Self::None(Nothing),
            InjectionKind::Scalar(scalar) => Self::Scalar(Scalar::new(scalar.form, weights)),
            InjectionKind::Diagonal(diagonal) => {
                Self::Diagonal(Diagonal::new(diagonal.discretisation, weights))
            }
            InjectionKind::Orthogonal => Self::Orthogonal(Orthogonal::new(weights)),
            InjectionKind::History(_) => unreachable!("e enters beside a history in another way"),
        }
    }

    /// Computes the part that depends on e alone, once for all iterations of a pass.
    ///
    /// # Shapes
    ///
    /// `embedding`: e, `[batch, seq, d_model]`.
    pub fn prepare(&self, embedding: Tensor<3>) -> Prepared {
        Prepared(match self {
            Self::Linear(linear) => linear.prepare(embedding),
            Self::Diagonal(diagonal) => diagonal.prepare(embedding),
            Self::Orthogonal(orthogonal) => orthogonal.prepare(embedding),
            Self::Add(_) | Self::Gate(_) | Self::Ffn(_) | Self::None(_) | Self::Scalar(_) => {
                embedding
            }
        })
    }

    /// Injects the prepared embedding into the state.
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
            Self::Scalar(scalar) => scalar.forward(state, prepared),
            Self::Diagonal(diagonal) => diagonal.forward(state, prepared),
            Self::Orthogonal(orthogonal) => orthogonal.forward(state, prepared),
        }
    }

    /// Returns statistics of the factors on the state's channels, if the injection multiplies
    /// channels by factors.
    pub(crate) fn contraction(&self) -> Option<Contraction> {
        let factors = match self {
            Self::Linear(_) | Self::Add(_) | Self::Gate(_) | Self::Ffn(_) | Self::None(_) => {
                return None;
            }
            Self::Scalar(scalar) => scalar.factor(),
            Self::Diagonal(diagonal) => diagonal.decay(),
            Self::Orthogonal(orthogonal) => orthogonal.decay(),
        };
        Some(Contraction::of(factors))
    }
}

/// The part of an injection that depends on e alone, the same for every iteration of a pass,
/// `[batch, seq, d_model]`. For a linear injection this part is `e · W_e`, where W_e is the lower
/// half of the adapter. For a diagonal or an orthogonal injection it is the update u, and for all
/// others e itself.
#[derive(Clone, Debug)]
pub struct Prepared(pub(crate) Tensor<3>);

impl Prepared {
    /// Returns a copy as a constant.
    #[must_use]
    pub fn without_autodiff(&self) -> Self {
        Self(self.0.clone().without_autodiff())
    }
}

#[cfg(test)]
impl Injection {
    /// Builds a linear injection with this adapter.
    pub(crate) fn with_adapter(matrix: Tensor<2>) -> Self {
        Self::Linear(Linear::with_adapter(matrix))
    }
}
