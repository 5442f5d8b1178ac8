//! An estimate of the memory that a training step needs, from the configuration alone.
//!
//! Numbers are counted as f32 for each token where they are activations: those that the backward pass reads, which stand
//! until it has come by, and the working space of whatever is computed at the moment.

use crate::census::Census;
use crate::config::{
    BoundaryNorm, ConditioningKind, InjectionKind, ModelConfig, QkBias, QkNorm, RopePairing,
};
use crate::depth::{Recompute, Unroll};
use crate::init::Part;

/// Bytes of the process itself.
const PROCESS: u64 = 32 << 20;

/// Bytes of the page in which a GPU's pools put small buffers. Those of other buffers are as large as the largest one, and the
/// last of them is half empty on average.
const SMALL_BUFFERS: u64 = 8 << 20;

/// Logits of a chunk of the head on a GPU, which has a multiple of so many tokens.
const CHUNK_LOGITS: usize = 1 << 25;
const CHUNK_TOKENS: usize = 64;

/// What the backward pass reads of a forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Whole sublayers are nodes of the graph, as on flex: no scores and no logits of all tokens.
    Fused,
    /// The nodes that the kernels of a GPU are.
    Kernels,
    /// Each operation of a composition is a node.
    Composed,
}

impl Kept {
    /// Returns how many gradients of all parameters an estimate of [`StepShape::bytes`] has.
    pub fn gradients(self) -> usize {
        match self {
            Self::Fused | Self::Composed => 2,
            Self::Kernels => 1,
        }
    }
}

/// What a step's memory depends on besides the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepShape {
    /// Its iterations.
    pub unroll: Unroll,
    /// Tokens of a micro-batch.
    pub tokens: usize,
    /// Tokens in a sequence.
    pub seq: usize,
    /// Whether attention stays within the documents of a row.
    pub within_documents: bool,
    /// The numbers that the optimizer keeps, of all parameters together.
    pub moments: usize,
    /// What computes it.
    pub kept: Kept,
}

impl StepShape {
    /// Returns an estimate of the bytes that a step of one micro-batch needs with a model, in f32: weights, gradients, moments, the
    /// activations that the backward pass reads, and its working space.
    ///
    /// Beside the peaks that the README measures on flex, the estimate is within 4 % at bench, wide and deep with 4 and 8
    /// iterations with gradient, a quarter too high with one, and 70 MiB too low at small, where small blocks cost the
    /// allocator more. On a GPU it is what the device's pools reserve, within 15 % of what the book's page on GPUs measures.
    pub fn bytes(self, model: &ModelConfig) -> u64 {
        let census = Census::new(model);
        match self.kept {
            Kept::Kernels => {
                let pages = self.on_gpu(model, &census) + self.largest(model) / 2;
                SMALL_BUFFERS + 4 * pages as u64
            }
            Kept::Fused | Kept::Composed => PROCESS + 4 * self.on_processor(model, &census) as u64,
        }
    }

    /// Returns the numbers on a processor, or where nothing has kernels.
    fn on_processor(self, model: &ModelConfig, census: &Census) -> usize {
        let (h, f, attended) = (model.d_model, model.d_ff, heads(model));
        let (qkv, beside) = (qkv(model), self.beside(model));
        // A norm with a scale keeps queries and keys as they were before the scale.
        let normed = match model.qk_norm {
            QkNorm::None | QkNorm::Plain => 0,
            QkNorm::Head | QkNorm::Width => (model.n_heads + model.n_kv_heads) * model.d_head(),
        };
        let (copies, layer, per_iteration, once) = match self.kept {
            // A layer: queries, keys and values, what is attended and its sums, two inputs of norms, two outputs, both halves
            // of the gated MLP. Once: the largest gradients of one sublayer; the logits exist in chunks only.
            Kept::Fused => (
                6,
                qkv + normed + model.n_heads + attended + 4 * h + 2 * f,
                7 * h + beside,
                2 * qkv + attended + 3 * h + 3 * f,
            ),
            // A layer: norms and residuals, the rotary copies, three score-sized tensors of the softmax, and the gated
            // MLP's halves. Once: the logits and what the loss makes of them.
            Kept::Kernels | Kept::Composed => (
                4,
                12 * h + 2 * attended + 5 * qkv + normed + 4 * model.n_heads * self.seq + 8 * f,
                4 * h + beside,
                4 * model.vocab_size,
            ),
        };
        let (with_grad, states) = self.iterations(model);
        let layers = model.layers.prelude + model.layers.coda + with_grad * model.layers.core;
        let activations = layers * layer + with_grad * per_iteration + states * state(model) + once;
        copies * census.total() + self.tokens * activations
    }

