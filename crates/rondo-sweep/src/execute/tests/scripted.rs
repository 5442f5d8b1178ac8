//! Processes that do no work and end in a given way.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use rondo_files::RunLock;

use crate::launch::{Exit, Launch, Launcher, Process};

/// Processes that end at once, each with the next exit code.
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

/// Processes that run until they are stopped, and are then ended by a signal. No more than `left`
/// can be started.
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

/// A launcher with a competitor: before the first start of each run, another process takes the
/// run's directory.
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
