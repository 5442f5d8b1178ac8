//! The directory of a sweep.
//!
//! ```text
//! sweep.toml           the sweep file; written last when a sweep begins
//! base.toml            the base configuration, copied when the sweep began
//! runs/NAME/           an ordinary run directory
//! logs/NAME.log        the run's standard error
//! outcomes/NAME.json   the mark of a run that has ended
//! shards/I-of-N/       the lock of a running shard; shards/ itself has the lock of the results
//! ```
//!
//! A run without a mark is started or resumed; a run with a mark is not. A mark is written by one
//! rename after its run has ended, so the directory is consistent whenever a process is killed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rondo_config::{Document, Violations};
use rondo_files::{LOCK_FILE, LockError, RunLock};

use crate::error::{SweepError, at};
use crate::file::SweepFile;
use crate::outcome::{Outcome, Status, last_line};
use crate::plan::{Naming, Planned, expand};
use crate::sheet::Sheet;

pub(crate) const SWEEP_FILE: &str = "sweep.toml";
pub(crate) const BASE_FILE: &str = "base.toml";
pub(crate) const RUNS: &str = "runs";
pub(crate) const LOGS: &str = "logs";
pub(crate) const OUTCOMES: &str = "outcomes";
/// The file that a run writes when it finishes or stops by itself.
pub(crate) const SUMMARY_FILE: &str = "summary.json";
/// How many bytes at the end of a log are searched for the last line.
const TAIL: u64 = 8192;

/// A sweep on disk. It can be read at any time.
#[derive(Clone, Debug)]
pub struct SweepDir {
    path: PathBuf,
    naming: Naming,
    plan: Vec<Planned>,
    sheet: Option<Sheet>,
}

impl SweepDir {
    /// Opens the sweep at `path`.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no sweep or its file cannot be read.
    pub fn load(path: &Path) -> Result<Self, SweepError> {
        let file = read_file(path)?.ok_or_else(|| SweepError::NotASweep(path.to_owned()))?;
        Self::new(path, &file)
    }

    /// Returns the directory as it will be when `file` is executed at `path`. Changes nothing. If
    /// runs already exist there with names that an earlier version gave, these names are kept.
    ///
    /// # Errors
    ///
    /// Returns an error if a file operation fails.
    pub fn new(path: &Path, file: &SweepFile) -> Result<Self, SweepError> {
        let mut dir = Self {
            path: path.to_owned(),
            naming: Naming::Places,
            plan: expand(file, Naming::Places),
            sheet: file.sheet.clone(),
        };
        if !dir.has_begun()? {
            dir.naming = Naming::Values;
            dir.plan = expand(file, Naming::Values);
        }
        Ok(dir)
    }

    /// Returns whether any file or folder has the name of a run.
    fn has_begun(&self) -> Result<bool, SweepError> {
        let mut there = BTreeSet::new();
        for folder in [RUNS, LOGS, OUTCOMES] {
            there.extend(entries(&self.path.join(folder))?);
        }
        let is_there = |path: PathBuf| {
            let name = path.file_name().unwrap_or_default();
            there.contains(name.to_string_lossy().as_ref())
        };
        let mut plan = self.plan.iter();
        Ok(plan.any(|run| {
            [self.run_dir(run), self.log(run), self.mark(run)]
                .into_iter()
                .any(is_there)
        }))
    }

    /// Returns how the runs are named.
    pub fn naming(&self) -> Naming {
        self.naming
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns every run, in order.
    pub fn plan(&self) -> &[Planned] {
        &self.plan
    }

    /// Returns the layout of the results, if the sweep file has one.
    pub fn sheet(&self) -> Option<&Sheet> {
        self.sheet.as_ref()
    }

    /// Returns the path of the configuration from which every run starts.
    pub fn base(&self) -> PathBuf {
        self.path.join(BASE_FILE)
    }

    /// Returns the run directory of a run.
    pub fn run_dir(&self, run: &Planned) -> PathBuf {
        self.path.join(RUNS).join(&run.name)
    }

    /// Returns the file for a run's standard error.
    pub fn log(&self, run: &Planned) -> PathBuf {
        self.path.join(LOGS).join(format!("{}.log", run.name))
    }

    /// Returns the status of a run.
    ///
    /// # Errors
    ///
    /// Returns an error if its mark is damaged or a file operation fails.
    pub fn status(&self, run: &Planned) -> Result<Status, SweepError> {
        let run_dir = self.run_dir(run);
        match self.outcome(run)? {
            Some(Outcome::Failed(failure)) => Ok(Status::Failed(failure)),
            // If a finished run's directory was removed, the run is started again.
            Some(Outcome::Finished {}) if self.has_summary(run) => Ok(Status::Finished),
            _ => match entries(&run_dir)?.iter().all(|name| name == LOCK_FILE) {
                true => Ok(Status::Pending),
                false => Ok(Status::Unfinished),
            },
        }
    }

    /// Returns whether a run has written its summary.
    pub(crate) fn has_summary(&self, run: &Planned) -> bool {
        self.run_dir(run).join(SUMMARY_FILE).is_file()
    }

    /// Returns whether a process is working in the directory of a run.
    pub(crate) fn is_busy(&self, run: &Planned) -> Result<bool, SweepError> {
        match RunLock::acquire(&self.run_dir(run)) {
            Ok(_) => Ok(false),
            Err(LockError::Locked { .. }) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the last line of a run's log.
    pub(crate) fn last_words(&self, run: &Planned) -> Result<String, SweepError> {
        let path = self.log(run);
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&path)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
            let mut bytes = Vec::new();
            file.take(TAIL).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(last_line(&String::from_utf8_lossy(&bytes)).to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(at("read", &path)(error)),
        }
    }

    /// Returns the path of the mark that a run gets when it has ended.
    pub(crate) fn mark(&self, run: &Planned) -> PathBuf {
        self.path.join(OUTCOMES).join(format!("{}.json", run.name))
    }

    fn outcome(&self, run: &Planned) -> Result<Option<Outcome>, SweepError> {
        let path = self.mark(run);
        let Some(text) = read_text(&path)? else {
            return Ok(None);
        };
        let damaged = |source| SweepError::Outcome {
            path,
            name: run.name.clone(),
            source,
        };
        serde_json::from_str(&text).map(Some).map_err(damaged)
    }
}

/// Reads the sweep file of a directory, if there is one.
pub(crate) fn read_file(path: &Path) -> Result<Option<SweepFile>, SweepError> {
    let path = path.join(SWEEP_FILE);
    let text = read_text(&path)?;
    let parse = |text: String| SweepFile::parse(&path.display().to_string(), &text);
    Ok(text.map(parse).transpose()?)
}

pub(crate) fn parse_base(name: &str, text: &str) -> Result<toml::Table, Violations> {
    Document::parse(name, text)?.table()
}

/// Reads a file, if there is one.
pub(crate) fn read_text(path: &Path) -> Result<Option<String>, SweepError> {
    match rondo_files::read_text(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at("read", path)(error)),
    }
}

/// Lists the names in a folder; the list is empty if the folder does not exist.
pub(crate) fn entries(path: &Path) -> Result<Vec<String>, SweepError> {
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    match fs::read_dir(path) {
        Ok(entries) => entries
            .map(|entry| entry.map(name))
            .collect::<io::Result<_>>()
            .map_err(at("list", path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(at("list", path)(error)),
    }
}

#[cfg(test)]
mod tests;
