use super::*;
use crate::outcome::Failure;
use crate::shard::Shard;
use crate::writer::SweepWriter;

const BASE: &str = "[train]\nsteps = 3\n";

fn file(seeds: &str) -> SweepFile {
    let text = format!("# comment\nbase = 'x.toml'\nseeds = [{seeds}]");
    SweepFile::parse("sweep.toml", &text).expect("a valid file")
}

/// Returns a path for a sweep that does not exist yet.
fn fresh() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("sweep");
    (folder, path)
}

fn refusal(path: &Path, file: &SweepFile, base: &str) -> String {
    let error = SweepWriter::open(path, file, base, None).expect_err("a refusal");
    error.to_string()
}

#[test]
fn a_sweep_begins_goes_on_and_can_be_read() {
    let (_folder, path) = fresh();
    assert!(matches!(
        SweepDir::load(&path),
        Err(SweepError::NotASweep(_))
    ));
    drop(SweepWriter::open(&path, &file("1, 2"), BASE, None).expect("a new sweep"));
    let again = SweepWriter::open(
        &path,
        &file("1, 2"),
        "# a comment\n[train]\nsteps = 3",
        None,
    );
    assert_eq!(again.expect("the same sweep").dir().plan().len(), 2);
    let loaded = SweepDir::load(&path).expect("a sweep");
    assert_eq!(loaded.plan(), file("1, 2").runs());
    assert_eq!(fs::read_to_string(loaded.base()).expect("a copy"), BASE);
}

#[test]
fn another_file_and_another_base_are_refused_with_what_differs() {
    let (_folder, path) = fresh();
    let sweep = SweepWriter::open(&path, &file("1"), BASE, None).expect("a new sweep");
    let metrics = sweep.dir().run_dir(&sweep.dir().plan()[0]);
    fs::create_dir_all(&metrics).expect("a run");
    fs::write(metrics.join("metrics.jsonl"), "{\"step\":1}\n").expect("a step");
    drop(sweep);
    let message = refusal(&path, &file("1, 2"), BASE);
    assert!(message.contains("another sweep file"), "{message}");
    assert!(
        message.ends_with("seeds was [1] and is [1, 2]"),
        "{message}"
    );
    let message = refusal(&path, &file("1"), "[train]\nsteps = 4\nbatch = 2");
    assert!(message.contains("another base configuration"), "{message}");
    let differences = "train.batch was nothing and is 2; train.steps was 3 and is 4";
    assert!(message.ends_with(differences), "{message}");
}

/// Checks, for each file that one run may have left, whether the sweep may still be corrected.
#[test]
fn a_sweep_in_which_nothing_was_trained_may_be_corrected() {
    let before_the_first_step = "{\"kind\":\"eval\",\"step\":0}\n";
    let cases: [(&str, &str, bool); 7] = [
        ("config.toml", "[train]", true),
        ("metrics.jsonl", "", true),
        ("metrics.jsonl", before_the_first_step, true),
        (
            "metrics.jsonl",
            "{\"kind\":\"eval\",\"step\":0}\n{\"kind\":\"train\",\"step\":1}",
            false,
        ),
        ("metrics.jsonl", "{\"kind\":\"tr", false),
        ("summary.json", "{}", false),
        ("checkpoints/step-00000400/manifest.json", "{", false),
    ];
    for (left, text, may) in cases {
        let (_folder, path) = fresh();
        let sweep = SweepWriter::open(&path, &file("1, 2"), BASE, None).expect("a new sweep");
        let run = &sweep.dir().plan()[1];
        let left = sweep.dir().run_dir(run).join(left);
        fs::create_dir_all(left.parent().expect("a folder")).expect("a run");
        fs::write(&left, text).expect("what the run leaves");
        fs::write(sweep.dir().log(run), "error: no file").expect("a log");
        let failure = Failure {
            exit_code: Some(3),
            message: "error: no file".to_owned(),
        };
        sweep.failed(run, failure).expect("a mark");
        drop(sweep);
        let corrected = "[train]\nsteps = 4\n";
        assert_eq!(
            SweepWriter::open(&path, &file("2, 3"), corrected, None).is_ok(),
            may,
            "{left:?}"
        );
        assert_eq!(left.exists(), !may, "{left:?}");
        if may {
            let loaded = SweepDir::load(&path).expect("a sweep");
            assert_eq!(loaded.plan(), file("2, 3").runs());
            assert_eq!(
                fs::read_to_string(loaded.base()).expect("a copy"),
                corrected
            );
            let statuses = loaded
                .plan()
                .iter()
                .map(|run| loaded.status(run).expect("a status"));
            assert!(statuses.into_iter().all(|status| status == Status::Pending));
        }
    }
}

