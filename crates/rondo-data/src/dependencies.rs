//! The default corpus: the Rust sources and Markdown of dependencies that every build has.
//!
//! Anyone who has built this workspace has these texts on disk, in cargo's registry folder or in a
//! vendored folder, so a first run needs neither a download nor a data set in the repository. The
//! crates are listed here, their versions come from `Cargo.lock`, and
//! `cargo metadata --offline --locked` gives their folders. Every listed crate is needed with any
//! features and on any platform.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::semver::Version;
use cargo_metadata::{CargoOpt, MetadataCommand};
use walkdir::{DirEntry, WalkDir};

use crate::error::DataError;

/// The crates, in the order in which they are read. Each is in the lock file only once.
pub const CRATES: [&str; 25] = [
    "burn-tensor",
    "burn-core",
    "burn-nn",
    "burn-autodiff",
    "burn-backend",
    "burn-std",
    "burn-dispatch",
    "burn-ir",
    "burn-linalg",
    "burn-derive",
    "tokenizers",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "rayon",
    "rayon-core",
    "clap_derive",
    "indicatif",
    "regex",
    "regex-syntax",
    "anyhow",
    "rand_distr",
    "toml",
    "walkdir",
];

/// The hash of the corpus, recorded when the versions last changed; see `CorpusInfo::corpus_hash`.
///
/// If the lock file has other versions, the corpus is different. Then `corpus.json` has
/// `matches_recorded: false`, and results measured on the recorded corpus are no longer comparable
/// to the last digit.
pub const EXPECTED_HASH: &str = "bce306217f15e5e9e26b3ec614041ca232d34740c5138ba21570da1727a232a7";

/// Files with more bytes are treated as generated tables.
const MAX_FILE_BYTES: u64 = 200_000;

/// Texts with a smaller share of letters and blanks are treated as tables too. Half of the Rust and
/// Markdown files have a share above 0.82. All files except tables have a share above 0.65, and
/// tables of code points have a share below 0.6.
const MIN_LETTERS: f64 = 0.6;

/// Folders with inputs and expected outputs of programs rather than programs.
const SKIPPED_FOLDERS: [&str; 4] = ["tests", "benches", "examples", "target"];

/// Returns the files of the corpus: crate by crate, each sorted.
pub(crate) fn files() -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    for folder in crate_folders()? {
        let wanted = |entry: &DirEntry| {
            let name = entry.file_name().to_string_lossy();
            let skipped = name.starts_with('.') || SKIPPED_FOLDERS.contains(&name.as_ref());
            entry.depth() == 0 || !(entry.file_type().is_dir() && skipped)
        };
        for entry in WalkDir::new(&folder)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(wanted)
        {
            let entry = entry.map_err(|error| DataError::Dependencies(error.to_string()))?;
            let is_text = entry
                .path()
                .extension()
                .is_some_and(|ending| ending == "rs" || ending == "md");
            if is_text && entry.file_type().is_file() && is_written_by_people(entry.path())? {
                files.push(entry.into_path());
            }
        }
    }
    Ok(files)
}

fn is_written_by_people(path: &Path) -> Result<bool, DataError> {
    let bytes = fs::read(path).map_err(DataError::io("read", path))?;
    let letters = bytes
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic() || byte.is_ascii_whitespace())
        .count();
    Ok(bytes.len() as u64 <= MAX_FILE_BYTES
        && letters as f64 >= MIN_LETTERS * bytes.len() as f64
        && std::str::from_utf8(&bytes).is_ok())
}

/// Asks cargo for the folders of the crates.
fn crate_folders() -> Result<Vec<PathBuf>, DataError> {
    let workspace = workspace()?;
    let metadata = MetadataCommand::new()
        .cargo_path(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(&workspace)
        .manifest_path(workspace.join("Cargo.toml"))
        // Asks for the smallest set of features, and only for the current platform.
        .features(CargoOpt::NoDefaultFeatures)
        .other_options(
            ["--offline", "--locked", "--filter-platform", "host-tuple"].map(str::to_owned),
        )
        .exec()
        .map_err(|error| DataError::Dependencies(first_paragraph(&error.to_string())))?;
    let mut folders: BTreeMap<&str, (&Version, PathBuf)> = BTreeMap::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let newest = folders
            .get(name)
            .is_none_or(|(version, _)| **version < package.version);
        if CRATES.contains(&name) && newest {
            let manifest = package.manifest_path.as_std_path();
            let folder = manifest.parent().unwrap_or(manifest).to_owned();
            folders.insert(name, (&package.version, folder));
        }
    }
    CRATES
        .iter()
        .map(|name| {
            let (_, folder) = folders
                .get(name)
                .ok_or_else(|| DataError::Dependencies(format!("cargo does not know `{name}`")))?;
            Ok(folder.clone())
        })
        .collect()
}

