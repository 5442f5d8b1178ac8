//! Compares states, logits, likelihoods and gradients on every device of this machine.

use std::convert::Infallible;
use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use rondo_interchange::{Family, Import};
use rondo_model::config::{BoundaryNorm, ModelConfig, RopeScaling, StateInit};
use rondo_model::depth::Unroll;
use rondo_model::init::{Weights, table};
use rondo_model::looped::{LoopedTransformer, Readout};
use rondo_model::ops::{head_cross_entropy, head_losses};
use rondo_model::pass::Pass;
use rondo_train::device::{DeviceKind, choose_kind};

use super::{Golden, STACKS, ouro, stack};
use crate::devices::is_there;

/// The tolerances that the READMEs allow on a CPU. They are absolute, except that gradients are
/// compared by the relative norm of the difference.
#[derive(Clone, Copy)]
struct Tolerances {
    states: f32,
    logits: f32,
    likelihoods: f32,
    loss: f32,
    gradients: f64,
}

const STACK: Tolerances = Tolerances {
    states: 5e-5,
    logits: 1e-4,
    likelihoods: 5e-5,
    loss: 1e-5,
    gradients: 1e-4,
};

const OURO: Tolerances = Tolerances {
    states: 1e-4,
    logits: 2e-4,
    ..STACK
};

/// Returns the devices. Each tolerance is a multiple of a CPU's, as in `trainer selftest`.
fn devices() -> Vec<(&'static str, Device, f32)> {
    let mut found = Vec::new();
    for (name, kind, times) in [
        ("flex", DeviceKind::Flex, 1.0),
        ("wgpu", DeviceKind::Wgpu, 10.0),
    ] {
        if is_there(name) {
            let (listed, _) = choose_kind(kind).expect("the device is there");
            found.push((name, listed.device, times));
        }
    }
    found
}

/// A golden model: its configuration, and its weights in the form in which an import reads them.
struct Subject {
    config: ModelConfig,
    import: Import,
}

impl Subject {
    fn open(dir: &Path) -> Self {
        let import = Import::open(dir).expect("the folder can be imported");
        let config = import.model().clone();
        Self { config, import }
    }

    /// Builds a model of `config`, which may have only some of the golden model's parameters.
    fn model(&self, config: &ModelConfig, device: &Device) -> LoopedTransformer {
        let Ok(weights) = Weights::given(config, device, |row| {
            let values = self.import.values(&row.name).expect("readable");
            Ok::<_, Infallible>(values.expect("a parameter of the golden model"))
        });
        LoopedTransformer::with_weights(config, &weights)
    }

    /// Returns the configuration with only the first `layers` layers, and without the norm after
    /// each iteration.
    fn first_layers(&self, layers: usize) -> ModelConfig {
        let mut config = self.config.clone();
        config.layers.core = layers;
        config.boundary_norm = BoundaryNorm::None;
        config
    }
}

fn ids(ids: &[i64], shape: [usize; 2], device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i32> = ids.iter().map(|id| *id as i32).collect();
    Tensor::from_data(TensorData::new(ids, shape), device)
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter().collect()
}

#[track_caller]
fn assert_within(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let pairs = found.iter().zip(expected);
    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= tolerance, "{what}: {worst:e} > {tolerance:e}");
}

/// Returns an initial state that has no effect: these models start from their input.
fn unread(config: &ModelConfig, [batch, seq]: [usize; 2], device: &Device) -> Tensor<3> {
    Tensor::zeros([batch, seq, config.d_model], device)
}

