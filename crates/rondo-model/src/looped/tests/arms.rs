//! Properties of every arm, where an arm is a variant of the loop. No weight is exactly zero or
//! one.

use std::convert::Infallible;

use burn::tensor::TensorData;

use super::*;
use crate::depth::Recompute;
use crate::gradients::GradientSum;
use crate::init::ParameterSpec;
use crate::looped::decode::Decoder;
use crate::looped::iteration::OwnParts;
use crate::pass::Pass;
use crate::seed::Normals;

/// The tolerance for another order of summation, relative to the largest number.
const ROUNDING: f32 = 1e-5;

/// Returns a model with noise added to every parameter.
pub(super) fn shaken(config: &ModelConfig, device: &Device) -> LoopedTransformer {
    let mut normals = Normals::new(9, 0.1);
    let rows = table(config);
    let values = |row: &ParameterSpec| {
        let index = rows.iter().position(|other| other.name == row.name);
        let mut values = row.values(3, index.unwrap_or(0) as u64);
        let noise = normals.tensor::<1>([values.len()]).into_data();
        for (value, noise) in values.iter_mut().zip(noise.iter::<f32>()) {
            *value += noise;
        }
        Ok::<_, Infallible>(values)
    };
    let Ok(weights) = Weights::given(config, device, values);
    LoopedTransformer::with_weights(config, &weights)
}

/// Returns the name and the configuration of every arm.
fn arms() -> Vec<(&'static str, ModelConfig)> {
    let names = structures().into_iter();
    names.filter(|(name, _)| name.starts_with("arm:")).collect()
}

pub(super) fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter().collect()
}

pub(super) fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Continues the loop from `state`, in a pass of 5 iterations.
fn onward(
    model: &LoopedTransformer,
    config: &ModelConfig,
    state: LoopState,
    iterations: usize,
) -> LoopState {
    let device = state.state().device();
    let pass = Pass::new(config, SEQ, &device);
    let (embedding, _) = model.embed(tokens(None, &device), pass.shared());
    let state = model.started(state, &embedding);
    let prepared = model.injection.prepare(embedding);
    let mut core = Core::new(model.parts(), &prepared, pass.shared(), 5);
    recurrence::run(iterations, state, &mut core, None)
}

#[test]
fn n_and_then_m_iterations_are_n_plus_m() {
    let device = Device::flex();
    for (name, config) in structures() {
        let model = shaken(&config, &device);
        let start = || LoopState::from(state(&config, &device));
        let whole = onward(&model, &config, start(), 5);
        for first in 0..=5 {
            let state = onward(&model, &config, start(), first);
            let found = onward(&model, &config, state, 5 - first);
            assert_eq!(found.iterations(), 5);
            for (found, whole) in found.tensors().zip(whole.tensors()) {
                let (found, whole) = (values(found.clone()), values(whole.clone()));
                assert_eq!(bits(&found), bits(&whole), "{name}, {first} first");
            }
        }
        let pass = Pass::new(&config, SEQ, &device);
        let two = onward(&model, &config, start(), 2);
        let on = model.forward(tokens(None, &device), two, &pass, 3, None);
        let at_once = model.forward(tokens(None, &device), start(), &pass, 5, None);
        let [on, at_once] = [on, at_once].map(|forward| values(forward.readout.hidden));
        assert_eq!(bits(&on), bits(&at_once), "{name}");
    }
}

#[test]
fn no_arm_looks_ahead() {
    let device = Device::flex();
    for (name, config) in arms() {
        let model = shaken(&config, &device);
        let pass = Pass::new(&config, SEQ, &device);
        let run = |change| {
            let start = state(&config, &device);
            let forward = model.forward(tokens(change, &device), start, &pass, 4, None);
            values(forward.readout.hidden)
        };
        let (before, after) = (run(None), run(Some(3)));
        for row in 0..BATCH {
            let range = row * SEQ * config.d_model..(row * SEQ + 3) * config.d_model;
            assert_eq!(bits(&before[range.clone()]), bits(&after[range]), "{name}");
        }
        assert_ne!(before, after, "{name}");
    }
}

