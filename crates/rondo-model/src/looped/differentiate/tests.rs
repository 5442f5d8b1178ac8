//! Both settings of `Recompute` give the same gradients, and these gradients are correct.

use std::convert::Infallible;

use burn::tensor::Device;

use super::*;
use crate::attention::Rope;
use crate::config::ModelConfig;
use crate::gates::{Density, Gates};
use crate::init::{ParameterSpec, Weights, table};
use crate::layer::At;
use crate::looped::tests::{SEQ, config, state, structures, tokens};
use crate::ops::head_cross_entropy;
use crate::sparsity::SparsityConfig;

/// The tolerance: without autodiff, Burn uses another attention kernel, which adds in another
/// order.
const ROUNDING: f32 = 1e-5;

struct Seen {
    loss: Vec<f32>,
    hidden: Vec<f32>,
    states: Vec<Vec<f32>>,
    gradients: Vec<Vec<f32>>,
    densities: Vec<(At, Vec<f32>)>,
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter().collect()
}

fn read(densities: Vec<Density>) -> Vec<(At, Vec<f32>)> {
    let pair = |density: Density| Tensor::cat(vec![density.expected, density.kept], 0);
    let read = |density: Density| (density.at, values(pair(density)));
    densities.into_iter().map(read).collect()
}

fn bits(values: &[Vec<f32>]) -> Vec<Vec<u32>> {
    let row = |row: &Vec<f32>| row.iter().map(|x| x.to_bits()).collect();
    values.iter().map(row).collect()
}

fn differentiate(config: &ModelConfig, unroll: Unroll) -> Seen {
    differentiate_with(config, unroll, Gates::hard(), 0.0)
}

/// Differentiates with gates, after adding `nudge` to one weight of the first query.
fn differentiate_with(config: &ModelConfig, unroll: Unroll, gates: Gates, nudge: f32) -> Seen {
    let device = Device::flex().autodiff();
    let weights = Weights::new(config, 3, &device);
    let nudged = |row: &ParameterSpec| {
        let index = table(config)
            .iter()
            .position(|other| other.name == row.name);
        let mut values = row.values(3, index.unwrap_or(0) as u64);
        if row.name == "prelude.0.attention.qkv" {
            values[0] += nudge;
        }
        Ok::<_, Infallible>(values)
    };
    let weights = match nudge {
        0.0 => weights,
        _ => {
            let Ok(weights) = Weights::given(config, &device, nudged);
            weights
        }
    };
    let model = LoopedTransformer::with_weights(config, &weights);
    let pass = Pass {
        rope: Rope::new(config, SEQ, &device),
        gates,
    };
    let (inputs, targets) = (tokens(None, &device), tokens(Some(0), &device));
    let mut trace = Trace::default();
    let start = state(config, &device);
    let seen = model.differentiate(inputs, start, &pass, unroll, Some(&mut trace), |readout| {
        head_cross_entropy(readout.hidden.clone(), model.head(), targets, None, false).loss
    });
    Seen {
        densities: read(seen.forward.densities),
        loss: values(seen.loss),
        hidden: values(seen.forward.readout.hidden),
        states: trace.states.into_iter().map(values).collect(),
        gradients: seen
            .gradients
            .into_tensors()
            .into_iter()
            .map(values)
            .collect(),
    }
}

fn unrolls() -> [Unroll; 4] {
    [(0, 1), (2, 3), (0, 4), (3, 0)].map(|(no_grad, with_grad)| Unroll { no_grad, with_grad })
}

#[test]
fn an_iteration_that_is_run_again_gives_the_same_bits_in_every_structure() {
    for (name, config) in structures() {
        let mut again = config.clone();
        again.recurrence.recompute = Recompute::Iteration;
        for unroll in unrolls() {
            let (kept, rerun) = (
                differentiate(&config, unroll),
                differentiate(&again, unroll),
            );
            assert_eq!(kept.states.len(), 1 + unroll.total(), "{name}, {unroll:?}");
            assert_eq!(
                bits(&kept.states),
                bits(&rerun.states),
                "{name}, {unroll:?}"
            );
            assert_eq!(
                bits(&[kept.loss]),
                bits(&[rerun.loss]),
                "{name}, {unroll:?}"
            );
            assert_eq!(
                bits(&kept.gradients),
                bits(&rerun.gradients),
                "{name}, {unroll:?}"
            );
        }
    }
}

#[test]
fn a_training_pass_computes_what_a_forward_pass_does() {
    let device = Device::flex();
    for (name, config) in structures() {
        for unroll in unrolls() {
            let model = LoopedTransformer::new(&config, 3, &device);
            let pass = Pass::new(&config, SEQ, &device);
            let (inputs, start) = (tokens(None, &device), state(&config, &device));
            let forward = model.forward(inputs, start, &pass, unroll.total(), None);
            let found = differentiate(&config, unroll).hidden;
            let worst = found
                .iter()
                .zip(values(forward.readout.hidden))
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < ROUNDING, "{name}, {unroll:?}: {worst}");
        }
    }
}

#[test]
fn the_segments_gradients_add_up_to_those_of_one_graph() {
    let config = config();
    let device = Device::flex().autodiff();
    let model = LoopedTransformer::new(&config, 3, &device);
    let pass = Pass::new(&config, SEQ, &device);
    let forward = model.forward(
        tokens(None, &device),
        state(&config, &device),
        &pass,
        4,
        None,
    );
    let (hidden, targets) = (forward.readout.hidden, tokens(Some(0), &device));
    let scored = head_cross_entropy(hidden, model.head(), targets, None, false);
    let mut whole = GradientSum::new(&model);
    whole.take(&mut scored.loss.backward());
    let whole = whole.finish().into_tensors();
    let unroll = Unroll {
        no_grad: 0,
        with_grad: 4,
    };
    let found = differentiate(&config, unroll).gradients;
    assert_eq!(found.len(), whole.len());
    for (found, whole) in found.iter().zip(whole.into_iter().map(values)) {
        let largest = whole.iter().map(|x| x.abs()).fold(0.0, f32::max);
        for (a, b) in found.iter().zip(&whole) {
            assert!((a - b).abs() <= ROUNDING * largest, "{a} {b}");
        }
    }
}

