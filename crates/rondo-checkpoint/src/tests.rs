//! Tests the guarantees of a checkpoint folder on real folders.

mod backs;
mod damage;
mod prefixes;
mod saves;
mod surveys;

use std::fs;
use std::path::Path;

use rondo_files::RunLock;

use crate::layout::Layout;
use crate::{Checkpoint, CheckpointError, Entry, Retention, Snapshot, save};

const KEEP_ALL: Retention = Retention {
    keep_last: usize::MAX,
    keep_every: None,
    keep_best: None,
};
const MODEL: &str = "model.safetensors";
const PROGRESS: &str = "progress.json";

/// Returns two files of different length. Their content names the step and the version.
fn contents(step: u64, version: &str) -> [(&'static str, Vec<u8>); 2] {
    let model = format!("weights of step {step}, version {version}");
    [
        (MODEL, model.into_bytes()),
        (PROGRESS, format!("{{\"step\":{step}}}").into_bytes()),
    ]
}

fn with_snapshot<T>(step: u64, version: &str, use_it: impl FnOnce(&Snapshot<'_>) -> T) -> T {
    let files = contents(step, version);
    let [(model, model_bytes), (progress, progress_bytes)] = &files;
    use_it(&Snapshot {
        step,
        config_hash: "c0ffee",
        created_by: "rondo 0.1.0",
        files: &[(model, model_bytes), (progress, progress_bytes)],
    })
}

fn commit(run: &Path, step: u64, version: &str) -> Result<Entry, CheckpointError> {
    let lock = RunLock::acquire(run).expect("the lock");
    with_snapshot(step, version, |snapshot| save(&lock, snapshot, &KEEP_ALL))
}

fn holds(checkpoint: &Checkpoint, step: u64, version: &str) -> bool {
    contents(step, version)
        .iter()
        .all(|(name, bytes)| checkpoint.read(name).is_ok_and(|read| read == *bytes))
}

/// Flips a bit in the model of step `step`.
fn damage(run: &Path, step: u64) {
    let path = Layout::of(run).step_dir(step).join(MODEL);
    let mut bytes = fs::read(&path).expect("a model");
    bytes[0] ^= 1;
    fs::write(path, bytes).expect("a damaged model");
}

/// Returns the sorted names in the checkpoints folder.
fn names(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(Layout::of(run).dir()).expect("the checkpoints folder");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
