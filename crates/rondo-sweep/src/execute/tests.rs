use std::cell::{Cell, RefCell};
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rondo_checkpoint::RunLock;

use super::*;
use crate::file::SweepFile;
use crate::results::Results;

/// Steps of a fake run, one per poll.
const STEPS: usize = 3;

/// What the fakes of one execution share.
#[derive(Default)]
struct World {
    /// Operations left before everything is killed.
    left: Cell<Option<usize>>,
    /// Names of the runs that fail.
    failing: RefCell<Vec<String>>,
    launches: RefCell<Vec<String>>,
    running: Cell<usize>,
    most_running: Cell<usize>,
}

impl World {
    /// Counts an operation; a kill is a panic that nobody in between catches.
    fn tick(&self) {
        if let Some(left) = self.left.get() {
            self.left.set(Some(left.checked_sub(1).expect("killed")));
        }
    }
}

struct Fake(Rc<World>);

/// A run that counts its steps in a file, and goes on from there.
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

fn file() -> SweepFile {
    let text = "base = 'x.toml'\nseeds = [3, 4, 5]\n[[grid]]\nkey = 'a'\nvalues = ['x', 'y']";
    SweepFile::parse("sweep.toml", text).expect("a valid file")
}

fn open(path: &Path) -> SweepWriter {
    SweepWriter::open(path, &file(), "[train]\nsteps = 3").expect("a sweep")
}

fn workers(parallel: usize) -> Workers {
    let nonzero = |n| NonZeroUsize::new(n).expect("not 0");
    Workers {
        parallel: nonzero(parallel),
        cores: nonzero(2 * parallel + 1 - parallel % 2),
    }
}

/// Executes and lists what was told.
fn run(
    path: &Path,
    world: &Rc<World>,
    parallel: usize,
    interrupt: &dyn Fn() -> bool,
) -> (Result<End, SweepError>, Vec<String>) {
    let sweep = open(path);
    let mut told = Vec::new();
    let mut launcher = Fake(Rc::clone(world));
    let end = execute(
        &sweep,
        &mut launcher,
        workers(parallel),
        interrupt,
        &mut |event, counts| {
            world.tick();
            assert!(counts.finished + counts.failed + counts.running <= counts.total);
            told.push(match event {
                Event::Started(run) => format!("start {}", run.name),
                Event::Waiting(run) => format!("wait {}", run.name),
                Event::Finished(run) => format!("finish {}", run.name),
                Event::Failed(run, failure) => format!("fail {} {}", run.name, failure.message),
                Event::Interrupted(run) => format!("interrupt {}", run.name),
            });
        },
    );
    (end, told)
}

/// The table of a sweep, with a number that depends on what each run was given.
fn table(path: &Path) -> String {
    let sweep = open(path);
    let numbers = |run: &Planned, _: &Status| -> Result<Vec<(String, f64)>, SweepError> {
        let text = fs::read_to_string(sweep.dir().run_dir(run).join("summary.json"));
        let sum = |text: String| text.bytes().map(f64::from).sum();
        Ok(text
            .map(|text| ("loss".to_owned(), sum(text)))
            .into_iter()
            .collect())
    };
    Results::collect(sweep.dir(), numbers)
        .expect("results")
        .to_csv()
}

fn world(failing: &[&str]) -> Rc<World> {
    let world = World::default();
    world
        .failing
        .replace(failing.iter().map(|&name| name.to_owned()).collect());
    Rc::new(world)
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("sweep");
    (folder, path)
}

fn never() -> bool {
    false
}

#[test]
fn runs_are_executed_in_order_and_no_more_than_asked_at_a_time() {
    for parallel in [1, 2, 4, 20] {
        let (_folder, path) = folder();
        let world = world(&[]);
        let (end, told) = run(&path, &world, parallel, &never);
        let counts = Counts {
            total: 6,
            finished: 6,
            ..Counts::default()
        };
        assert_eq!(end.expect("an end"), End::Complete(counts));
        let names: Vec<String> = open(&path)
            .dir()
            .plan()
            .iter()
            .map(|run| run.name.clone())
            .collect();
        assert_eq!(*world.launches.borrow(), names);
        assert_eq!(world.most_running.get(), parallel.min(6));
        assert_eq!(told.len(), 12);
        if parallel == 1 {
            assert_eq!(
                told[..3],
                ["start a0-seed3", "finish a0-seed3", "start a0-seed4"]
            );
        }
        // A second execution has nothing to do.
        assert!(run(&path, &world, parallel, &never).1.is_empty());
        assert_eq!(world.launches.borrow().len(), 6);
    }
}

#[test]
fn threads_of_all_runs_add_up_to_the_cores() {
    let nonzero = |n| NonZeroUsize::new(n).expect("not 0");
    for (cores, parallel, threads) in [(8, 1, 8), (8, 3, 2), (2, 2, 1), (2, 5, 1)] {
        let workers = Workers {
            parallel: nonzero(parallel),
            cores: nonzero(cores),
        };
        assert_eq!(workers.threads(), threads);
    }
}

