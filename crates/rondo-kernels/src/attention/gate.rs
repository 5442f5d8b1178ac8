//! Gates on the edges of attention. An edge is a pair of a query and a key; its gate decides
//! whether the weight after the softmax multiplies the value.
//!
//! With the score `a = q·k / √d_head` of an edge and the bias `b` of its head:
//!
//! | | |
//! |---|---|
//! | logit of the gate | `g = a + b` |
//! | a drawn gate | `A = 1[g + ℓ > 0]` with `ℓ = ln(u / (1 − u))` for a uniform `u`; `dA/dg = s·(1 − s)` with `s = σ(g + ℓ)` |
//! | a gate with a threshold | `A = 1[g > 0]`; `dA/dg = s·(1 − s)` with `s = σ(g)` |
//! | result | `y = Σ softmax(a) · A · v`, not normalised again |
//! | expected density | the mean of `σ(g)` over the edges |
//!
//! The straight-through gradient is the gradient of the gate as it was drawn, with its noise, at
//! temperature 1: a Gumbel-sigmoid (Draye et al. 2025, arXiv 2512.05865). The kernel of its authors
//! also differentiates `σ(g + ℓ)` for the gates and `σ(g)` for the density. No logarithm is
//! computed: with `e = exp(−g)`, `σ(g + ℓ) = u / (u + e·(1 − u))`, which is above ½ exactly if
//! `u > e·(1 − u)`.

use super::Shape;

/// The gates of an attention layer, without the learned bias per head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    /// The rule that opens a gate.
    pub opening: Opening,
    /// The bias of every head; finite. With a positive bias, most gates are open at the start.
    pub bias: f32,
    /// The derivative of the loss with respect to [`Openness::density`]. The backward pass adds its
    /// contribution; the forward pass does not read it.
    pub d_density: f32,
}

/// The rule that opens a gate with logit `g`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// With probability `σ(g)`: for training.
    Drawn {
        /// The key of the noise. Every layer, iteration and step needs its own key; the backward
        /// pass needs the key of the forward pass.
        key: u64,
    },
    /// If `g > 0`: for evaluation.
    Threshold,
}

/// How open the gates of a forward pass were.
#[derive(Clone, Debug, PartialEq)]
pub struct Openness {
    /// `Σ σ(g)` over the edges, per query head: the expected number of open edges.
    pub expected: Vec<f64>,
    /// The number of edges with `g > 0`, per query head. It does not depend on the noise.
    pub open: Vec<u64>,
    /// The number of edges of a head: `batch · seq · (seq + 1) / 2`.
    pub edges: u64,
}

impl Openness {
    /// Returns the mean of `σ(g)` over heads, sequences and edges. The loss adds a penalty on this
    /// density.
    pub fn density(&self) -> f64 {
        let edges = self.edges as f64 * self.expected.len() as f64;
        self.expected.iter().sum::<f64>() / edges
    }

    /// Returns the share of edges with `g > 0` over all heads, which the metrics report as
    /// sparsity.
    pub fn open_share(&self) -> f64 {
        let edges = self.edges as f64 * self.open.len() as f64;
        self.open.iter().sum::<u64>() as f64 / edges
    }
}

impl Gate {
    /// Returns the bias of a query head. `head_bias`, `[heads]`, is the learned part.
    pub(super) fn bias_of(&self, head_bias: Option<&[f32]>, head: usize) -> f32 {
        self.bias + head_bias.map_or(0.0, |bias| bias[head])
    }

    /// Returns the derivative of the loss with respect to the `σ(g)` of one edge. Only the path
    /// through the density counts.
    pub(super) fn pull(&self, shape: Shape) -> f32 {
        let edges = shape.edges() as f64 * shape.heads as f64;
        (f64::from(self.d_density) / edges) as f32
    }
}

/// Checks the number of biases.
pub(super) fn check_head_bias(head_bias: Option<&[f32]>, shape: Shape) {
    if let Some(bias) = head_bias {
        assert_eq!(bias.len(), shape.heads, "gate biases of {shape:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn density_and_share_are_means_over_heads_and_edges() {
        let openness = Openness {
            expected: vec![1.5, 4.5],
            open: vec![0, 3],
            edges: 6,
        };
        assert!((openness.density() - 0.5).abs() < 1e-15);
        assert!((openness.open_share() - 0.25).abs() < 1e-15);
    }
}
