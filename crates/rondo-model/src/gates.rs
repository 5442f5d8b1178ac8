//! The gates of a pass: how they open, and what they saw.
//!
//! Gates keep nothing. A layer is told where in the pass it is applied, [`At`], and returns the
//! [`OpenEdges`] of its gates; the model makes a [`Density`] of each and returns them all, each
//! with the layer and the iteration or depth that it belongs to. [`crate::sparsity`] defines a gate.

use burn::tensor::{Device, Tensor};
use rondo_kernels::attention::mixed_bits;

use crate::layer::{At, Layer};
use crate::ops::Opening;

/// How the gates of a pass open, and what their density costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gates {
    opening: Opening,
    /// The factor of the mean density in the loss.
    strength: f64,
}

impl Gates {
    /// Opens gates where their logit is positive.
    pub fn hard() -> Self {
        Self {
            opening: Opening::Threshold,
            strength: 0.0,
        }
    }

    /// Draws gates from `key`; `strength` times the mean density is a part of the loss of a training
    /// pass.
    pub fn drawn(key: u64, strength: f64) -> Self {
        Self {
            opening: Opening::Drawn { key },
            strength,
        }
    }

    /// Returns the factor of one density in the loss, where the mean is over `count` of them.
    pub(crate) fn weight(self, count: usize) -> f64 {
        self.strength / count.max(1) as f64
    }

    /// Returns how the gates of a layer open in one application: those of another layer or iteration
    /// are drawn from another key. Prelude and coda count as iteration 0, the coda at any depth.
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

/// How open the gates of one layer were in one application of it: the mean of σ(g), and of
/// `1[g > 0]`, over heads, sequences and causal edges.
#[derive(Clone, Debug)]
pub enum OpenEdges {
    /// Of a single node of the graph, which adds the penalty's gradient to its own.
    Node {
        /// The mean of σ(g).
        expected: f64,
        /// The mean of `1[g > 0]`.
        hard: f64,
    },
    /// Of Burn operations, `[1]` each; in boxes, so that a layer without gates does not move their room.
    Composed {
        /// The mean of σ(g), with its graph: through it the penalty is differentiated.
        expected: Box<Tensor<1>>,
        /// The mean of `1[g > 0]`.
        hard: Box<Tensor<1>>,
    },
}

impl OpenEdges {
    /// Returns both means, of σ(g) first, `[1]` each, on the `device` of the layer, without a graph.
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

    /// Returns the mean of σ(g), `[1]`, where the penalty is differentiated through it.
    pub(crate) fn into_expected(self) -> Option<Tensor<1>> {
        match self {
            Self::Node { .. } => None,
            Self::Composed { expected, .. } => Some(*expected),
        }
    }
}

/// The open edges of one layer in one application of it, over heads, sequences and causal edges: `[1]` each and
/// without gradient, or read from the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Density<T = Tensor<1>> {
    /// Which layer, and when.
    pub at: At,
    /// Mean of σ(g).
    pub expected: T,
    /// Mean of `1[g > 0]`.
    pub kept: T,
}

/// What the gates of a layer saw in one application of it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) at: At,
    pub(crate) open: OpenEdges,
    /// The device of the layer.
    pub(crate) device: Device,
}

/// Returns the sum of the densities that the penalty is differentiated through, `[1]`; none where
/// there is none.
pub(crate) fn penalised(seen: Vec<Seen>) -> Option<Tensor<1>> {
    seen.into_iter()
        .filter_map(|seen| seen.open.into_expected())
        .reduce(|sum, expected| sum + expected)
}

/// The densities of a pass, as they come.
#[derive(Debug, Default)]
pub(crate) struct Record(Vec<Density>);

impl Record {
    /// Takes in what the gates of some layers saw.
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
        // SplitMix64's finaliser of the finaliser of 5 ^ (stack · 2³² + layer), ^ iteration.
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
