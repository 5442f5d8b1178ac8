//! The memory of a step on a GPU, where kernels are the nodes of the graph.

use super::{StepShape, adjusted, qkv, state};
use crate::census::Census;
use crate::config::{BoundaryNorm, InjectionKind, ModelConfig, QkBias, QkNorm, RopePairing};
use crate::depth::Recompute;
use crate::init::Part;

/// The largest number of logits in a chunk of the head on a GPU. The number of tokens in a chunk is
/// a multiple of `CHUNK_TOKENS`.
const CHUNK_LOGITS: usize = 1 << 25;
const CHUNK_TOKENS: usize = 64;

impl StepShape {
    /// Returns the peak number of f32 values on a GPU. It is the maximum over four moments: in the
    /// loss, and in the backward passes of the coda, of the last iteration and of the prelude.
    pub(super) fn on_gpu(self, model: &ModelConfig, census: &Census) -> usize {
        let h = model.d_model;
        let (with_grad, states) = self.iterations(model);
        let weights = |part| census.part(part);
        let head = model.vocab_size * h;
        let layer = self.layer(model);
        let prelude = self.tokens * (model.layers.prelude * layer + 4 * h);
        // These are the initial tensors of every recomputed iteration, the first state of the next
        // step, and for each term after an earlier iteration its gradient, which has the size of a
        // state.
        let states = self.tokens * (states + 1 + self.beside.readouts) * state(model);
        let iteration = self.iteration(model, layer);
        let coda = self.tokens * (model.layers.coda * layer + 3 * h);
        // If iterations are recomputed, no iteration is in memory before the backward pass of the
        // coda is done. The iterations of a penalty run later, too.
        let tracked = match model.recurrence.recompute {
            Recompute::None => self.unroll.with_grad * iteration,
            Recompute::Iteration => 0,
        };
        let working = self.tokens * self.working(model);
        let of_core = weights(Part::Core)
            + weights(Part::Adapter)
            + weights(Part::History)
            + weights(Part::Lora);
        let of_readout = weights(Part::Coda) + head;
        // The sum of the gradients of earlier readouts is kept while another readout is
        // differentiated.
        let earlier = match self.beside.readouts {
            0 => 0,
            _ => of_readout,
        };
        let moments = [
            prelude + states + tracked + coda + earlier + self.loss(model),
            prelude + states + tracked + coda + working + earlier + of_readout + head,
            prelude + states + with_grad * iteration + working + of_readout + 2 * of_core,
            prelude + working + census.total() + weights(Part::Prelude) + 2 * head,
        ];
        census.total() + self.moments + moments.into_iter().max().unwrap_or(0)
    }

    /// Returns the number of values per token that a layer keeps for the backward pass: the norms'
    /// outputs and inputs, the sums, attention, and the MLP's halves with their product.
    fn layer(self, model: &ModelConfig) -> usize {
        let h = model.d_model;
        6 * h + qkv(model) + self.attention(model) + model.attended_width() + 3 * model.d_ff
    }

    /// Returns the number of values that an iteration keeps for the backward pass: those of its
    /// layers, the injection's output, and a copy of one half of the adapter.
    fn iteration(self, model: &ModelConfig, layer: usize) -> usize {
        let h = model.d_model;
        let (injected, adapter) = match model.injection.of_embedding() {
            InjectionKind::Linear => (h, h * h),
            InjectionKind::Add
            | InjectionKind::Gate
            | InjectionKind::Scalar(_)
            | InjectionKind::Diagonal(_)
            | InjectionKind::Orthogonal => (h, 0),
            InjectionKind::Ffn => (3 * h + 3 * model.d_ff, 0),
            InjectionKind::None | InjectionKind::History(_) => (0, 0),
        };
        let normed = match model.boundary_norm {
            BoundaryNorm::Iteration => h,
            BoundaryNorm::Coda | BoundaryNorm::None => 0,
        };
        let layers = model.layers.core * layer;
        adapter + adjusted(model) + self.tokens * (layers + injected + normed + self.beside(model))
    }

    /// Returns the number of values per token that attention keeps for the backward pass, in
    /// addition to queries, keys, values and the attention output.
    fn attention(self, model: &ModelConfig) -> usize {
        let scores = model.n_heads * self.seq;
        match (&model.sparsity, is_apart(model)) {
            // The softmax before and after its division, three tensors of gates, the gated weights,
            // and the separate heads.
            (Some(_), _) => 6 * scores + 4 * model.attended_width(),
            // The separate heads before and after their norms and rotation, and the weights.
            (None, true) if self.within_documents => 2 * scores + 5 * model.attended_width(),
            (None, true) => 5 * model.attended_width() + model.n_heads,
            // The logarithm of each row's sum.
            (None, false) => model.n_heads,
        }
    }

    /// Returns the working space of a layer's backward pass, per token. It is the larger of two:
    /// the MLP's working space, and attention's working space less the MLP's activations, which are
    /// freed before attention.
    fn working(self, model: &ModelConfig) -> usize {
        let (h, f) = (model.d_model, model.d_ff);
        let scores = model.n_heads * self.seq;
        let attention = match (&model.sparsity, is_apart(model)) {
            // The results of the forward pass of a layer with gates.
            (Some(_), _) => 6 * scores + 8 * model.attended_width(),
            (None, true) if self.within_documents => scores + 8 * model.attended_width(),
            (None, true) => 8 * model.attended_width(),
            (None, false) => model.attended_width() + model.n_heads,
        };
        let attention = attention + qkv(model);
        2 * h + attention.saturating_sub(3 * f + 3 * h).max(3 * f)
    }

    /// Returns the number of elements of the largest buffer on a GPU.
    pub(super) fn largest(self, model: &ModelConfig) -> usize {
        let scores = match (&model.sparsity, is_apart(model) && self.within_documents) {
            (None, false) => 0,
            (Some(_), _) | (None, true) => model.n_heads * self.seq,
        };
        let of_tokens = self.tokens * scores.max(2 * model.d_ff).max(state(model));
        let vocab = model.vocab_size;
        of_tokens
            .max(self.chunk(model) * vocab)
            .max(vocab * model.d_model)
    }

    /// Returns the number of tokens in a chunk of logits.
    fn chunk(self, model: &ModelConfig) -> usize {
        let rows = CHUNK_LOGITS / model.vocab_size / CHUNK_TOKENS * CHUNK_TOKENS;
        rows.max(CHUNK_TOKENS).min(self.tokens)
    }

    /// Returns the working space of the loss: the logits of a chunk, the gradient of the head's
    /// matrix (with the gradient from one chunk, if there are several chunks), and the gradient of
    /// the head's input.
    fn loss(self, model: &ModelConfig) -> usize {
        let (h, vocab) = (model.d_model, model.vocab_size);
        let rows = self.chunk(model);
        let sums = if rows < self.tokens { 3 } else { 1 };
        rows * (vocab + h) + sums * vocab * h + 2 * self.tokens * h
    }
}

/// Returns whether heads are separated on a GPU, because no kernel computes this attention on fused
/// rows.
fn is_apart(model: &ModelConfig) -> bool {
    model.qk_norm != QkNorm::None
        || model.rope_pairing != RopePairing::Adjacent
        || model.qk_bias == QkBias::Qkv
}
