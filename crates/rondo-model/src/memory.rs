//! An estimate of the memory that a training step needs, from the configuration alone.
//!
//! Numbers are counted as f32 for each token where they are activations: those that the backward pass reads, which stand
//! until it has come by, and the working space of whatever is computed at the moment.

mod gpu;

use crate::census::Census;
use crate::config::{BlockKind, ConditioningKind, LoraConfig, LoraMatrix, ModelConfig, QkNorm};
use crate::depth::{Recompute, Unroll};
use crate::objective::Beside;

/// Bytes of the process itself.
const PROCESS: u64 = 32 << 20;

/// Bytes of the page in which a GPU's pools put small buffers. Those of other buffers are as large as the largest one, and the
/// last of them is half empty on average.
const SMALL_BUFFERS: u64 = 8 << 20;

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
    /// What its loss has beside the last readout.
    pub beside: Beside,
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
    /// Beside the peaks that the book's page on speed has for flex, the estimate is within 4 % at bench, wide and deep with 4 and 8
    /// iterations with gradient, a quarter too high with one, and 70 MiB too low at small, where small blocks cost the
    /// allocator more. On a GPU it is what the device's pools reserve, within 15 % of what the book's page on GPUs measures.
    pub fn bytes(self, model: &ModelConfig) -> u64 {
        let census = Census::new(model);
        match self.kept {
            Kept::Kernels => {
                let pages = self.on_gpu(model, &census) + self.largest(model) / 2;
                SMALL_BUFFERS + 4 * pages as u64
            }
            Kept::Fused => PROCESS + 4 * self.on_processor(model, &census, true) as u64,
            Kept::Composed => PROCESS + 4 * self.on_processor(model, &census, false) as u64,
        }
    }

    /// Returns the numbers where sublayers are nodes, or where nothing has kernels.
    fn on_processor(self, model: &ModelConfig, census: &Census, is_fused: bool) -> usize {
        let (h, f, attended) = (model.d_model, model.d_ff, model.attended_width());
        let (qkv, beside) = (qkv(model), self.beside(model));
        // A norm with a scale keeps queries and keys as they were before the scale.
        let normed = match model.qk_norm {
            QkNorm::None | QkNorm::Plain => 0,
            QkNorm::Head | QkNorm::Width => (model.n_heads + model.n_kv_heads) * model.d_head(),
        };
        let (copies, layer, per_iteration, once) = match is_fused {
            // A layer: queries, keys and values, what is attended and its sums, two inputs of norms, two outputs, both halves
            // of the gated MLP. Once: the largest gradients of one sublayer; the logits exist in chunks only.
            true => (
                6,
                qkv + normed + model.n_heads + attended + 4 * h + 2 * f,
                7 * h + beside,
                2 * qkv + attended + 3 * h + 3 * f,
            ),
            // A layer: norms and residuals, the rotary copies, three score-sized tensors of the softmax, and the gated
            // MLP's halves. Once: the logits and what the loss makes of them.
            false => (
                4,
                12 * h + 2 * attended + 5 * qkv + normed + 4 * model.n_heads * self.seq + 8 * f,
                4 * h + beside,
                4 * model.vocab_size,
            ),
        };
        let (with_grad, states) = self.iterations(model);
        let states = states * state(model) + self.beside.readouts * state(model);
        let layers = model.layers.prelude + model.layers.coda + with_grad * model.layers.core;
        let activations = layers * layer + with_grad * per_iteration + states + once;
        copies * census.total() + self.tokens * activations + with_grad * adjusted(model)
    }

    /// Returns the iterations whose activations are there together, and those of which the state is. Those of a penalty are there before
    /// any is run again.
    fn iterations(self, model: &ModelConfig) -> (usize, usize) {
        let (with_grad, of_penalty) = (self.unroll.with_grad, self.beside.iterations);
        match model.recurrence.recompute {
            Recompute::None => (with_grad + of_penalty, 0),
            Recompute::Iteration => (with_grad.min(1).max(of_penalty), with_grad),
        }
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
            ConditioningKind::Embedding => 1,
            ConditioningKind::LoopGate => 2,
            ConditioningKind::None | ConditioningKind::Adaln | ConditioningKind::BranchGate => 0,
        };
        let states = model.injection.kept_states(is_fused) + averaged + told + lanes;
        states * model.d_model
    }
}

/// The numbers of the core's matrices that an iteration makes of those that are stored, and keeps for its backward pass.
fn adjusted(model: &ModelConfig) -> usize {
    let has = |wanted: &[LoraMatrix]| {
        let has = |lora: &LoraConfig| wanted.iter().any(|one| lora.has(*one));
        model.lora.as_ref().is_some_and(has)
    };
    let on_norm = matches!(
        model.block,
        BlockKind::BranchSandwich | BlockKind::BranchPostNorm
    );
    let multiplied =
        !on_norm && (model.branch_factors().is_some() || model.conditioning.adjusts_layers());
    let size = |matrices: &[LoraMatrix], multiplied: bool| {
        let one = |matrix: &LoraMatrix| matrix.shape(model).iter().product::<usize>();
        let numbers: usize = matrices.iter().map(one).sum();
        // A sum is there beside its product.
        numbers * (usize::from(has(matrices)) + usize::from(multiplied))
    };
    let layer = size(
        &[LoraMatrix::Query, LoraMatrix::Key, LoraMatrix::Value],
        false,
    ) + size(&[LoraMatrix::Output], multiplied)
        + size(&[LoraMatrix::Gate, LoraMatrix::Up], false)
        + size(&[LoraMatrix::Down], multiplied);
    model.layers.core * layer
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

#[cfg(test)]
mod tests;
