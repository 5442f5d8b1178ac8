//! Gates on the edges of attention: definition, configuration, and statistics of the open edges of
//! a pass.
//!
//! An edge connects a query to a key; it is causal if the key is not after the query. Every causal
//! edge of a gated layer has the gate logit g = q·k/√d_head + b. In training an edge is open with
//! probability σ(g), and its gradient is the straight-through gradient of σ(g + ℓ), where ℓ is the
//! logistic noise of the draw. In evaluation an edge is open if g > 0. The gates mask the attention
//! weights after the softmax, and the weights are not normalised again. The fraction of open edges
//! is the mean of σ(g), or of `1[g > 0]`, over the causal edges ("Sparse Attention Post-Training",
//! arXiv 2512.05865).

use rondo_config::Report;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gates::Density;
use crate::layer::{Layer, Stack};

/// `[model.sparsity]`: which layers have gates, and the bias of the gates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "keys of a configuration, each a choice of its own"
)]
pub struct SparsityConfig {
    /// Whether the layers of the prelude have gates.
    pub prelude: bool,
    /// Whether the layers of the core have gates. All iterations share the weights of the gates.
    pub core: bool,
    /// Whether the layers of the coda have gates.
    pub coda: bool,
    /// The bias b of every gate. If b is positive, most gates are open at the start of training.
    pub gate_bias: f64,
    /// Whether each head of a layer learns a value that is added to b.
    pub learned_bias: bool,
}

impl Default for SparsityConfig {
    fn default() -> Self {
        Self {
            prelude: true,
            core: true,
            coda: true,
            gate_bias: 3.0,
            learned_bias: false,
        }
    }
}

impl SparsityConfig {
    /// Returns whether the layers of `stack` have gates.
    pub fn has_gates(&self, stack: Stack) -> bool {
        match stack {
            Stack::Prelude => self.prelude,
            Stack::Core => self.core,
            Stack::Coda => self.coda,
        }
    }

    /// Reports every violation by its key path below `[model.sparsity]`.
    pub fn validate(&self, report: Report<'_>) {
        if !self.gate_bias.is_finite() {
            report(
                "gate_bias",
                format!("must be a finite number, found {}", self.gate_bias),
            );
        }
        if !(self.prelude || self.core || self.coda) {
            report("core", "no layer has gates; remove [model.sparsity]".into());
        }
    }
}

/// Statistics of the open edges of a pass: fractions of causal edges, averaged over heads,
/// sequences, gated layers and iterations.
#[derive(Clone, Debug, PartialEq)]
pub struct Sparsity {
    /// The fraction of edges with a positive gate logit.
    pub kept: f64,
    /// The expected fraction of open edges, the mean of σ(g).
    pub expected: f64,
    /// `kept` of each gated layer, in order of layers.
    pub by_layer: Vec<(Layer, f64)>,
    /// `kept` of each iteration, from the first. `None` if there is no density: the iteration has
    /// no gradient in a training pass, or the core has no gates.
    pub by_iteration: Vec<Option<f64>>,
}

impl Sparsity {
    /// Averages the densities of a pass of `recurrence` iterations. Returns `None` if no layer has
    /// gates.
    pub fn new(densities: &[Density<f64>], recurrence: usize) -> Option<Self> {
        let mut layers: Vec<Layer> = densities.iter().map(|row| row.at.layer()).collect();
        layers.sort_unstable();
        layers.dedup();
        Some(Self {
            kept: mean(densities.iter().map(|row| row.kept))?,
            expected: mean(densities.iter().map(|row| row.expected))?,
            by_layer: layers
                .into_iter()
                .filter_map(|layer| {
                    let of_layer = densities.iter().filter(|row| row.at.layer() == layer);
                    Some((layer, mean(of_layer.map(|row| row.kept))?))
                })
                .collect(),
            by_iteration: (1..=recurrence)
                .map(|iteration| {
                    let of_iteration = densities.iter();
                    let of_iteration =
                        of_iteration.filter(|row| row.at.iteration() == Some(iteration));
                    mean(of_iteration.map(|row| row.kept))
                })
                .collect(),
        })
    }
}

/// Returns the mean of the values, if there are any.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::At;

    #[test]
    fn open_edges_are_averaged_over_layers_and_over_iterations() {
        let core = |layer, iteration| At::Core { layer, iteration };
        let densities = [
            (At::Prelude { layer: 0 }, 1.0),
            (core(0, 2), 0.25),
            (core(0, 3), 0.75),
            (core(1, 2), 0.5),
            (core(1, 3), 0.5),
            (At::Coda { layer: 0, depth: 3 }, 0.0),
        ]
        .map(|(at, kept)| Density {
            at,
            expected: 0.5,
            kept,
        });
        let found = Sparsity::new(&densities, 3).expect("gates");
        let layer = |stack, index| Layer { stack, index };
        let expected = Sparsity {
            kept: 0.5,
            expected: 0.5,
            by_layer: vec![
                (layer(Stack::Prelude, 0), 1.0),
                (layer(Stack::Core, 0), 0.5),
                (layer(Stack::Core, 1), 0.5),
                (layer(Stack::Coda, 0), 0.0),
            ],
            by_iteration: vec![None, Some(0.375), Some(0.625)],
        };
        assert_eq!(found, expected);
        assert_eq!(Sparsity::new(&[], 3), None);
    }
}