#[test]
fn a_failed_run_is_kept_and_the_others_go_on_until_a_retry() {
    let (_folder, path) = folder();
    let broken = world(&["a0-seed4"]);
    let (end, told) = run(&path, &broken, 2, &never);
    let Ok(End::Complete(counts)) = end else {
        panic!("not complete: {end:?}");
    };
    assert_eq!((counts.finished, counts.failed), (5, 1));
    assert!(
        told.contains(&"fail a0-seed4 error: the loss is inf".to_owned()),
        "{told:?}"
    );
    let status = open(&path)
        .dir()
        .status(&open_plan(&path)[1])
        .expect("a status");
    let failure = Failure {
        exit_code: Some(5),
        message: "error: the loss is inf".to_owned(),
    };
    assert_eq!(status, Status::Failed(failure));

    let mended = world(&[]);
    assert!(run(&path, &mended, 2, &never).1.is_empty());
    assert_eq!(open(&path).retry_failed().expect("a retry").len(), 1);
    let (end, told) = run(&path, &mended, 2, &never);
    assert!(matches!(
        end,
        Ok(End::Complete(Counts {
            finished: 6,
            failed: 0,
            ..
        }))
    ));
    assert_eq!(told, ["start a0-seed4", "finish a0-seed4"]);
}

fn open_plan(path: &Path) -> Vec<Planned> {
    crate::SweepDir::load(path)
        .expect("a sweep")
        .plan()
        .to_vec()
}

#[test]
fn a_sweep_interrupted_at_any_moment_ends_with_the_same_results() {
    let (_folder, whole) = folder();
    run(&whole, &world(&["a1-seed3"]), 1, &never)
        .0
        .expect("an end");
    let expected = table(&whole);
    for parallel in [1, 3] {
        for moment in 0..30 {
            let (_folder, path) = folder();
            let asked = Cell::new(0);
            let interrupt = || {
                asked.set(asked.get() + 1);
                asked.get() > moment
            };
            let (end, told) = run(&path, &world(&["a1-seed3"]), parallel, &interrupt);
            if let Ok(End::Interrupted(counts)) = end {
                assert_eq!(counts.running, 0);
                assert!(counts.finished + counts.failed < 6);
            }
            let starts = told.iter().filter(|line| line.starts_with("start")).count();
            assert_eq!(told.len(), 2 * starts, "every start has its end: {told:?}");
            run(&path, &world(&["a1-seed3"]), parallel, &never)
                .0
                .expect("an end");
            assert_eq!(table(&path), expected, "{parallel} at {moment}");
        }
    }
}

#[test]
fn a_sweep_killed_at_any_moment_ends_with_the_same_results() {
    let (_folder, whole) = folder();
    run(&whole, &world(&["a1-seed3"]), 1, &never)
        .0
        .expect("an end");
    let expected = table(&whole);
    let mut kills = 0;
    for parallel in [1, 3] {
        for moment in 0..90 {
            let (_folder, path) = folder();
            let killed = world(&["a1-seed3"]);
            killed.left.set(Some(moment));
            let attempt = || run(&path, &killed, parallel, &never).0;
            kills += usize::from(catch_unwind(AssertUnwindSafe(attempt)).is_err());
            run(&path, &world(&["a1-seed3"]), parallel, &never)
                .0
                .expect("an end");
            assert_eq!(table(&path), expected, "{parallel} at {moment}");
        }
    }
    assert!(kills > 100, "{kills}");
}

#[test]
fn a_run_that_another_process_still_makes_is_waited_for() {
    let (_folder, path) = folder();
    let first = open(&path).dir().run_dir(&open_plan(&path)[0]);
    let orphan = RefCell::new(Some(RunLock::acquire(&first).expect("a lock")));
    let asked = Cell::new(0);
    let interrupt = || {
        asked.set(asked.get() + 1);
        if asked.get() == 200 {
            orphan.take();
        }
        false
    };
    let (end, told) = run(&path, &world(&[]), 1, &interrupt);
    assert!(matches!(end, Ok(End::Complete(Counts { finished: 6, .. }))));
    assert_eq!(told[..2], ["wait a0-seed3", "start a0-seed4"]);
    assert_eq!(told[11..], ["start a0-seed3", "finish a0-seed3"]);
}

/// Processes that end at once, each with the next code.
struct Ending(Vec<Option<i32>>);

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

fn ending(path: &Path, codes: &[Option<i32>]) -> Result<End, SweepError> {
    let mut launcher = Ending(codes.iter().rev().copied().collect());
    execute(
        &open(path),
        &mut launcher,
        workers(1),
        &never,
        &mut |_, _| {},
    )
}

#[test]
fn a_run_interrupted_by_others_interrupts_the_sweep() {
    let (_folder, path) = folder();
    let end = ending(&path, &[Some(1), Some(75)]).expect("an end");
    let counts = Counts {
        total: 6,
        failed: 1,
        ..Counts::default()
    };
    assert_eq!(end, End::Interrupted(counts));
}

#[test]
fn a_process_that_cannot_be_started_ends_the_sweep_and_is_no_failure_of_the_run() {
    let (_folder, path) = folder();
    let error = ending(&path, &[None]).expect_err("an error").to_string();
    assert_eq!(error, "cannot start a0-seed4");
    let sweep = open(&path);
    let statuses: Vec<Status> = open_plan(&path)
        .iter()
        .map(|run| sweep.dir().status(run).expect("a status"))
        .collect();
    assert!(matches!(
        &statuses[0],
        Status::Failed(Failure {
            exit_code: None,
            ..
        })
    ));
    assert_eq!(statuses[1], Status::Pending);
}

#[test]
fn an_end_without_a_summary_is_a_failure() {
    let (_folder, path) = folder();
    let end = ending(&path, &[Some(0); 6]).expect("an end");
    assert!(matches!(end, End::Complete(Counts { failed: 6, .. })));
}
