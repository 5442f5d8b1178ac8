//! Reads and writes the files in the directory of a run.
//!
//! ```text
//! config.toml           the configuration of the newest launch
//! launches.jsonl        every launch: time, build, configuration and first step
//! run.json              argv, versions, device, host
//! metrics.jsonl         all records of the run
//! events.out.tfevents.* copies of the records, for TensorBoard
//! checkpoints/          step-00000400/, …, latest
//! summary.json          the result of a finished run
//! tasks/                outcomes of benchmark items, by checkpoint: [`outcomes`]
//! tokenizer.json        the tokenizer of the run's text, if the run uses text
//!                       further files beside the tokenizer: [`companions`]
//! ```

pub mod companions;
pub(crate) mod missing;
pub mod outcomes;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rondo_checkpoint::{Checkpoint, CheckpointError, Which, open};
use rondo_data::{EndOfText, Tokenizer};
use rondo_files::{
    Disk, FileSystem, LOCK_FILE, RunLock, at, atomic_write, if_there, is_leftover, replace,
};
use rondo_interchange::SpecialTokens;
use rondo_metrics::tensorboard::event_files;

use self::companions::{COMPANIONS, SPECIAL_FILE, TOKENIZER_CONFIG_FILE};
use self::outcomes::TASKS_FOLDER;
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::validation_losses::ValidationLosses;

const CONFIG_FILE: &str = "config.toml";
const SUMMARY_FILE: &str = "summary.json";
/// The folder into which earlier versions wrote event files. Now these are next to the metrics.
const EVENTS_FOLDER: &str = "tensorboard";
/// The program's name and version, as checkpoints, launches and `run.json` record them.
pub const CREATED_BY: &str = concat!("rondo ", env!("CARGO_PKG_VERSION"));
/// The file name of a tokenizer in a run directory, and in a folder with the layout of the
/// reference implementation.
pub const TOKENIZER_FILE: &str = "tokenizer.json";

/// Selects a checkpoint of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointChoice {
    /// The newest checkpoint.
    Latest,
    /// The checkpoint with the lowest validation loss at the mean recurrence.
    Best,
    /// The checkpoint after this many steps.
    Step(u64),
}

impl FromStr for CheckpointChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "latest" => Ok(Self::Latest),
            "best" => Ok(Self::Best),
            step => step
                .parse()
                .map(Self::Step)
                .map_err(|_| format!("expected `latest`, `best` or a step number, found `{step}`")),
        }
    }
}

