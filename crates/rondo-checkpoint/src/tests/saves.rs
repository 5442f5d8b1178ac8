//! What a save refuses, which files it leaves, and which old checkpoints it removes.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use rondo_files::{Content, RunLock};

use super::{KEEP_ALL, MODEL, commit, contents, damage, holds, names, with_snapshot};
use crate::layout::Layout;
use crate::{CheckpointError, Retention, Snapshot, Which, list, open, open_newest_good, save};

fn steps(run: &Path) -> Vec<u64> {
    list(run)
        .expect("a list")
        .into_iter()
        .map(|entry| entry.step)
        .collect()
}

#[test]
fn a_disk_that_fills_halfway_through_a_file_is_reported_by_name_and_harms_nothing() {
    struct Full;
    impl Content for Full {
        fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
            out.write_all(&[7; 10_000])?;
            Err(io::ErrorKind::StorageFull.into())
        }
    }
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let run = scratch.path();
    commit(run, 100, "old").expect("an old checkpoint");
    let lock = RunLock::acquire(run).expect("the lock");
    let snapshot = Snapshot {
        step: 200,
        config_hash: "",
        created_by: "",
        files: &[(MODEL, &Full)],
    };
    let error = save(&lock, &snapshot, &KEEP_ALL).expect_err("a full disk");
    assert!(error.to_string().contains(MODEL), "{error}");
    let cause = std::error::Error::source(&error)
        .expect("the system's answer")
        .to_string();
    assert_eq!(
        cause,
        io::Error::from(io::ErrorKind::StorageFull).to_string()
    );
    assert_eq!(names(run), ["latest", "step-00000100"]);
    let old = open(run, &Which::Latest).expect("the old checkpoint");
    assert!(holds(&old, 100, "old"));
}

#[test]
fn a_file_where_the_folder_should_be_is_an_error_not_a_panic() {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    fs::write(scratch.path().join("checkpoints"), "in the way").expect("a file");
    let error = commit(scratch.path(), 1, "new").expect_err("no folder can be made");
    assert!(error.to_string().contains("checkpoints"), "{error}");
}

#[test]
fn a_name_that_leads_out_of_the_folder_is_refused_before_anything_is_written() {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let lock = RunLock::acquire(scratch.path()).expect("the lock");
    let bytes = Vec::new();
    let snapshot = Snapshot {
        step: 1,
        config_hash: "",
        created_by: "",
        files: &[("../out", &bytes)],
    };
    save(&lock, &snapshot, &KEEP_ALL).expect_err("a name with a separator");
    assert!(!scratch.path().join("checkpoints").exists());
}

#[test]
fn the_same_snapshot_makes_the_same_bytes_wherever_it_is_saved() {
    let (a, b) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let a = commit(a.path(), 7, "v")
        .map(|entry| (a, entry))
        .expect("a checkpoint");
    let b = commit(b.path(), 7, "v")
        .map(|entry| (b, entry))
        .expect("a checkpoint");
    for name in ["manifest.json", MODEL] {
        let read = |path: &Path| fs::read(path.join(name)).expect("a file");
        assert_eq!(read(&a.1.path), read(&b.1.path), "{name}");
    }
}

#[test]
fn a_save_reports_what_a_list_shows_and_latest_names_it() {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let entry = commit(scratch.path(), 400, "v").expect("a checkpoint");
    let files: u64 = contents(400, "v")
        .iter()
        .map(|(_, bytes)| bytes.len() as u64)
        .sum();
    assert!(entry.size > files, "the manifest counts too");
    assert_eq!(list(scratch.path()).expect("a list"), [entry]);
    let latest = fs::read_to_string(Layout::of(scratch.path()).latest()).expect("the hint");
    assert_eq!(latest, "step-00000400\n");
}

#[test]
fn retention_after_going_back_counts_no_later_step_and_keeps_the_one_just_saved() {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    for step in [100, 200, 900] {
        commit(scratch.path(), step, "old").expect("an old checkpoint");
    }
    let lock = RunLock::acquire(scratch.path()).expect("the lock");
    let one = Retention {
        keep_last: 1,
        keep_every: None,
        keep_best: Some(100),
    };
    with_snapshot(300, "new", |snapshot| save(&lock, snapshot, &one)).expect("a save");
    assert_eq!(steps(scratch.path()), [100, 300, 900]);
}

fn commit_keeping(run: &Path, step: u64, retention: Retention) {
    let lock = RunLock::acquire(run).expect("the lock");
    with_snapshot(step, "v", |snapshot| save(&lock, snapshot, &retention)).expect("a save");
}

#[test]
fn the_best_checkpoint_stays_until_another_is_told() {
    let run = tempfile::tempdir().expect("a temporary folder");
    let keep = |keep_best| Retention {
        keep_last: 1,
        keep_every: None,
        keep_best,
    };
    for (step, best, kept) in [
        (10, None, &[10][..]),
        (20, Some(20), &[20]),
        (30, Some(20), &[20, 30]),
        (40, Some(20), &[20, 40]),
        (50, Some(50), &[50]),
        (60, Some(50), &[50, 60]),
        (70, Some(65), &[70]),
    ] {
        commit_keeping(run.path(), step, keep(best));
        assert_eq!(steps(run.path()), kept, "after step {step}");
    }
}

#[test]
fn the_newest_whole_checkpoint_stays_while_all_between_it_and_the_new_one_are_damaged() {
    let run = tempfile::tempdir().expect("a temporary folder");
    let two = Retention {
        keep_last: 2,
        keep_every: None,
        keep_best: None,
    };
    for step in [10, 20, 30, 40] {
        commit(run.path(), step, "v").expect("a checkpoint");
    }
    for step in [30, 40] {
        damage(run.path(), step);
    }
    commit_keeping(run.path(), 50, two);
    assert_eq!(steps(run.path()), [20, 40, 50]);
    damage(run.path(), 50);
    let (fallback, rejected) = open_newest_good(run.path())
        .expect("a list")
        .expect("a checkpoint");
    assert_eq!((fallback.step(), rejected.len()), (20, 2));

    commit_keeping(run.path(), 60, two);
    assert_eq!(steps(run.path()), [20, 50, 60]);
    commit_keeping(run.path(), 70, two);
    assert_eq!(
        steps(run.path()),
        [60, 70],
        "a whole one is left beside the newest"
    );
}

#[test]
fn a_damaged_best_or_regular_checkpoint_does_not_count_as_the_other_whole_one() {
    let run = tempfile::tempdir().expect("a temporary folder");
    for step in [10, 20, 25, 30] {
        commit(run.path(), step, "v").expect("a checkpoint");
    }
    for step in [10, 20, 30] {
        damage(run.path(), step);
    }
    let keep = Retention {
        keep_last: 2,
        keep_every: Some(20),
        keep_best: Some(10),
    };
    commit_keeping(run.path(), 50, keep);
    assert_eq!(steps(run.path()), [10, 20, 25, 30, 50]);
}

#[test]
fn a_manifest_that_no_reader_would_accept_is_never_committed() {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let lock = RunLock::acquire(scratch.path()).expect("the lock");
    let config_hash = "0".repeat(2_000_000);
    let snapshot = Snapshot {
        step: 1,
        config_hash: &config_hash,
        created_by: "",
        files: &[],
    };
    let error = save(&lock, &snapshot, &KEEP_ALL).expect_err("a manifest beyond the cap");
    assert!(
        matches!(error, CheckpointError::ManifestTooLarge { .. }),
        "{error}"
    );
    assert!(names(scratch.path()).is_empty());
}
