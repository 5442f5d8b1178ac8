//! The locks that allow a process to execute a sweep or a shard of it.
//!
//! A process that executes a whole sweep holds an exclusive lock of its directory. A process that
//! executes a shard holds a shared lock of the directory and an exclusive lock of the shard.
//! Different shards can therefore run at the same time, but never the same shard twice, and never
//! beside a process that executes the whole sweep.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rondo_config::{difference, to_toml};
use rondo_files::{LOCK_FILE, LockError, RunLock, atomic_write, is_leftover};

use crate::dir::{
    BASE_FILE, LOGS, OUTCOMES, RUNS, SWEEP_FILE, SweepDir, entries, parse_base, read_file,
    read_text,
};
use crate::error::{SweepError, at};
use crate::file::SweepFile;
use crate::outcome::{Failure, Outcome, Status};
use crate::plan::Planned;
use crate::shard::Shard;
use crate::untrained::{clear, is_untrained};

/// The folder for the locks of the shards.
const SHARDS: &str = "shards";
/// How often a shard tries to lock the directory while another shard begins the sweep. `PAUSE` is
/// the time between two tries.
const TRIES: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);
/// While shards of another sweep seem to be running, a shard checks this many times before it gives
/// up.
const LOOKS: usize = 10;

/// The exclusive right to execute a sweep or a shard of it, held by locks.
#[derive(Debug)]
pub struct SweepWriter {
    dir: SweepDir,
    shard: Option<Shard>,
    _locks: Vec<RunLock>,
}

impl SweepWriter {
    /// Begins or resumes the sweep at `path`; `base` is the text of its run configuration. An
    /// existing sweep in which nothing was trained is replaced by the given one. With `shard`, only
    /// the runs of that shard are executed.
    ///
    /// # Errors
    ///
    /// Returns an error if another process executes the sweep, or if the directory contains
    /// something that is not a sweep. Also returns an error, with the differing keys, if something
    /// was trained with another sweep file or base.
    pub fn open(
        path: &Path,
        file: &SweepFile,
        base: &str,
        shard: Option<Shard>,
    ) -> Result<Self, SweepError> {
        // Files that a sweep may leave behind if it is killed while it begins.
        let is_beginning =
            |name: &String| name == LOCK_FILE || name == BASE_FILE || is_leftover(name);
        // The order of the two checks matters: a shard that begins the sweep at the same time
        // writes sweep.toml before it creates folders.
        if !entries(path)?.iter().all(is_beginning) && !path.join(SWEEP_FILE).is_file() {
            return Err(SweepError::Foreign(path.to_owned()));
        }
        let after = parse_base(&file.base, base)?;
        let begin = || begin(path, file, base, &after);
        let locks = match shard {
            None => {
                let lock = RunLock::acquire(path)?;
                begin()?;
                vec![lock]
            }
            Some(shard) => {
                let all = share(path, begin, || state(path, file, &after))?;
                let own = RunLock::acquire(&path.join(SHARDS).join(shard.folder()))?;
                vec![all, own]
            }
        };
        for folder in [RUNS, LOGS, OUTCOMES] {
            let folder = path.join(folder);
            fs::create_dir_all(&folder).map_err(at("create", &folder))?;
        }
        Ok(Self {
            dir: SweepDir::new(path, file)?,
            shard,
            _locks: locks,
        })
    }

    /// Returns the directory, for reading.
    pub fn dir(&self) -> &SweepDir {
        &self.dir
    }

    /// Returns the shard that is executed; `None` for the whole sweep.
    pub fn shard(&self) -> Option<Shard> {
        self.shard
    }

    /// Returns the runs that are executed, in order.
    pub fn runs(&self) -> impl Iterator<Item = &Planned> {
        let executed = |run: &&Planned| self.shard.is_none_or(|shard| shard.has(run));
        self.dir.plan().iter().filter(executed)
    }

    /// Removes the marks of failed runs, so that they are started again, and returns these runs.
    ///
    /// # Errors
    ///
    /// Returns an error if a mark is damaged or a file operation fails.
    pub fn retry_failed(&self) -> Result<Vec<&Planned>, SweepError> {
        let mut again = Vec::new();
        for run in self.runs() {
            if let Status::Failed(_) = self.dir.status(run)? {
                let mark = self.dir.mark(run);
                fs::remove_file(&mark).map_err(at("remove", &mark))?;
                again.push(run);
            }
        }
        Ok(again)
    }

