//! Tells the program which commit it was built from.
//!
//! `RONDO_COMMIT` of the environment counts where it is set, for builds without a repository. Else git is asked; without
//! git, or outside of this repository, the commit is `unknown`. The question is asked again only when something has
//! changed that the program is built from, so that a commit alone builds nothing: after one, the program still
//! names the commit that its build began from, and says that files were changed.

#![allow(
    clippy::print_stdout,
    reason = "it is how a build script speaks to cargo"
)]

use std::path::Path;
use std::process::Command;

/// What the program is built from, seen from this crate.
const SOURCES: [&str; 3] = ["../../crates", "../../Cargo.toml", "../../Cargo.lock"];

fn main() {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rerun-if-env-changed=RONDO_COMMIT");
    let named = std::env::var("RONDO_COMMIT").ok();
    let (commit, changed) = match named.filter(|commit| !commit.is_empty()) {
        Some(commit) => (commit, "unknown"),
        None => from_git().unwrap_or_else(|| ("unknown".to_owned(), "unknown")),
    };
    println!("cargo::rustc-env=RONDO_COMMIT={commit}");
    println!("cargo::rustc-env=RONDO_CHANGED={changed}");
}

/// Returns the commit, and whether files that the program is built from differ from it.
fn from_git() -> Option<(String, &'static str)> {
    let root = Path::new("../..").canonicalize().ok()?;
    // The sources may stand unpacked inside of another repository.
    let top = Path::new(git(&["rev-parse", "--show-toplevel"])?.trim())
        .canonicalize()
        .ok()?;
    if top != root {
        return None;
    }
    let commit = git(&["rev-parse", "HEAD"])?.trim().to_owned();
    let mut status = vec!["status", "--porcelain", "--untracked-files=no", "--"];
    status.extend(SOURCES);
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
