//! Chooses the directory of a run: the directory that the user names, or a directory named after
//! the configuration and its settings.

use std::path::{Path, PathBuf};

use rondo_config::Difference;

use super::bearing::Bearing;
use super::resume::Resume;
use crate::config::RunConfig;
use crate::error::Result;
use crate::run_dir::missing::RUNS;
use crate::run_name;

/// Returns the run directory for the configuration file `config`. This is `out`, if given.
/// Otherwise it is the run that `resume` names, or else `runs/NAME`.
///
/// NAME is the name of the configuration, followed by those keys of `overrides` (from `--set`) that
/// change what the run computes. Keys that affect only its length, its measurements or its files
/// are left out. In this way, the run keeps its name when the values of these keys change.
///
/// # Errors
///
/// When one of `overrides` is not an assignment.
pub fn run_dir(
    config: &Path,
    overrides: &[String],
    out: Option<&Path>,
    resume: &Resume,
) -> Result<PathBuf> {
    if let Some(out) = out {
        return Ok(out.to_owned());
    }
    if let Resume::From(path) = resume {
        let run = path
            .parent()
            .and_then(Path::parent)
            .filter(|_| resume.names_a_checkpoint());
        return Ok(run.unwrap_or(path).to_owned());
    }
    let mut settings = RunConfig::document("--set", "", overrides)?.flatten();
    let unset = overrides
        .iter()
        .filter_map(|one| one.split_once('='))
        .filter(|(_, value)| value.trim() == "null");
    settings.extend(unset.map(|(key, _)| (key.trim().to_owned(), "none".to_owned())));
    settings.retain(|key, _| Bearing::of(key).names_a_run());
    let mut name = run_name::of_config(config);
    if let Some(settings) = run_name::of_settings(&settings) {
        name = format!("{name}-{settings}");
    }
    Ok(Path::new(RUNS).join(name))
}

/// Returns a directory for a run that differs from the run in the directory `run` by these keys.
pub(super) fn beside(run: &Path, differences: &[Difference]) -> PathBuf {
    let settings = differences.iter().map(|difference| {
        let value = difference.right.clone();
        (
            difference.key.clone(),
            value.unwrap_or_else(|| "none".to_owned()),
        )
    });
    let settings = run_name::of_settings(&settings.collect()).unwrap_or_default();
    let name = run.file_name().unwrap_or_default().to_string_lossy();
    run.with_file_name(format!("{name}-{settings}"))
}
