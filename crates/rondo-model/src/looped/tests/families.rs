//! The structures of other model families, and properties of a stack that is looped as a whole.

use std::convert::Infallible;

use super::*;
use crate::config::{BoundaryNorm, LoraConfig, RopePairing, RopeScaling, StateInit};
use crate::init::ParameterSpec;

/// Returns configurations with the choices of other model families: every choice at least once, and
/// some families completely.
pub(super) fn families(base: &ModelConfig) -> Vec<(&'static str, ModelConfig)> {
    let with = |change: fn(&mut ModelConfig)| {
        let mut changed = base.clone();
        change(&mut changed);
        changed
    };
    vec![
        ("norm of heads", with(|c| c.qk_norm = QkNorm::Head)),
        ("norm of all heads", with(|c| c.qk_norm = QkNorm::Width)),
        ("bias of values", with(|c| c.qk_bias = QkBias::Qkv)),
        ("wider heads", with(|c| c.d_head = Some(6))),
        ("halves", with(|c| c.rope_pairing = RopePairing::Halves)),
        (
            "scaled frequencies",
            with(|c| {
                c.rope_scaling = Some(RopeScaling::Llama3 {
                    factor: 8.0,
                    low_frequency: 1.0,
                    high_frequency: 4.0,
                    original_context: 16,
                });
            }),
        ),
        (
            "branch-post-norm",
            with(|c| c.block = BlockKind::BranchPostNorm),
        ),
        (
            "starts from its input",
            with(|c| c.state_init = StateInit::Input),
        ),
        (
            "norm of each iteration",
            with(|c| c.boundary_norm = BoundaryNorm::Iteration),
        ),
        (
            "one norm at the end",
            with(|c| c.boundary_norm = BoundaryNorm::None),
        ),
        ("Ouro", whole_stack(base)),
        (
            "Ouro of OLMo 2 and Qwen3",
            ModelConfig {
                block: BlockKind::BranchPostNorm,
                qk_bias: QkBias::Qkv,
                qk_norm: QkNorm::Width,
                d_head: Some(6),
                n_kv_heads: 1,
                tied_head: true,
                ..whole_stack(base)
            },
        ),
        (
            "no injection, gates, prelude and coda",
            ModelConfig {
                layers: base.layers,
                boundary_norm: BoundaryNorm::None,
                sparsity: Some(SparsityConfig {
                    gate_bias: 0.0,
                    ..SparsityConfig::default()
                }),
                ..whole_stack(base)
            },
        ),
    ]
}

/// Returns arms in loops that start from their input, most of them with a whole stack as the core.
pub(super) fn arms_from_the_input(
    with: impl Fn(fn(&mut ModelConfig)) -> ModelConfig,
) -> Vec<(&'static str, ModelConfig)> {
    vec![
        (
            "arm: diagonal from the input, a norm at the end of each iteration",
            with(|c| {
                c.injection = InjectionKind::Diagonal(DiagonalInjection::default());
                c.state_init = StateInit::Input;
                c.boundary_norm = BoundaryNorm::Iteration;
            }),
        ),
        (
            "arm: history beside a sum, from the input",
            with(|c| {
                c.injection = InjectionKind::History(HistoryInjection {
                    embedding: EmbeddingInjection::Add,
                    ..HistoryInjection::default()
                });
                c.state_init = StateInit::Input;
            }),
        ),
        (
            "arm: infiloop of a whole stack",
            with(|c| {
                *c = whole_stack(c);
                c.loop_residual = ResidualKind::Infiloop(InfiloopResidual::default());
            }),
        ),
        (
            "arm: loop gate of a whole stack",
            with(|c| {
                *c = whole_stack(c);
                c.conditioning = ConditioningKind::LoopGate;
            }),
        ),
        (
            "arm: branch gates and LoRA of a whole stack",
            with(|c| {
                *c = whole_stack(c);
                c.conditioning = ConditioningKind::BranchGate;
                c.lora = Some(LoraConfig {
                    rank: 1,
                    iterations: Some(2),
                    ..LoraConfig::default()
                });
            }),
        ),
        (
            "arm: hyper-connections of a whole stack",
            with(|c| {
                *c = whole_stack(c);
                c.hyper_connections = Some(HyperConnections::default());
            }),
        ),
    ]
}

/// Returns a stack that is looped as a whole, as in Ouro.
fn whole_stack(base: &ModelConfig) -> ModelConfig {
    ModelConfig {
        block: BlockKind::BranchSandwich,
        qk_bias: QkBias::None,
        rope_pairing: RopePairing::Halves,
        tied_head: false,
        layers: LayersConfig {
            prelude: 0,
            core: 2,
            coda: 0,
        },
        injection: InjectionKind::None,
        state_init: StateInit::Input,
        boundary_norm: BoundaryNorm::Iteration,
        ..base.clone()
    }
}

/// Returns the name of the looped stack's parameter for a row of the unrolled stack.
fn tied(row: &ParameterSpec, layers: usize) -> String {
    let within = |rest: &str| {
        let (layer, part) = rest.split_once('.')?;
        let layer: usize = layer.parse().ok()?;
        Some(format!("core.{}.{part}", layer % layers))
    };
    let of_core = row.name.strip_prefix("core.").and_then(within);
    of_core.unwrap_or_else(|| row.name.clone())
}

