//! The interface through which a sweep starts and follows runs.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::plan::Planned;

/// The pause between two rounds of polling.
const PAUSE: Duration = Duration::from_millis(50);

/// A run to be started.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// The run, with its assignments.
    pub run: &'a Planned,
    /// The configuration from which the run starts.
    pub config: &'a Path,
    /// The run directory. If it already contains a run, that run is resumed.
    pub out: PathBuf,
    /// The file for the run's standard error. An earlier file is replaced.
    pub log: PathBuf,
    /// The number of threads that the run may use.
    pub threads: usize,
}

/// How a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code; `None` if a signal ended the process.
    pub code: Option<i32>,
}

/// Starts runs.
pub trait Launcher {
    /// Starts a process that executes the run and ends by itself.
    ///
    /// A signal meant for the sweep must not reach the process; the sweep forwards it with
    /// [`Process::stop`]. If the sweep itself is killed, the process should soon end in the same
    /// way. Until then it holds the lock of its run directory, and the next sweep waits for that
    /// lock.
    ///
    /// # Errors
    ///
    /// Returns an error if the process cannot be started.
    fn launch(&mut self, launch: &Launch<'_>) -> io::Result<Box<dyn Process>>;

    /// Pauses between two rounds of polling.
    fn pause(&mut self) {
        thread::sleep(PAUSE);
    }
}

/// A run in another process.
pub trait Process {
    /// Returns how the process has ended; `None` while it runs. After the end, this is not called
    /// again.
    ///
    /// # Errors
    ///
    /// Returns an error if the state of the process cannot be determined.
    fn poll(&mut self) -> io::Result<Option<Exit>>;

    /// Requests, once, that the process saves its state and ends with [`Exit::INTERRUPTED`].
    fn stop(&mut self);
}

impl Exit {
    /// The exit code of a run that was interrupted and can be resumed.
    pub const INTERRUPTED: i32 = 75;
}