    /// Waits for the lock of the results and takes it. A shard that reads the results of the runs
    /// under this lock sees every run that has ended. The last shard to write therefore writes all
    /// results.
    ///
    /// # Errors
    ///
    /// Returns an error if a file operation fails.
    pub fn results_lock(&self) -> Result<RunLock, SweepError> {
        Ok(RunLock::wait(&self.dir.path().join(SHARDS))?)
    }

    /// Marks a run as finished.
    pub(crate) fn finished(&self, run: &Planned) -> Result<(), SweepError> {
        self.write_mark(run, &Outcome::Finished {})
    }

    /// Marks a run as failed.
    pub(crate) fn failed(&self, run: &Planned, failure: Failure) -> Result<(), SweepError> {
        self.write_mark(run, &Outcome::Failed(failure))
    }

    fn write_mark(&self, run: &Planned, outcome: &Outcome) -> Result<(), SweepError> {
        let path = self.dir.mark(run);
        let text = serde_json::to_string_pretty(outcome).map_err(io::Error::from);
        let text = text.map_err(at("write", &path))? + "\n";
        Ok(atomic_write(&path, text.as_bytes())?)
    }
}

/// How the sweep in a directory compares with the requested one.
enum State {
    /// There is no sweep.
    Nothing,
    /// The requested sweep has begun.
    Begun,
    /// There is another sweep.
    Other(SweepError),
}

/// Writes the initial files of a sweep if they do not exist. The caller must hold the lock of the
/// directory.
fn begin(path: &Path, file: &SweepFile, base: &str, after: &toml::Table) -> Result<(), SweepError> {
    match state(path, file, after)? {
        State::Begun => {
            // The runs are the same, so a new layout of the results replaces the earlier one.
            if read_file(path)?.as_ref() != Some(file) {
                atomic_write(&path.join(SWEEP_FILE), to_toml(file)?.as_bytes())?;
            }
            return Ok(());
        }
        State::Nothing => {}
        State::Other(error) => {
            let begun = SweepDir::load(path)?;
            if !is_untrained(&begun)? {
                return Err(error);
            }
            clear(&begun)?;
        }
    }
    atomic_write(&path.join(BASE_FILE), base.as_bytes())?;
    atomic_write(&path.join(SWEEP_FILE), to_toml(file)?.as_bytes())?;
    Ok(())
}

/// Takes a shared lock of the directory; begins the sweep first if it has not begun.
fn share(
    path: &Path,
    begin: impl Fn() -> Result<(), SweepError>,
    state: impl Fn() -> Result<State, SweepError>,
) -> Result<RunLock, SweepError> {
    let mut tries = 0..TRIES;
    loop {
        let mut other = None;
        let shared = match RunLock::acquire_shared(path) {
            // The state cannot change while this process holds the shared lock.
            Ok(lock) => match state()? {
                State::Begun => return Ok(lock),
                State::Nothing => Ok(()),
                State::Other(error) => {
                    other = Some(error);
                    Ok(())
                }
            },
            Err(error) => Err(error),
        };
        let refused = match shared.and_then(|()| RunLock::acquire(path)) {
            Ok(_lock) => {
                begin()?;
                continue;
            }
            Err(error @ LockError::Locked { .. }) => error,
            Err(error) => return Err(error.into()),
        };
        // Either shards of another sweep are running, or other shards are only checking the
        // directory at this moment.
        if other.is_some() {
            tries.nth(TRIES / LOOKS);
        }
        if tries.next().is_none() {
            return Err(other.unwrap_or_else(|| refused.into()));
        }
        thread::sleep(PAUSE);
    }
}

/// Compares the sweep at `path` with the requested one.
fn state(path: &Path, file: &SweepFile, base: &toml::Table) -> Result<State, SweepError> {
    let Some(begun) = read_file(path)? else {
        return Ok(State::Nothing);
    };
    let other = |what, differences| {
        State::Other(SweepError::Changed {
            path: path.to_owned(),
            what,
            differences,
        })
    };
    if !begun.has_the_runs_of(file) {
        return Ok(other("sweep file", difference(&begun, file)?));
    }
    let copy = path.join(BASE_FILE);
    let copied = read_text(&copy)?.unwrap_or_default();
    let before = parse_base(&copy.display().to_string(), &copied)?;
    Ok(match before == *base {
        true => State::Begun,
        false => other("base configuration", difference(&before, base)?),
    })
}
