//! Runs that resume from an earlier step.

use std::fs;
use std::path::Path;

use rondo_files::RunLock;
use rondo_files::faulty::{Fault, Faulty, Moment, Then};

use super::{commit, holds, names};
use crate::back::set_back_on;
use crate::layout::Layout;
use crate::{Which, list, open, open_newest_good, set_back};

fn with_four() -> tempfile::TempDir {
    let run = tempfile::tempdir().expect("a temporary folder");
    for step in [100, 200, 300, 400] {
        commit(run.path(), step, "first").expect("a checkpoint");
    }
    run
}

fn steps(run: &Path) -> Vec<u64> {
    let listed = list(run).expect("checkpoints");
    listed.into_iter().map(|entry| entry.step).collect()
}

#[test]
fn later_checkpoints_are_set_aside_and_can_still_be_opened() {
    let dir = with_four();
    let run = dir.path();
    let back = |step| set_back(&RunLock::acquire(run).expect("a lock"), step).expect("a way back");
    assert!(back(400).is_empty());
    let left = back(200);
    let [newest, other] = &left[..] else {
        panic!("{left:?}");
    };
    assert!(newest.ends_with("left-00000400") && other.ends_with("left-00000300"));
    assert_eq!(steps(run), [100, 200]);
    let latest = fs::read_to_string(Layout::of(run).latest()).expect("a name");
    assert_eq!(latest.trim(), "step-00000200");
    let opened = open(run, &Which::Path(newest.clone())).expect("whole");
    assert!(holds(&opened, 400, "first"));

    commit(run, 300, "second").expect("another way");
    back(100);
    let opened = open(run, &Which::Path(other.clone())).expect("whole");
    assert!(holds(&opened, 300, "second"));
    assert_eq!(
        names(run),
        [
            "latest",
            "left-00000200",
            "left-00000300",
            "left-00000400",
            "step-00000100"
        ]
    );
}

#[test]
fn wherever_a_way_back_ends_the_newest_has_all_before_it_and_the_next_try_gets_there() {
    let undisturbed = with_four();
    let disk = Faulty::new(None);
    let lock = RunLock::acquire(undisturbed.path()).expect("a lock");
    set_back_on(&disk, &lock, 200).expect("a way back");
    for call in 0..disk.calls(undisturbed.path()).len() {
        for then in [Then::Dead, Then::Works, Then::Full] {
            let dir = with_four();
            let run = dir.path();
            let disk = Faulty::new(Some(Fault {
                call,
                moment: Moment::Before,
                then,
            }));
            let lock = RunLock::acquire(run).expect("a lock");
            let _ = set_back_on(&disk, &lock, 200);
            let found = steps(run);
            assert!(
                [100, 200, 300, 400].starts_with(&found) && found.len() >= 2,
                "{found:?}"
            );
            let (newest, rejected) = open_newest_good(run).expect("a read").expect("one");
            assert!(rejected.is_empty());
            assert_eq!(Some(&newest.step()), found.last());
            set_back_on(&Faulty::new(None), &lock, 200).expect("the next try");
            assert_eq!(steps(run), [100, 200]);
        }
    }
}
