//! A run's directory: what is in it, and whether it may be written.
//!
//! ```text
//! config.toml   the resolved configuration       metrics.jsonl   the source of truth
//! run.json      argv, versions, device, host     tensorboard/    the same metrics
//! summary.json  the result, once finished        checkpoints/    step-00000400/, …, latest
//! tokenizer.json  how its text became tokens, where it has any
//! ```

use std::path::{Path, PathBuf};

use rondo_checkpoint::{
    Checkpoint, RunLock, Which, atomic_write, is_leftover, open, open_newest_good,
};
use rondo_config::difference;
use rondo_data::Tokenizer;
use rondo_metrics::{Kind, jsonl};

use crate::cli::{CheckpointChoice, Resume};
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::progress::RunProgress;

const CONFIG_FILE: &str = "config.toml";
const SUMMARY_FILE: &str = "summary.json";
const PROGRESS_FILE: &str = "progress.json";
/// The tokenizer of a run, and of a folder in the reference's layout.
pub(crate) const TOKENIZER_FILE: &str = "tokenizer.json";

/// Keys that a resumed run may change: budget, cadence, device, output, diagnosis and the rates to come.
const RESUMABLE: [&str; 12] = [
    "model.recurrence.recompute",
    "train.steps",
    "train.tokens",
    "train.log_every",
    "train.clip",
    "eval.",
    "checkpoint.",
    "metrics.",
    "diagnosis.",
    "device.",
    "schedule.",
    "data.cache",
];

/// The files of a run.
#[derive(Clone, Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
}

/// What a start finds in its run directory.
pub(crate) enum Start {
    /// Nothing: a new run.
    New,
    /// A checkpoint to go on from.
    Continue(Box<Checkpoint>),
    /// A run that has reached its budget.
    Finished(u64),
}

impl RunDir {
    /// Names the directory at `path`.
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    pub(crate) fn tensorboard(&self) -> PathBuf {
        self.path.join("tensorboard")
    }

    /// Returns whether there is a configuration.
    pub(crate) fn has_config(&self) -> bool {
        self.path.join(CONFIG_FILE).is_file()
    }

    /// Returns the configuration that the run was started with.
    ///
    /// # Errors
    ///
    /// Where there is no run or its configuration cannot be read.
    pub(crate) fn config(&self) -> Result<RunConfig> {
        if !self.has_config() {
            let path = self.path.display();
            return Err(Error::Usage(format!(
                "{path} is not a run directory: it has no {CONFIG_FILE}"
            )));
        }
        RunConfig::load(&self.path.join(CONFIG_FILE), &[])
    }

    /// Decides how to start, before anything is written.
    ///
    /// # Errors
    ///
    /// Where the directory holds something that must not be replaced, or the configuration differs
    /// from the run's in a key that a resume cannot change.
    pub(crate) fn start(
        &self,
        resume: &Resume,
        overwrite: bool,
        config: &RunConfig,
        steps: u64,
        warn: &mut dyn FnMut(String),
    ) -> Result<Start> {
        if overwrite || self.is_empty() {
            return match resume {
                Resume::From(path) if !overwrite => Err(Error::Usage(format!(
                    "--resume {}: there is no run to go on with",
                    path.display()
                ))),
                _ => Ok(Start::New),
            };
        }
        let shown = self.path.display();
        if *resume == Resume::Never {
            return Err(Error::Usage(format!(
                "{shown} is not empty; choose another --out, or replace it with --overwrite"
            )));
        }
        if !self.has_config() {
            return Err(Error::Usage(format!(
                "{shown} holds something that is not a run; choose another --out, or replace it with --overwrite"
            )));
        }
        self.refuse_changed_keys(config)?;
        let Some(checkpoint) = self.checkpoint_to_resume(resume, warn)? else {
            // The run was interrupted before its first checkpoint: it starts anew.
            return Ok(Start::New);
        };
        let progress = read_progress(&checkpoint)?;
        // Without a summary it was killed between its last checkpoint and its end.
        let is_told = self.path.join(SUMMARY_FILE).is_file();
        match progress.step >= steps && !progress.owes_evaluation && is_told {
            true => Ok(Start::Finished(progress.step)),
            false => Ok(Start::Continue(Box::new(checkpoint))),
        }
    }

