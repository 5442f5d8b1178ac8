//! Both ways of building graphs give the same gradients, and those are the loss's.

use burn::tensor::Device;

use super::*;
use crate::config::ModelConfig;
use crate::looped::tests::{SEQ, config, state, structures, tokens};
use crate::ops::head_cross_entropy;

/// Off autodiff Burn has another attention kernel, whose sums have another order.
const ROUNDING: f32 = 1e-5;

struct Seen {
    loss: Vec<f32>,
    hidden: Vec<f32>,
    states: Vec<Vec<f32>>,
    gradients: Vec<Vec<f32>>,
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter().collect()
}

fn bits(values: &[Vec<f32>]) -> Vec<Vec<u32>> {
    let row = |row: &Vec<f32>| row.iter().map(|x| x.to_bits()).collect();
    values.iter().map(row).collect()
}

fn differentiate(config: &ModelConfig, unroll: Unroll) -> Seen {
    let device = Device::flex().autodiff();
    let model = LoopedTransformer::new(config, 3, &device);
    let rope = Rope::new(config, SEQ, &device);
    let (inputs, targets) = (tokens(None, &device), tokens(Some(0), &device));
    let mut trace = Trace::default();
    let start = state(config, &device);
    let seen = model.differentiate(inputs, start, &rope, unroll, Some(&mut trace), |readout| {
        head_cross_entropy(readout.hidden.clone(), model.head(), targets, None, false).loss
    });
    Seen {
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
            let rope = Rope::new(&config, SEQ, &device);
            let (inputs, start) = (tokens(None, &device), state(&config, &device));
            let forward = model.forward(inputs, start, &rope, unroll.total(), None);
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
    let rope = Rope::new(&config, SEQ, &device);
    let forward = model.forward(
        tokens(None, &device),
        state(&config, &device),
        &rope,
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
