//! Tests imports from the reference's layout and exports to it: `imports`, `round_trips`,
//! `refusals`, and the tokens that begin and end texts.

mod ends_of_text;
mod imports;
mod refusals;
mod round_trips;
mod special_tokens;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rondo_files::{DType, NamedTensor, TensorFile};
use serde_json::Value;

use crate::harness::{self, Ended, root, run};

/// The tensors of one file, by name.
type Tensors = BTreeMap<String, (DType, Vec<usize>, Vec<u8>)>;

/// Changes the tensors of a file.
type Change<'a> = &'a dyn Fn(&mut Tensors);

fn golden() -> PathBuf {
    root().join("tests/golden/raven-tiny")
}

fn read(path: &Path) -> Tensors {
    let bytes = fs::read(path).expect("a tensor file");
    let file = TensorFile::parse(&bytes).expect("a whole tensor file");
    file.into_tensors()
        .into_iter()
        .map(|tensor| {
            (
                tensor.name,
                (tensor.dtype, tensor.shape, tensor.bytes.into_owned()),
            )
        })
        .collect()
}

fn write(path: &Path, tensors: &Tensors) {
    let named = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| NamedTensor {
            name: name.clone(),
            dtype: *dtype,
            shape: shape.clone(),
            bytes: bytes.as_slice().into(),
        });
    let file = TensorFile::new(named, BTreeMap::new()).expect("tensors");
    fs::write(path, file.to_bytes().expect("bytes")).expect("writable");
}

/// Copies the golden folder, and changes its tensors and its configuration.
fn altered(
    dir: &Path,
    tensors: impl FnOnce(&mut Tensors),
    config: impl FnOnce(&mut Value),
) -> PathBuf {
    let folder = dir.join("source");
    fs::create_dir_all(&folder).expect("a folder");
    let mut all = read(&golden().join("model.safetensors"));
    tensors(&mut all);
    write(&folder.join("model.safetensors"), &all);
    let text = fs::read(golden().join("config.json")).expect("a configuration");
    let mut value = serde_json::from_slice(&text).expect("JSON");
    config(&mut value);
    fs::write(folder.join("config.json"), value.to_string()).expect("writable");
    folder
}

fn import(from: &Path, out: &Path) -> Ended {
    run([
        "import".as_ref(),
        from.as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ])
}

fn export(from: &Path, out: &Path, further: &[&str]) -> Ended {
    let (from, out) = (from.display().to_string(), out.display().to_string());
    let mut args = vec!["export", &from, "--out", &out];
    args.extend(further);
    run(args)
}

/// Returns the tensors of an exported folder, except the rotary tables.
fn parameters(folder: &Path) -> Tensors {
    let mut tensors = read(&folder.join("model.safetensors"));
    assert!(tensors.remove("freqs_cis").is_some(), "an export has them");
    tensors
}

fn weights(run: &Path, step: u64) -> Vec<u8> {
    let path = format!("checkpoints/step-{step:08}/model.safetensors");
    fs::read(run.join(path)).expect("weights")
}

/// Asserts the exit code, that there is a single error message with these parts, and that `dir`
/// contains exactly `entries` entries.
#[track_caller]
fn refused(ended: &Ended, code: i32, parts: &[&str], dir: &Path, entries: usize) {
    harness::refused(ended, code, parts);
    let left: Vec<_> = fs::read_dir(dir)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left.len(), entries, "{left:?}");
}
