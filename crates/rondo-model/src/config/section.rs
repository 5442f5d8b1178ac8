//! `[model]` in the configuration file, where values that follow from the data may be omitted.

use rondo_config::Report;
use rondo_config::report::{at_least_one, positive, section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Beyond, BlockKind, BoundaryNorm, BranchScale, ConditioningKind, HyperConnections, InitConfig,
    InjectionKind, LayersConfig, LoraConfig, ModelConfig, NormConfig, QkBias, QkNorm, ResidualKind,
    RopePairing, RopeScaling, StateInit,
};
use crate::depth::RecurrenceConfig;
use crate::sparsity::SparsityConfig;

/// The shape and structure of a recurrent-depth transformer, `[model]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSection {
    /// Vocabulary size V. Default: the vocabulary size of the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
    /// Width of the residual stream, h.
    pub d_model: usize,
    /// The number of query heads.
    pub n_heads: usize,
    /// The number of key heads, and of value heads. Default: `n_heads`. Must divide `n_heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_kv_heads: Option<usize>,
    /// Size of a head. Default: `d_model / n_heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_head: Option<usize>,
    /// Inner width of the gated MLP, f.
    pub d_ff: usize,
    /// The length of the longest sequence, in tokens.
    pub context: usize,
    /// Where the norms of a block are placed.
    pub block: BlockKind,
    /// The factors on the two sides of the residual connections in the core.
    #[serde(skip_serializing_if = "BranchScale::is_none")]
    pub branch_scale: BranchScale,
    /// Learned biases of queries and keys, or of queries, keys and values. They are added after the
    /// projection.
    pub qk_bias: QkBias,
    /// The norm of queries and keys.
    pub qk_norm: QkNorm,
    /// The base of the rotary embedding's angles.
    pub rope_base: f64,
    /// Which elements of a head the rotary embedding rotates as a pair.
    pub rope_pairing: RopePairing,
    /// How the rotary embedding's frequencies are scaled. Default: unscaled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_scaling: Option<RopeScaling>,
    /// Whether the head is the token embedding transposed.
    pub tied_head: bool,
    /// The root-mean-square norm.
    pub norm: NormConfig,
    /// The numbers of layers in prelude, core block and coda.
    pub layers: LayersConfig,
    /// How the embedding e enters each iteration.
    pub injection: InjectionKind,
    /// How an iteration depends on its place in the loop.
    #[serde(skip_serializing_if = "ConditioningKind::is_none")]
    pub conditioning: ConditioningKind,
    /// How the next state is computed from the core's output.
    #[serde(skip_serializing_if = "ResidualKind::is_plain")]
    pub loop_residual: ResidualKind,
    /// Lanes, which are states side by side that the iterations read from and write to. Default: a
    /// single state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hyper_connections: Option<HyperConnections>,
    /// What each iteration adds to the core's matrices. Default: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
    /// How the initial state s_0 is drawn.
    pub state_init: StateInit,
    /// Where the shared norm n_f is applied, in addition to the end.
    pub boundary_norm: BoundaryNorm,
    /// How the weights are drawn.
    pub init: InitConfig,
    /// How many iterations a training step takes.
    pub recurrence: RecurrenceConfig,
    /// Gates on the edges of attention. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sparsity: Option<SparsityConfig>,
}

impl Default for ModelSection {
    fn default() -> Self {
        Self {
            vocab_size: None,
            d_model: 128,
            n_heads: 4,
            n_kv_heads: None,
            d_head: None,
            d_ff: 384,
            context: 4096,
            block: BlockKind::Sandwich,
            branch_scale: BranchScale::None,
            qk_bias: QkBias::Qk,
            qk_norm: QkNorm::None,
            rope_base: 50_000.0,
            rope_pairing: RopePairing::Adjacent,
            rope_scaling: None,
            tied_head: true,
            norm: NormConfig::default(),
            layers: LayersConfig::default(),
            injection: InjectionKind::Linear,
            conditioning: ConditioningKind::None,
            loop_residual: ResidualKind::CarryLast,
            hyper_connections: None,
            lora: None,
            state_init: StateInit::LikeInit,
            boundary_norm: BoundaryNorm::Coda,
            init: InitConfig::default(),
            recurrence: RecurrenceConfig::default(),
            sparsity: None,
        }
    }
}