#[test]
fn the_segments_gradients_of_every_arm_add_up_to_those_of_one_graph() {
    let device = Device::flex().autodiff();
    for (name, config) in arms() {
        let model = shaken(&config, &device);
        let pass = Pass::new(&config, SEQ, &device);
        let score = |hidden: Tensor<3>| {
            let targets = tokens(Some(0), &device);
            head_cross_entropy(hidden, model.head(), targets, None, false).loss
        };
        let start = || state(&config, &device);
        let forward = model.forward(tokens(None, &device), start(), &pass, 4, None);
        let mut whole = GradientSum::new(&model);
        whole.take(&mut score(forward.readout.hidden).backward());
        let whole = whole.finish().into_tensors();
        let unroll = Unroll {
            no_grad: 0,
            with_grad: 4,
        };
        let loss = |readout: &Readout| score(readout.hidden.clone());
        let found = model.differentiate(tokens(None, &device), start(), &pass, unroll, None, loss);
        let found = found.gradients.into_tensors();
        for ((row, found), whole) in table(&config).iter().zip(found).zip(whole) {
            let (found, whole) = (values(found), values(whole));
            let largest = whole.iter().map(|x| x.abs()).fold(0.0, f32::max);
            assert!(largest > 0.0, "{name}: {}", row.name);
            for (a, b) in found.iter().zip(&whole) {
                let close = (a - b).abs() <= ROUNDING * largest;
                assert!(close, "{name}: {}: {a} {b}", row.name);
            }
        }
    }
}

#[test]
fn iterations_without_gradient_count_as_a_given_state_in_every_arm_and_may_be_run_again() {
    let device = Device::flex().autodiff();
    for (name, config) in arms() {
        let mut again = config.clone();
        again.recurrence.recompute = Recompute::Iteration;
        let models = [&config, &again].map(|config| shaken(config, &device));
        let pass = Pass::new(&config, SEQ, &device);
        let run = |model: &LoopedTransformer, start: LoopState, no_grad| {
            let mut trace = Trace::default();
            let unroll = Unroll {
                no_grad,
                with_grad: 4,
            };
            let ids = tokens(None, &device);
            let loss = |readout: &Readout| readout.hidden.clone().square().mean();
            let seen = model.differentiate(ids, start, &pass, unroll, Some(&mut trace), loss);
            let gradients = seen.gradients.into_tensors().into_iter().map(values);
            (trace.states, gradients.flatten().collect::<Vec<f32>>())
        };
        let start = LoopState::from(state(&config, &device));
        let (states, expected) = run(&models[0], start.clone(), 3);
        let (_, rerun) = run(&models[1], start.clone(), 3);
        assert_eq!(bits(&expected), bits(&rerun), "{name}");
        let valid = OwnParts::valid(&models[0]);
        let (embedding, _) = models[0].embed(tokens(None, &device), pass.shared());
        let start = models[0].started(start, &embedding);
        let start = start.map(Tensor::without_autodiff);
        let prepared = models[0].injection.prepare(embedding).without_autodiff();
        let mut core = Core::new(valid.parts(), &prepared, pass.shared(), 7);
        let given = recurrence::run(3, start, &mut core, None);
        assert_eq!(
            bits(&values(given.state().clone())),
            bits(&values(states[3].clone())),
            "{name}"
        );
        let (_, found) = run(&models[0], given, 0);
        assert_eq!(bits(&expected), bits(&found), "{name}");
    }
}

#[test]
fn a_decoder_carries_what_every_arm_carries() {
    let device = Device::flex();
    let ids = [3, 1, 4, 1, 5];
    for (name, config) in arms() {
        let model = shaken(&config, &device);
        let all = state(&config, &device).slice(burn::tensor::s![0..1, .., ..]);
        let chunk_of = |range: std::ops::Range<usize>| {
            let data = TensorData::new(ids[range.clone()].to_vec(), [1, range.len()]);
            let of_range = all.clone().slice(burn::tensor::s![.., range, ..]);
            (Tensor::<2, Int>::from_data(data, &device), of_range)
        };
        let pass = Pass::new(&config, SEQ, &device);
        let (whole, start) = chunk_of(0..SEQ);
        let forward = model.forward(whole, start, &pass, 4, None);
        let expected = values(forward.readout.hidden);
        let mut decoder = Decoder::new(&model, &config, None, &device);
        let mut found = Vec::new();
        for range in [0..2, 2..3, 3..4, 4..5] {
            let (ids, start) = chunk_of(range);
            let mut chunk = decoder.begin(ids, start, 4);
            for _ in 0..4 {
                decoder.iterate(&mut chunk);
            }
            found.extend(values(decoder.end(chunk).hidden));
        }
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() < 3.0 * ROUNDING, "{name}: {a} {b}");
        }
    }
}

