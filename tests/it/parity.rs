//! The numbers of the reference implementation, recomputed.
//!
//! tests/golden/raven-tiny was made with the public reference model (seal-rg/recurrent-pretraining,
//! PyTorch, f32, CPU, random weights, random norm scales and biases). `io.safetensors` holds its
//! inputs and outputs; labels there are aligned with the inputs. The tolerances are those of f32
//! sums in another order, measured as the largest absolute difference, for gradients as the norm of
//! the difference over the norm.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

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
use serde_json::Value;
use tempfile::TempDir;

use crate::devices::is_there;
use crate::harness::{assert_ok, root, run, scratch};

const DEPTHS: [usize; 3] = [1, 4, 8];
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

/// What the reference computed.
struct Golden(BTreeMap<String, Vec<f32>>, BTreeMap<String, Vec<i64>>);

impl Golden {
    fn open() -> Self {
        let bytes = fs::read(folder().join("io.safetensors")).expect("the golden file is there");
        let file = TensorFile::parse(&bytes).expect("the golden file is whole");
        let (mut floats, mut ids) = (BTreeMap::new(), BTreeMap::new());
        for tensor in file.tensors() {
            let name = tensor.name.clone();
            match tensor.f32_values() {
                Ok(values) => drop(floats.insert(name, values)),
                Err(_) => {
                    let (longs, _) = tensor.bytes.as_chunks::<8>();
                    let longs = longs.iter().map(|bytes| i64::from_le_bytes(*bytes));
                    ids.insert(name, longs.collect());
                }
            }
        }
        Self(floats, ids)
    }

    fn floats(&self, name: &str) -> &[f32] {
        &self.0[name]
    }

    fn ids(&self, name: &str) -> &[i64] {
        &self.1[name]
    }
}

fn folder() -> PathBuf {
    root().join("tests/golden/raven-tiny")
}

/// Imports the golden model; returns its run directory.
fn imported() -> (TempDir, PathBuf) {
    let dir = scratch();
    let out = dir.path().join("raven");
    let path = folder().display().to_string();
    assert_ok(&run(["import", &path, "--out", &out.display().to_string()]));
    (dir, out)
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

#[track_caller]
fn assert_within(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst <= tolerance, "{what}: differs by {worst}");
    assert!(found.iter().all(|x| x.is_finite()), "{what}");
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
        let golden = subject
            .golden
            .0
            .keys()
            .filter(|name| name.starts_with("grad."));
        assert_eq!(golden.count(), rows.len());
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

#[test]
fn greedy_tokens_are_the_references_with_and_without_a_cache() {
    let (dir, run_dir) = imported();
    let golden = Golden::open();
    let expected = golden.ids("greedy_r8_prompt5");
    let prompt = dir.path().join("prompt.json");
    fs::write(&prompt, format!("{:?}", &expected[..5])).expect("a file");
    for further in [&[][..], &["--no-cache"], &["--kv-budget", "8"]] {
        let (run_dir, prompt) = (run_dir.display().to_string(), prompt.display().to_string());
        let mut args = vec![
            "generate",
            &run_dir,
            "--tokens",
            &prompt,
            "--recurrence",
            "8",
        ];
        args.extend([
            "--initial-state",
            "zero",
            "--max-tokens",
            "12",
            "--device",
            "flex",
        ]);
        args.push("--json");
        args.extend(further);
        let ended = run(args);
        assert_ok(&ended);
        let tokens: Option<Vec<i64>> = ended.json()["tokens"]
            .as_array()
            .map(|all| all.iter().filter_map(Value::as_i64).collect());
        assert_eq!(tokens.as_deref(), Some(&expected[5..]), "{further:?}");
    }
}

#[test]
fn a_trace_from_the_command_line_holds_the_references_states_and_logits() {
    let (dir, run_dir) = imported();
    let golden = Golden::open();
    let io = folder().join("io.safetensors").display().to_string();
    let out = dir.path().join("trace.safetensors");
    let ended = run([
        "trace",
        &run_dir.display().to_string(),
        "--tokens",
        &io,
        "--initial-state",
        &io,
        "--recurrence",
        "8",
        "--device",
        "flex",
        "--out",
        &out.display().to_string(),
    ]);
    assert_ok(&ended);
    let bytes = fs::read(&out).expect("the trace is there");
    let file = TensorFile::parse(&bytes).expect("the trace is whole");
    let traced = |name: &str| {
        let tensor = file.get(name).unwrap_or_else(|| panic!("no {name}"));
        tensor.f32_values().expect("f32")
    };
    assert_eq!(traced("raw_state.0"), golden.floats("initial_state"));
    for r in DEPTHS {
        for name in ["state", "logits"] {
            let expected = golden.floats(&format!("{name}_r{r}"));
            assert_within(&traced(&format!("{name}.{r}")), expected, 2e-5, name);
        }
    }
    assert_eq!(file.tensors().len(), 1 + 9 + 8 + 8);
    let ids: Vec<u8> = golden
        .ids("input_ids")
        .iter()
        .flat_map(|id| id.to_le_bytes())
        .collect();
    assert_eq!(file.get("input_ids").expect("ids").bytes, ids);
}

#[test]
fn a_prompt_exits_at_the_references_iteration_where_predictions_decide() {
    let (_dir, run_dir) = imported();
    let golden = Golden::open();
    let (run_dir, io) = (
        run_dir.display().to_string(),
        folder().join("io.safetensors"),
    );
    let io = io.display().to_string();
    let criteria = ExitCriterion::ALL.into_iter();
    for criterion in criteria.filter(|criterion| criterion.reads_logits()) {
        let name = criterion.name();
        let mut args = vec!["generate", &run_dir, "--tokens", &io, "--exit", name];
        args.extend(["--max-recurrence", "32", "--initial-state", "zero"]);
        args.extend(["--max-tokens", "1", "--device", "flex", "--json"]);
        let ended = run(args);
        assert_ok(&ended);
        let expected = match golden.ids(&format!("exit.{name}.step"))[0] {
            -1 => 32,
            step => step,
        };
        assert_eq!(ended.json()["iterations"][0], expected, "{name}");
    }
}