fn gated(change: impl FnOnce(&mut SparsityConfig)) -> ModelConfig {
    let mut sparsity = SparsityConfig {
        gate_bias: 0.5,
        ..SparsityConfig::default()
    };
    change(&mut sparsity);
    ModelConfig {
        sparsity: Some(sparsity),
        ..config()
    }
}

const UNROLL: Unroll = Unroll {
    no_grad: 1,
    with_grad: 2,
};

#[test]
fn drawn_gates_are_the_same_where_an_iteration_is_run_again() {
    let kept = gated(|sparsity| sparsity.learned_bias = true);
    let mut again = kept.clone();
    again.recurrence.recompute = Recompute::Iteration;
    let run = |config| differentiate_with(config, UNROLL, Gates::drawn(5, 0.7), 0.0);
    let (kept, again) = (run(&kept), run(&again));
    assert_eq!(bits(&kept.states), bits(&again.states));
    assert_eq!(bits(&kept.gradients), bits(&again.gradients));
    let places = |seen: &Seen| seen.densities.iter().map(|(at, _)| *at).collect::<Vec<_>>();
    let core = |layer, iteration| At::Core { layer, iteration };
    let expected = [
        At::Prelude { layer: 0 },
        core(0, 2),
        core(0, 3),
        core(1, 2),
        core(1, 3),
        At::Coda { layer: 0, depth: 3 },
    ];
    assert_eq!(places(&kept), expected);
    assert_eq!(kept.densities, again.densities);
}

#[test]
fn the_same_pass_twice_gives_the_same_densities_hidden_states_and_gradients() {
    for recompute in [Recompute::None, Recompute::Iteration] {
        let mut config = gated(|sparsity| sparsity.learned_bias = true);
        config.recurrence.recompute = recompute;
        let device = Device::flex().autodiff();
        let model = LoopedTransformer::new(&config, 3, &device);
        let pass = Pass {
            rope: Rope::new(&config, SEQ, &device),
            gates: Gates::drawn(5, 0.7),
        };
        let once = || {
            let (inputs, start) = (tokens(None, &device), state(&config, &device));
            let loss = |readout: &Readout| readout.hidden.clone().square().mean();
            let seen = model.differentiate(inputs, start, &pass, UNROLL, None, loss);
            let gradients = seen.gradients.into_tensors().into_iter().map(values);
            let hidden = values(seen.forward.readout.hidden);
            let densities = read(seen.forward.densities);
            (densities, hidden, gradients.collect::<Vec<_>>())
        };
        let first = once();
        assert_eq!(first.0.len(), 6, "{recompute:?}");
        assert_eq!(first, once(), "{recompute:?}");
    }
}

#[test]
fn without_gates_there_are_no_densities() {
    let seen = differentiate(&config(), UNROLL);
    assert!(seen.densities.is_empty());
}

#[test]
fn another_key_draws_other_gates_and_wide_open_ones_are_none() {
    let config = gated(|_| {});
    let states = |gates| bits(&differentiate_with(&config, UNROLL, gates, 0.0).states);
    assert_eq!(states(Gates::drawn(5, 0.0)), states(Gates::drawn(5, 0.0)));
    assert_ne!(states(Gates::drawn(5, 0.0)), states(Gates::drawn(6, 0.0)));
    let open = gated(|sparsity| sparsity.gate_bias = 60.0);
    let dense = self::config();
    let (open, dense) = (
        differentiate_with(&open, UNROLL, Gates::drawn(5, 1.0), 0.0),
        differentiate(&dense, UNROLL),
    );
    for (open, dense) in open.gradients.iter().zip(&dense.gradients) {
        let largest = dense.iter().map(|x| x.abs()).fold(0.0, f32::max);
        for (a, b) in open.iter().zip(dense) {
            assert!((a - b).abs() <= 10.0 * ROUNDING * largest, "{a} {b}");
        }
    }
    assert!(open.densities.iter().all(|(_, pair)| pair == &[1.0, 1.0]));
}

#[test]
fn the_penaltys_gradient_is_that_of_the_mean_density() {
    // Only the prelude has gates. No gates come before those of its first layer, so the density is
    // a smooth function of the layer's weights.
    let config = gated(|sparsity| (sparsity.core, sparsity.coda) = (false, false));
    let run =
        |strength, nudge| differentiate_with(&config, UNROLL, Gates::drawn(5, strength), nudge);
    let row = table(&config)
        .iter()
        .position(|row| row.name == "prelude.0.attention.qkv")
        .expect("the row");
    let of = |strength| f64::from(run(strength, 0.0).gradients[row][0]);
    let found = (of(50.0) - of(0.0)) / 50.0;
    let density = |nudge| f64::from(run(0.0, nudge).densities[0].1[0]);
    let step = 0.05;
    let expected = (density(step) - density(-step)) / (2.0 * f64::from(step));
    // A density in f32 has an error of 1e-7, so a slope over a distance of 0.1 has an error of
    // 1e-6.
    assert!(expected.abs() > 1e-4, "{expected}");
    assert!(
        (found - expected).abs() < 0.02 * expected.abs(),
        "{found} beside {expected}"
    );
}
