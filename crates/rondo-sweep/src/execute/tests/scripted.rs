//! Launchers of processes that do no work and end in a given way.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use rondo_files::RunLock;

use crate::launch::{Exit, Launch, Launcher, Process};

/// Launches processes that end at once. Each process takes its exit code from the end of the list;
/// `None` means that a signal ended the process.
pub(super) struct Ending(pub(super) Vec<Option<i32>>);

struct Ended(Option<i32>);

impl Launcher for Ending {
    fn launch(&mut self, _: &Launch<'_>) -> io::Result<Box<dyn Process>> {
        let no_process = || io::Error::other("no process left");
        Ok(Box::new(Ended(self.0.pop().ok_or_else(no_process)?)))
    }

    fn pause(&mut self) {}
}

impl Process for Ended {
    fn poll(&mut self) -> io::Result<Option<Exit>> {
        Ok(Some(Exit { code: self.0 }))
    }

    fn stop(&mut self) {}
}

/// Launches processes that run until they are stopped and then end by a signal. At most `left`
/// processes can be launched.
pub(super) struct Deaf {
    pub(super) left: usize,
}

struct DeafRun(bool);

impl Launcher for Deaf {
    fn launch(&mut self, _: &Launch<'_>) -> io::Result<Box<dyn Process>> {
        let none_left = || io::Error::other("no process left");
        self.left = self.left.checked_sub(1).ok_or_else(none_left)?;
        Ok(Box::new(DeafRun(false)))
    }

    fn pause(&mut self) {}
}

impl Process for DeafRun {
    fn poll(&mut self) -> io::Result<Option<Exit>> {
        Ok(self.0.then_some(Exit { code: None }))
    }

    fn stop(&mut self) {
        self.0 = true;
    }
}

/// A launcher with a competitor that locks the directory of each run before the run's first launch.
/// The first launch fails with exit code 1. `pause` releases the lock, and a later launch succeeds.
#[derive(Default)]
pub(super) struct Contested {
    other: Option<RunLock>,
    taken: BTreeSet<usize>,
}

impl Launcher for Contested {
    fn launch(&mut self, launch: &Launch<'_>) -> io::Result<Box<dyn Process>> {
        if self.taken.insert(launch.run.index) {
            self.other = Some(RunLock::acquire(&launch.out).map_err(io::Error::other)?);
            return Ok(Box::new(Ended(Some(1))));
        }
        fs::write(launch.out.join("summary.json"), "")?;
        Ok(Box::new(Ended(Some(0))))
    }

    fn pause(&mut self) {
        self.other = None;
    }
}
