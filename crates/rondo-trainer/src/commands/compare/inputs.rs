//! The runs to compare, given as run directories, sweeps, or patterns that match them.

use std::path::{Path, PathBuf};

use rondo_sweep::SweepDir;
use rondo_train::error::{Error, Result};
use rondo_train::run_dir::RunDir;

use crate::terminal;

/// Returns the run directories that the arguments stand for. A sweep's directory stands for its
/// runs with metrics. A pattern such as `runs/*` stands for the runs and sweeps that it matches. A
/// path that exists is never read as a pattern.
///
/// # Errors
///
/// Returns an error if a pattern is not valid or matches nothing, or a sweep cannot be read or has
/// no run with metrics.
pub(super) fn run_dirs(arguments: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut dirs = Vec::new();
    for argument in arguments {
        let text = argument.to_string_lossy();
        if argument.exists() || !text.contains(['*', '?', '[']) {
            dirs.extend(of_path(argument)?);
            continue;
        }
        for path in matches(&text)? {
            dirs.extend(of_path(&path)?);
        }
    }
    Ok(dirs)
}

/// Returns the runs and sweeps that a pattern matches, sorted by name.
fn matches(pattern: &str) -> Result<Vec<PathBuf>> {
    let found = glob::glob(pattern)
        .map_err(|error| Error::Usage(format!("{pattern}: not a pattern of paths: {error}")))?;
    let is_wanted = |path: &PathBuf| is_sweep(path) || RunDir::new(path).metrics().is_file();
    let paths: Vec<PathBuf> = found.filter_map(std::result::Result::ok).collect();
    let wanted: Vec<PathBuf> = paths
        .iter()
        .filter(|path| is_wanted(path))
        .cloned()
        .collect();
    match (wanted.is_empty(), paths.len()) {
        (false, _) => Ok(wanted),
        (true, 0) => Err(Error::Usage(format!("{pattern}: matches no path"))),
        (true, count) => Err(Error::Usage(format!(
            "{pattern}: none of the {count} paths that it matches is a run with metrics or a sweep"
        ))),
    }
}

fn is_sweep(path: &Path) -> bool {
    path.join("sweep.toml").is_file()
}

/// Returns the path itself if it is a run, or the runs of a sweep.
fn of_path(path: &Path) -> Result<Vec<PathBuf>> {
    if !is_sweep(path) {
        return Ok(vec![path.to_owned()]);
    }
    let sweep = SweepDir::load(path)?;
    let all: Vec<PathBuf> = sweep.plan().iter().map(|run| sweep.run_dir(run)).collect();
    let has_metrics = |dir: &&PathBuf| RunDir::new(dir).metrics().is_file();
    let begun: Vec<PathBuf> = all.iter().filter(has_metrics).cloned().collect();
    if begun.is_empty() {
        return Err(Error::Usage(format!(
            "{}: no run of this sweep has metrics yet; execute it with `trainer sweep`",
            path.display()
        )));
    }
    if begun.len() < all.len() {
        terminal::note(&format!(
            "{}: {} of {} runs have metrics; the others are left out",
            path.display(),
            begun.len(),
            all.len()
        ));
    }
    Ok(begun)
}
