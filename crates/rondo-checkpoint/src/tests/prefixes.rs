//! A save that is killed, or fails, at each place between two changes on disk.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{KEEP_ALL, MODEL, commit, contents, holds, with_snapshot};
use crate::layout::Layout;
use crate::save::{Point, save_with};
use crate::{
    CheckpointError, Content, Retention, RunLock, Snapshot, Which, list, open, open_newest_good,
    save,
};

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder for the copy");
    for entry in fs::read_dir(from).expect("a folder to copy") {
        let entry = entry.expect("an entry to copy");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copied file");
        }
    }
}

/// Names in the checkpoints folder, sorted.
fn names(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(Layout::of(run).dir()).expect("the checkpoints folder");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

fn steps(run: &Path) -> Vec<u64> {
    list(run)
        .expect("a list")
        .into_iter()
        .map(|entry| entry.step)
        .collect()
}

/// Commits the `before` steps in version "old", then saves `step` in version "new" while copying
/// the run directory at each place, as a kill would leave it. Checks every copy: the newest good
/// checkpoint is the old newest or the new one, nothing is rejected, once new it stays new, and a
/// restarted process can save there and leaves nothing but checkpoints.
fn killed_anywhere(before: &[u64], step: u64, retention: &Retention) -> Vec<Point> {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let run = scratch.path().join("run");
    for &step in before {
        commit(&run, step, "old").expect("an old checkpoint");
    }
    let mut copies: Vec<(Point, PathBuf)> = Vec::new();
    let lock = RunLock::acquire(&run).expect("the lock");
    with_snapshot(step, "new", |snapshot| {
        save_with(&lock, snapshot, retention, &mut |point| {
            let copy = scratch.path().join(format!("copy{}", copies.len()));
            copy_tree(&run, &copy);
            copies.push((point, copy));
            Ok(())
        })
    })
    .expect("the save itself is not disturbed");

    let mut is_new = false;
    for (point, copy) in &copies {
        let was_new = is_new;
        match open_newest_good(copy).unwrap_or_else(|error| panic!("{point:?}: {error}")) {
            Some((checkpoint, rejected)) => {
                assert!(rejected.is_empty(), "{point:?}: {rejected:?}");
                is_new = holds(&checkpoint, step, "new");
                let is_old = before
                    .iter()
                    .max()
                    .is_some_and(|&old| holds(&checkpoint, old, "old"));
                assert!(is_new || is_old, "{point:?}: neither old nor new");
            }
            None => assert!(before.is_empty(), "{point:?}: the old checkpoint is gone"),
        }
        assert!(
            is_new || !was_new,
            "{point:?}: the new checkpoint is gone again"
        );

        commit(copy, step + 1, "restarted").expect("a save by the restarted process");
        let (newest, _) = open_newest_good(copy)
            .expect("a list")
            .expect("a checkpoint");
        assert!(holds(&newest, step + 1, "restarted"), "{point:?}");
        let leftovers: Vec<_> = names(copy)
            .into_iter()
            .filter(|n| n.starts_with('.'))
            .collect();
        assert!(leftovers.is_empty(), "{point:?}: {leftovers:?}");
    }
    assert!(is_new, "a save that ends is there");
    copies.into_iter().map(|(point, _)| point).collect()
}

#[test]
fn a_kill_during_the_first_save_leaves_nothing_or_the_new_checkpoint() {
    killed_anywhere(&[], 100, &KEEP_ALL);
}

#[test]
fn a_kill_during_a_later_save_leaves_the_old_or_the_new_checkpoint() {
    let one = Retention {
        keep_last: 1,
        keep_every: None,
        keep_best: None,
    };
    let points = killed_anywhere(&[100, 200], 300, &one);
    let obsolete = points
        .iter()
        .filter(|&&point| point == Point::ObsoleteRemoved)
        .count();
    assert_eq!(obsolete, 2, "both old ones were removed under observation");
}

#[test]
fn a_kill_while_a_step_is_saved_again_leaves_its_old_or_its_new_content() {
    let points = killed_anywhere(&[100, 200], 200, &KEEP_ALL);
    assert!(points.contains(&Point::OldMovedAway));
}

#[test]
fn an_error_at_any_place_leaves_the_old_or_the_new_checkpoint_and_no_aside_before_the_commit() {
    let mut stops = 0;
    for stop in 0.. {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let run = scratch.path();
        commit(run, 100, "old").expect("an old checkpoint");
        let lock = RunLock::acquire(run).expect("the lock");
        let mut reached = Vec::new();
        let result = with_snapshot(100, "new", |snapshot| {
            save_with(&lock, snapshot, &KEEP_ALL, &mut |point| {
                reached.push(point);
                if reached.len() > stop {
                    Err(io::ErrorKind::StorageFull.into())
                } else {
                    Ok(())
                }
            })
        });
        if reached.len() <= stop {
            result.expect("a save that nothing stops");
            break;
        }
        stops += 1;
        result.expect_err("the stop is reported");
        let committed = reached.contains(&Point::Committed);
        let (checkpoint, rejected) = open_newest_good(run)
            .expect("a list")
            .expect("a checkpoint");
        assert!(rejected.is_empty(), "{reached:?}");
        assert!(
            holds(&checkpoint, 100, if committed { "new" } else { "old" }),
            "{reached:?}"
        );
        if !committed {
            assert_eq!(names(run), ["latest", "step-00000100"], "{reached:?}");
        }
    }
    assert!(stops >= 10, "only {stops} places were tried");
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
