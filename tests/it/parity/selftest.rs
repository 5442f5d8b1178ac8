//! Tests `trainer selftest --golden` on every device of this machine, and with incomplete folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rondo_files::{NamedTensor, TensorFile};
use rondo_model::exit::ExitCriterion;
use tempfile::TempDir;

use super::golden::{DEPTHS, Golden, folder};
use crate::devices::is_there;
use crate::harness::{Ended, assert_ok, refused, run, scratch};

/// The number of checks of tests/golden/raven-tiny: 6 at each of 3 depths, 1 loss, 39 parameters,
/// the values and the exit iteration of 6 criteria, and 1 for the first value of entropy-diff.
const CHECKS: usize = 6 * 3 + 1 + 39 + 6 * 2 + 1;

/// The documented tolerances of a device.
struct Allowed {
    states: f64,
    loss: f64,
    gradients: f64,
}

fn selftest(dir: &Path, device: &str, further: &[&str]) -> Ended {
    let dir = dir.display().to_string();
    let args = ["selftest", "--golden", &dir, "--device", device];
    run([&args[..], further].concat())
}

/// Returns the tolerance of every check by name.
fn expected(allowed: &Allowed) -> BTreeMap<String, f64> {
    let mut tolerances = BTreeMap::new();
    for r in DEPTHS {
        for name in [
            "state",
            "hidden",
            "logits",
            "recurrent_state_token_corr",
            "last_hidden_token_corr",
        ] {
            tolerances.insert(format!("{name}_r{r}"), allowed.states);
        }
        tolerances.insert(format!("loss_r{r}"), allowed.loss);
    }
    tolerances.insert("loss_n2_k3".to_owned(), allowed.loss);
    for name in Golden::open().names("grad.") {
        tolerances.insert(name.to_owned(), allowed.gradients);
    }
    for criterion in ExitCriterion::ALL {
        let name = format!("exit.{}", criterion.name());
        tolerances.insert(format!("{name}.step"), 0.0);
        if criterion == ExitCriterion::EntropyDiff {
            tolerances.insert(format!("{name}.values[0]"), 1e-3);
            tolerances.insert(format!("{name}.values[1..]"), allowed.states);
        } else {
            tolerances.insert(format!("{name}.values"), allowed.states);
        }
    }
    tolerances
}

#[track_caller]
fn assert_agrees(device: &str, allowed: &Allowed) {
    let ended = selftest(&folder(), device, &["--json"]);
    assert_ok(&ended);
    let report = ended.json();
    assert_eq!(report["golden"], folder().display().to_string());
    assert_eq!(report["passed"], true);
    let checks = report["checks"].as_array().expect("checks");
    assert_eq!(checks.len(), CHECKS);
    let mut found = BTreeMap::new();
    for check in checks {
        let number = |field: &str| check[field].as_f64().expect("a number");
        assert!(number("difference") <= number("tolerance"), "{check}");
        assert_eq!(check["passed"], true, "{check}");
        let name = check["name"].as_str().expect("a name");
        found.insert(name.to_owned(), number("tolerance"));
    }
    assert_eq!(found, expected(allowed));
}

#[test]
fn flex_computes_the_references_values() {
    let allowed = Allowed {
        states: 2e-5,
        loss: 1e-5,
        gradients: 1e-4,
    };
    assert_agrees("flex", &allowed);
}

#[test]
fn wgpu_computes_the_references_values() {
    if is_there("wgpu") {
        let allowed = Allowed {
            states: 2e-4,
            loss: 1e-4,
            gradients: 1e-3,
        };
        assert_agrees("wgpu", &allowed);
    }
}

/// Copies the golden folder, and changes the tensors in its io.safetensors.
fn altered(alter: impl FnOnce(&mut Vec<NamedTensor<'_>>)) -> TempDir {
    let dir = scratch();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(folder().join(name), dir.path().join(name)).expect("a copy");
    }
    let bytes = fs::read(folder().join("io.safetensors")).expect("the golden file is there");
    let file = TensorFile::parse(&bytes).expect("the golden file is whole");
    let mut tensors = file.into_tensors();
    alter(&mut tensors);
    let file = TensorFile::new(tensors, BTreeMap::new()).expect("tensors");
    let bytes = file.to_bytes().expect("a file");
    fs::write(dir.path().join("io.safetensors"), bytes).expect("a file can be written");
    dir
}

