//! Every structural choice, for property tests.

use super::families::{arms_from_the_input, families};
use super::*;
use crate::config::{
    Beyond, BlockKind, BranchScale, ConditioningKind, DeeploopScale, DiagonalInjection,
    Discretisation, EmbeddingInjection, HistoryForm, HistoryInjection, HyperConnections,
    InfiloopResidual, InitConfig, InitScheme, InjectionKind, LayersConfig, LoopScale, LoraConfig,
    LoraMatrix, NormConfig, QkBias, QkNorm, ResidualKind, ScalarForm, ScalarInjection,
};

/// Returns every structural choice at least once, including the three published runs.
pub(in crate::looped) fn structures() -> Vec<(&'static str, ModelConfig)> {
    let base = config();
    let with = |change: fn(&mut ModelConfig)| {
        let mut changed = base.clone();
        change(&mut changed);
        changed
    };
    let mut all = vec![
        ("main", base.clone()),
        (
            "bad run 1",
            with(|c| {
                c.norm = NormConfig {
                    learned: false,
                    ..NormConfig::default()
                };
                c.injection = InjectionKind::Add;
                c.init = InitConfig {
                    scheme: InitScheme::Scaled,
                    orthogonal: true,
                };
                c.qk_bias = QkBias::None;
            }),
        ),
        ("bad run 2", with(|c| c.block = BlockKind::PreNorm)),
        ("post-norm", with(|c| c.block = BlockKind::PostNorm)),
        (
            "branch-sandwich",
            with(|c| c.block = BlockKind::BranchSandwich),
        ),
        ("gate", with(|c| c.injection = InjectionKind::Gate)),
        ("ffn", with(|c| c.injection = InjectionKind::Ffn)),
        ("qk norm", with(|c| c.qk_norm = QkNorm::Plain)),
        ("grouped heads", with(|c| c.n_kv_heads = 1)),
        ("untied head", with(|c| c.tied_head = false)),
        ("small init", with(|c| c.init.scheme = InitScheme::Small)),
        (
            "gated attention",
            with(|c| {
                c.sparsity = Some(SparsityConfig {
                    gate_bias: 0.0,
                    ..SparsityConfig::default()
                });
            }),
        ),
        (
            "gated core, learned bias, grouped heads",
            with(|c| {
                c.n_kv_heads = 1;
                c.sparsity = Some(SparsityConfig {
                    prelude: false,
                    coda: false,
                    gate_bias: 0.02,
                    learned_bias: true,
                    ..SparsityConfig::default()
                });
            }),
        ),
        (
            "no prelude, no coda",
            with(|c| {
                c.layers = LayersConfig {
                    prelude: 0,
                    core: 1,
                    coda: 0,
                };
            }),
        ),
    ];
    all.extend(between_iterations(with));
    all.extend(in_the_layers(with));
    all.extend(families(&base));
    all.extend(arms_from_the_input(with));
    all
}

/// Returns arms that act between two iterations: each separately, and some combined.
fn between_iterations(
    with: impl Fn(fn(&mut ModelConfig)) -> ModelConfig,
) -> Vec<(&'static str, ModelConfig)> {
    vec![
        (
            "arm: scalar",
            with(|c| c.injection = InjectionKind::Scalar(ScalarInjection::default())),
        ),
        (
            "arm: scalar sum",
            with(|c| {
                c.injection = InjectionKind::Scalar(ScalarInjection {
                    form: ScalarForm::Sum,
                    start: 0.75,
                });
            }),
        ),
        (
            "arm: diagonal",
            with(|c| c.injection = InjectionKind::Diagonal(DiagonalInjection::default())),
        ),
        (
            "arm: diagonal, zero-order hold",
            with(|c| {
                c.injection = InjectionKind::Diagonal(DiagonalInjection {
                    discretisation: Discretisation::ZeroOrderHold,
                });
            }),
        ),
        (
            "arm: orthogonal",
            with(|c| c.injection = InjectionKind::Orthogonal),
        ),
        (
            "arm: history of channels",
            with(|c| c.injection = InjectionKind::History(HistoryInjection::default())),
        ),
        (
            "arm: history of numbers beside a sum",
            with(|c| {
                c.injection = InjectionKind::History(HistoryInjection {
                    window: 2,
                    form: HistoryForm::Scalar,
                    embedding: EmbeddingInjection::Add,
                });
            }),
        ),
        (
            "arm: history of matrices",
            with(|c| {
                c.injection = InjectionKind::History(HistoryInjection {
                    form: HistoryForm::Dense,
                    ..HistoryInjection::default()
                });
            }),
        ),
        (
            "arm: infiloop",
            with(|c| c.loop_residual = ResidualKind::Infiloop(InfiloopResidual::default())),
        ),
        (
            "arm: infiloop with a fixed beta beside a history",
            with(|c| {
                c.injection = InjectionKind::History(HistoryInjection::default());
                c.loop_residual = ResidualKind::Infiloop(InfiloopResidual {
                    beta: 0.5,
                    learned: false,
                });
            }),
        ),
        (
            "arm: iteration embedding",
            with(|c| c.conditioning = ConditioningKind::Embedding),
        ),
        (
            "arm: loop gate",
            with(|c| c.conditioning = ConditioningKind::LoopGate),
        ),
        (
            "arm: hyper-connections",
            with(|c| {
                c.hyper_connections = Some(HyperConnections {
                    lanes: 2,
                    iterations: Some(3),
                });
            }),
        ),
    ]
}

/// Returns arms that change the layers of the core in each iteration: each separately, and some
/// combined.
fn in_the_layers(
    with: impl Fn(fn(&mut ModelConfig)) -> ModelConfig,
) -> Vec<(&'static str, ModelConfig)> {
    vec![
        (
            "arm: branch scale",
            with(|c| c.branch_scale = BranchScale::Loop(LoopScale::default())),
        ),
        (
            "arm: branch scale of DeepLoop",
            with(|c| c.branch_scale = BranchScale::Deeploop(DeeploopScale::default())),
        ),
        (
            "arm: AdaLN",
            with(|c| c.conditioning = ConditioningKind::Adaln),
        ),
        (
            "arm: AdaLN on norms without a scale, one on each branch, scaled",
            with(|c| {
                c.conditioning = ConditioningKind::Adaln;
                c.block = BlockKind::BranchSandwich;
                c.norm.learned = false;
                c.branch_scale = BranchScale::Loop(LoopScale::default());
            }),
        ),
        (
            "arm: branch gate",
            with(|c| c.conditioning = ConditioningKind::BranchGate),
        ),
        (
            "arm: LoRA",
            with(|c| {
                c.lora = Some(LoraConfig {
                    rank: 2,
                    iterations: Some(3),
                    ..LoraConfig::default()
                });
            }),
        ),
        (
            "arm: LoRA of some matrices beside lanes, AdaLN and gated attention",
            with(|c| {
                c.lora = Some(LoraConfig {
                    rank: 3,
                    iterations: Some(2),
                    beyond: Beyond::Cycle,
                    matrices: vec![LoraMatrix::Value, LoraMatrix::Up, LoraMatrix::Down],
                });
                c.conditioning = ConditioningKind::Adaln;
                c.hyper_connections = Some(HyperConnections::default());
                c.n_kv_heads = 1;
                c.sparsity = Some(SparsityConfig {
                    gate_bias: 0.0,
                    ..SparsityConfig::default()
                });
            }),
        ),
    ]
}