/// Returns `name version` of every crate, read from `Cargo.lock`.
pub(crate) fn fingerprint() -> Result<Vec<String>, DataError> {
    let path = workspace()?.join("Cargo.lock");
    let lock = fs::read_to_string(&path)
        .map_err(|error| DataError::Dependencies(format!("{}: {error}", path.display())))?;
    locked_versions(&lock)
}

/// Finds the versions in the text of a lock file, where cargo writes each package as the lines
/// `name = ".."` and `version = ".."`.
fn locked_versions(lock: &str) -> Result<Vec<String>, DataError> {
    let value = |line: &str, key: &str| {
        let quoted = line.strip_prefix(key)?.strip_prefix(" = \"")?;
        quoted.strip_suffix('"').map(str::to_owned)
    };
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut name = None;
    for line in lock.lines() {
        if let Some(found) = value(line, "name") {
            name = Some(found);
        } else if let Some(version) = value(line, "version")
            && let Some(name) = name.take()
        {
            versions.entry(name).or_default().push(version);
        }
    }
    CRATES
        .iter()
        .map(|name| {
            let found = versions
                .get(*name)
                .ok_or_else(|| DataError::Dependencies(format!("Cargo.lock lacks `{name}`")))?;
            Ok(format!("{name} {}", found.join(" ")))
        })
        .collect()
}

/// Finds the folder of this workspace: the current folder or a folder above it, or else the folder
/// where this crate was compiled.
fn workspace() -> Result<PathBuf, DataError> {
    let is_workspace = |folder: &Path| {
        folder.join("Cargo.toml").is_file() && folder.join("crates/rondo-data").is_dir()
    };
    let compiled = Path::new(env!("CARGO_MANIFEST_DIR"));
    env::current_dir()
        .ok()
        .iter()
        .flat_map(|folder| folder.ancestors())
        .chain(compiled.ancestors())
        .find(|folder| is_workspace(folder))
        .map(Path::to_owned)
        .ok_or_else(|| {
            DataError::Dependencies(format!(
                "no workspace of this trainer at or above the current folder, nor at {}",
                compiled.display()
            ))
        })
}

/// Returns the first part of cargo's message; hints and backtraces follow after an empty line.
fn first_paragraph(told: &str) -> String {
    let lines = told
        .trim()
        .lines()
        .take_while(|line| !line.trim().is_empty());
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_a_lock() {
        let mut lock = "version = 4\n\n".to_owned();
        for name in CRATES {
            let package = [
                "[[package]]\nname = \"",
                name,
                "\"\nversion = \"1.2.3\"\n\n",
            ];
            lock.push_str(&package.concat());
        }
        let versions = locked_versions(&lock).expect("complete");
        assert_eq!(versions[0], format!("{} 1.2.3", CRATES[0]));
        assert_eq!(versions.len(), CRATES.len());
        let error = locked_versions(&lock.replace("\"serde\"", "\"other\""));
        let message = error.expect_err("serde is gone").to_string();
        assert!(
            message.contains("`serde`") && message.contains("data.paths"),
            "{message}"
        );
    }

    #[test]
    fn tables_are_not_texts() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("t.rs");
        for (text, expected) in [
            (
                "pub fn add(a: u32, b: u32) -> u32 {\n    a + b\n}\n".to_owned(),
                true,
            ),
            ("(0x1e00, 0x1e01), (0x1e02, 0x1e03),\n".repeat(9), false),
            ("words and words\n".repeat(20_000), false),
        ] {
            fs::write(&path, text).expect("writable");
            assert_eq!(is_written_by_people(&path).expect("readable"), expected);
        }
    }

    #[test]
    fn the_crates_are_named_once_and_locked() {
        let distinct: std::collections::BTreeSet<&str> = CRATES.into_iter().collect();
        assert_eq!(distinct.len(), CRATES.len());
        for line in fingerprint().expect("the lock of this workspace") {
            assert_eq!(line.split(' ').count(), 2, "{line} is in the lock once");
        }
    }
}