#[test]
fn a_sweep_of_which_a_run_is_at_work_is_not_begun_anew() {
    let (_folder, path) = fresh();
    let sweep = SweepWriter::open(&path, &file("1"), BASE, None).expect("a new sweep");
    let run_dir = sweep.dir().run_dir(&sweep.dir().plan()[0]);
    drop(sweep);
    let at_work = RunLock::acquire(&run_dir).expect("the lock");
    assert!(refusal(&path, &file("2"), BASE).contains("another sweep file"));
    drop(at_work);
    assert!(SweepWriter::open(&path, &file("2"), BASE, None).is_ok());
}

#[test]
fn a_folder_with_something_else_and_a_broken_base_are_left_as_they_are() {
    let (_folder, path) = fresh();
    assert!(refusal(&path, &file("1"), "steps =").contains("x.toml"));
    assert!(!path.exists());
    fs::create_dir_all(&path).expect("a folder");
    fs::write(path.join("thesis.txt"), "mine").expect("a file");
    assert!(refusal(&path, &file("1"), BASE).contains("not a sweep"));
    assert_eq!(entries(&path).expect("names"), ["thesis.txt"]);
}

#[test]
fn a_sweep_killed_while_it_began_begins_again() {
    let (_folder, path) = fresh();
    fs::create_dir_all(&path).expect("a folder");
    for beginning in [
        LOCK_FILE,
        BASE_FILE,
        ".base.toml.aside",
        ".sweep.toml.aside",
    ] {
        fs::write(path.join(beginning), "[half").expect("a leftover");
    }
    drop(SweepWriter::open(&path, &file("1"), BASE, None).expect("a new sweep"));
    let base = fs::read_to_string(path.join(BASE_FILE)).expect("a copy");
    assert_eq!(base, BASE);
}

#[test]
fn two_processes_cannot_execute_one_sweep() {
    let (_folder, path) = fresh();
    let first = SweepWriter::open(&path, &file("1"), BASE, None).expect("a new sweep");
    let second = SweepWriter::open(&path, &file("1"), BASE, None);
    assert!(matches!(
        second,
        Err(SweepError::Lock(LockError::Locked { .. }))
    ));
    drop(first);
}

#[test]
fn the_status_of_a_run_is_what_the_disk_says() {
    let (_folder, path) = fresh();
    let sweep = SweepWriter::open(&path, &file("1"), BASE, None).expect("a new sweep");
    let run = &sweep.dir().plan()[0];
    let run_dir = sweep.dir().run_dir(run);
    let check = |expected: Status| {
        assert_eq!(sweep.dir().status(run).expect("a status"), expected);
    };
    check(Status::Pending);
    assert!(!sweep.dir().is_busy(run).expect("an answer"));
    // A lock file alone does not make a run.
    check(Status::Pending);
    fs::write(run_dir.join("metrics.jsonl"), "").expect("a metric");
    check(Status::Unfinished);
    // A run that stops itself also writes a summary; without the mark it has not ended.
    fs::write(run_dir.join("summary.json"), "{}").expect("a summary");
    check(Status::Unfinished);
    sweep.finished(run).expect("a mark");
    check(Status::Finished);
    fs::remove_dir_all(&run_dir).expect("a removal");
    check(Status::Pending);
    let failure = Failure {
        exit_code: Some(5),
        message: "error: a loss".to_owned(),
    };
    sweep.failed(run, failure.clone()).expect("a mark");
    check(Status::Failed(failure));
    let again = sweep.retry_failed().expect("a retry");
    assert_eq!(again, [run]);
    check(Status::Pending);
    fs::write(path.join("outcomes/seed=1.json"), "{\"status\":\"fin").expect("half a mark");
    let error = sweep.dir().status(run).expect_err("damage").to_string();
    assert!(
        error.ends_with("seed=1.json is damaged; remove it to run seed=1 again"),
        "{error}"
    );
}

#[test]
fn the_last_words_are_found_at_the_end_of_a_long_log() {
    let (_folder, path) = fresh();
    let sweep = SweepWriter::open(&path, &file("1"), BASE, None).expect("a new sweep");
    let run = &sweep.dir().plan()[0];
    assert_eq!(sweep.dir().last_words(run).expect("silence"), "");
    let log = format!("{}\nerror: too late\n\n", "üx\n".repeat(10_000));
    fs::write(sweep.dir().log(run), log).expect("a log");
    let words = sweep.dir().last_words(run).expect("words");
    assert_eq!(words, "error: too late");
}

fn shard(text: &str) -> Shard {
    text.parse().expect("a shard")
}

