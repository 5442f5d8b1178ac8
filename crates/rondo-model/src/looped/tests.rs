//! Properties of the whole model, for every structural choice.

mod arms;
mod families;
mod objectives;
mod segmented;
mod starts;
mod structures;

use burn::module::{ModuleVisitor, Param};

pub(super) use self::structures::structures;
use super::*;
use crate::config::{
    BlockKind, ConditioningKind, DiagonalInjection, EmbeddingInjection, HistoryInjection,
    HyperConnections, InfiloopResidual, InjectionKind, LayersConfig, QkBias, QkNorm, ResidualKind,
    ScalarForm, ScalarInjection,
};
use crate::depth::Unroll;
use crate::gates::Gates;
use crate::init::table;
use crate::ops::head_cross_entropy;
use crate::seed::Stream;
use crate::sparsity::SparsityConfig;
use crate::state::{StateSource, initial_state};

const BATCH: usize = 2;
pub(super) const SEQ: usize = 5;

pub(super) fn config() -> ModelConfig {
    ModelConfig {
        vocab_size: 11,
        d_model: 8,
        n_heads: 2,
        n_kv_heads: 2,
        d_ff: 12,
        layers: LayersConfig {
            prelude: 1,
            core: 2,
            coda: 1,
        },
        ..ModelConfig::default()
    }
}

pub(super) fn tokens(change: Option<usize>, device: &Device) -> Tensor<2, Int> {
    let id = |i: usize| {
        if Some(i % SEQ) == change {
            9
        } else {
            (i * 3 % 7) as i32
        }
    };
    let ids: Vec<i32> = (0..BATCH * SEQ).map(id).collect();
    Tensor::from_data(burn::tensor::TensorData::new(ids, [BATCH, SEQ]), device)
}

pub(super) fn state(config: &ModelConfig, device: &Device) -> Tensor<3> {
    let source = StateSource {
        seed: 1,
        stream: Stream::EvalState,
        index: 0,
        first_sequence: 0,
        first_position: 0,
    };
    initial_state(config, source, [BATCH, SEQ], device)
}

fn forward(config: &ModelConfig, iterations: usize, change: Option<usize>) -> Vec<f32> {
    let device = Device::flex();
    let model = LoopedTransformer::new(config, 3, &device);
    let pass = Pass::new(config, SEQ, &device);
    let forward = model.forward(
        tokens(change, &device),
        state(config, &device),
        &pass,
        iterations,
        None,
    );
    let logits = model.logits(forward.readout.hidden);
    logits.into_data().iter().collect()
}

#[derive(Default)]
struct Visited {
    path: Vec<String>,
    names: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor for Visited {
    fn enter_module(&mut self, name: &str, container: &str) {
        // Enum variants are not a level of the path.
        if !container.starts_with("Enum:") {
            self.path.push(name.to_owned());
        }
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        if !container.starts_with("Enum:") {
            self.path.pop();
        }
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.names
            .push((self.path.join("."), param.val().dims().to_vec()));
    }
}

/// Returns the gradients of the loss after `unroll` from `start`, in table order.
fn gradients(config: &ModelConfig, unroll: Unroll, start: Option<Tensor<3>>) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let model = LoopedTransformer::new(config, 3, &device);
    let pass = Pass::new(config, SEQ, &device);
    let start = start.unwrap_or_else(|| state(config, &device));
    let (inputs, targets) = (tokens(None, &device), tokens(Some(0), &device));
    let seen = model.differentiate(inputs, start, &pass, unroll, None, |readout| {
        head_cross_entropy(readout.hidden.clone(), model.head(), targets, None, false).loss
    });
    let gradients = seen.gradients.into_tensors().into_iter();
    gradients.map(|g| g.into_data().iter().collect()).collect()
}