/// The directory of a run, with access to its files.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Creates a reference to the directory at `path`, which need not exist.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the file with the metrics.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Returns the path of the file with the launches.
    pub fn launches(&self) -> PathBuf {
        self.path.join("launches.jsonl")
    }

    /// Returns the path of the folder into which earlier versions wrote event files.
    pub fn earlier_event_files(&self) -> PathBuf {
        self.path.join(EVENTS_FOLDER)
    }

    /// Returns whether the directory has a configuration.
    pub fn has_config(&self) -> bool {
        self.path.join(CONFIG_FILE).is_file()
    }

    /// Returns the configuration of the newest launch.
    ///
    /// # Errors
    ///
    /// When there is no run, or its configuration cannot be read.
    pub fn config(&self) -> Result<RunConfig> {
        if !self.has_config() {
            let path = self.path.display();
            return Err(Error::Usage(match self.path.exists() {
                true => format!("{path} is not a run directory: it has no {CONFIG_FILE}"),
                false => {
                    let cure = missing::train_it_first(&self.path);
                    format!("there is no run at {path}; {cure}")
                }
            }));
        }
        RunConfig::load(&self.path.join(CONFIG_FILE), &[])
    }

    /// Returns whether the directory is empty. A lock file and files that a killed start has left
    /// do not count.
    pub fn is_empty(&self) -> bool {
        let is_other = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.is_ok_and(|entry| {
                let name = entry.file_name();
                name != LOCK_FILE && !is_leftover(&name)
            })
        };
        std::fs::read_dir(&self.path).map_or(true, |mut entries| !entries.any(is_other))
    }

    /// Locks the directory and prepares it for a new run, like [`RunDir::clear`].
    ///
    /// # Errors
    ///
    /// When another process trains in this directory, or the directory cannot be written.
    pub fn create(&self, config: &RunConfig) -> Result<RunLock> {
        let lock = self.lock()?;
        self.clear(config)?;
        Ok(lock)
    }

    /// Prepares a locked directory for a new run. Writes the configuration and removes all files of
    /// earlier runs except the list of launches.
    ///
    /// The configuration is replaced last and never removed, because it marks the directory as that
    /// of a run: if the process is killed in the middle, a later start still finds a run.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written.
    pub fn clear(&self, config: &RunConfig) -> Result<()> {
        self.clear_on(&FileSystem, config)
    }

    /// Does what [`Self::clear`] does, through `disk`.
    pub(crate) fn clear_on(&self, disk: &impl Disk, config: &RunConfig) -> Result<()> {
        let event_files = event_files(&self.path).map_err(at("read", &self.path))?;
        let event_files = event_files.iter().filter_map(|path| path.file_name());
        let known = [
            "checkpoints",
            EVENTS_FOLDER,
            TASKS_FOLDER,
            "metrics.jsonl",
            SUMMARY_FILE,
            "run.json",
            TOKENIZER_FILE,
            SPECIAL_FILE,
        ];
        let known = known.into_iter().chain(COMPANIONS).map(OsStr::new);
        for entry in known.chain(event_files) {
            let path = self.path.join(entry);
            let removed = match path.is_dir() {
                true => disk.remove_dir_all(&path),
                false => disk.remove_file(&path),
            };
            if_there(removed).map_err(at("remove", &path))?;
        }
        self.write_config_on(disk, config)
    }

    /// Locks the directory.
    ///
    /// # Errors
    ///
    /// When another process trains in this directory.
    pub fn lock(&self) -> Result<RunLock> {
        Ok(RunLock::acquire(&self.path)?)
    }

    /// Writes the configuration.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write_config(&self, config: &RunConfig) -> Result<()> {
        self.write_config_on(&FileSystem, config)
    }

    fn write_config_on(&self, disk: &impl Disk, config: &RunConfig) -> Result<()> {
        let text = config.to_toml()?;
        let path = self.path.join(CONFIG_FILE);
        Ok(replace(disk, &path, |out| out.write_all(text.as_bytes()))?)
    }

    /// Returns the path of the run's tokenizer. `None` for tasks and runs of older versions.
    pub fn tokenizer_path(&self) -> Option<PathBuf> {
        let path = self.path.join(TOKENIZER_FILE);
        path.is_file().then_some(path)
    }

    /// Returns the run's tokenizer. `None` for tasks and runs of older versions.
    ///
    /// # Errors
    ///
    /// When the file exists but is not a tokenizer.
    pub fn tokenizer(&self) -> Result<Option<Tokenizer>> {
        let Some(path) = self.tokenizer_path() else {
            return Ok(None);
        };
        let special = self.special_tokens()?.unwrap_or_default();
        Ok(Some(Tokenizer::load_with(&path, end_of_text(&special))?))
    }

    /// Writes the run's tokenizer and, if needed, the file that names its end-of-text token. If the
    /// run already has a tokenizer, writes nothing: the tokenizer of trained weights is never
    /// replaced.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn keep_tokenizer(&self, tokenizer: &Tokenizer) -> Result<()> {
        if self.tokenizer_path().is_some() {
            return Ok(());
        }
        if let Some(text) = tokenizer.config_file() {
            atomic_write(&self.path.join(TOKENIZER_CONFIG_FILE), &text)?;
        }
        let text = tokenizer.file()?;
        Ok(atomic_write(&self.path.join(TOKENIZER_FILE), &text)?)
    }

    /// Copies the tokenizer file `from` into the directory, unchanged.
    ///
    /// # Errors
    ///
    /// When the file cannot be copied.
    pub fn copy_tokenizer(&self, from: &Path) -> Result<()> {
        let to = self.path.join(TOKENIZER_FILE);
        std::fs::read(from)
            .and_then(|text| atomic_write(&to, &text).map_err(|error| error.source))
            .map_err(|error| anyhow::anyhow!("cannot copy {}: {error}", from.display()))?;
        Ok(())
    }

    fn write_json(&self, name: &str, value: &serde_json::Value) -> Result<()> {
        let text = format!("{value:#}\n");
        Ok(atomic_write(&self.path.join(name), text.as_bytes())?)
    }

    /// Returns the label of the device of the newest launch. `None` if `run.json` cannot be read.
    pub fn device(&self) -> Option<String> {
        let text = rondo_files::read_text(&self.path.join("run.json")).ok()?;
        let facts: serde_json::Value = serde_json::from_str(&text).ok()?;
        facts["device"].as_str().map(str::to_owned)
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write_facts(&self, facts: &serde_json::Value) -> Result<()> {
        self.write_json("run.json", facts)
    }

    /// Writes `summary.json`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write_summary(&self, summary: &serde_json::Value) -> Result<()> {
        self.write_json(SUMMARY_FILE, summary)
    }

    /// Removes the list of launches, for a run that is being replaced.
    ///
    /// # Errors
    ///
    /// When the file exists and cannot be removed.
    pub fn remove_launches(&self) -> Result<()> {
        remove_file(&self.launches())
    }

    /// Removes the summary. It is called when a finished run is resumed, because an unfinished run
    /// has no summary.
    ///
    /// # Errors
    ///
    /// When the file exists and cannot be removed.
    pub fn remove_summary(&self) -> Result<()> {
        remove_file(&self.path.join(SUMMARY_FILE))
    }

    /// Returns whether the run has a summary, that is, whether it is finished.
    pub fn has_summary(&self) -> bool {
        self.path.join(SUMMARY_FILE).is_file()
    }

    /// Returns the summary of the run, or null if the run is not finished.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn summary(&self) -> Result<serde_json::Value> {
        if !self.has_summary() {
            return Ok(serde_json::Value::Null);
        }
        let bytes = std::fs::read(self.path.join(SUMMARY_FILE)).map_err(anyhow::Error::from)?;
        Ok(serde_json::from_slice(&bytes).map_err(anyhow::Error::from)?)
    }

    /// Opens the checkpoint that `choice` selects.
    ///
    /// # Errors
    ///
    /// When there is no such checkpoint, or it is damaged.
    pub fn checkpoint(&self, choice: CheckpointChoice) -> Result<Checkpoint> {
        let which = match choice {
            CheckpointChoice::Latest => Which::Latest,
            CheckpointChoice::Step(step) => Which::Step(step),
            CheckpointChoice::Best => {
                let (step, _) = self.best()?.ok_or_else(|| {
                    Error::Foreign(format!(
                        "{}: no kept checkpoint has an evaluation; choose one by its step",
                        self.path.display()
                    ))
                })?;
                Which::Step(step)
            }
        };
        match open(&self.path, &which) {
            Err(CheckpointError::NotFound { path }) => {
                Err(Error::Foreign(missing::checkpoint(self, &path)))
            }
            opened => Ok(opened?),
        }
    }

    /// Returns the step and the validation loss of the kept checkpoint with the lowest loss. `None`
    /// if no kept checkpoint has an evaluation.
    ///
    /// # Errors
    ///
    /// When the folder of checkpoints or the metrics cannot be read.
    pub fn best(&self) -> Result<Option<(u64, f64)>> {
        let kept = rondo_checkpoint::list(&self.path)?;
        let losses = ValidationLosses::read(&self.metrics())?;
        Ok(losses.lowest(kept.iter().map(|entry| entry.step)))
    }
}

/// Removes a file if it exists.
fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(anyhow::anyhow!("cannot remove {}: {error}", path.display()).into())
        }
        _ => Ok(()),
    }
}

/// Returns how the end-of-text token of a tokenizer is found. `special` are the special tokens of
/// its model.
pub fn end_of_text(special: &SpecialTokens) -> EndOfText<'static> {
    let eos = special.eos_token_id.as_ref();
    let eos = eos.and_then(|ids| ids.as_slice().first().copied());
    eos.map_or(EndOfText::Found, EndOfText::OrElse)
}