impl ModelSection {
    /// Returns the model for data with a vocabulary of `vocabulary` tokens. A configured
    /// `vocab_size` takes precedence over `vocabulary`.
    pub fn resolve(&self, vocabulary: usize) -> ModelConfig {
        ModelConfig {
            vocab_size: self.vocab_size.unwrap_or(vocabulary),
            d_model: self.d_model,
            n_heads: self.n_heads,
            n_kv_heads: self.n_kv_heads.unwrap_or(self.n_heads),
            d_head: self.d_head,
            d_ff: self.d_ff,
            context: self.context,
            block: self.block,
            branch_scale: self.branch_scale,
            qk_bias: self.qk_bias,
            qk_norm: self.qk_norm,
            rope_base: self.rope_base,
            rope_pairing: self.rope_pairing,
            rope_scaling: self.rope_scaling,
            tied_head: self.tied_head,
            norm: self.norm,
            layers: self.layers,
            injection: self.injection,
            conditioning: self.conditioning,
            loop_residual: self.loop_residual,
            hyper_connections: self.hyper_connections,
            lora: self.lora.clone(),
            state_init: self.state_init,
            boundary_norm: self.boundary_norm,
            init: self.init,
            recurrence: self.recurrence.clone(),
            sparsity: self.sparsity.clone(),
        }
    }

    /// Reports every violation by its key path below `[model]`.
    pub fn validate(&self, report: Report<'_>) {
        for (key, count) in [
            ("vocab_size", self.vocab_size.unwrap_or(1)),
            ("d_model", self.d_model),
            ("n_heads", self.n_heads),
            ("n_kv_heads", self.n_kv_heads.unwrap_or(1)),
            ("d_head", self.d_head.unwrap_or(1)),
            ("d_ff", self.d_ff),
            ("context", self.context),
            ("layers.core", self.layers.core),
        ] {
            at_least_one(key, count, report);
        }
        self.validate_heads(report);
        positive("norm.eps", self.norm.eps, report);
        positive("rope_base", self.rope_base, report);
        if let Some(scaling) = self.rope_scaling {
            scaling.validate(&mut section("rope_scaling", report));
        }
        self.validate_loop(report);
        self.injection.validate(&mut section("injection", report));
        self.validate_history(report);
        self.loop_residual
            .validate(&mut section("loop_residual", report));
        self.branch_scale
            .validate(&mut section("branch_scale", report));
        self.validate_adjustments(report);
        if let Some(lora) = &self.lora {
            lora.validate(&mut section("lora", report));
            self.validate_rows(lora, report);
        }
        if let Some(lanes) = self.hyper_connections {
            lanes.validate(&mut section("hyper_connections", report));
            self.validate_lanes(report);
        }
        self.recurrence.validate(&mut section("recurrence", report));
        if let Some(sparsity) = &self.sparsity {
            sparsity.validate(&mut section("sparsity", report));
        }
    }

    /// Reports a loop that the tokens do not enter, or that carries no gradient to them.
    fn validate_loop(&self, report: Report<'_>) {
        if self.injection != InjectionKind::None {
            return;
        }
        if self.state_init != StateInit::Input {
            let message = "with none the embedding enters no iteration, so the loop must start from it: \
                           set model.state_init = \"input\", or choose another injection";
            report("injection", message.into());
        }
        let planned = self.recurrence.planned();
        if planned.no_grad > 0 {
            let message = format!(
                "with injection = \"none\" the tokens get their gradient through all iterations, but {} of {} \
                 carry no gradient; try {}",
                planned.no_grad,
                planned.total(),
                planned.total()
            );
            report("recurrence.backprop_depth", message);
        }
    }

    /// Reports a history in a loop that never reads it.
    fn validate_history(&self, report: Report<'_>) {
        let longest = match self.recurrence.max {
            0 => return,
            _ => self.recurrence.largest().total(),
        };
        let Some(history) = self.injection.history() else {
            return;
        };
        if longest < 3 {
            report(
                "injection",
                format!(
                    "iterations read a history from the third on, but model.recurrence gives at most {longest}"
                ),
            );
        } else if history.window > longest - 2 {
            report(
                "injection.window",
                format!(
                    "model.recurrence gives at most {longest} iterations, and the last one reads {} earlier states; \
                     found {}",
                    longest - 2,
                    history.window
                ),
            );
        }
    }

