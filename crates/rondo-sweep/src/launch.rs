//! What a sweep asks of whoever starts a run.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::plan::Planned;

/// How long the sweep waits before it asks again how its runs are.
const PAUSE: Duration = Duration::from_millis(50);

/// A run to be started.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// The run, with its assignments.
    pub run: &'a Planned,
    /// The configuration it starts from.
    pub config: &'a Path,
    /// Its run directory: where there is a run in it, the run goes on.
    pub out: PathBuf,
    /// The file that its standard error is written to; an older one is replaced.
    pub log: PathBuf,
    /// Threads that it may use.
    pub threads: usize,
}

/// How a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code; none where a signal has ended it.
    pub code: Option<i32>,
}

/// Starts runs.
pub trait Launcher {
    /// Starts a process that makes the run and ends by itself.
    ///
    /// A signal meant for the sweep must not reach the process: the sweep passes it on by
    /// [`Process::stop`]. When the sweep itself is killed, the process should end soon, by the same way;
    /// until then it holds the lock of its run directory, for which the next sweep waits.
    ///
    /// # Errors
    ///
    /// Where the process cannot be started.
    fn launch(&mut self, launch: &Launch<'_>) -> io::Result<Box<dyn Process>>;

    /// Waits a little, before the processes are asked again.
    fn pause(&mut self) {
        thread::sleep(PAUSE);
    }
}

/// A run in another process.
pub trait Process {
    /// Returns how it has ended, or nothing while it runs. Not asked again once it has ended.
    ///
    /// # Errors
    ///
    /// Where that cannot be found out.
    fn poll(&mut self) -> io::Result<Option<Exit>>;

    /// Asks it, once, to save what it has and end with [`Exit::INTERRUPTED`].
    fn stop(&mut self);
}

impl Exit {
    /// The code of a run that was interrupted and can go on.
    pub const INTERRUPTED: i32 = 75;
}
