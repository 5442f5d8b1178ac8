//! Parameters by part, FLOPs per token and effective depth, from the configuration alone.

use crate::config::{ConditioningKind, ModelConfig};
use crate::depth::{Recompute, Unroll};
use crate::init::{ParameterSpec, Part, Role, table};

/// The parameters of a model, counted without building it.
#[derive(Clone, Debug)]
pub struct Census {
    config: ModelConfig,
    rows: Vec<ParameterSpec>,
}

impl Census {
    /// Counts the parameters of `config`.
    pub fn new(config: &ModelConfig) -> Self {
        Self {
            config: config.clone(),
            rows: table(config),
        }
    }

    /// Returns the number of parameters.
    pub fn total(&self) -> usize {
        self.rows.iter().map(ParameterSpec::count).sum()
    }

    /// Returns the number of parameters of `part`.
    pub fn part(&self, part: Part) -> usize {
        self.count(|row| row.part == part)
    }

    /// Returns FLOPs per token of a training step, forward and backward:
    /// 6·(N_prelude + N_coda + V·h) + (2n + 6k)·(N_core + N_adapter + N_history) + 12·(l_P + l_C)·S·h +
    /// (4n + 12k)·l_R·S·h, with N the matrix parameters, the embedding lookup left out and causal
    /// attention not halved. A matrix of the injection that multiplies e alone counts once, 6·N_adapter. What is done to each
    /// element by itself is left out.
    pub fn flops_per_token(&self, unroll: Unroll, seq: usize) -> f64 {
        let matrices = |part| self.count(|row| row.part == part && row.role == Role::Matrix) as f64;
        let config = &self.config;
        let (n, k) = (unroll.no_grad as f64, unroll.with_grad as f64);
        let outer = (config.layers.prelude + config.layers.coda) as f64;
        let core = config.layers.core as f64;
        let head = (config.vocab_size * config.d_model) as f64;
        let scores = (seq * config.d_model) as f64;
        let (of_pass, of_iteration) = match config.injection.has_matrix_of_embedding_alone() {
            true => (matrices(Part::Adapter), 0.0),
            false => (0.0, matrices(Part::Adapter)),
        };
        6.0 * (matrices(Part::Prelude) + matrices(Part::Coda) + head + of_pass)
            + (2.0 * n + 6.0 * k) * (matrices(Part::Core) + of_iteration + matrices(Part::History))
            + 12.0 * outer * scores
            + (4.0 * n + 12.0 * k) * core * scores
    }

    /// Returns an estimate of the bytes that a training step needs, in f32, for `tokens` tokens in sequences of `seq`: weights,
    /// gradients, moments, the activations that the backward pass reads, and its working space.
    ///
    /// Beside the peaks that the README measures, the fused estimate is within 4 % at bench, wide and deep with 4 and 8 iterations
    /// with gradient, a quarter too high with one, and 70 MiB too low at small, where small blocks cost the allocator more.
    pub fn memory_bytes(&self, unroll: Unroll, tokens: usize, seq: usize, kept: Kept) -> u64 {
        let config = &self.config;
        let (h, f, attended) = (config.d_model, config.d_ff, config.attended_width());
        let qkv = (config.n_heads + 2 * config.n_kv_heads) * config.d_head();
        // Beside the output its average, and the scores' norms where they are composed.
        let averaged = match (config.loop_residual.is_plain(), kept) {
            (true, _) => 0,
            (false, Kept::Fused) => 1,
            (false, Kept::Composed) => 6,
        };
        // The lanes after an iteration, their sum and what is read; of a composition each term.
        let lanes = config.hyper_connections.map_or(0, |lanes| match kept {
            Kept::Fused => lanes.lanes + 2,
            Kept::Composed => 2 * lanes.lanes * (lanes.lanes + 2),
        });
        let told = match config.conditioning {
            ConditioningKind::None => 0,
            ConditioningKind::Embedding => 1,
            ConditioningKind::LoopGate => 2,
        };
        let beside = config.injection.kept_states(kept == Kept::Fused) + averaged + told + lanes;
        let beside = beside * h;
        let (copies, layer, per_iteration, once) = match kept {
            // A layer: queries, keys and values, what is attended and its sums, two inputs of norms, two outputs, both halves
            // of the gated MLP. Once: the largest gradients of one sublayer; the logits exist in chunks only.
            Kept::Fused => (
                6,
                qkv + config.n_heads + 5 * h + 2 * f,
                7 * h + beside,
                2 * qkv + 4 * h + 3 * f,
            ),
            // A layer: norms and residuals, the rotary copies, three score-sized tensors of the softmax, and the gated
            // MLP's halves. Once: the logits and what the loss makes of them.
            Kept::Composed => (
                4,
                14 * h + 5 * qkv + 4 * config.n_heads * seq + 8 * f,
                4 * h + beside,
                4 * config.vocab_size,
            ),
        };
        let (with_grad, states) = match config.recurrence.recompute {
            Recompute::None => (unroll.with_grad, 0),
            Recompute::Iteration => (unroll.with_grad.min(1), unroll.with_grad),
        };
        let layers = config.layers.prelude + config.layers.coda + with_grad * config.layers.core;
        let activations = tokens * (layers * layer + with_grad * per_iteration + states * h + once);
        PROCESS + 4 * (copies * self.total() as u64 + activations as u64)
    }

