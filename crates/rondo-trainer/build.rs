//! Passes the commit, the cargo features and the configurations of the repository to the program.
//!
//! The environment variable `RONDO_COMMIT` names the commit for builds without a repository. If it
//! is not set, git reports the commit. Without git, or outside this repository, the commit is
//! `unknown`. Cargo reruns this script only if a source of the program has changed, so a commit
//! alone causes no rebuild. A program that was built just before a commit still names the previous
//! commit, `with changes`.
//!
//! The script also writes the cargo features for `trainer --version`, and a table that compiles the
//! configurations into the program.

#![allow(
    clippy::print_stdout,
    reason = "it is how a build script speaks to cargo"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// The sources of the program that are outside its crates. Paths are relative to this crate.
const SOURCES: [&str; 4] = [
    "../../Cargo.toml",
    "../../Cargo.lock",
    CONFIGS,
    "../../data/first.txt",
];
/// The folder that contains the configurations.
const CONFIGS: &str = "../../configs";
/// The cargo features that `trainer --version` lists.
const FEATURES: [&str; 10] = [
    "wgpu", "gpu", "cuda", "rocm", "metal", "vulkan", "ndarray", "mpi", "columns", "hub",
];
/// The folders that contain configurations, relative to [`CONFIGS`].
const FOLDERS: [&str; 5] = ["", "field/", "field/sheets/", "gpu/", "sweeps/"];

fn main() -> io::Result<()> {
    let sources = sources()?;
    for source in &sources {
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rerun-if-env-changed=RONDO_COMMIT");
    let named = env::var("RONDO_COMMIT").ok();
    let (commit, changed) = match named.filter(|commit| !commit.is_empty()) {
        Some(commit) => (commit, "unknown"),
        None => from_git(&sources).unwrap_or_else(|| ("unknown".to_owned(), "unknown")),
    };
    println!("cargo::rustc-env=RONDO_COMMIT={commit}");
    println!("cargo::rustc-env=RONDO_CHANGED={changed}");
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo names no OUT_DIR"))?;
    let out = PathBuf::from(out);
    fs::write(out.join("version.txt"), version(&commit, changed))?;
    fs::write(out.join("shipped.rs"), configurations()?)
}

/// Returns the sources of the program: the code and manifest of each crate, without the book and
/// the examples.
fn sources() -> io::Result<Vec<String>> {
    let mut found = SOURCES.map(str::to_owned).to_vec();
    for entry in fs::read_dir("../../crates")? {
        let folder = entry?.path();
        let parts = ["src", "Cargo.toml", "build.rs"].map(|part| folder.join(part));
        let there = parts.into_iter().filter(|part| part.exists());
        found.extend(there.map(|part| part.to_string_lossy().into_owned()));
    }
    found.sort();
    Ok(found)
}

/// Returns what `trainer --version` prints after the name: version, commit, and cargo features.
fn version(commit: &str, changed: &str) -> String {
    let number = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let commit = match changed {
        "true" => format!("{commit}, with changes"),
        _ => commit.to_owned(),
    };
    let features = FEATURES.into_iter().filter(|feature| {
        let variable = format!("CARGO_FEATURE_{}", feature.to_uppercase());
        env::var_os(variable).is_some()
    });
    let mut features: Vec<&str> = features.collect();
    if features.is_empty() {
        features.push("none: the CPU alone");
    }
    format!(
        "{number}\ncommit    {commit}\nfeatures  {}",
        features.join(", ")
    )
}

/// Returns Rust code that defines a constant with the name and the text of each configuration.
fn configurations() -> io::Result<String> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        for entry in fs::read_dir(Path::new(CONFIGS).join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "toml")
                && let Some(stem) = path.file_stem()
            {
                let name = format!("{folder}{}", stem.to_string_lossy());
                found.push((name, path.canonicalize()?));
            }
        }
    }
    found.sort();
    let mut text = "const CONFIGURATIONS: &[Shipped] = &[\n".to_owned();
    for (name, path) in found {
        let path = path.display().to_string();
        // Writing to a `String` never fails.
        let _ = writeln!(
            text,
            "    Shipped {{ name: {name:?}, text: include_str!({path:?}) }},"
        );
    }
    text.push_str("];\n");
    Ok(text)
}

/// Returns the commit, and whether sources of the program differ from that commit.
fn from_git(sources: &[String]) -> Option<(String, &'static str)> {
    let root = Path::new("../..").canonicalize().ok()?;
    // The sources may have been unpacked inside another repository.
    let top = Path::new(git(&["rev-parse", "--show-toplevel"])?.trim())
        .canonicalize()
        .ok()?;
    if top != root {
        return None;
    }
    let commit = git(&["rev-parse", "HEAD"])?.trim().to_owned();
    let mut status = vec!["status", "--porcelain", "--untracked-files=no", "--"];
    status.extend(sources.iter().map(String::as_str));
    let changed = match git(&status)?.trim().is_empty() {
        true => "false",
        false => "true",
    };
    Some((commit, changed))
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(text)
}