    /// Returns the numbers on a GPU at the highest of four moments: in the loss, and in the backward pass of the coda, of the
    /// last iteration and of the prelude.
    fn on_gpu(self, model: &ModelConfig, census: &Census) -> usize {
        let h = model.d_model;
        let (with_grad, states) = self.iterations(model);
        let weights = |part| census.part(part);
        let head = model.vocab_size * h;
        let layer = self.layer(model);
        let prelude = self.tokens * (model.layers.prelude * layer + 4 * h);
        // What every iteration begins with where nothing else of it is kept, and the first state of the next step.
        let states = self.tokens * (states + 1) * state(model);
        let iteration = self.iteration(model, layer);
        let coda = self.tokens * (model.layers.coda * layer + 3 * h);
        // Where iterations run again in the backward pass, none is there before the coda is done with.
        let tracked = match model.recurrence.recompute {
            Recompute::None => with_grad * iteration,
            Recompute::Iteration => 0,
        };
        let working = self.tokens * self.working(model);
        let of_core = weights(Part::Core) + weights(Part::Adapter) + weights(Part::History);
        let of_readout = weights(Part::Coda) + head;
        let moments = [
            prelude + states + tracked + coda + self.loss(model),
            prelude + states + tracked + coda + working + of_readout + head,
            prelude + states + with_grad * iteration + working + of_readout + 2 * of_core,
            prelude + working + census.total() + weights(Part::Prelude) + 2 * head,
        ];
        census.total() + self.moments + moments.into_iter().max().unwrap_or(0)
    }

    /// Returns the iterations whose activations are there together, and those of which the state is.
    fn iterations(self, model: &ModelConfig) -> (usize, usize) {
        let with_grad = self.unroll.with_grad;
        match model.recurrence.recompute {
            Recompute::None => (with_grad, 0),
            Recompute::Iteration => (with_grad.min(1), with_grad),
        }
    }

    /// Returns the numbers of a token that the backward pass reads of a layer: the norms' outputs and inputs, the sums,
    /// attention, and the MLP's halves with their product.
    fn layer(self, model: &ModelConfig) -> usize {
        let h = model.d_model;
        6 * h + qkv(model) + self.attention(model) + heads(model) + 3 * model.d_ff
    }

