//! Executes a sweep or a shard of it: starts runs, waits for them, marks how they have ended.
//!
//! One thread looks after all processes. A failed run is marked and the others go on. An interrupt lets
//! the running processes save and end; so does an error of the sweep itself, which is returned then.

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroUsize;

use crate::error::SweepError;
use crate::launch::{Exit, Launch, Launcher, Process};
use crate::outcome::{Failure, Status};
use crate::plan::Planned;
use crate::writer::SweepWriter;

/// How many runs at a time, on how many cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// Runs at a time.
    pub parallel: NonZeroUsize,
    /// Cores of the machine, which they share.
    pub cores: NonZeroUsize,
}

impl Workers {
    /// Returns the threads of each run: together no more than there are cores, and one at least.
    pub fn threads(self) -> usize {
        (self.cores.get() / self.parallel).max(1)
    }
}

/// How many runs there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub total: usize,
    /// In a process of this sweep.
    pub running: usize,
    /// Ended well, in this execution or before.
    pub finished: usize,
    /// Ended otherwise.
    pub failed: usize,
}

/// What happens to a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// A process was started.
    Started(&'a Planned),
    /// Another process, perhaps of a sweep that was killed, still works in its directory.
    Waiting(&'a Planned),
    /// It has ended well.
    Finished(&'a Planned),
    /// It has ended otherwise.
    Failed(&'a Planned, &'a Failure),
    /// It has saved what it has, and goes on when the sweep does.
    Interrupted(&'a Planned),
}

/// How an execution has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every run has ended, well or not.
    Complete(Counts),
    /// Runs are left; the same sweep goes on with them.
    Interrupted(Counts),
}

/// Executes what has neither finished nor failed, in order.
///
/// `interrupt` is asked again and again whether to stop; `progress` is told what happens.
///
/// # Errors
///
/// Where a process cannot be started or a file not be written; the running processes have ended then.
pub fn execute(
    sweep: &SweepWriter,
    launcher: &mut dyn Launcher,
    workers: Workers,
    interrupt: &dyn Fn() -> bool,
    progress: &mut dyn FnMut(Event<'_>, Counts),
) -> Result<End, SweepError> {
    let mut execution = Execution {
        sweep,
        workers,
        progress,
        queue: VecDeque::new(),
        waited_for: BTreeSet::new(),
        running: Vec::new(),
        counts: Counts::default(),
        stopping: false,
    };
    execution.count()?;
    let mut result = Ok(());
    loop {
        if interrupt() {
            execution.stop();
        }
        let step = execution.start(launcher).and_then(|()| execution.reap());
        if let Err(error) = step {
            // The first error is the one worth reporting.
            result = result.and(Err(error));
            execution.stop();
        }
        if execution.is_over() {
            break;
        }
        launcher.pause();
    }
    let counts = execution.counts();
    result.map(|()| match counts.finished + counts.failed == counts.total {
        true => End::Complete(counts),
        false => End::Interrupted(counts),
    })
}

struct Execution<'a, 'p> {
    sweep: &'a SweepWriter,
    workers: Workers,
    progress: &'p mut dyn FnMut(Event<'_>, Counts),
    queue: VecDeque<&'a Planned>,
    waited_for: BTreeSet<usize>,
    running: Vec<(&'a Planned, Box<dyn Process>)>,
    counts: Counts,
    stopping: bool,
}

impl<'a> Execution<'a, '_> {
    /// Finds out what is left to do.
    fn count(&mut self) -> Result<(), SweepError> {
        for run in self.sweep.runs() {
            self.counts.total += 1;
            match self.sweep.dir().status(run)? {
                Status::Finished => self.counts.finished += 1,
                Status::Failed(_) => self.counts.failed += 1,
                Status::Pending | Status::Unfinished => self.queue.push_back(run),
            }
        }
        Ok(())
    }

    /// Starts runs while there is room; passes over those whose directory is in use.
    fn start(&mut self, launcher: &mut dyn Launcher) -> Result<(), SweepError> {
        let dir = self.sweep.dir();
        for _ in 0..self.queue.len() {
            if self.stopping || self.running.len() >= self.workers.parallel.get() {
                break;
            }
            let Some(run) = self.queue.pop_front() else {
                break;
            };
            if dir.is_busy(run)? {
                self.wait_for(run);
                continue;
            }
            let launch = Launch {
                run,
                config: &dir.base(),
                out: dir.run_dir(run),
                log: dir.log(run),
                threads: self.workers.threads(),
            };
            let process = launcher.launch(&launch).map_err(failed_to("start", run))?;
            self.running.push((run, process));
            self.tell(Event::Started(run));
        }
        Ok(())
    }

    /// Puts a run back behind the others.
    fn wait_for(&mut self, run: &'a Planned) {
        self.queue.push_back(run);
        if self.waited_for.insert(run.index) {
            self.tell(Event::Waiting(run));
        }
    }

    /// Marks the runs that have ended.
    fn reap(&mut self) -> Result<(), SweepError> {
        let mut index = 0;
        while let Some((run, process)) = self.running.get_mut(index) {
            let (run, polled) = (*run, process.poll());
            if let Ok(None) = polled {
                index += 1;
                continue;
            }
            self.running.remove(index);
            if let Some(exit) = polled.map_err(failed_to("follow", run))? {
                self.ended(run, exit)?;
            }
        }
        Ok(())
    }

    fn ended(&mut self, run: &'a Planned, exit: Exit) -> Result<(), SweepError> {
        let dir = self.sweep.dir();
        let message = match exit.code {
            Some(0) if dir.has_summary(run) => {
                self.sweep.finished(run)?;
                self.counts.finished += 1;
                self.tell(Event::Finished(run));
                return Ok(());
            }
            Some(Exit::INTERRUPTED) => {
                // Whoever has interrupted the run has interrupted the sweep.
                self.stop();
                self.tell(Event::Interrupted(run));
                return Ok(());
            }
            // Asked to stop before it could listen.
            None if self.stopping => {
                self.tell(Event::Interrupted(run));
                return Ok(());
            }
            // It found another process at work, which the sweep had not seen yet.
            Some(code) if code != 0 && dir.is_busy(run)? => {
                self.wait_for(run);
                return Ok(());
            }
            Some(0) => "ended as if it had finished, and left no summary.json".to_owned(),
            Some(_) | None => dir.last_words(run)?,
        };
        let failure = Failure {
            exit_code: exit.code,
            message,
        };
        self.sweep.failed(run, failure.clone())?;
        self.counts.failed += 1;
        self.tell(Event::Failed(run, &failure));
        Ok(())
    }

    /// Starts nothing more, and asks what runs to end.
    fn stop(&mut self) {
        if !self.stopping {
            self.stopping = true;
            self.running
                .iter_mut()
                .for_each(|(_, process)| process.stop());
        }
    }

    fn is_over(&self) -> bool {
        self.running.is_empty() && (self.stopping || self.queue.is_empty())
    }

    fn tell(&mut self, event: Event<'_>) {
        let counts = self.counts();
        (self.progress)(event, counts);
    }

    fn counts(&self) -> Counts {
        Counts {
            running: self.running.len(),
            ..self.counts
        }
    }
}

fn failed_to(action: &'static str, run: &Planned) -> impl FnOnce(std::io::Error) -> SweepError {
    let name = run.name.clone();
    move |source| SweepError::Process {
        action,
        name,
        source,
    }
}

#[cfg(test)]
mod tests;
