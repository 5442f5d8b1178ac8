//! The gates of a pass: how they open, and how many edges are open.
//!
//! [`crate::sparsity`] defines a gate. Gates have no state: a layer receives its place in the pass,
//! [`At`], and returns the [`OpenEdges`] of its gates. The model converts each [`OpenEdges`] to a
//! [`Density`], which also names the layer and the iteration or depth. A pass returns all
//! densities.

use burn::tensor::{Device, Tensor};
use rondo_kernels::attention::mixed_bits;

use crate::layer::{At, Layer};
use crate::ops::Opening;

/// How the gates of a pass open, and the weight of their density in the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gates {
    opening: Opening,
    /// The weight of the mean density in the loss.
    strength: f64,
}

impl Gates {
    /// Returns gates that are open if their logit is positive. Their density has no weight in the
    /// loss.
    pub fn hard() -> Self {
        Self {
            opening: Opening::Threshold,
            strength: 0.0,
        }
    }

    /// Returns gates that open at random; `key` determines the random numbers. In a training pass,
    /// `strength` times the mean density is part of the loss.
    pub fn drawn(key: u64, strength: f64) -> Self {
        Self {
            opening: Opening::Drawn { key },
            strength,
        }
    }

    /// Returns the weight of one density in the loss, if the pass has `count` densities.
    pub(crate) fn weight(self, count: usize) -> f64 {
        self.strength / count.max(1) as f64
    }

    /// Returns the opening of a layer's gates in one application. Every layer and iteration draws
    /// from its own key. Prelude and coda count as iteration 0. The coda has the same key at every
    /// depth.
    pub(crate) fn opening_at(self, at: At) -> Opening {
        match self.opening {
            Opening::Threshold => Opening::Threshold,
            Opening::Drawn { key } => {
                let Layer { stack, index } = at.layer();
                let layer = (stack as u64) << 32 | index as u64;
                let iteration = at.iteration().unwrap_or(0) as u64;
                Opening::Drawn {
                    key: mixed_bits(mixed_bits(key ^ layer) ^ iteration),
                }
            }
        }
    }
}

/// The open edges of a layer in one application: the mean of σ(g) and the mean of `1[g > 0]`, over
/// heads, sequences and causal edges. g is the logit of an edge's gate.
#[derive(Clone, Debug)]
pub enum OpenEdges {
    /// Computed by attention that is a single node of the graph. The backward pass of this node
    /// adds the gradient of the penalty.
    Node {
        /// The mean of σ(g).
        expected: f64,
        /// The mean of `1[g > 0]`.
        hard: f64,
    },
    /// Computed by Burn operations, `[1]` each. The tensors are boxed to keep the enum small for
    /// layers without gates.
    Composed {
        /// The mean of σ(g), with the graph that differentiates the penalty.
        expected: Box<Tensor<1>>,
        /// The mean of `1[g > 0]`.
        hard: Box<Tensor<1>>,
    },
}

impl OpenEdges {
    /// Returns the means of σ(g) and of `1[g > 0]`, `[1]` each, on the layer's `device` and without
    /// a graph.
    pub(crate) fn means(&self, device: &Device) -> [Tensor<1>; 2] {
        match self {
            Self::Node { expected, hard } => {
                let device = device.clone().without_autodiff();
                [expected, hard].map(|mean| Tensor::from_data([*mean as f32], &device))
            }
            Self::Composed { expected, hard } => {
                [expected, hard].map(|mean| (**mean).clone().without_autodiff())
            }
        }
    }

    /// Returns the mean of σ(g), `[1]`, if the penalty is differentiated through this tensor.
    pub(crate) fn into_expected(self) -> Option<Tensor<1>> {
        match self {
            Self::Node { .. } => None,
            Self::Composed { expected, .. } => Some(*expected),
        }
    }
}

/// The open edges of a layer in one application, as means over heads, sequences and causal edges.
/// The means are tensors `[1]` without gradient, or numbers read from the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Density<T = Tensor<1>> {
    /// The layer and its place in the pass.
    pub at: At,
    /// The mean of σ(g).
    pub expected: T,
    /// The mean of `1[g > 0]`.
    pub kept: T,
}

/// The open edges of a layer in one application, with the place of the application and the device
/// of the layer.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) at: At,
    pub(crate) open: OpenEdges,
    /// The device of the layer.
    pub(crate) device: Device,
}

/// Returns the sum, `[1]`, of the densities through which the penalty is differentiated; `None` if
/// there are no such densities.
pub(crate) fn penalised(seen: Vec<Seen>) -> Option<Tensor<1>> {
    seen.into_iter()
        .filter_map(|seen| seen.open.into_expected())
        .reduce(|sum, expected| sum + expected)
}

/// The densities of a pass, in order of application.
#[derive(Debug, Default)]
pub(crate) struct Record(Vec<Density>);

impl Record {
    /// Appends the densities of some layers.
    pub(crate) fn add(&mut self, seen: &[Seen]) {
        self.0.extend(seen.iter().map(|seen| {
            let [expected, kept] = seen.open.means(&seen.device);
            Density {
                at: seen.at,
                expected,
                kept,
            }
        }));
    }

    /// Returns the densities in order of [`At`].
    pub(crate) fn finish(mut self) -> Vec<Density> {
        self.0.sort_by_key(|density| density.at);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_depends_on_layer_and_iteration_alone_and_never_changes() {
        let gates = Gates::drawn(5, 0.0);
        // The key is m(m(5 ^ (stack · 2³² + layer)) ^ iteration) with SplitMix64's finaliser m.
        for (at, key) in [
            (At::Prelude { layer: 0 }, 0xfad6_e246_7125_4235),
            (
                At::Core {
                    layer: 1,
                    iteration: 3,
                },
                0x7f62_9317_4954_8df2,
            ),
            (
                At::Core {
                    layer: 0,
                    iteration: 3,
                },
                0x4750_454e_4386_4f54,
            ),
            (At::Coda { layer: 0, depth: 1 }, 0xb882_bcf6_2097_f91f),
            (At::Coda { layer: 0, depth: 7 }, 0xb882_bcf6_2097_f91f),
        ] {
            assert_eq!(gates.opening_at(at), Opening::Drawn { key }, "{at:?}");
            assert_eq!(Gates::hard().opening_at(at), Opening::Threshold);
        }
    }
}