    /// Returns those of an iteration: its layers, what the injection gives, and the copy of its part of the adapter.
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
        adapter + self.tokens * (layers + injected + normed + self.beside(model))
    }

    /// Returns the numbers of a token that the backward pass reads of an iteration beside its layers and a plain injection: those
    /// of what stands between iterations.
    fn beside(self, model: &ModelConfig) -> usize {
        let is_fused = self.kept == Kept::Fused;
        // Beside the output its average, and the scores' norms where they are composed.
        let averaged = match (model.loop_residual.is_plain(), is_fused) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 6,
        };
        // The lanes after an iteration, their sum and what is read; of a composition each term.
        let lanes = model.hyper_connections.map_or(0, |lanes| match is_fused {
            true => lanes.lanes + 2,
            false => 2 * lanes.lanes * (lanes.lanes + 2),
        });
        let told = match model.conditioning {
            ConditioningKind::None => 0,
            ConditioningKind::Embedding => 1,
            ConditioningKind::LoopGate => 2,
        };
        let states = model.injection.kept_states(is_fused) + averaged + told + lanes;
        states * model.d_model
    }

    /// Returns the numbers of a token that the backward pass reads of attention, besides the rows of queries, keys and values
    /// and what is attended.
    fn attention(self, model: &ModelConfig) -> usize {
        let scores = model.n_heads * self.seq;
        match (&model.sparsity, is_apart(model)) {
            // The softmax before and after its division, the gates three times, what is left of the weights, and the heads apart.
            (Some(_), _) => 6 * scores + 4 * heads(model),
            // Heads apart before and after their norms and rotation, and the weights.
            (None, true) if self.within_documents => 2 * scores + 5 * heads(model),
            (None, true) => 5 * heads(model) + model.n_heads,
            // The logarithm of each row's sum.
            (None, false) => model.n_heads,
        }
    }

    /// Returns the numbers of a token that the backward pass of a layer works with beside what it reads: those of the MLP, or of
    /// attention when what the MLP has read is free again.
    fn working(self, model: &ModelConfig) -> usize {
        let (h, f) = (model.d_model, model.d_ff);
        let scores = model.n_heads * self.seq;
        let attention = match (&model.sparsity, is_apart(model)) {
            // What the forward pass of a layer makes of its gates.
            (Some(_), _) => 6 * scores + 8 * heads(model),
            (None, true) if self.within_documents => scores + 8 * heads(model),
            (None, true) => 8 * heads(model),
            (None, false) => heads(model) + model.n_heads,
        };
        let attention = attention + qkv(model);
        2 * h + attention.saturating_sub(3 * f + 3 * h).max(3 * f)
    }

    /// Returns the numbers of the largest buffer on a GPU.
    fn largest(self, model: &ModelConfig) -> usize {
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

    /// Returns the tokens whose logits are there at a time.
    fn chunk(self, model: &ModelConfig) -> usize {
        let rows = CHUNK_LOGITS / model.vocab_size / CHUNK_TOKENS * CHUNK_TOKENS;
        rows.max(CHUNK_TOKENS).min(self.tokens)
    }

    /// Returns the numbers that the loss works with: the logits of a chunk, the gradient of the head's matrix with that of a chunk,
    /// and the gradient of what the head reads.
    fn loss(self, model: &ModelConfig) -> usize {
        let (h, vocab) = (model.d_model, model.vocab_size);
        let rows = self.chunk(model);
        let sums = if rows < self.tokens { 3 } else { 1 };
        rows * (vocab + h) + sums * vocab * h + 2 * self.tokens * h
    }
}

/// The width of a row of queries, keys and values.
fn qkv(model: &ModelConfig) -> usize {
    (model.n_heads + 2 * model.n_kv_heads) * model.d_head()
}

/// The numbers of a token that an iteration begins with: its state, and lanes where there are any.
fn state(model: &ModelConfig) -> usize {
    let lanes = model.hyper_connections.map_or(0, |lanes| lanes.lanes);
    model.d_model * (1 + lanes)
}

/// Whether heads are taken apart on a GPU, where no kernel serves this attention in its rows.
fn is_apart(model: &ModelConfig) -> bool {
    model.qk_norm != QkNorm::None
        || model.rope_pairing != RopePairing::Adjacent
        || model.qk_bias == QkBias::Qkv
}