/// Changes the sign of a tensor's first number.
fn turn(tensors: &mut [NamedTensor<'_>], name: &str) {
    let found = tensors.iter_mut().find(|tensor| tensor.name == name);
    found.expect("the tensor is there").bytes.to_mut()[3] ^= 0x80;
}

#[test]
fn a_number_that_differs_fails_and_its_check_is_named() {
    let dir = altered(|tensors| turn(tensors, "logits_r4"));
    let ended = selftest(dir.path(), "flex", &["--json"]);
    let parts = ["other values than the reference", "do not train on it"];
    refused(&ended, 6, &parts);
    let report = ended.json();
    assert_eq!(report["passed"], false);
    let checks = report["checks"].as_array().expect("checks").iter();
    let failed: Vec<_> = checks.filter(|check| check["passed"] == false).collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0]["name"], "logits_r4");
    let difference = failed[0]["difference"].as_f64().expect("a number");
    assert!((difference - 2.0 * 0.627_407_6).abs() < 1e-4);

    let shown = selftest(dir.path(), "flex", &[]);
    refused(&shown, 6, &parts);
    let lines: Vec<&str> = shown.stdout.lines().collect();
    let (verdict, table) = lines.split_last().expect("lines");
    let failed = format!("1 of {CHECKS} checks failed");
    assert!(verdict.ends_with(&failed), "{verdict}");
    assert!(table.iter().all(|line| line.chars().count() <= 80));
    let rows = table.iter().filter(|line| line.ends_with("FAILED"));
    let rows: Vec<_> = rows.collect();
    assert!(
        rows.len() == 1 && rows[0].starts_with("logits_r4 "),
        "{rows:?}"
    );
}

#[test]
fn a_gradient_that_differs_fails_and_is_named_below_the_table() {
    let name = "grad.transformer.core_block.0.attn.Wqkv.weight";
    let dir = altered(|tensors| {
        let tensor = tensors.iter_mut().find(|tensor| tensor.name == name);
        let tensor = tensor.expect("the gradient is there");
        let (numbers, _) = tensor.bytes.to_mut().as_chunks_mut::<4>();
        numbers.iter_mut().for_each(|number| number[3] ^= 0x80);
    });
    let ended = selftest(dir.path(), "flex", &[]);
    refused(&ended, 6, &["other values than the reference"]);
    let worst = format!("gradient that differs most: {name}");
    assert!(ended.stdout.lines().any(|line| line == worst), "{ended:?}");
    let mut lines = ended.stdout.lines();
    let row = lines.find(|line| line.starts_with("grad.* (39 parameters) "));
    assert!(row.is_some_and(|row| row.ends_with("FAILED")), "{ended:?}");
}

#[test]
fn a_golden_folder_that_is_not_whole_is_refused_by_its_file_and_tensor() {
    for name in [
        "labels",
        "hidden_r4",
        "grad.transformer.ln_f.weight",
        "exit.kl.step",
    ] {
        let dir = altered(|tensors| tensors.retain(|tensor| tensor.name != name));
        let ended = selftest(dir.path(), "flex", &["--json"]);
        refused(&ended, 4, &["io.safetensors", "holds no tensor", name]);
        assert_eq!(ended.stdout, "");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    let dir = altered(|tensors| tensors.retain(|tensor| tensor.name != "loss_n2_k3"));
    let ended = selftest(dir.path(), "flex", &[]);
    refused(&ended, 4, &["io.safetensors", "loss_n…_k…"]);

    let inputs = ["input_ids", "labels", "initial_state"];
    let dir = altered(|tensors| tensors.retain(|tensor| inputs.contains(&tensor.name.as_str())));
    let ended = selftest(dir.path(), "flex", &[]);
    refused(&ended, 4, &["io.safetensors", "holds nothing to compare"]);

    fs::remove_file(dir.path().join("io.safetensors")).expect("it was written");
    let ended = selftest(dir.path(), "flex", &[]);
    refused(&ended, 4, &["io.safetensors", "cannot be read"]);
}

#[test]
fn a_golden_folder_has_no_training_steps() {
    let ended = selftest(&folder(), "flex", &["--steps", "3"]);
    refused(&ended, 2, &["--golden", "--steps", "cannot be used with"]);
}
