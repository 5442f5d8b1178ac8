//! The right to execute a sweep, or a shard of it.
//!
//! Who executes all of a sweep has the lock of its directory; who executes a shard has a part of that lock, and the lock of
//! the shard. So shards run side by side, each once, and never beside a process that executes all.

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

/// The folder of the shards' locks.
const SHARDS: &str = "shards";
/// How often a shard asks for a lock that another one has while it begins the sweep, and the pause in between.
const TRIES: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);
/// How often a shard looks whether shards of another sweep are at work.
const LOOKS: usize = 10;

/// The right to execute a sweep or a shard of it; no other process has it at the same time.
#[derive(Debug)]
pub struct SweepWriter {
    dir: SweepDir,
    shard: Option<Shard>,
    _locks: Vec<RunLock>,
}

impl SweepWriter {
    /// Begins the sweep at `path`, or goes on with it; `base` is the text of its run configuration. A sweep in
    /// which nothing was trained yet is begun anew with what is given. With `shard`, only the runs of that shard are
    /// executed.
    ///
    /// # Errors
    ///
    /// Where another process executes it, the directory holds something else, or it was begun with
    /// another sweep file or base and something was trained: then the keys that differ are named.
    pub fn open(
        path: &Path,
        file: &SweepFile,
        base: &str,
        shard: Option<Shard>,
    ) -> Result<Self, SweepError> {
        // What a sweep may have left that was killed before it began.
        let is_beginning =
            |name: &String| name == LOCK_FILE || name == BASE_FILE || is_leftover(name);
        // In this order: a shard that begins the sweep meanwhile writes sweep.toml before anything else of it.
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

    /// Returns what is there to read.
    pub fn dir(&self) -> &SweepDir {
        &self.dir
    }

    /// Returns the shard that is executed. `None`: all of the sweep is.
    pub fn shard(&self) -> Option<Shard> {
        self.shard
    }

    /// Returns the runs that are executed, in order.
    pub fn runs(&self) -> impl Iterator<Item = &Planned> {
        let executed = |run: &&Planned| self.shard.is_none_or(|shard| shard.has(run));
        self.dir.plan().iter().filter(executed)
    }

    /// Takes the marks of failed runs away, so that they are started again; returns those runs.
    ///
    /// # Errors
    ///
    /// Where a mark is damaged or the file system refuses.
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

    /// Takes the right to write the results, and waits until no other shard has it. Who reads the runs' results while it
    /// holds the right writes all that has ended before, so the last one to write has all.
    ///
    /// # Errors
    ///
    /// Where the file system refuses.
    pub fn results_lock(&self) -> Result<RunLock, SweepError> {
        Ok(RunLock::wait(&self.dir.path().join(SHARDS))?)
    }

    /// Marks a run as ended well.
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

/// What a directory holds of the sweep that is asked for.
enum State {
    /// No sweep.
    Nothing,
    /// This sweep.
    Begun,
    /// Another sweep.
    Other(SweepError),
}

/// Writes what a sweep begins with, where it is not there. The caller has the lock of the directory.
fn begin(path: &Path, file: &SweepFile, base: &str, after: &toml::Table) -> Result<(), SweepError> {
    match state(path, file, after)? {
        State::Begun => {
            // Another layout of the same runs takes the place of the earlier one.
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

/// Takes a part of the directory's lock once the sweep has begun, and begins it where it has not.
fn share(
    path: &Path,
    begin: impl Fn() -> Result<(), SweepError>,
    state: impl Fn() -> Result<State, SweepError>,
) -> Result<RunLock, SweepError> {
    let mut tries = 0..TRIES;
    loop {
        let mut other = None;
        let shared = match RunLock::acquire_shared(path) {
            // What is seen now cannot change while this process has its part.
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
        // Shards of another sweep are at work, or other shards look at it in this moment, too.
        if other.is_some() {
            tries.nth(TRIES / LOOKS);
        }
        if tries.next().is_none() {
            return Err(other.unwrap_or_else(|| refused.into()));
        }
        thread::sleep(PAUSE);
    }
}

/// Compares the sweep that was begun at `path` with the one that is asked for.
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