#[test]
fn states_logits_and_likelihoods_of_all_stacks_are_their_librarys() {
    for (on, device, times) in devices() {
        for name in STACKS {
            let subject = Subject::open(&stack(name));
            let golden = Golden::open(&stack(name).join("io.safetensors"));
            let (shape, config) = ([2, 40], &subject.config);
            let what = |part: &str| format!("{name} on {on}: {part}");
            let tokens = ids(golden.ids("input_ids"), shape, &device);
            let pass = Pass::new(config, shape[1], &device);
            let start = unread(config, shape, &device);
            let model = subject.model(config, &device);
            let embedded = values(model.start(&tokens, start.clone(), &pass));
            assert_within(
                &what("embedding"),
                &embedded,
                golden.floats("hidden.embed"),
                0.0,
            );
            for layer in 0..config.layers.core {
                let part = subject.first_layers(layer + 1);
                let model = subject.model(&part, &device);
                let forward = model.forward(tokens.clone(), start.clone(), &pass, 1, None);
                let part = format!("hidden.layer_{layer}");
                let (found, tolerance) = (values(forward.readout.latent), STACK.states * times);
                assert_within(&what(&part), &found, golden.floats(&part), tolerance);
            }
            let hidden = model.forward(tokens, start, &pass, 1, None).readout.hidden;
            let found = values(hidden.clone());
            let expected = golden.floats("hidden.final_norm");
            assert_within(&what("final norm"), &found, expected, STACK.states * times);
            let logits = values(model.logits(hidden.clone()));
            let expected = golden.floats("logits");
            assert_within(&what("logits"), &logits, expected, STACK.logits * times);
            // The likelihood of each token except the first, computed by the kernel of the loss.
            let next: Vec<i64> = golden
                .ids("input_ids")
                .chunks(40)
                .flat_map(shifted)
                .collect();
            let next = ids(&next, shape, &device);
            let losses = values(head_losses(hidden, model.head(), next, false).losses);
            let rows = losses.chunks(40).flat_map(|row| &row[..39]);
            let found: Vec<f32> = rows.map(|loss| -loss).collect();
            let expected = golden.floats("token_log_likelihood");
            let tolerance = STACK.likelihoods * times;
            assert_within(&what("likelihoods"), &found, expected, tolerance);
        }
    }
}

/// Returns the next token for each token of a row. An arbitrary token follows the last one.
fn shifted(row: &[i64]) -> Vec<i64> {
    [&row[1..], &[0]].concat()
}

#[test]
fn gradients_of_all_stacks_are_their_librarys() {
    for (on, device, times) in devices() {
        let device = device.autodiff();
        for name in STACKS {
            let subject = Subject::open(&stack(name));
            let config = &subject.config;
            let io = Golden::open(&stack(name).join("io.safetensors"));
            let expected = Golden::open(&stack(name).join("grad.safetensors"));
            let rows = io.ids("input_ids").chunks(40);
            let (inputs, targets): (Vec<&[i64]>, Vec<&[i64]>) =
                rows.map(|row| (&row[..39], &row[1..])).unzip();
            let shape = [2, 39];
            let model = subject.model(config, &device);
            let pass = Pass::new(config, shape[1], &device);
            let once = Unroll {
                no_grad: 0,
                with_grad: 1,
            };
            let targets = ids(&targets.concat(), shape, &device);
            let seen = model.differentiate(
                ids(&inputs.concat(), shape, &device),
                unread(config, shape, &device.clone().without_autodiff()),
                &pass,
                once,
                None,
                |readout: &Readout| {
                    let hidden = readout.hidden.clone();
                    head_cross_entropy(hidden, model.head(), targets, None, false).loss
                },
            );
            let loss = values(seen.loss);
            let tolerance = STACK.loss * times;
            let what = format!("{name} on {on}: loss");
            assert_within(&what, &loss, io.floats("loss"), tolerance);
            let mut compared = 0;
            let gradients = seen.gradients.into_tensors().into_iter().map(values);
            for (row, found) in table(config).iter().zip(gradients) {
                let there = Family::of_model(config).counterpart(config, row);
                let there = there.expect("every parameter has a counterpart");
                let width = row.shape.last().copied().unwrap_or(1);
                let mut first = 0;
                for part in there.parts() {
                    let expected = expected.floats(&part.name);
                    let found: Vec<f32> = match (there.is_transposed(), &part.shape[..]) {
                        (true, &[columns, rows]) => {
                            let at = |i: usize| found[i % rows * width + first + i / rows];
                            let values = (0..expected.len()).map(at).collect();
                            first += columns;
                            values
                        }
                        _ => {
                            let values = found[first..first + expected.len()].to_vec();
                            first += expected.len();
                            values
                        }
                    };
                    let off = relative(&found, expected);
                    let tolerance = STACK.gradients * f64::from(times);
                    assert!(
                        off <= tolerance,
                        "{name} on {on}, {}: {off:e} > {tolerance:e}",
                        part.name
                    );
                    compared += 1;
                }
            }
            assert_eq!(compared, expected.floats.len(), "{name}: all of them");
        }
    }
}

