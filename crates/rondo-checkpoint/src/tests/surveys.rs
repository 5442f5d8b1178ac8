//! What a survey reports about a run.

use std::fs;

use super::{MODEL, commit, damage};
use crate::layout::Layout;
use crate::{CheckpointError, State, open_newest_good, survey};

#[test]
fn a_run_without_checkpoints_has_none() {
    let run = tempfile::tempdir().expect("a temporary folder");
    for verify in [false, true] {
        let found = survey(run.path(), verify).expect("an empty survey");
        assert!(found.checkpoints.is_empty());
        assert_eq!(found.newest_good, None);
    }
}

#[test]
fn every_checkpoint_is_told_whole_or_damaged_and_the_choice_is_that_of_a_resume() {
    let run = tempfile::tempdir().expect("a temporary folder");
    let sizes = [100, 200, 300, 400].map(|step| {
        let saved = commit(run.path(), step, "v").expect("a checkpoint");
        saved.size
    });
    let layout = Layout::of(run.path());
    damage(run.path(), 300);
    let manifest = layout.step_dir(400).join("manifest.json");
    let lost = fs::metadata(&manifest).expect("a manifest").len();
    fs::remove_file(manifest).expect("a removal");
    fs::create_dir(layout.aside(500)).expect("a folder being written");

    let found = survey(run.path(), true).expect("a survey");
    let steps: Vec<_> = found.checkpoints.iter().map(|one| one.step).collect();
    assert_eq!(steps, [100, 200, 300, 400]);
    let [first, second, third, fourth] = &found.checkpoints[..] else {
        panic!("{found:?}");
    };
    for (one, size) in [(first, sizes[0]), (second, sizes[1]), (third, sizes[2])] {
        assert_eq!(one.path, layout.step_dir(one.step));
        assert_eq!(one.size, size);
        assert_eq!(one.created_by.as_deref(), Some("rondo 0.1.0"));
        assert_eq!(one.config_hash.as_deref(), Some("c0ffee"));
    }
    assert_eq!((fourth.size, &fourth.created_by), (sizes[3] - lost, &None));
    assert!(matches!(first.state, State::Whole));
    assert!(matches!(second.state, State::Whole));
    assert!(
        matches!(&third.state, State::Damaged(CheckpointError::Hash { path, .. }) if path.ends_with(MODEL))
    );
    assert!(matches!(
        &fourth.state,
        State::Damaged(CheckpointError::Missing { .. })
    ));

    let (chosen, _) = open_newest_good(run.path())
        .expect("a list")
        .expect("a checkpoint");
    assert_eq!(found.newest_good, Some(chosen.step()));
}

#[test]
fn unverified_only_an_unreadable_manifest_is_noticed() {
    let run = tempfile::tempdir().expect("a temporary folder");
    for step in [100, 200] {
        commit(run.path(), step, "v").expect("a checkpoint");
    }
    damage(run.path(), 100);
    let manifest = Layout::of(run.path()).step_dir(200).join("manifest.json");
    fs::write(manifest, "{").expect("half a manifest");
    let found = survey(run.path(), false).expect("a survey");
    assert!(matches!(found.checkpoints[0].state, State::NotVerified));
    assert!(matches!(
        found.checkpoints[1].state,
        State::Damaged(CheckpointError::Manifest { .. })
    ));
    assert_eq!(found.newest_good, None);
}

#[test]
fn a_step_with_two_folders_is_listed_twice_and_chosen_once() {
    let run = tempfile::tempdir().expect("a temporary folder");
    let layout = Layout::of(run.path());
    commit(run.path(), 100, "old").expect("a checkpoint");
    let kept = run.path().join("kept");
    fs::rename(layout.step_dir(100), &kept).expect("a rename");
    commit(run.path(), 100, "new").expect("a checkpoint");
    fs::rename(kept, layout.replaced(100)).expect("a rename");
    damage(run.path(), 100);
    let found = survey(run.path(), true).expect("a survey");
    let [older, newer] = &found.checkpoints[..] else {
        panic!("{found:?}");
    };
    assert!(matches!(older.state, State::Whole));
    assert!(matches!(newer.state, State::Damaged(_)));
    assert_eq!(newer.path, layout.step_dir(100));
    assert_eq!(found.newest_good, Some(100));
}

#[test]
fn a_folder_that_cannot_be_listed_is_an_error() {
    let run = tempfile::tempdir().expect("a temporary folder");
    fs::write(run.path().join("checkpoints"), "in the way").expect("a file");
    let error = survey(run.path(), true).expect_err("not a folder");
    assert!(error.to_string().contains("checkpoints"), "{error}");
}
