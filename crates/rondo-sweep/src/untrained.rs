//! Finds out whether anything was trained in a sweep's directory. If not, its sweep file may still
//! be changed.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;

use crate::dir::{SUMMARY_FILE, SweepDir, entries, read_text};
use crate::error::{SweepError, at};

/// The folder of a run's checkpoints. Even an incomplete checkpoint shows that a step was trained.
const CHECKPOINTS: &str = "checkpoints";

/// The part of a metrics line that is read.
#[derive(Deserialize)]
struct Stepped {
    step: u64,
}

/// Returns whether no run of a sweep has a checkpoint, a summary or the record of a trained step,
/// and no run is being executed.
///
/// # Errors
///
/// Returns an error if a file operation fails.
pub(crate) fn is_untrained(dir: &SweepDir) -> Result<bool, SweepError> {
    for run in dir.plan() {
        let path = dir.run_dir(run);
        if path.is_dir() && (is_trained(&path)? || dir.is_busy(run)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns whether a run directory contains anything that shows a trained step.
fn is_trained(run: &Path) -> Result<bool, SweepError> {
    if run.join(SUMMARY_FILE).is_file() || !entries(&run.join(CHECKPOINTS))?.is_empty() {
        return Ok(true);
    }
    // The evaluation before the first step is recorded as step 0. An unreadable line counts as a
    // step, so that nothing is deleted by mistake.
    let metrics = read_text(&run.join("metrics.jsonl"))?.unwrap_or_default();
    let is_of_step = |line: &str| {
        let record = serde_json::from_str::<Stepped>(line);
        record.map_or(true, |record| record.step > 0)
    };
    let mut lines = metrics.lines().filter(|line| !line.trim().is_empty());
    Ok(lines.any(is_of_step))
}

/// Removes the directories, logs and marks that the runs of an untrained sweep left.
///
/// # Errors
///
/// Returns an error if a file operation fails.
pub(crate) fn clear(dir: &SweepDir) -> Result<(), SweepError> {
    for run in dir.plan() {
        let left = [dir.run_dir(run), dir.log(run), dir.mark(run)];
        for path in left {
            let removed = match path.is_dir() {
                true => fs::remove_dir_all(&path),
                false => fs::remove_file(&path),
            };
            match removed {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(at("remove", &path)(error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}