    fn count(&self, keep: impl Fn(&ParameterSpec) -> bool) -> usize {
        self.rows
            .iter()
            .filter(|row| keep(row))
            .map(ParameterSpec::count)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BlockKind, InjectionKind, LayersConfig, QkBias, StateInit};

    fn huginn() -> ModelConfig {
        ModelConfig {
            vocab_size: 65_536,
            d_model: 5280,
            n_heads: 55,
            n_kv_heads: 55,
            d_ff: 17_920,
            layers: LayersConfig {
                prelude: 2,
                core: 4,
                coda: 2,
            },
            ..ModelConfig::default()
        }
    }

    #[test]
    fn the_published_shape_has_3_564_976_800_parameters() {
        let census = Census::new(&huginn());
        assert_eq!(census.total(), 3_564_976_800);
        assert_eq!(census.part(Part::Tokens), 346_030_080);
        assert_eq!(census.part(Part::Prelude), 790_796_160);
        assert_eq!(census.part(Part::Core), 1_581_592_320);
        assert_eq!(census.part(Part::Coda), 790_796_160);
        assert_eq!(census.part(Part::Adapter), 55_756_800);
        assert_eq!(census.part(Part::Norm), 5_280);
    }

    #[test]
    fn a_model_of_width_two_can_be_counted_by_hand() {
        let config = ModelConfig {
            vocab_size: 3,
            d_model: 2,
            n_heads: 1,
            n_kv_heads: 1,
            d_ff: 4,
            layers: LayersConfig {
                prelude: 0,
                core: 1,
                coda: 0,
            },
            ..ModelConfig::default()
        };
        let census = Census::new(&config);
        let layer = 2 * 6 + 2 * 2 + 2 * 8 + 4 * 2;
        let adapter = 4 * 2;
        // Tokens, adapter, layer with two QK biases and four norms, shared norm.
        assert_eq!(census.total(), 3 * 2 + adapter + layer + 4 + 4 * 2 + 2);
        let unroll = Unroll {
            no_grad: 3,
            with_grad: 2,
        };
        let per_iteration = (layer + adapter) as f64;
        let expected = 6.0 * 6.0 + (6.0 + 12.0) * per_iteration + (12.0 + 24.0) * 5.0 * 2.0;
        assert!((census.flops_per_token(unroll, 5) - expected).abs() < 1e-9);
    }

    /// A stack with sizes, in the structure of Llama.
    fn stack([vocab_size, d_model, n_heads, n_kv_heads, d_ff, core]: [usize; 6]) -> ModelConfig {
        ModelConfig {
            vocab_size,
            d_model,
            n_heads,
            n_kv_heads,
            d_ff,
            block: BlockKind::PreNorm,
            qk_bias: QkBias::None,
            injection: InjectionKind::None,
            state_init: StateInit::Input,
            layers: LayersConfig {
                prelude: 0,
                core,
                coda: 0,
            },
            ..ModelConfig::default()
        }
    }

