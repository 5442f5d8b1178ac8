//! Parameters by part, FLOPs per token and effective depth, from the configuration alone.

use crate::config::ModelConfig;
use crate::depth::Unroll;
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
    /// 6·(N_prelude + N_coda + V·h) + (2n + 6k)·(N_core + N_adapter) + 12·(l_P + l_C)·S·h +
    /// (4n + 12k)·l_R·S·h, with N the matrix parameters, the embedding lookup left out and causal
    /// attention not halved.
    pub fn flops_per_token(&self, unroll: Unroll, seq: usize) -> f64 {
        let matrices = |part| self.count(|row| row.part == part && row.role == Role::Matrix) as f64;
        let config = &self.config;
        let (n, k) = (unroll.no_grad as f64, unroll.with_grad as f64);
        let outer = (config.layers.prelude + config.layers.coda) as f64;
        let core = config.layers.core as f64;
        let head = (config.vocab_size * config.d_model) as f64;
        let scores = (seq * config.d_model) as f64;
        6.0 * (matrices(Part::Prelude) + matrices(Part::Coda) + head)
            + (2.0 * n + 6.0 * k) * (matrices(Part::Core) + matrices(Part::Adapter))
            + 12.0 * outer * scores
            + (4.0 * n + 12.0 * k) * core * scores
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
    use crate::config::LayersConfig;

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
}
