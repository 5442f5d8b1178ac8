//! Fake runs in this process, which count their steps in a file.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use rondo_files::RunLock;

use crate::launch::{Exit, Launch, Launcher, Process};

/// The number of steps of a fake run. Each poll makes one step.
const STEPS: usize = 1;

/// The state that the fakes of one execution share.
#[derive(Default)]
pub(super) struct World {
    /// The number of operations until everything is killed; `None` if nothing is killed.
    pub(super) left: Cell<Option<usize>>,
    /// Names of the runs that fail.
    pub(super) failing: RefCell<Vec<String>>,
    pub(super) launches: RefCell<Vec<String>>,
    running: Cell<usize>,
    pub(super) most_running: Cell<usize>,
}

impl World {
    /// Counts an operation. A kill is a panic that only the test catches.
    pub(super) fn tick(&self) {
        if let Some(left) = self.left.get() {
            self.left.set(Some(left.checked_sub(1).expect("killed")));
        }
    }
}

pub(super) struct Fake(pub(super) Rc<World>);

/// A run that counts its steps in a file and resumes from there.
struct FakeRun {
    world: Rc<World>,
    out: PathBuf,
    log: PathBuf,
    name: String,
    assignments: Vec<String>,
    stopped: bool,
    _lock: RunLock,
}

impl Launcher for Fake {
    fn launch(&mut self, launch: &Launch<'_>) -> io::Result<Box<dyn Process>> {
        self.0.tick();
        assert!(launch.config.is_file());
        assert_eq!(launch.threads, 2);
        let lock = RunLock::acquire(&launch.out).map_err(io::Error::other)?;
        self.0.launches.borrow_mut().push(launch.run.name.clone());
        self.0.running.update(|running| running + 1);
        self.0
            .most_running
            .update(|most| most.max(self.0.running.get()));
        Ok(Box::new(FakeRun {
            world: Rc::clone(&self.0),
            out: launch.out.clone(),
            log: launch.log.clone(),
            name: launch.run.name.clone(),
            assignments: launch.run.assignments(),
            stopped: false,
            _lock: lock,
        }))
    }

    fn pause(&mut self) {
        self.0.tick();
    }
}

impl FakeRun {
    fn step(&mut self) -> io::Result<Option<Exit>> {
        let ended = |code| Ok(Some(Exit { code: Some(code) }));
        if self.stopped {
            return ended(Exit::INTERRUPTED);
        }
        let steps = self.out.join("steps");
        let mut done = fs::read_to_string(&steps).unwrap_or_default();
        if done.len() < STEPS {
            done.push('x');
            fs::write(&steps, &done)?;
            return Ok(None);
        }
        if self.world.failing.borrow().contains(&self.name) {
            fs::write(&self.log, "note\nerror: the loss is inf\n")?;
            return ended(5);
        }
        let summary = self.assignments.join("\n");
        fs::write(self.out.join("summary.json"), summary)?;
        ended(0)
    }
}

impl Process for FakeRun {
    fn poll(&mut self) -> io::Result<Option<Exit>> {
        self.world.tick();
        let result = self.step();
        self.world.tick();
        result
    }

    fn stop(&mut self) {
        self.stopped = true;
    }
}

impl Drop for FakeRun {
    fn drop(&mut self) {
        self.world.running.update(|running| running - 1);
    }
}