/// Returns the norm of the difference, divided by the norm of the expected values.
fn relative(found: &[f32], expected: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let differences = found.iter().zip(expected);
    let difference: f64 = differences.map(|(a, b)| square(f64::from(a - b))).sum();
    let size: f64 = expected.iter().map(|x| square(f64::from(*x))).sum();
    (difference / size).sqrt()
}

#[test]
fn states_and_logits_of_ouros_four_steps_are_its_own() {
    for (on, device, times) in devices() {
        let subject = Subject::open(&ouro());
        let golden = Golden::open(&ouro().join("io.safetensors"));
        let (shape, config) = ([2, 24], &subject.config);
        let what = |part: &str| format!("ouro on {on}: {part}");
        let tokens = ids(golden.ids("input_ids"), shape, &device);
        let pass = Pass::new(config, shape[1], &device);
        let start = unread(config, shape, &device);
        let model = subject.model(config, &device);
        let mut state = model.start(&tokens, start.clone(), &pass);
        let embedded = values(state.clone());
        assert_within(
            &what("embedding"),
            &embedded,
            golden.floats("hidden.embed"),
            0.0,
        );
        let mut steps = Vec::new();
        let depths = [1, 2, 3, 4];
        model.forward_at_depths(tokens.clone(), start, &pass, &depths, |step, readout| {
            steps.push((step, readout));
        });
        for (step, readout) in steps {
            // The state between two layers is computed by a model of the first layers, which starts
            // from the state after the previous iteration.
            for layer in 0..config.layers.core {
                let mut part = subject.first_layers(layer + 1);
                part.state_init = StateInit::Zero;
                let model = subject.model(&part, &device);
                let forward = model.forward(tokens.clone(), state.clone(), &pass, 1, None);
                let name = format!("step_{step}.layer_{layer}");
                let found = values(forward.readout.latent);
                assert_within(
                    &what(&name),
                    &found,
                    golden.floats(&name),
                    OURO.states * times,
                );
            }
            state = readout.latent.clone();
            let name = format!("step_{step}.state");
            for found in [readout.latent, readout.hidden.clone()] {
                let found = values(found);
                assert_within(
                    &what(&name),
                    &found,
                    golden.floats(&name),
                    OURO.states * times,
                );
            }
            let name = format!("step_{step}.logits");
            let found = values(model.logits(readout.hidden));
            assert_within(
                &what(&name),
                &found,
                golden.floats(&name),
                OURO.logits * times,
            );
        }
    }
}

/// The golden file contains the library's f32 values, and the values of the published formula in
/// f64. They differ by up to 3.3e-7 (relative).
#[test]
fn the_frequencies_of_llama_3_are_those_of_its_published_settings() {
    let path = stack("llama").with_file_name("llama3-inv-freq.json");
    let text = std::fs::read_to_string(path).expect("the golden file is there");
    let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let all = all.as_object().expect("settings by name");
    assert_eq!(all.len(), 3);
    for (name, setting) in all {
        let number = |value: &serde_json::Value| value.as_f64().expect("a number");
        let rule = &setting["rope_scaling"];
        let scaling = RopeScaling::Llama3 {
            factor: number(&rule["factor"]),
            low_frequency: number(&rule["low_freq_factor"]),
            high_frequency: number(&rule["high_freq_factor"]),
            original_context: number(&rule["original_max_position_embeddings"]) as usize,
        };
        let (base, d_head) = (number(&setting["rope_theta"]), number(&setting["head_dim"]));
        for (key, tolerance) in [
            ("inv_freq_f32", 3.3e-7),
            ("inv_freq_f64_from_formula", 1e-14),
        ] {
            let expected = setting[key].as_array().expect("frequencies");
            assert_eq!(expected.len() * 2, d_head as usize);
            for (pair, expected) in expected.iter().map(number).enumerate() {
                let frequency = base.powf(-2.0 * pair as f64 / d_head);
                let off = scaling.scaled(frequency) / expected - 1.0;
                assert!(off.abs() < tolerance, "{name}, {key}[{pair}]: {off:e}");
            }
        }
    }
}
