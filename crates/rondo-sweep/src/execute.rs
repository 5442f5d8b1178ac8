//! Executes a sweep or a shard of it: starts runs, waits for them, and marks how they ended.
//!
//! One thread follows all processes. A failed run is marked and the others continue. After an
//! interrupt, the running processes save their state and end. The same happens after an error of
//! the sweep itself, which is then returned.

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroUsize;

use crate::error::SweepError;
use crate::launch::{Exit, Launch, Launcher, Process};
use crate::outcome::{Failure, Status};
use crate::plan::Planned;
use crate::writer::SweepWriter;

/// The number of runs executed at the same time, and the number of cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// The number of runs executed at the same time.
    pub parallel: NonZeroUsize,
    /// The number of cores of the machine, shared by these runs.
    pub cores: NonZeroUsize,
}

impl Workers {
    /// Returns the number of threads of each run. It is at least one; if possible, all runs
    /// together have no more threads than there are cores.
    pub fn threads(self) -> usize {
        (self.cores.get() / self.parallel).max(1)
    }
}

/// The number of runs in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The number of all runs.
    pub total: usize,
    /// The number of runs in a process of this sweep.
    pub running: usize,
    /// The number of runs that finished, in this execution or earlier.
    pub finished: usize,
    /// The number of runs that failed.
    pub failed: usize,
}

/// An event of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// A process was started.
    Started(&'a Planned),
    /// Another process, perhaps one of a killed sweep, is still working in the run's directory.
    Waiting(&'a Planned),
    /// The run finished.
    Finished(&'a Planned),
    /// The run failed.
    Failed(&'a Planned, &'a Failure),
    /// The run saved its state and is resumed with the sweep.
    Interrupted(&'a Planned),
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every run finished or failed.
    Complete(Counts),
    /// Some runs remain; executing the same sweep again continues with them.
    Interrupted(Counts),
}

/// Executes, in order, the runs that have neither finished nor failed.
///
/// `interrupt` is called repeatedly and returns whether to stop; `progress` receives the events.
///
/// # Errors
///
/// Returns an error if a process cannot be started or a file cannot be written. The running
/// processes are ended first.
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
            // Only the first error is returned; later ones may be its consequences.
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
    /// Counts the ended runs and queues the others.
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

    /// Starts runs until the limit is reached; skips runs whose directory is in use.
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

    /// Moves a run to the end of the queue.
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
                // The signal that interrupted the run was probably meant for the whole sweep.
                self.stop();
                self.tell(Event::Interrupted(run));
                return Ok(());
            }
            // The process was ended by the stop signal before it could handle it.
            None if self.stopping => {
                self.tell(Event::Interrupted(run));
                return Ok(());
            }
            // Another process took the run's directory before this one could.
            Some(code) if code != 0 && dir.is_busy(run)? => {
                self.wait_for(run);
                return Ok(());
            }
            Some(0) => "exited with code 0 but left no summary.json".to_owned(),
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

    /// Starts no more runs and stops the running ones.
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
