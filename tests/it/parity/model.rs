//! The model in this process, on every device that is there: states, losses, gradients, exits.

use std::fs;
use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData, s};
use rondo_checkpoint::TensorFile;
use rondo_model::config::ModelConfig;
use rondo_model::depth::Unroll;
use rondo_model::exit::{ExitCriterion, ExitMonitor};
use rondo_model::init::{ParameterSpec, Weights, table};
use rondo_model::looped::{LoopedTransformer, Readout};
use rondo_model::ops::head_cross_entropy;
use rondo_model::pass::Pass;
use rondo_model::recurrence::Trace;
use rondo_model::telemetry::{Reading, measure};

use super::golden::{DEPTHS, Golden, assert_within, imported};
use crate::devices::is_there;

/// Sequences and positions of the golden inputs.
const BATCH: usize = 2;
const SEQ: usize = 17;

/// A place to compute, and how closely it must agree.
struct Place {
    name: &'static str,
    device: Device,
    states: f32,
    loss: f32,
    gradients: f32,
}

/// Returns flex, and wgpu where it is built in and there.
fn places() -> Vec<Place> {
    let flex = Place {
        name: "flex",
        device: Device::flex(),
        states: 2e-5,
        loss: 1e-5,
        gradients: 1e-4,
    };
    std::iter::once(flex).chain(wgpu()).collect()
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Option<Place> {
    if !is_there("wgpu") {
        return None;
    }
    let devices = Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec();
    devices.into_iter().next().map(|device| Place {
        name: "wgpu",
        device,
        states: 2e-4,
        loss: 1e-4,
        gradients: 1e-3,
    })
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Option<Place> {
    is_there("wgpu");
    None
}

fn config(run: &Path) -> ModelConfig {
    let text = fs::read_to_string(run.join("config.toml")).expect("a run has a configuration");
    let table: toml::Table = toml::from_str(&text).expect("the configuration is TOML");
    table["model"].clone().try_into().expect("a model")
}

fn load(run: &Path, config: &ModelConfig, device: &Device) -> LoopedTransformer {
    let path = run.join("checkpoints/step-00000000/model.safetensors");
    let bytes = fs::read(path).expect("an imported run has weights");
    let file = TensorFile::parse(&bytes).expect("the weights are whole");
    let values = |row: &ParameterSpec| {
        let tensor = file.get(&row.name).expect("the weights are of this model");
        tensor.f32_values().expect("weights are f32")
    };
    LoopedTransformer::with_weights(config, &Weights::given(config, device, values))
}

/// The golden model on a device, with the golden inputs.
struct Subject {
    golden: Golden,
    config: ModelConfig,
    model: LoopedTransformer,
    device: Device,
}

impl Subject {
    fn new(run: &Path, device: &Device) -> Self {
        let config = config(run);
        Self {
            golden: Golden::open(),
            model: load(run, &config, device),
            config,
            device: device.clone(),
        }
    }

    fn ids(&self, name: &str) -> Tensor<2, Int> {
        let ids: Vec<i32> = self.golden.ids(name).iter().map(|id| *id as i32).collect();
        Tensor::from_data(TensorData::new(ids, [BATCH, SEQ]), &self.device)
    }

    fn pass(&self) -> Pass {
        Pass::new(&self.config, SEQ, &self.device)
    }

    fn state(&self) -> Tensor<3> {
        let values = self.golden.floats("initial_state").to_vec();
        let shape = [BATCH, SEQ, self.config.d_model];
        let device = self.device.clone().without_autodiff();
        Tensor::from_data(TensorData::new(values, shape), &device)
    }

    fn loss(&self, readout: &Readout) -> Tensor<1> {
        let (hidden, head) = (readout.hidden.clone(), self.model.head());
        head_cross_entropy(hidden, head, self.ids("labels"), None, false).loss
    }
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter().collect()
}

#[test]
fn states_hidden_logits_losses_and_correlations_are_the_references() {
    let (_dir, run) = imported();
    for place in places() {
        let subject = Subject::new(&run, &place.device);
        for r in DEPTHS {
            let mut trace = Trace::default();
            let forward = subject.model.forward(
                subject.ids("input_ids"),
                subject.state(),
                &subject.pass(),
                r,
                Some(&mut trace),
            );
            let golden = |name: &str| subject.golden.floats(&format!("{name}_r{r}"));
            let check = |name: &str, found: &[f32], tolerance: f32| {
                let what = format!("{}: {name} at {r} iterations", place.name);
                assert_within(found, golden(name), tolerance, &what);
            };
            let readout = forward.readout.clone();
            check("state", &values(readout.state), place.states);
            let logits = subject.model.logits(readout.hidden.clone());
            check("hidden", &values(readout.hidden), place.states);
            check("logits", &values(logits), place.states);
            check("loss", &values(subject.loss(&forward.readout)), place.loss);
            let reading = Reading::new(&values(measure(&forward, &trace)), SEQ);
            for (name, found) in [
                (
                    "recurrent_state_token_corr",
                    reading.recurrent_state_token_corr,
                ),
                ("last_hidden_token_corr", reading.last_hidden_token_corr),
            ] {
                let found = found.expect("a sequence has a correlation");
                check(name, &[found as f32], place.states);
            }
        }
    }
}

/// Returns the reference's name of a parameter, and whether its matrix is stored the other way.
fn reference_name(ours: &str) -> (String, bool) {
    let (place, layer, part) = match ours.split('.').collect::<Vec<_>>()[..] {
        ["tokens"] => return ("transformer.wte.weight".to_owned(), false),
        ["injection", "adapter"] => return ("transformer.adapter.weight".to_owned(), true),
        ["norm", "scale"] => return ("transformer.ln_f.weight".to_owned(), false),
        [stack, layer, first, last] => {
            let place = if stack == "core" { "core_block" } else { stack };
            (
                place.to_owned(),
                layer.to_owned(),
                format!("{first}.{last}"),
            )
        }
        _ => panic!("{ours} is no parameter of the reference"),
    };
    let (part, transposed) = match part.as_str() {
        "attention.qkv" => ("attn.Wqkv.weight", true),
        "attention.qk_bias" => ("attn.qk_bias", false),
        "attention.proj" => ("attn.proj.weight", true),
        "feed_forward.in_proj" => ("mlp.fc.weight", true),
        "feed_forward.out_proj" => ("mlp.proj.weight", true),
        "attn_in.scale" => ("norm_1.weight", false),
        "attn_out.scale" => ("norm_2.weight", false),
        "ffn_in.scale" => ("norm_3.weight", false),
        "ffn_out.scale" => ("norm_4.weight", false),
        other => panic!("{other} is no parameter of the reference"),
    };
    (format!("transformer.{place}.{layer}.{part}"), transposed)
}

#[test]
fn the_loss_and_every_gradient_of_two_free_and_three_tracked_iterations_are_the_references() {
    let (_dir, run) = imported();
    for place in places() {
        let subject = Subject::new(&run, &place.device.clone().autodiff());
        let unroll = Unroll {
            no_grad: 2,
            with_grad: 3,
        };
        let pass = subject.model.differentiate(
            subject.ids("input_ids"),
            subject.state(),
            &subject.pass(),
            unroll,
            None,
            |readout| subject.loss(readout),
        );
        let found = values(pass.loss);
        let what = format!("{}: loss", place.name);
        assert_within(
            &found,
            subject.golden.floats("loss_n2_k3"),
            place.loss,
            &what,
        );
        let gradients = pass.gradients.into_tensors();
        let rows = table(&subject.config);
        assert_eq!(gradients.len(), rows.len());
        assert_eq!(subject.golden.count("grad."), rows.len());
        for (row, found) in rows.iter().zip(gradients.into_iter().map(values)) {
            let (name, transposed) = reference_name(&row.name);
            let expected = subject.golden.floats(&format!("grad.{name}"));
            assert_eq!(found.len(), expected.len(), "{name}");
            let at = |i: usize| match (transposed, &row.shape[..]) {
                (true, [d_in, d_out]) => (i % d_out) * d_in + i / d_out,
                _ => i,
            };
            let (mut difference, mut norm) = (0.0_f64, 0.0_f64);
            for (i, x) in found.iter().enumerate() {
                let golden = expected[at(i)];
                difference += f64::from(x - golden).powi(2);
                norm += f64::from(golden).powi(2);
            }
            let relative = (difference / norm).sqrt();
            assert!(
                relative <= f64::from(place.gradients),
                "{}: {name}: {relative}",
                place.name
            );
        }
    }
}

#[test]
fn exit_values_and_exit_iterations_of_every_criterion_are_the_references() {
    const ENTROPY_FIRST: f32 = 1e-3;
    let (_dir, run) = imported();
    for place in places() {
        let subject = Subject::new(&run, &place.device);
        let tokens = subject.ids("input_ids").slice(s![0..1, ..]);
        let state = Tensor::<3>::zeros([1, SEQ, subject.config.d_model], &subject.device);
        let depths: Vec<usize> = (1..=32).collect();
        for criterion in ExitCriterion::ALL {
            let name = criterion.name();
            let mut monitor = ExitMonitor::new(criterion, state.clone());
            let mut found = Vec::new();
            subject.model.forward_at_depths(
                tokens.clone(),
                state.clone(),
                &subject.pass(),
                &depths,
                |_, readout| {
                    let logits = || subject.model.logits(readout.hidden.clone());
                    let seen = monitor.observe(&readout.latent, logits);
                    // The reference means states over positions, and predicts from the last one.
                    let value = match criterion.reads_logits() {
                        true => seen.slice(s![.., SEQ - 1..]).reshape([1]),
                        false => seen.mean(),
                    };
                    found.extend(values(value));
                },
            );
            let expected = subject.golden.floats(&format!("exit.{name}.values"));
            assert_eq!(found.len(), expected.len());
            let what = format!("{}: {name}", place.name);
            let (first, rest) = (found[0], &found[1..]);
            if expected[0].is_nan() {
                assert!(first.is_nan(), "{what}");
            } else {
                let tolerance = match criterion {
                    ExitCriterion::EntropyDiff => ENTROPY_FIRST,
                    _ => place.states,
                };
                assert_within(&[first], &expected[..1], tolerance, &what);
            }
            assert_within(rest, &expected[1..], place.states, &what);
            let threshold = criterion.default_threshold();
            let exits = |x: &f32| criterion.exits(f64::from(*x), threshold);
            let step = found.iter().position(exits).map_or(-1, |i| i as i64 + 1);
            assert_eq!(
                [step],
                subject.golden.ids(&format!("exit.{name}.step")),
                "{what}"
            );
        }
    }
}
