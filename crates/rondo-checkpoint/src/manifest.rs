//! The manifest: the file that lists all other files of a checkpoint, with size and hash.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::CheckpointError;

/// The version of the checkpoint format. It increases when an older program could misread a newer
/// checkpoint.
pub const FORMAT: u32 = 1;

/// The file name of the manifest. No other file may have this name.
pub(crate) const MANIFEST: &str = "manifest.json";

/// The maximum size of a manifest, in bytes. A file takes about 200 bytes, so a manifest has room
/// for five thousand files.
pub(crate) const MAX_MANIFEST: u64 = 1 << 20;

/// The description of a checkpoint: its step, its origin and its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the format, [`FORMAT`].
    pub format: u32,
    /// The number of optimizer steps taken.
    pub step: u64,
    /// The hash of the configuration that the checkpoint was trained with. The trainer computes
    /// this hash.
    pub config_hash: String,
    /// The program and version that wrote the checkpoint.
    pub created_by: String,
    /// Every file of the folder except the manifest, by ascending name.
    pub files: Vec<FileRecord>,
    /// The BLAKE3 hash of this manifest with an empty seal. It protects the fields of the manifest,
    /// which no other hash covers.
    seal: String,
}

/// One file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// The file's name, without a path.
    pub name: String,
    /// The file's size in bytes.
    pub size: u64,
    /// The BLAKE3 hash of the file's content: 64 lower-case hexadecimal digits.
    pub blake3: String,
}

impl Manifest {
    pub(crate) fn new(
        step: u64,
        config_hash: &str,
        created_by: &str,
        mut files: Vec<FileRecord>,
    ) -> serde_json::Result<Self> {
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let mut manifest = Self {
            format: FORMAT,
            step,
            config_hash: config_hash.to_owned(),
            created_by: created_by.to_owned(),
            files,
            seal: String::new(),
        };
        manifest.seal = manifest.hash_of_fields()?;
        Ok(manifest)
    }

    pub(crate) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }

    /// Reads a manifest from arbitrary bytes. Every error contains `path`.
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Self, CheckpointError> {
        /// The only field that manifests of every format have. It says whether the other fields can
        /// be read.
        #[derive(Deserialize)]
        struct Versioned {
            format: u32,
        }
        let not_a_manifest = |source| CheckpointError::Manifest {
            path: path.to_path_buf(),
            source,
        };
        let Versioned { format } = serde_json::from_slice(bytes).map_err(not_a_manifest)?;
        if format != FORMAT {
            let path = path.to_path_buf();
            return Err(CheckpointError::Format {
                path,
                expected: FORMAT,
                actual: format,
            });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(not_a_manifest)?;
        let actual = manifest.hash_of_fields().map_err(not_a_manifest)?;
        if actual != manifest.seal {
            let (path, expected) = (path.to_path_buf(), manifest.seal);
            return Err(CheckpointError::Seal {
                path,
                expected,
                actual,
            });
        }
        check_names(manifest.files.iter().map(|file| file.name.as_str()), path)?;
        Ok(manifest)
    }

    fn hash_of_fields(&self) -> serde_json::Result<String> {
        let unsealed = Self {
            seal: String::new(),
            ..self.clone()
        };
        Ok(hex(blake3::hash(&unsealed.to_json()?)))
    }
}

/// Refuses names that could lead out of the folder, names that a case-insensitive file system could
/// confuse, names that occur twice, and the manifest's own name. Every error contains the path
/// `manifest`.
pub(crate) fn check_names<'a>(
    names: impl Iterator<Item = &'a str>,
    manifest: &Path,
) -> Result<(), CheckpointError> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        let problem = if !is_plain(name) {
            "which is not 1 to 128 of the characters a-z 0-9 . _ - without a leading dot"
        } else if name == MANIFEST {
            "which is the manifest's own name"
        } else if !seen.insert(name) {
            "which it names twice"
        } else {
            continue;
        };
        let (path, name) = (manifest.to_path_buf(), name.to_owned());
        return Err(CheckpointError::FileName {
            path,
            name,
            problem,
        });
    }
    Ok(())
}

fn is_plain(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

pub(crate) fn hex(hash: blake3::Hash) -> String {
    hash.to_hex().as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Result<(), CheckpointError> {
        check_names(names.iter().copied(), Path::new(MANIFEST))
    }

    #[test]
    fn only_plain_names_pass() {
        names(&["model.safetensors", "progress.json", "a_b-0"]).expect("plain names");
        for bad in [
            "", ".", "..", ".hidden", "a/b", "a\\b", "a:b", "Model", "a\0", "é", MANIFEST,
        ] {
            assert!(names(&[bad]).is_err(), "{bad:?}");
        }
        assert!(names(&["a", "b", "a"]).is_err());
        assert!(names(&["a".repeat(129).as_str()]).is_err());
    }

    #[test]
    fn a_manifest_reads_back_as_it_was_written() {
        let record = |name: &str| FileRecord {
            name: name.to_owned(),
            size: 3,
            blake3: "0f".to_owned(),
        };
        let written = Manifest::new(7, "c0", "rondo 0.1.0", vec![record("b"), record("a")])
            .expect("a manifest");
        let read = Manifest::parse(&written.to_json().expect("json"), Path::new(MANIFEST))
            .expect("the manifest just written");
        assert_eq!(read, written);
        assert_eq!(
            read.files
                .iter()
                .map(|f| f.name.as_str())
                .collect::<Vec<_>>(),
            ["a", "b"]
        );
    }
}
