//! An estimate of the memory of a training step, from the configuration alone.
//!
//! Activations are counted in f32 values per token. They are the values that the backward pass
//! reads, which stay in memory until then, and the working space of the current computation.

mod gpu;

use crate::census::Census;
use crate::config::{BlockKind, ConditioningKind, LoraConfig, LoraMatrix, ModelConfig, QkNorm};
use crate::depth::{Recompute, Unroll};
use crate::objective::Beside;

/// The number of bytes that the process needs without a model.
const PROCESS: u64 = 32 << 20;

/// The size in bytes of the page for small buffers in a GPU's memory pools. The pages for other
/// buffers are as large as the largest buffer, and the last of these pages is half empty on
/// average.
const SMALL_BUFFERS: u64 = 8 << 20;

/// Which activations of a forward pass the backward pass reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The activations of a graph whose nodes are whole sublayers, as on flex. Scores of attention
    /// and logits are not kept.
    Fused,
    /// The activations of a graph whose nodes are the kernels of a GPU.
    Kernels,
    /// The activations of a graph whose nodes are operations of Burn.
    Composed,
}

impl Kept {
    /// Returns how many copies of all parameters' gradients the estimate [`StepShape::bytes`]
    /// includes.
    pub fn gradients(self) -> usize {
        match self {
            Self::Fused | Self::Composed => 2,
            Self::Kernels => 1,
        }
    }
}

/// The properties of a step that determine its memory, in addition to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepShape {
    /// The iterations of the step.
    pub unroll: Unroll,
    /// The parts of the step in addition to its iterations and its last readout.
    pub beside: Beside,
    /// The number of tokens in a micro-batch.
    pub tokens: usize,
    /// The number of tokens in a sequence.
    pub seq: usize,
    /// Whether a token attends only within its own document.
    pub within_documents: bool,
    /// The number of values that the optimizer keeps, over all parameters.
    pub moments: usize,
    /// Which activations are kept.
    pub kept: Kept,
}

impl StepShape {
    /// Returns an estimate of the bytes that a step of one micro-batch of `model` needs, in f32:
    /// weights, gradients, moments, the activations that the backward pass reads, and the working
    /// space of the backward pass.
    ///
    /// Compared with the measured peaks for flex on the book's page on speed, the estimate is
    /// within 4 % for the models bench, wide and deep with 4 and 8 iterations with gradient. The
    /// estimate is a quarter too high with one iteration with gradient, and 70 MiB too low for the
    /// model small, where small blocks cost the allocator more. On a GPU, the result is an estimate
    /// of the memory that the device's pools reserve; it is within 15 % of the measurements on the
    /// book's page on GPUs.
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

    /// Returns the number of f32 values of a step that does not use GPU kernels. The nodes of its
    /// graph are fused sublayers if `is_fused`, otherwise operations of Burn.
    fn on_processor(self, model: &ModelConfig, census: &Census, is_fused: bool) -> usize {
        let (h, f, attended) = (model.d_model, model.d_ff, model.attended_width());
        let (qkv, beside) = (qkv(model), self.beside(model));
        // A norm with a scale also keeps its queries and keys from before they are scaled.
        let normed = match model.qk_norm {
            QkNorm::None | QkNorm::Plain => 0,
            QkNorm::Head | QkNorm::Width => (model.n_heads + model.n_kv_heads) * model.d_head(),
        };
        let (copies, layer, per_iteration, once) = match is_fused {
            // A layer keeps queries, keys and values, the attention output with its row sums, two
            // inputs and two outputs of norms, and both halves of the gated MLP. `once` counts the
            // largest gradients of one sublayer; logits exist only in chunks.
            true => (
                6,
                qkv + normed + model.n_heads + attended + 4 * h + 2 * f,
                7 * h + beside,
                2 * qkv + attended + 3 * h + 3 * f,
            ),
            // A layer keeps norms and residuals, the rotary copies, three tensors of scores for the
            // softmax, and the gated MLP's halves. `once` counts the logits and the loss's copies
            // of them.
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

    /// Returns the number of iterations whose activations are in memory together, and the number of
    /// kept states. The iterations of a penalty are in memory before any iteration is recomputed.
    fn iterations(self, model: &ModelConfig) -> (usize, usize) {
        let (with_grad, of_penalty) = (self.unroll.with_grad, self.beside.iterations);
        match model.recurrence.recompute {
            Recompute::None => (with_grad + of_penalty, 0),
            Recompute::Iteration => (with_grad.min(1).max(of_penalty), with_grad),
        }
    }

    /// Returns the number of values per token that an iteration keeps for the backward pass, in
    /// addition to those of its layers and of a plain injection.
    fn beside(self, model: &ModelConfig) -> usize {
        let is_fused = self.kept == Kept::Fused;
        // The average is kept in addition to the output. Composed operations also keep the norms
        // that compute the scores.
        let averaged = match (model.loop_residual.is_plain(), is_fused) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 6,
        };
        // Fused operations keep the lanes after an iteration, their sum and the value read from
        // them; composed operations keep each term.
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

/// Returns the number of elements of the adjusted matrices that an iteration computes and keeps for
/// the backward pass.
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
        // A matrix with its addition, and that sum times a factor, are both kept.
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

/// Returns the width of a row of queries, keys and values.
fn qkv(model: &ModelConfig) -> usize {
    (model.n_heads + 2 * model.n_kv_heads) * model.d_head()
}

/// Returns how many values per token enter an iteration: those of the state, and of lanes if there
/// are any.
fn state(model: &ModelConfig) -> usize {
    let lanes = model.hyper_connections.map_or(0, |lanes| lanes.lanes);
    model.d_model * (1 + lanes)
}

#[cfg(test)]
mod tests;