    /// Reports a missing norm that `branch_scale` or `conditioning` needs.
    fn validate_adjustments(&self, report: Report<'_>) {
        let on_sum = matches!(self.block, BlockKind::Sandwich | BlockKind::PostNorm);
        if matches!(self.branch_scale, BranchScale::Deeploop(_)) && !on_sum {
            report(
                "branch_scale",
                "deeploop multiplies the state by α in every layer and needs a norm on the sum to undo this: set \
                 model.block = \"sandwich\", as published, or \"post-norm\""
                    .to_owned(),
            );
        }
        let [before, _] = self.block.norms();
        if self.conditioning == ConditioningKind::Adaln && !before {
            report(
                "conditioning",
                "adaln multiplies the norm before a branch, but model.block has none there: use \"sandwich\", \"pre-norm\" or \
                 \"branch-sandwich\", or conditioning = \"branch-gate\""
                    .to_owned(),
            );
        }
    }

    /// Reports if a step may draw more iterations than there are pairs and such passes are refused.
    /// Also reports pairs that no step can reach.
    fn validate_rows(&self, lora: &LoraConfig, report: Report<'_>) {
        let rows = lora.rows(&self.recurrence);
        let largest = match self.recurrence.max {
            0 => return,
            _ => self.recurrence.largest().total(),
        };
        if lora.beyond == Beyond::Refuse && largest > rows {
            report(
                "lora.iterations",
                format!(
                    "with beyond = \"refuse\" every iteration needs its own pair: a step may take {largest} iterations, \
                     but there are {rows} pairs; raise this, lower model.recurrence.max, or set beyond = \"repeat\" or \"cycle\""
                ),
            );
        } else if rows > largest {
            report(
                "lora.iterations",
                format!(
                    "model.recurrence gives at most {largest} iterations: the last of {rows} pairs would never be trained"
                ),
            );
        }
    }

    /// Reports options that cannot be combined with lanes.
    fn validate_lanes(&self, report: Report<'_>) {
        let with = "[model.hyper_connections]";
        if !self.loop_residual.is_plain() {
            report(
                "loop_residual",
                format!(
                    "cannot be combined with {with}, which defines the next state; remove this key"
                ),
            );
        }
        if self.injection.history().is_some() {
            report(
                "injection",
                format!("a history needs a single state and cannot be combined with {with}"),
            );
        }
        if self.conditioning == ConditioningKind::LoopGate {
            report(
                "conditioning",
                format!("a loop gate needs a single state and cannot be combined with {with}"),
            );
        }
    }

    /// Reports a width that is not a multiple of the number of heads, a number of query heads that
    /// is not a multiple of the number of key heads, and an odd head size.
    fn validate_heads(&self, report: Report<'_>) {
        if let Some(d_head) = self.d_head {
            if !d_head.is_multiple_of(2) {
                let message = format!("rotary pairs need an even head size, found {d_head}");
                report("d_head", message);
            }
        } else if self.n_heads > 0 && !self.d_model.is_multiple_of(self.n_heads) {
            let message = format!(
                "must be a multiple of n_heads = {}, found {}; or give d_head",
                self.n_heads, self.d_model
            );
            report("d_model", message);
        } else if self.n_heads > 0 && !(self.d_model / self.n_heads).is_multiple_of(2) {
            let message = format!(
                "rotary pairs need an even head size, found {} / {} = {}",
                self.d_model,
                self.n_heads,
                self.d_model / self.n_heads
            );
            report("n_heads", message);
        }
        if let Some(kv) = self
            .n_kv_heads
            .filter(|kv| *kv > 0 && !self.n_heads.is_multiple_of(*kv))
        {
            report(
                "n_kv_heads",
                format!("must divide n_heads = {}, found {kv}", self.n_heads),
            );
        }
    }
}

#[cfg(test)]
mod tests;