/// The width of what is attended.
fn heads(model: &ModelConfig) -> usize {
    model.n_heads * model.d_head()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{HyperConnections, LayersConfig};
    use crate::sparsity::SparsityConfig;

    /// One head of width 2 and an MLP of width 4.
    fn narrow() -> ModelConfig {
        ModelConfig {
            vocab_size: 3,
            d_model: 2,
            n_heads: 1,
            n_kv_heads: 1,
            d_ff: 4,
            layers: LayersConfig {
                prelude: 1,
                core: 1,
                coda: 0,
            },
            ..ModelConfig::default()
        }
    }

    fn step(kept: Kept) -> StepShape {
        StepShape {
            unroll: Unroll {
                no_grad: 7,
                with_grad: 2,
            },
            tokens: 1,
            seq: 1,
            within_documents: false,
            moments: 0,
            kept,
        }
    }

    fn with_grad(with_grad: usize, shape: StepShape) -> StepShape {
        let unroll = Unroll {
            with_grad,
            ..shape.unroll
        };
        StepShape { unroll, ..shape }
    }

    #[test]
    fn a_fused_step_of_one_token_can_be_counted_by_hand() {
        let total = Census::new(&narrow()).total();
        // qkv 6, one sum of a head, five states of width 2, two halves of width 4.
        let layer = 6 + 1 + 5 * 2 + 2 * 4;
        let numbers = 3 * layer + 2 * (7 * 2) + (2 * 6 + 4 * 2 + 3 * 4);
        let expected = (32 << 20) + 4 * (6 * total + numbers);
        assert_eq!(step(Kept::Fused).bytes(&narrow()), expected as u64);
    }

    #[test]
    fn a_step_of_one_token_on_a_gpu_can_be_counted_by_hand() {
        let census = Census::new(&narrow());
        // Six states of width 2, qkv 6, the sum of one row, 2 that are attended, two halves and a product of width 4.
        let layer = 6 * 2 + 6 + 1 + 2 + 3 * 4;
        // The layer, what is injected, and the upper half of the adapter.
        let iteration = layer + 2 + 4;
        // The last iteration's backward pass is the highest of the four moments: the prelude with four states, the next step's
        // initial state, both iterations; two states and the MLP's halves with their product; the head's gradient, and the
        // core's twice.
        let activations = (layer + 4 * 2) + 2 + 2 * iteration + (2 * 2 + 3 * 4);
        let of_core = census.part(Part::Core) + census.part(Part::Adapter);
        let numbers = census.total() + activations + 3 * 2 + 2 * of_core;
        // Half of the largest buffer, which has the MLP's two halves.
        let expected = (8 << 20) + 4 * (numbers + 2 * 4 / 2);
        assert_eq!(step(Kept::Kernels).bytes(&narrow()), expected as u64);
        let moments = 100;
        let with_moments = StepShape {
            moments,
            ..step(Kept::Kernels)
        };
        assert_eq!(with_moments.bytes(&narrow()), (expected + 400) as u64);
    }

    #[test]
    fn norms_with_a_scale_keep_what_they_norm_and_lanes_are_states_that_iterations_run_again_begin_with()
     {
        let bytes = |model: &ModelConfig| step(Kept::Fused).bytes(model);
        let normed = ModelConfig {
            qk_norm: QkNorm::Head,
            ..narrow()
        };
        // In each of two layers two scales of two with their gradients, moments and copies; in three passes a query and a key.
        assert_eq!(bytes(&normed) - bytes(&narrow()), 4 * (6 * 8 + 3 * 4));
        for kept in [Kept::Fused, Kept::Kernels, Kept::Composed] {
            let mut lanes = ModelConfig {
                hyper_connections: Some(HyperConnections {
                    lanes: 3,
                    iterations: None,
                }),
                ..narrow()
            };
            lanes.recurrence.recompute = Recompute::Iteration;
            // So many tokens that they need more than the weights.
            let shape = StepShape {
                tokens: 1000,
                seq: 5,
                ..step(kept)
            };
            let bytes = |k| with_grad(k, shape).bytes(&lanes);
            assert_eq!(bytes(5) - bytes(4), 4 * 4 * 2 * 1000, "{kept:?}");
        }
    }

    #[test]
    fn iterations_that_are_run_again_keep_a_state_each() {
        let state = 4 * 10 * narrow().d_model as u64;
        for kept in [Kept::Fused, Kept::Kernels, Kept::Composed] {
            let mut model = narrow();
            let shape = StepShape {
                tokens: 10,
                seq: 5,
                ..step(kept)
            };
            let bytes = |model: &ModelConfig, k| with_grad(k, shape).bytes(model);
            let (one, many) = (bytes(&model, 1), bytes(&model, 8));
            assert!(many > one);
            model.recurrence.recompute = Recompute::Iteration;
            assert_eq!(bytes(&model, 8), bytes(&model, 1) + 7 * state, "{kept:?}");
            assert!(bytes(&model, 8) < many, "{kept:?}");
        }
    }

    #[test]
    fn scores_grow_with_the_square_of_the_length_where_they_are_kept() {
        let bytes = |model: &ModelConfig, kept, seq| {
            let tokens = 100;
            let shape = step(kept);
            StepShape {
                tokens,
                seq,
                ..shape
            }
            .bytes(model)
        };
        let grows = |model: &ModelConfig, kept| bytes(model, kept, 50) > bytes(model, kept, 5);
        assert!(!grows(&narrow(), Kept::Fused));
        assert!(!grows(&narrow(), Kept::Kernels));
        assert!(grows(&narrow(), Kept::Composed));
        let gated = ModelConfig {
            sparsity: Some(SparsityConfig::default()),
            ..narrow()
        };
        assert!(grows(&gated, Kept::Kernels));
        assert!(bytes(&gated, Kept::Kernels, 50) > bytes(&narrow(), Kept::Kernels, 50));
    }
}
