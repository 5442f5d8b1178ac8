//! Reads the results of the reference.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rondo_files::TensorFile;
use tempfile::TempDir;

use crate::harness::{assert_ok, root, run, scratch};

/// The recurrence depths of the golden states and logits.
pub(super) const DEPTHS: [usize; 3] = [1, 4, 8];

/// The inputs and outputs of the reference by name: floats, and ids.
pub(super) struct Golden(BTreeMap<String, Vec<f32>>, BTreeMap<String, Vec<i64>>);

impl Golden {
    pub(super) fn open() -> Self {
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

    pub(super) fn floats(&self, name: &str) -> &[f32] {
        &self.0[name]
    }

    /// Returns the names of the float tensors that begin with this prefix.
    pub(super) fn names(&self, prefix: &str) -> Vec<&str> {
        let names = self.0.keys().map(String::as_str);
        names.filter(|name| name.starts_with(prefix)).collect()
    }

    pub(super) fn ids(&self, name: &str) -> &[i64] {
        &self.1[name]
    }
}

pub(super) fn folder() -> PathBuf {
    root().join("tests/golden/raven-tiny")
}

/// Imports the golden model. Returns its run directory.
pub(super) fn imported() -> (TempDir, PathBuf) {
    let dir = scratch();
    let out = dir.path().join("raven");
    let path = folder().display().to_string();
    assert_ok(&run(["import", &path, "--out", &out.display().to_string()]));
    (dir, out)
}

#[track_caller]
pub(super) fn assert_within(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst <= tolerance, "{what}: differs by {worst}");
    assert!(found.iter().all(|x| x.is_finite()), "{what}");
}