/// Returns the hidden states and the flat gradients, by name, of a pass. All of its `iterations`
/// iterations have gradient.
fn pass_of(
    config: &ModelConfig,
    weights: &Weights<'_>,
    iterations: usize,
    device: &Device,
) -> (Vec<f32>, Vec<(String, Vec<f32>)>) {
    let model = LoopedTransformer::with_weights(config, weights);
    let pass = Pass::new(config, SEQ, device);
    let (inputs, targets) = (tokens(None, device), tokens(Some(0), device));
    let unroll = Unroll {
        no_grad: 0,
        with_grad: iterations,
    };
    let start = state(config, device);
    let seen = model.differentiate(inputs, start, &pass, unroll, None, |readout| {
        head_cross_entropy(readout.hidden.clone(), model.head(), targets, None, false).loss
    });
    let values = |x: Tensor<1>| x.into_data().iter::<f32>().collect::<Vec<f32>>();
    let hidden = values(seen.forward.readout.hidden.flatten(0, 2));
    let gradients = seen.gradients.into_tensors().into_iter().map(values);
    let names = table(config).into_iter().map(|row| row.name);
    (hidden, names.zip(gradients).collect())
}

#[test]
fn a_stack_that_is_looped_has_the_bits_of_the_tied_stack_written_out() {
    let device = Device::flex().autodiff();
    let (rounds, layers) = (3, 2);
    let looped = ModelConfig {
        boundary_norm: BoundaryNorm::None,
        ..whole_stack(&config())
    };
    let mut written_out = looped.clone();
    written_out.layers.core = rounds * layers;
    let rows = table(&looped);
    let Ok(weights) = Weights::given(&written_out, &device, |row| {
        let name = tied(row, layers);
        let index = rows.iter().position(|own| own.name == name);
        let index = index.expect("every row has a tied one");
        let own = &rows[index];
        Ok::<_, Infallible>(own.values(3, index as u64))
    });
    let (expected, copies) = pass_of(&written_out, &weights, 1, &device);
    let own = Weights::new(&looped, 3, &device);
    let (found, gradients) = pass_of(&looped, &own, rounds, &device);
    assert_eq!(found, expected);
    for (name, found) in gradients {
        // The gradients of the copies are added from the last to the first, as in the backward pass
        // of the loop.
        let copies = copies.iter().zip(table(&written_out)).rev();
        let mut own = copies.filter(|(_, row)| tied(row, layers) == name);
        let ((_, first), _) = own.next().expect("at least one copy");
        let expected = own.fold(first.clone(), |sum, ((_, next), _)| {
            sum.iter().zip(next).map(|(a, b)| a + b).collect()
        });
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_model_that_starts_from_its_input_reads_no_other_state() {
    let config = whole_stack(&config());
    let device = Device::flex();
    let model = LoopedTransformer::new(&config, 3, &device);
    let pass = Pass::new(&config, SEQ, &device);
    let zero = state(&config, &device);
    let values = |x: Tensor<3>| x.into_data().iter::<f32>().collect::<Vec<f32>>();
    let run = |start: Tensor<3>| {
        let mut trace = Trace::default();
        let ids = tokens(None, &device);
        let forward = model.forward(ids, start, &pass, 2, Some(&mut trace));
        assert_eq!(values(trace.states[0].clone()), values(forward.embedding));
        values(forward.readout.hidden)
    };
    assert_eq!(run(zero.clone()), run(zero + 1.0));
}

#[test]
fn a_norm_at_the_end_of_an_iteration_is_not_applied_again_without_a_coda() {
    let config = whole_stack(&config());
    let device = Device::flex();
    let model = LoopedTransformer::new(&config, 3, &device);
    let pass = Pass::new(&config, SEQ, &device);
    let (ids, start) = (tokens(None, &device), state(&config, &device));
    let Readout {
        latent,
        state,
        hidden,
    } = model.forward(ids, start, &pass, 2, None).readout;
    let values = |x: Tensor<3>| x.into_data().iter::<f32>().collect::<Vec<f32>>();
    assert_eq!(values(latent.clone()), values(hidden));
    assert_eq!(values(latent), values(state));
}

#[test]
fn without_a_coda_the_head_reads_a_normed_state_whatever_is_made_of_the_normed_outputs() {
    let whole = whole_stack(&config());
    let average = ModelConfig {
        loop_residual: ResidualKind::Infiloop(InfiloopResidual::default()),
        ..whole.clone()
    };
    let lanes = ModelConfig {
        hyper_connections: Some(HyperConnections::default()),
        ..whole.clone()
    };
    let gate = ModelConfig {
        conditioning: ConditioningKind::LoopGate,
        ..whole
    };
    let device = Device::flex();
    let rows = |x: Tensor<3>| {
        let sizes = x.square().mean_dim(2).sqrt();
        sizes.into_data().iter::<f32>().collect::<Vec<f32>>()
    };
    let is_one = |size: &f32| (size - 1.0).abs() < 1e-3;
    for config in [average, lanes, gate] {
        let model = LoopedTransformer::new(&config, 3, &device);
        let pass = Pass::new(&config, SEQ, &device);
        let (ids, start) = (tokens(None, &device), state(&config, &device));
        let readout = model.forward(ids, start, &pass, 3, None).readout;
        assert!(rows(readout.hidden).iter().all(is_one));
        // The norm has scales of one, so every output of the core has mean square 1. An average of
        // different outputs is shorter, and a sum of lanes has another length.
        let latent = rows(readout.latent);
        let is_plain = config.conditioning == ConditioningKind::LoopGate;
        assert_eq!(latent.iter().all(is_one), is_plain);
    }
}
