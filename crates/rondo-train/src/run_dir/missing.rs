//! Messages about a missing run or checkpoint, with the command that creates it.

use std::path::{Path, PathBuf};

use rondo_checkpoint::list;

use super::RunDir;
use crate::run_name;

/// The folder of runs for which the user gives no directory.
pub(crate) const RUNS: &str = "runs";
/// Folders to search for configurations, relative to the current directory.
const FOLDERS: [&str; 3] = ["configs", "", "configs/gpu"];

/// Returns advice on how to train the missing run at `run`.
pub(crate) fn train_it_first(run: &Path) -> String {
    let shown = run.display();
    match configuration_of(run) {
        Some(config) if Path::new(RUNS).join(run_name::of_config(&config)) == run => {
            format!("train it first: trainer {}", config.display())
        }
        Some(config) => format!("train it first: trainer {} --out {shown}", config.display()),
        None => format!("train it first: trainer CONFIG --out {shown}"),
    }
}

/// Finds a configuration file with the same name as a run directory.
fn configuration_of(run: &Path) -> Option<PathBuf> {
    let name = run.file_name()?.to_str()?;
    let mut files = FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join(format!("{name}.toml")));
    files.find(|file| file.is_file())
}

/// Explains why there is no checkpoint at `looked_for`, and what the user can do.
pub(super) fn checkpoint(run: &RunDir, looked_for: &Path) -> String {
    let path = run.path();
    let shown = path.display();
    if !run.has_config() {
        return format!("there is no run at {shown}; {}", train_it_first(path));
    }
    let kept = list(path).unwrap_or_default();
    let steps: Vec<String> = kept.iter().map(|entry| entry.step.to_string()).collect();
    match steps.is_empty() {
        true => format!(
            "{shown} has no checkpoint yet: its training has not reached the first one; the command that started it \
             continues it"
        ),
        false => format!(
            "no checkpoint at {}; those of this run are after the steps {}",
            looked_for.display(),
            steps.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_a_configuration_of_its_name_is_trained_into_its_directory() {
        assert_eq!(
            train_it_first(Path::new("runs/of-no-file")),
            "train it first: trainer CONFIG --out runs/of-no-file"
        );
    }
}
