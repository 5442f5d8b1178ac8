mod fake;
mod scripted;

use std::cell::{Cell, RefCell};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rondo_files::RunLock;

use self::fake::{Fake, World};
use self::scripted::{Contested, Deaf, Ending};
use super::*;
use crate::file::SweepFile;
use crate::results::{Reached, Results};

fn file() -> SweepFile {
    let text = "base = 'x.toml'\nseeds = [3, 4]\n[[grid]]\nkey = 'a'\nvalues = ['x', 'y']";
    SweepFile::parse("sweep.toml", text).expect("a valid file")
}

fn open(path: &Path) -> SweepWriter {
    SweepWriter::open(path, &file(), "[train]\nsteps = 3", None).expect("a sweep")
}

fn workers(parallel: usize) -> Workers {
    let nonzero = |n| NonZeroUsize::new(n).expect("not 0");
    Workers {
        parallel: nonzero(parallel),
        cores: nonzero(2 * parallel + 1 - parallel % 2),
    }
}

/// Executes a sweep and returns its end and its events as text.
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

/// Returns the results of a sweep as a table, with a number that depends on each run's assignments.
fn table(path: &Path) -> String {
    let sweep = open(path);
    let reached = |run: &Planned, _: &Status| -> Result<Reached, SweepError> {
        let text = fs::read_to_string(sweep.dir().run_dir(run).join("summary.json"));
        let sum = |text: String| text.bytes().map(f64::from).sum();
        let loss = text.map(|text| ("loss".to_owned(), sum(text)));
        Ok(Reached {
            numbers: loss.into_iter().collect(),
            ..Reached::default()
        })
    };
    Results::collect(sweep.dir(), reached)
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
            total: 4,
            finished: 4,
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
        assert_eq!(world.most_running.get(), parallel.min(4));
        assert_eq!(told.len(), 8);
        if parallel == 1 {
            assert_eq!(
                told[..3],
                ["start a=x,seed=3", "finish a=x,seed=3", "start a=x,seed=4"]
            );
        }
        // A second execution has no runs left.
        assert!(run(&path, &world, parallel, &never).1.is_empty());
        assert_eq!(world.launches.borrow().len(), 4);
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
    let broken = world(&["a=x,seed=4"]);
    let (end, told) = run(&path, &broken, 2, &never);
    let Ok(End::Complete(counts)) = end else {
        panic!("not complete: {end:?}");
    };
    assert_eq!((counts.finished, counts.failed), (3, 1));
    assert!(
        told.contains(&"fail a=x,seed=4 error: the loss is inf".to_owned()),
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
            finished: 4,
            failed: 0,
            ..
        }))
    ));
    assert_eq!(told, ["start a=x,seed=4", "finish a=x,seed=4"]);
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
    run(&whole, &world(&["a=y,seed=3"]), 1, &never)
        .0
        .expect("an end");
    let expected = table(&whole);
    for parallel in [1, 3] {
        for moment in 0..16 {
            let (_folder, path) = folder();
            let asked = Cell::new(0);
            let interrupt = || {
                asked.set(asked.get() + 1);
                asked.get() > moment
            };
            let (end, told) = run(&path, &world(&["a=y,seed=3"]), parallel, &interrupt);
            if let Ok(End::Interrupted(counts)) = end {
                assert_eq!(counts.running, 0);
                assert!(counts.finished + counts.failed < 4);
            }
            let starts = told.iter().filter(|line| line.starts_with("start")).count();
            assert_eq!(told.len(), 2 * starts, "every start has its end: {told:?}");
            run(&path, &world(&["a=y,seed=3"]), parallel, &never)
                .0
                .expect("an end");
            assert_eq!(table(&path), expected, "{parallel} at {moment}");
        }
    }
}

#[test]
fn a_sweep_killed_at_any_moment_ends_with_the_same_results() {
    let (_folder, whole) = folder();
    run(&whole, &world(&["a=y,seed=3"]), 1, &never)
        .0
        .expect("an end");
    let expected = table(&whole);
    let mut kills = 0;
    for (parallel, stride) in [(1, 1), (3, 3)] {
        for moment in (0..42).step_by(stride) {
            let (_folder, path) = folder();
            let killed = world(&["a=y,seed=3"]);
            killed.left.set(Some(moment));
            let attempt = || run(&path, &killed, parallel, &never).0;
            kills += usize::from(catch_unwind(AssertUnwindSafe(attempt)).is_err());
            run(&path, &world(&["a=y,seed=3"]), parallel, &never)
                .0
                .expect("an end");
            assert_eq!(table(&path), expected, "{parallel} at {moment}");
        }
    }
    assert!(kills > 40, "{kills}");
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
    assert!(matches!(end, Ok(End::Complete(Counts { finished: 4, .. }))));
    assert_eq!(told[..2], ["wait a=x,seed=3", "start a=x,seed=4"]);
    assert_eq!(told[7..], ["start a=x,seed=3", "finish a=x,seed=3"]);
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
        total: 4,
        failed: 1,
        ..Counts::default()
    };
    assert_eq!(end, End::Interrupted(counts));
}

#[test]
fn a_run_that_the_stop_has_ended_before_it_could_listen_is_no_failure() {
    let (_folder, path) = folder();
    let asked = Cell::new(0);
    let interrupt = || {
        asked.set(asked.get() + 1);
        asked.get() > 3
    };
    let end = execute(
        &open(&path),
        &mut Deaf { left: 2 },
        workers(2),
        &interrupt,
        &mut |_, _| {},
    );
    let counts = Counts {
        total: 4,
        ..Counts::default()
    };
    assert_eq!(end.expect("an end"), End::Interrupted(counts));
}

#[test]
fn a_run_that_another_process_has_taken_is_waited_for_too() {
    let (_folder, path) = folder();
    let sweep = open(&path);
    let mut launcher = Contested::default();
    let end = execute(&sweep, &mut launcher, workers(1), &never, &mut |_, _| {});
    assert!(matches!(
        end,
        Ok(End::Complete(Counts {
            finished: 4,
            failed: 0,
            ..
        }))
    ));
}

#[test]
fn a_process_that_cannot_be_started_ends_the_sweep_and_is_no_failure_of_the_run() {
    let (_folder, path) = folder();
    let error = ending(&path, &[None]).expect_err("an error").to_string();
    assert_eq!(error, "cannot start a=x,seed=4");
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
fn an_error_of_the_sweep_stops_the_other_processes_before_it_is_returned() {
    let (_folder, path) = folder();
    let mut launcher = Deaf { left: 1 };
    let mut told = 0;
    let end = execute(
        &open(&path),
        &mut launcher,
        workers(2),
        &never,
        &mut |event, counts| {
            told += usize::from(matches!(event, Event::Interrupted(_)) && counts.running == 0);
        },
    );
    assert!(matches!(
        end,
        Err(SweepError::Process {
            action: "start",
            ..
        })
    ));
    assert_eq!(told, 1);
}

#[test]
fn an_end_without_a_summary_is_a_failure() {
    let (_folder, path) = folder();
    let end = ending(&path, &[Some(0); 4]).expect("an end");
    assert!(matches!(end, End::Complete(Counts { failed: 4, .. })));
}