#[test]
fn the_table_names_and_shapes_every_parameter_in_visiting_order() {
    for (name, config) in structures() {
        let model = LoopedTransformer::new(&config, 0, &Device::flex());
        let mut visited = Visited::default();
        model.visit(&mut visited);
        let rows: Vec<_> = table(&config)
            .into_iter()
            .map(|row| (row.name, row.shape))
            .collect();
        assert_eq!(visited.names, rows, "{name}");
    }
}

#[test]
fn no_structure_looks_ahead() {
    for (name, config) in structures() {
        let (before, after) = (forward(&config, 3, None), forward(&config, 3, Some(3)));
        let width = SEQ * config.vocab_size;
        for row in 0..BATCH {
            let range = row * width..row * width + 3 * config.vocab_size;
            assert_eq!(before[range.clone()], after[range], "{name}");
        }
        assert_ne!(
            before, after,
            "{name}: the changed token must show somewhere"
        );
    }
}

#[test]
fn every_parameter_gets_a_gradient_that_is_not_zero() {
    for (name, config) in structures() {
        let unroll = match config.injection {
            // Without injection, the tokens have a gradient only through all iterations.
            InjectionKind::None => Unroll {
                no_grad: 0,
                with_grad: 3,
            },
            _ => Unroll {
                no_grad: 1,
                with_grad: 2,
            },
        };
        let gradients = gradients(&config, unroll, None);
        for (row, gradient) in table(&config).iter().zip(gradients) {
            assert!(
                gradient.iter().all(|g| g.is_finite()),
                "{name}: {}",
                row.name
            );
            // The gradient of A is zero because B is zero at the start of training.
            if row.name.starts_with("lora.") && row.name.rsplit('.').next() == Some("a") {
                continue;
            }
            assert!(
                gradient.iter().any(|g| g.abs() > 0.0),
                "{name}: {}",
                row.name
            );
        }
    }
}

#[test]
fn iterations_without_gradient_count_as_a_given_state() {
    let config = config();
    let split = |no_grad, with_grad| Unroll { no_grad, with_grad };
    // The device is an autodiff device, as in training. On other devices Burn uses another
    // attention kernel.
    let device = Device::flex().autodiff();
    let model = LoopedTransformer::new(&config, 3, &device);
    let pass = Pass::new(&config, SEQ, &device);
    let mut trace = Trace::default();
    let (inputs, start) = (tokens(None, &device), state(&config, &device));
    model.differentiate(
        inputs,
        start,
        &pass,
        split(2, 1),
        Some(&mut trace),
        |readout| readout.hidden.clone().sum(),
    );
    let given = Some(trace.states[2].clone());
    let truncated = gradients(&config, split(2, 3), None);
    assert_eq!(truncated, gradients(&config, split(0, 3), given));
    assert_ne!(truncated, gradients(&config, split(0, 5), None));
}

#[test]
fn an_adapter_that_passes_only_the_embedding_makes_every_depth_equal() {
    let config = config();
    let device = Device::flex();
    let mut model = LoopedTransformer::new(&config, 3, &device);
    let h = config.d_model;
    let adapter = Tensor::cat(
        vec![Tensor::zeros([h, h], &device), Tensor::eye(h, &device)],
        0,
    );
    model.injection = Injection::with_adapter(adapter);
    let pass = Pass::new(&config, SEQ, &device);
    let mut readouts = Vec::new();
    let depths = [1, 2, 5];
    model.forward_at_depths(
        tokens(None, &device),
        state(&config, &device),
        &pass,
        &depths,
        |_, readout| {
            readouts.push(model.logits(readout.hidden).into_data());
        },
    );
    assert_eq!(readouts[0], readouts[1]);
    assert_eq!(readouts[0], readouts[2]);
}

#[test]
fn one_pass_over_depths_equals_a_pass_for_each() {
    for (name, config) in structures() {
        one_pass_equals_several(name, &config);
    }
}