    /// Returns whether nothing is there but a lock and what a killed start left of its configuration.
    pub(crate) fn is_empty(&self) -> bool {
        let is_other = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.is_ok_and(|entry| {
                let name = entry.file_name();
                name != ".lock" && !is_leftover(&name)
            })
        };
        std::fs::read_dir(&self.path).map_or(true, |mut entries| !entries.any(is_other))
    }

    fn checkpoint_to_resume(
        &self,
        resume: &Resume,
        warn: &mut dyn FnMut(String),
    ) -> Result<Option<Checkpoint>> {
        if let Resume::From(path) = resume
            && resume.names_a_checkpoint()
        {
            return Ok(Some(open(&self.path, &Which::Path(path.clone()))?));
        }
        let Some((checkpoint, rejected)) = open_newest_good(&self.path)? else {
            return Ok(None);
        };
        for rejected in rejected {
            warn(format!("passed over a damaged checkpoint: {rejected}"));
        }
        Ok(Some(checkpoint))
    }

    fn refuse_changed_keys(&self, config: &RunConfig) -> Result<()> {
        let known = self.config()?;
        let differences = difference(&known, config).map_err(anyhow::Error::from)?;
        let changed: Vec<String> = differences
            .into_iter()
            .filter(|difference| {
                !RESUMABLE.iter().any(|free| match free.strip_suffix('.') {
                    Some(section) => difference.key.split('.').next() == Some(section),
                    None => difference.key == *free,
                })
            })
            .map(|difference| {
                let show = |value: Option<String>| value.unwrap_or_else(|| "absent".to_owned());
                format!(
                    "  {}: {} in the run, {} now",
                    difference.key,
                    show(difference.left),
                    show(difference.right)
                )
            })
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        Err(Error::Foreign(format!(
            "{} was started with another configuration; go on with the same one, choose another \
             --out, or start over with --overwrite:\n{}",
            self.path.display(),
            changed.join("\n")
        )))
    }

    /// Makes the directory ready for a new run: locked and empty but for the configuration.
    ///
    /// # Errors
    ///
    /// Where another process trains there or the directory cannot be written.
    pub(crate) fn create(&self, config: &RunConfig) -> Result<RunLock> {
        let lock = RunLock::acquire(&self.path)?;
        for entry in [
            "checkpoints",
            "tensorboard",
            "metrics.jsonl",
            SUMMARY_FILE,
            "run.json",
            TOKENIZER_FILE,
            CONFIG_FILE,
        ] {
            let path = self.path.join(entry);
            let removed = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else if path.exists() {
                std::fs::remove_file(&path)
            } else {
                Ok(())
            };
            removed
                .map_err(|error| anyhow::anyhow!("cannot remove {}: {error}", path.display()))?;
        }
        self.write_config(config)?;
        Ok(lock)
    }

    /// Takes the directory of a run that goes on.
    ///
    /// # Errors
    ///
    /// Where another process trains there.
    pub(crate) fn lock(&self) -> Result<RunLock> {
        Ok(RunLock::acquire(&self.path)?)
    }

    /// Writes the resolved configuration.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub(crate) fn write_config(&self, config: &RunConfig) -> Result<()> {
        Ok(atomic_write(
            &self.path.join(CONFIG_FILE),
            config.to_toml()?.as_bytes(),
        )?)
    }

    /// Returns the path of the run's tokenizer; none on tasks and in runs of older versions.
    pub(crate) fn tokenizer_path(&self) -> Option<PathBuf> {
        let path = self.path.join(TOKENIZER_FILE);
        path.is_file().then_some(path)
    }

    /// Returns the run's tokenizer; none on tasks and in runs of older versions.
    ///
    /// # Errors
    ///
    /// Where the file is there and is not a tokenizer.
    pub(crate) fn tokenizer(&self) -> Result<Option<Tokenizer>> {
        let path = self.tokenizer_path();
        Ok(path.map(|path| Tokenizer::load(&path)).transpose()?)
    }

    /// Writes the run's tokenizer.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub(crate) fn write_tokenizer(&self, tokenizer: &Tokenizer) -> Result<()> {
        let text = tokenizer.file()?;
        Ok(atomic_write(&self.path.join(TOKENIZER_FILE), &text)?)
    }

    /// Takes a tokenizer file over as it is.
    ///
    /// # Errors
    ///
    /// Where it cannot be copied.
    pub(crate) fn copy_tokenizer(&self, from: &Path) -> Result<()> {
        let to = self.path.join(TOKENIZER_FILE);
        std::fs::copy(from, &to)
            .map_err(|error| anyhow::anyhow!("cannot copy {}: {error}", from.display()))?;
        Ok(())
    }

    fn write_json(&self, name: &str, value: &serde_json::Value) -> Result<()> {
        let text = format!("{value:#}\n");
        Ok(atomic_write(&self.path.join(name), text.as_bytes())?)
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub(crate) fn write_facts(&self, facts: &serde_json::Value) -> Result<()> {
        self.write_json("run.json", facts)
    }

    /// Writes `summary.json`.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub(crate) fn write_summary(&self, summary: &serde_json::Value) -> Result<()> {
        self.write_json(SUMMARY_FILE, summary)
    }

    /// Removes the summary of an end that a run goes on from: what is not yet finished has none.
    ///
    /// # Errors
    ///
    /// Where there is one and it cannot be removed.
    pub(crate) fn remove_summary(&self) -> Result<()> {
        let path = self.path.join(SUMMARY_FILE);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(anyhow::anyhow!("cannot remove {}: {error}", path.display()).into())
            }
            _ => Ok(()),
        }
    }

    /// Returns the summary of a finished run; null where it has none.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub(crate) fn summary(&self) -> Result<serde_json::Value> {
        let path = self.path.join(SUMMARY_FILE);
        if !path.is_file() {
            return Ok(serde_json::Value::Null);
        }
        let bytes = std::fs::read(&path).map_err(anyhow::Error::from)?;
        Ok(serde_json::from_slice(&bytes).map_err(anyhow::Error::from)?)
    }

    /// Opens the checkpoint that a reader asks for.
    ///
    /// # Errors
    ///
    /// Where there is none or it is damaged.
    pub(crate) fn checkpoint(&self, choice: CheckpointChoice) -> Result<Checkpoint> {
        let which = match choice {
            CheckpointChoice::Latest => Which::Latest,
            CheckpointChoice::Step(step) => Which::Step(step),
            CheckpointChoice::Best => Which::Step(self.best_step()?),
        };
        Ok(open(&self.path, &which)?)
    }

    fn best_step(&self) -> Result<u64> {
        let best = self.best()?.map(|(step, _)| step);
        best.ok_or_else(|| {
            Error::Foreign(format!(
                "{}: no kept checkpoint has an evaluation; choose one by its step",
                self.path.display()
            ))
        })
    }

    /// Returns the kept checkpoint whose step has the lowest validation cross entropy, and that.
    ///
    /// # Errors
    ///
    /// Where the folder or the metrics cannot be read.
    pub(crate) fn best(&self) -> Result<Option<(u64, f64)>> {
        let kept: Vec<u64> = rondo_checkpoint::list(&self.path)?
            .into_iter()
            .map(|entry| entry.step)
            .collect();
        let records = match self.metrics().is_file() {
            true => jsonl::read(&self.metrics()).map_err(anyhow::Error::from)?,
            false => Vec::new(),
        };
        Ok(records
            .iter()
            .filter(|record| record.kind == Kind::Eval && kept.contains(&record.step))
            .filter_map(|record| Some((record.step, record.number("val_cross_entropy")?)))
            .filter(|(_, loss)| loss.is_finite())
            .min_by(|a, b| a.1.total_cmp(&b.1)))
    }
}

/// Reads where the run of a checkpoint stands.
///
/// # Errors
///
/// Where the file is missing, damaged or of another format.
pub(crate) fn read_progress(checkpoint: &Checkpoint) -> Result<RunProgress> {
    let bytes = checkpoint.read(PROGRESS_FILE)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let path = checkpoint.path().join(PROGRESS_FILE);
        Error::Foreign(format!("{}: {error}", path.display()))
    })
}

/// Returns name and content of the progress file.
///
/// # Errors
///
/// Never on a value that serialises, as every progress does.
pub(crate) fn progress_file(progress: &RunProgress) -> Result<(&'static str, Vec<u8>)> {
    let text = serde_json::to_vec_pretty(progress).map_err(anyhow::Error::from)?;
    Ok((PROGRESS_FILE, text))
}