#[test]
fn readouts_at_many_depths_are_those_of_a_pass_to_each() {
    let device = Device::flex();
    for (name, config) in arms() {
        let model = shaken(&config, &device);
        let pass = Pass::new(&config, SEQ, &device);
        let mut found = Vec::new();
        let start = || state(&config, &device);
        let visit = |depth, readout: Readout| found.push((depth, values(readout.hidden)));
        model.forward_at_depths(tokens(None, &device), start(), &pass, &[5, 1, 3], visit);
        let visited: Vec<usize> = found.iter().map(|(depth, _)| *depth).collect();
        assert_eq!(visited, [1, 3, 5], "{name}");
        for (depth, found) in found {
            let alone = model.forward(tokens(None, &device), start(), &pass, depth, None);
            let alone = values(alone.readout.hidden);
            assert_eq!(bits(&found), bits(&alone), "{name} to {depth}");
        }
    }
}

#[test]
fn every_arm_of_the_injection_tells_its_contraction_at_the_start() {
    let device = Device::flex();
    let root = 0.2_f32.sqrt();
    for (name, config) in arms() {
        let expected = match config.injection {
            InjectionKind::Diagonal(_) | InjectionKind::Orthogonal => root,
            InjectionKind::Scalar(ScalarInjection {
                form: ScalarForm::Mean,
                ..
            }) => 0.5,
            _ => 1.0,
        };
        let model = LoopedTransformer::new(&config, 3, &device);
        let Some(found) = model.contraction() else {
            let has_none = matches!(
                config.injection,
                InjectionKind::Linear | InjectionKind::None
            );
            assert!(has_none, "{name}");
            continue;
        };
        for found in [found.mean, found.max] {
            let found = found.into_scalar::<f32>();
            assert!((found - expected).abs() < 1e-6, "{name}: {found}");
        }
    }
    assert!(
        LoopedTransformer::new(&self::config(), 3, &device)
            .contraction()
            .is_none()
    );
}

/// Arms that change the layers of the core have no kernels of their own: they use the operations of
/// plain layers with other weights.
#[cfg(feature = "cube")]
#[test]
fn what_changes_layers_on_wgpu_is_what_changes_them_on_flex_with_its_gradients() {
    use burn::backend::DispatchDevice;
    use std::io::Write as _;

    let Some(wgpu) = rondo_cube::primitive::wgpu() else {
        // Writes directly to stderr, because the test harness hides the output of passing tests.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: this build or machine has no wgpu device"
        );
        return;
    };
    let wgpu = Device::new(DispatchDevice::Cube(wgpu)).autodiff();
    let flex = Device::flex().autodiff();
    let changes = |config: &ModelConfig| {
        config.lora.is_some()
            || config.branch_factors().is_some()
            || config.conditioning.adjusts_layers()
    };
    let mut seen = 0;
    for (name, config) in arms().into_iter().filter(|(_, config)| changes(config)) {
        let on = |device: &Device| {
            let model = shaken(&config, device);
            let pass = Pass::new(&config, SEQ, device);
            let unroll = Unroll {
                no_grad: usize::from(config.injection != InjectionKind::None),
                with_grad: 3,
            };
            let start = state(&config, &Device::flex()).to_device(device);
            let ids = tokens(None, device);
            let loss = |readout: &Readout| {
                let targets = tokens(Some(0), device);
                let hidden = readout.hidden.clone();
                head_cross_entropy(hidden, model.head(), targets, None, false).loss
            };
            let found = model.differentiate(ids, start, &pass, unroll, None, loss);
            let mut all = vec![values(found.forward.readout.hidden)];
            all.extend(found.gradients.into_tensors().into_iter().map(values));
            all
        };
        let expected = on(&flex);
        let largest = |x: &[f32]| x.iter().map(|x| x.abs()).fold(0.0, f32::max);
        // If the terms of a gradient cancel, the error of the gradient is the rounding error of the
        // terms.
        let of_all = expected[1..].iter().map(|x| largest(x)).fold(0.0, f32::max);
        for (which, (found, expected)) in on(&wgpu).iter().zip(&expected).enumerate() {
            let largest = largest(expected).max(0.01 * of_all);
            for (a, b) in found.iter().zip(expected) {
                let close = (a - b).abs() < 10.0 * ROUNDING * largest;
                assert!(close, "{name}, result {which}: {a} {b}");
            }
        }
        seen += 1;
    }
    assert!(seen > 5, "{seen} arms");
}