#[track_caller]
fn one_pass_equals_several(name: &str, config: &ModelConfig) {
    let device = Device::flex();
    let model = LoopedTransformer::new(config, 3, &device);
    let pass = Pass::new(config, SEQ, &device);
    let mut seen = Vec::new();
    model.forward_at_depths(
        tokens(None, &device),
        state(config, &device),
        &pass,
        &[4, 1, 2],
        |r, readout| {
            let logits = model.logits(readout.hidden).into_data();
            seen.push((r, logits.iter::<f32>().collect::<Vec<_>>()));
        },
    );
    assert_eq!(seen.iter().map(|(r, _)| *r).collect::<Vec<_>>(), [1, 2, 4]);
    for (r, logits) in seen {
        assert_eq!(logits, forward(config, r, None), "{name} at {r}");
    }
}

/// Returns a model in which about half of the gates are open, and a pass that draws the gates.
fn gated() -> (ModelConfig, LoopedTransformer, Pass) {
    let mut config = config();
    config.sparsity = Some(SparsityConfig {
        gate_bias: 0.0,
        ..SparsityConfig::default()
    });
    let device = Device::flex();
    let model = LoopedTransformer::new(&config, 3, &device);
    let mut pass = Pass::new(&config, SEQ, &device);
    pass.gates = Gates::drawn(5, 0.0);
    (config, model, pass)
}

fn read(densities: Vec<Density>) -> Vec<(At, Vec<f32>)> {
    let read = |density: Density| {
        let pair = Tensor::cat(vec![density.expected, density.kept], 0);
        (density.at, pair.into_data().iter().collect())
    };
    densities.into_iter().map(read).collect()
}

#[test]
fn a_pass_over_depths_has_every_density_under_its_own_iteration_or_depth() {
    let (config, model, pass) = gated();
    let device = Device::flex();
    let (ids, start) = (tokens(None, &device), state(&config, &device));
    let densities =
        model.forward_at_depths(ids.clone(), start.clone(), &pass, &[4, 1, 2], |_, _| {});
    let found = read(densities);
    let core = |layer| move |iteration| At::Core { layer, iteration };
    let mut expected = vec![At::Prelude { layer: 0 }];
    expected.extend((1..=4).map(core(0)));
    expected.extend((1..=4).map(core(1)));
    expected.extend([1, 2, 4].map(|depth| At::Coda { layer: 0, depth }));
    let places: Vec<At> = found.iter().map(|(at, _)| *at).collect();
    assert_eq!(places, expected);
    for depth in [1, 2, 4] {
        let alone = model.forward(ids.clone(), start.clone(), &pass, depth, None);
        let alone = read(alone.densities);
        assert_eq!(alone.len(), 1 + 2 * depth + 1);
        for density in alone {
            assert!(found.contains(&density), "{density:?}, alone to {depth}");
        }
    }
    let [.., shallow, _, deep] = &found[..] else {
        unreachable!("there are more");
    };
    assert_ne!(shallow.1, deep.1, "the coda reads other states");
}

#[test]
fn the_same_pass_twice_gives_the_same_densities() {
    let (config, model, pass) = gated();
    let device = Device::flex();
    let once = || {
        let (ids, start) = (tokens(None, &device), state(&config, &device));
        read(model.forward(ids, start, &pass, 3, None).densities)
    };
    let at_depths = || {
        let (ids, start) = (tokens(None, &device), state(&config, &device));
        read(model.forward_at_depths(ids, start, &pass, &[1, 3], |_, _| {}))
    };
    assert_eq!(once(), once());
    assert_eq!(at_depths(), at_depths());
}

#[test]
fn without_gates_a_pass_has_no_densities() {
    let config = config();
    let device = Device::flex();
    let model = LoopedTransformer::new(&config, 3, &device);
    let pass = Pass::new(&config, SEQ, &device);
    let (ids, start) = (tokens(None, &device), state(&config, &device));
    let forward = model.forward(ids.clone(), start.clone(), &pass, 2, None);
    assert!(forward.densities.is_empty());
    let densities = model.forward_at_depths(ids, start, &pass, &[1, 2], |_, _| {});
    assert!(densities.is_empty());
}
