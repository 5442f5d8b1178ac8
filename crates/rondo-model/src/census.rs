//! The number of parameters of each part, and the FLOPs per token, from the configuration alone.

use crate::config::ModelConfig;
use crate::depth::Unroll;
use crate::init::{ParameterSpec, Part, Role, table};
use crate::objective::Beside;

/// The parameters of a model, counted without building the model.
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
    ///
    /// ```text
    /// 6·(N_prelude + N_coda + V·h) + (2n + 6k)·(N_core + N_adapter + N_history + N_pairs)
    ///   + 12·(l_P + l_C)·S·a + (4n + 12k)·l_R·S·a
    /// ```
    ///
    /// Every N is a number of matrix parameters, V the vocabulary size, h the model's width, S the
    /// sequence length, and a the width of all query heads together. N_pairs is the number of LoRA
    /// parameters of one iteration, as if A and B multiplied each token in turn. An injection's
    /// matrix that multiplies e alone is counted once per pass, as 6·N_adapter. The embedding
    /// lookup and elementwise operations are not counted. Causal attention is counted as if every
    /// query attended to every key.
    pub fn flops_per_token(&self, unroll: Unroll, seq: usize) -> f64 {
        let matrices = |part| self.count(|row| row.part == part && row.role == Role::Matrix) as f64;
        let config = &self.config;
        let (n, k) = (unroll.no_grad as f64, unroll.with_grad as f64);
        let outer = (config.layers.prelude + config.layers.coda) as f64;
        let core = config.layers.core as f64;
        let head = (config.vocab_size * config.d_model) as f64;
        let scores = (seq * config.attended_width()) as f64;
        let pairs = config.lora.as_ref().map_or(0.0, |lora| {
            self.part(Part::Lora) as f64 / lora.rows(&config.recurrence) as f64
        });
        let (of_pass, of_iteration) = match config.injection.has_matrix_of_embedding_alone() {
            true => (matrices(Part::Adapter), 0.0),
            false => (0.0, matrices(Part::Adapter)),
        };
        6.0 * (matrices(Part::Prelude) + matrices(Part::Coda) + head + of_pass)
            + (2.0 * n + 6.0 * k)
                * (matrices(Part::Core) + of_iteration + matrices(Part::History) + pairs)
            + 12.0 * outer * scores
            + (4.0 * n + 12.0 * k) * core * scores
    }

    /// Returns FLOPs per token, forward and backward, of the computation in `beside`:
    ///
    /// ```text
    /// readout      6·(N_coda + V·h) + 12·l_C·S·a
    /// iteration    6·(N_core + N_adapter + N_history + N_pairs) + 12·l_R·S·a
    /// ```
    ///
    /// The symbols are those of [`Self::flops_per_token`].
    pub fn flops_beside(&self, beside: Beside, seq: usize) -> f64 {
        let Beside {
            readouts,
            iterations,
        } = beside;
        let free = |with_grad| {
            let unroll = Unroll {
                no_grad: 0,
                with_grad,
            };
            self.flops_per_token(unroll, seq)
        };
        let config = &self.config;
        let matrices = self.count(|row| row.part == Part::Coda && row.role == Role::Matrix);
        let head = config.vocab_size * config.d_model;
        let scores = config.layers.coda * seq * config.attended_width();
        let readout = (6 * (matrices + head) + 12 * scores) as f64;
        readouts as f64 * readout + free(iterations) - free(0)
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
    use crate::config::{
        BlockKind, InjectionKind, LayersConfig, LoraConfig, LoraMatrix, QkBias, QkNorm, StateInit,
    };

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
        // The terms are the token embedding, the adapter, one layer with two biases and four norms,
        // and the shared norm.
        assert_eq!(census.total(), 3 * 2 + adapter + layer + 4 + 4 * 2 + 2);
        let unroll = Unroll {
            no_grad: 3,
            with_grad: 2,
        };
        let per_iteration = (layer + adapter) as f64;
        let expected = 6.0 * 6.0 + (6.0 + 12.0) * per_iteration + (12.0 + 24.0) * 5.0 * 2.0;
        assert!((census.flops_per_token(unroll, 5) - expected).abs() < 1e-9);
    }

    #[test]
    fn what_a_loss_has_beside_the_pass_can_be_counted_by_hand() {
        let config = ModelConfig {
            vocab_size: 3,
            d_model: 2,
            n_heads: 1,
            n_kv_heads: 1,
            d_ff: 4,
            layers: LayersConfig {
                prelude: 0,
                core: 1,
                coda: 1,
            },
            ..ModelConfig::default()
        };
        let census = Census::new(&config);
        let flops = |readouts, iterations| {
            let beside = Beside {
                readouts,
                iterations,
            };
            census.flops_beside(beside, 5)
        };
        let layer = 2 * 6 + 2 * 2 + 2 * 8 + 4 * 2;
        // A readout is a layer, the head of 3 × 2 and scores; an iteration is the core's layer, the
        // adapter of 4 × 2 and scores.
        let readout = f64::from(6 * (layer + 6) + 12 * 5 * 2);
        let iteration = f64::from(6 * (layer + 8) + 12 * 5 * 2);
        assert!(flops(0, 0).abs() < 1e-9);
        assert!((flops(3, 0) - 3.0 * readout).abs() < 1e-9);
        assert!((flops(1, 2) - readout - 2.0 * iteration).abs() < 1e-9);
    }

    /// Returns a stack of the given sizes with the structure of Llama.
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
        // The published model also has an exit gate with 2,049 parameters, which is not included
        // here.
        assert_eq!(Census::new(&ouro_1_4b).total(), 1_434_650_624);
    }

    #[test]
    fn heads_that_are_wider_cost_flops() {
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
        // The matrices of queries, keys and values have twelve more columns each, the output
        // projection has twelve more rows, and all heads together are twelve wider.
        let expected = 6.0 * f64::from(4 * 8 * 12) + 12.0 * 5.0 * 12.0;
        assert!((flops(&wide) - flops(&narrow) - expected).abs() < 1e-9);
    }

    #[test]
    fn pairs_cost_two_narrow_products_in_each_iteration() {
        let plain = stack([3, 8, 2, 2, 4, 1]);
        let with = ModelConfig {
            lora: Some(LoraConfig {
                rank: 1,
                iterations: Some(5),
                matrices: vec![LoraMatrix::Down],
                ..LoraConfig::default()
            }),
            ..plain.clone()
        };
        let unroll = Unroll {
            no_grad: 1,
            with_grad: 2,
        };
        let flops = |config: &ModelConfig| Census::new(config).flops_per_token(unroll, 5);
        // The matrix is 4 × 8. Each of the five iterations has a pair: a row of 4 numbers and a row
        // of 8 numbers.
        assert_eq!(Census::new(&with).part(Part::Lora), 5 * 12);
        let expected = (2.0 + 6.0 * 2.0) * 12.0;
        assert!((flops(&with) - flops(&plain) - expected).abs() < 1e-9);
    }
}