#[test]
fn shards_run_side_by_side_and_each_of_them_once() {
    let (_folder, path) = fresh();
    let open =
        |text: &str| SweepWriter::open(&path, &file("1, 2, 3, 4, 5"), BASE, Some(shard(text)));
    let first = open("0/2").expect("the first shard begins the sweep");
    let second = open("1/2").expect("the second goes on with it");
    let seeds = |writer: &SweepWriter| writer.runs().map(|run| run.seed).collect::<Vec<_>>();
    assert_eq!((seeds(&first), seeds(&second)), (vec![1, 3, 5], vec![2, 4]));
    assert_eq!(first.dir().plan().len(), 5);
    let refused = open("0/2")
        .expect_err("a shard that is at work")
        .to_string();
    assert!(refused.contains("0-of-2"), "{refused}");
    let all = SweepWriter::open(&path, &file("1, 2, 3, 4, 5"), BASE, None);
    assert!(matches!(
        all,
        Err(SweepError::Lock(LockError::Locked { .. }))
    ));
    drop((first, second));
    let all = SweepWriter::open(&path, &file("1, 2, 3, 4, 5"), BASE, None).expect("all");
    assert_eq!(seeds(&all), [1, 2, 3, 4, 5]);
}

#[test]
fn shards_that_begin_a_sweep_at_once_all_begin() {
    for _ in 0..20 {
        let (_folder, path) = fresh();
        std::thread::scope(|scope| {
            let open = |index| {
                let shard = shard(&format!("{index}/6"));
                SweepWriter::open(&path, &file("1, 2, 3"), BASE, Some(shard))
            };
            let threads: Vec<_> = (0..6)
                .map(|index| scope.spawn(move || open(index)))
                .collect();
            for thread in threads {
                thread.join().expect("no panic").expect("a shard");
            }
        });
    }
}

#[test]
fn a_shard_of_another_sweep_is_refused_by_key_while_shards_are_at_work() {
    let (_folder, path) = fresh();
    let first = SweepWriter::open(&path, &file("1, 2"), BASE, Some(shard("0/2"))).expect("a shard");
    let other = SweepWriter::open(&path, &file("1, 3"), BASE, Some(shard("1/2")));
    let message = other.expect_err("a refusal").to_string();
    assert!(
        message.contains("seeds was [1, 2] and is [1, 3]"),
        "{message}"
    );
    drop(first);
    // Nothing was trained, so the sweep may be corrected.
    assert!(SweepWriter::open(&path, &file("1, 3"), BASE, Some(shard("1/2"))).is_ok());
}

#[test]
fn a_retry_leaves_the_failures_of_other_shards() {
    let (_folder, path) = fresh();
    let writer = SweepWriter::open(&path, &file("1, 2"), BASE, None).expect("a sweep");
    for run in writer.dir().plan() {
        let failure = Failure {
            exit_code: Some(1),
            message: String::new(),
        };
        writer.failed(run, failure).expect("a mark");
    }
    drop(writer);
    let second =
        SweepWriter::open(&path, &file("1, 2"), BASE, Some(shard("1/2"))).expect("a shard");
    let again = second.retry_failed().expect("a retry");
    assert_eq!(again.iter().map(|run| run.seed).collect::<Vec<_>>(), [2]);
}

#[test]
fn what_an_earlier_version_has_begun_keeps_its_names() {
    for left in ["runs/seed1", "logs/seed0.log", "outcomes/seed1.json"] {
        let (_folder, path) = fresh();
        let names = |dir: &SweepDir| -> Vec<String> {
            dir.plan().iter().map(|run| run.name.clone()).collect()
        };
        let begun = SweepWriter::open(&path, &file("0, 1"), BASE, None).expect("a new sweep");
        assert_eq!(begun.dir().naming(), Naming::Values);
        assert_eq!(names(begun.dir()), ["seed=0", "seed=1"]);
        drop(begun);
        let left = path.join(left);
        match left.extension() {
            None => fs::create_dir_all(&left).expect("a folder"),
            Some(_) => fs::write(&left, "{\"status\":\"finished\"}").expect("a file"),
        }
        let again = SweepWriter::open(&path, &file("0, 1"), BASE, None).expect("the same sweep");
        assert_eq!(again.dir().naming(), Naming::Places);
        assert_eq!(names(again.dir()), ["seed0", "seed1"]);
        let loaded = SweepDir::load(&path).expect("a sweep");
        assert_eq!(names(&loaded), ["seed0", "seed1"]);
        drop(again);
        // Nothing was trained, so another sweep file may replace it, and no files with the old
        // names remain.
        let other = SweepWriter::open(&path, &file("0, 1, 2"), BASE, None).expect("a new sweep");
        assert_eq!(names(other.dir()), ["seed=0", "seed=1", "seed=2"]);
        assert!(!left.exists());
    }
}