    #[test]
    fn published_stacks_have_the_parameters_that_they_have() {
        let llama_3_2_1b = stack([128_256, 2048, 32, 8, 8192, 16]);
        assert_eq!(Census::new(&llama_3_2_1b).total(), 1_235_814_400);
        let qwen_3_0_6b = ModelConfig {
            d_head: Some(128),
            qk_norm: QkNorm::Head,
            ..stack([151_936, 1024, 16, 8, 3072, 28])
        };
        assert_eq!(Census::new(&qwen_3_0_6b).total(), 596_049_920);
        let ouro_1_4b = ModelConfig {
            block: BlockKind::BranchSandwich,
            tied_head: false,
            ..stack([49_152, 2048, 16, 16, 5632, 24])
        };
        // Without the exit gate, of 2,049.
        assert_eq!(Census::new(&ouro_1_4b).total(), 1_434_650_624);
    }

    #[test]
    fn heads_that_are_wider_cost_flops_and_norms_with_a_scale_keep_what_they_norm() {
        let narrow = stack([3, 8, 2, 2, 4, 1]);
        let wide = ModelConfig {
            d_head: Some(10),
            ..narrow.clone()
        };
        let unroll = Unroll {
            no_grad: 0,
            with_grad: 1,
        };
        let flops = |config: &ModelConfig| Census::new(config).flops_per_token(unroll, 5);
        // Twelve columns more for each of queries, keys, values and the projection after them, and scores as much wider.
        let expected = 6.0 * (4 * 8 * 12) as f64 + 12.0 * 5.0 * 12.0;
        assert!((flops(&wide) - flops(&narrow) - expected).abs() < 1e-9);
        let memory =
            |config: &ModelConfig| Census::new(config).memory_bytes(unroll, 7, 7, Kept::Fused);
        let normed = ModelConfig {
            qk_norm: QkNorm::Head,
            ..narrow.clone()
        };
        // Two scales of four with gradient, moments and copies; queries and keys of seven tokens.
        assert_eq!(memory(&normed) - memory(&narrow), 4 * (6 * 8 + 7 * 16));
    }

    #[test]
    fn iterations_that_are_run_again_keep_a_state_each() {
        let mut config = huginn();
        let memory = |config: &ModelConfig, with_grad| {
            let no_grad = 0;
            let unroll = Unroll { no_grad, with_grad };
            Census::new(config).memory_bytes(unroll, 10, 5, Kept::Fused)
        };
        let one = memory(&config, 1);
        assert!(memory(&config, 8) > one);
        config.recurrence.recompute = Recompute::Iteration;
        let state = 4 * 10 * config.d_model as u64;
        assert_eq!(memory(&config, 1), one + state);
        assert_eq!(memory(&config, 8), one + 8 * state);
    }
    #[test]
    fn a_fused_step_of_one_token_can_be_counted_by_hand() {
        let mut config = huginn();
        (
            config.vocab_size,
            config.d_model,
            config.n_heads,
            config.n_kv_heads,
            config.d_ff,
        ) = (3, 2, 1, 1, 4);
        config.layers = LayersConfig {
            prelude: 1,
            core: 1,
            coda: 0,
        };
        let census = Census::new(&config);
        let unroll = Unroll {
            no_grad: 7,
            with_grad: 2,
        };
        // qkv 6, one sum of a head, five states of width 2, two halves of width 4.
        let layer = 6 + 1 + 5 * 2 + 2 * 4;
        let step = 3 * layer + 2 * (7 * 2) + (2 * 6 + 4 * 2 + 3 * 4);
        let expected = (32 << 20) + 4 * (6 * census.total() + step);
        assert_eq!(
            census.memory_bytes(unroll, 1, 1, Kept::Fused),
            expected as u64
        );
        // The scores grow with the square of the length where they are kept, and nowhere else.
        let of = |seq, kept| census.memory_bytes(unroll, 100, seq, kept);
        assert_eq!(of(50, Kept::Fused), of(5, Kept::Fused));
        assert!(of(50, Kept::Composed) > of(5, Kept::Composed));
    }
}
