//! The history of a run and the diagnosis of its failures, read from the metrics. Weights and
//! device are not needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rondo_diagnosis::{Diagnosis, DiagnosisConfig};
use rondo_metrics::names::{VAL_CROSS_ENTROPY, VAL_PERPLEXITY};
use rondo_metrics::{History, Kind};
use rondo_sweep::{Status, SweepDir};

use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::run_dir::RunDir;
use crate::run_dir::missing::train_it_first;

/// A run with its metrics and its diagnosis.
pub struct RunHistory {
    /// The name of the run's folder, or the path if another run has the same name.
    pub name: String,
    /// The path of the run's folder.
    pub path: PathBuf,
    /// The configuration. `None` if only the metrics exist, or another version has written the
    /// configuration.
    pub config: Option<RunConfig>,
    /// The records of the run.
    pub history: History,
    /// The diagnosis of the run.
    pub diagnosis: Diagnosis,
}

impl RunHistory {
    /// Opens all runs that have metrics. Calls `note` for each run that is skipped, and for
    /// thresholds that cannot be read.
    ///
    /// # Errors
    ///
    /// When a folder is missing, metrics are damaged, or none of the runs has metrics.
    pub fn open_all(paths: &[PathBuf], note: &mut dyn FnMut(&str)) -> Result<Vec<Self>> {
        let mut runs = Vec::new();
        for path in paths {
            match Self::open(path, note)? {
                Some(run) => runs.push(run),
                None => note(&format!(
                    "{}: no metrics yet; the run is left out",
                    path.display()
                )),
            }
        }
        if runs.is_empty() {
            return Err(Error::Usage(
                "none of the runs has metrics: train one with `trainer --config FILE`".to_owned(),
            ));
        }
        name_apart(&mut runs);
        Ok(runs)
    }

    /// Opens the run at `path`. `None` if the run has no metrics yet.
    ///
    /// # Errors
    ///
    /// When the folder is missing or the metrics are damaged.
    pub fn open(path: &Path, note: &mut dyn FnMut(&str)) -> Result<Option<Self>> {
        if !path.is_dir() {
            return Err(Error::Usage(format!(
                "{} is not a run directory: there is no such folder; {}",
                path.display(),
                train_it_first(path)
            )));
        }
        let run_dir = RunDir::new(path);
        if !run_dir.metrics().is_file() {
            return Ok(None);
        }
        let history = History::read(&run_dir.metrics())?;
        if history.records().is_empty() {
            return Ok(None);
        }
        let config = run_dir.has_config().then(|| run_dir.config());
        let config = config.and_then(|read| {
            read.inspect_err(|error| {
                note(&format!(
                    "{}: its thresholds cannot be read, so the defaults are used: {error}",
                    path.display()
                ));
            })
            .ok()
        });
        let thresholds = config
            .as_ref()
            .map_or_else(DiagnosisConfig::default, |config| config.diagnosis.clone());
        let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = whole.file_name().unwrap_or(path.as_os_str());
        Ok(Some(Self {
            name: name.to_string_lossy().into_owned(),
            path: path.to_owned(),
            config,
            diagnosis: Diagnosis::of(&thresholds, history.records()),
            history,
        }))
    }

    /// Returns the newest validation loss of the run at `path`, at the run's mean recurrence.
    ///
    /// # Errors
    ///
    /// When the folder is missing, the metrics are damaged, or the run has no evaluation.
    pub fn validation_loss(path: &str) -> Result<f64> {
        let metrics = RunDir::new(Path::new(path)).metrics();
        let missing = || {
            Error::Usage(format!(
                "{path}: no evaluation to take the dense loss from; train this run first, or name another \
                 in controller.target.loss.run"
            ))
        };
        if !metrics.is_file() {
            return Err(missing());
        }
        let history = History::read(&metrics)?;
        history.last(VAL_CROSS_ENTROPY).ok_or_else(missing)
    }

    /// Returns the newest perplexity at each recurrence depth.
    pub fn perplexities(&self) -> BTreeMap<usize, f64> {
        let depths = self.history.per_depth(VAL_PERPLEXITY);
        depths
            .into_iter()
            .filter_map(|(depth, readings)| Some((depth, readings.last()?.value)))
            .collect()
    }

    /// Returns the number of evaluations of the run.
    pub fn evaluations(&self) -> usize {
        self.history.of(Kind::Eval).count()
    }
}

/// Returns the directories of the finished runs of a sweep, and the number of all its runs. `None`
/// if `path` is not the directory of a sweep.
///
/// # Errors
///
/// When the sweep cannot be read.
pub fn finished_runs(path: &Path) -> Result<Option<(Vec<PathBuf>, usize)>> {
    if !path.join("sweep.toml").is_file() {
        return Ok(None);
    }
    let sweep = SweepDir::load(path)?;
    let mut finished = Vec::new();
    for run in sweep.plan() {
        if sweep.status(run)? == Status::Finished {
            finished.push(sweep.run_dir(run));
        }
    }
    Ok(Some((finished, sweep.plan().len())))
}

/// Renames runs that have the same name: each gets its path as the name.
fn name_apart(runs: &mut [RunHistory]) {
    let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
    for run in runs {
        if names.iter().filter(|name| **name == run.name).count() > 1 {
            run.name = run.path.display().to_string();
        }
    }
}
