//! A save that is killed or fails at any of its calls that change something on disk.

use std::fs;
use std::path::Path;

use rondo_files::RunLock;
use rondo_files::faulty::{Fault, Faulty, Then};

use super::{KEEP_ALL, MODEL, damage, holds, names, with_snapshot};
use crate::layout::Layout;
use crate::save::save_on;
use crate::{CheckpointError, Entry, Retention, State, Which, open, open_newest_good, survey};

/// The step and the version of a checkpoint.
type Held = (u64, &'static str);

/// A save into a run, and what must hold wherever the save ends.
struct Scene<'s> {
    /// Creates the run before the save.
    prepare: &'s dyn Fn(&Path),
    /// The step to save, in version "new".
    step: u64,
    retention: Retention,
    /// The newest good checkpoint before the save.
    newest: Option<Held>,
    /// Good checkpoints of other steps that must still exist after the save.
    kept: &'s [Held],
    /// Steps whose checkpoints readers may report as damaged.
    damaged: &'s [u64],
}

fn keep_last(keep_last: usize) -> Retention {
    Retention {
        keep_last,
        ..KEEP_ALL
    }
}

fn save_as(
    disk: &Faulty,
    run: &Path,
    (step, version): Held,
    retention: &Retention,
) -> Result<Entry, CheckpointError> {
    let lock = RunLock::acquire(run).expect("the lock");
    with_snapshot(step, version, |snapshot| {
        save_on(disk, &lock, snapshot, retention)
    })
}

/// Saves these steps in version "old", on a disk without faults.
fn old(run: &Path, steps: &[u64]) {
    for &step in steps {
        let disk = Faulty::new(None);
        save_as(&disk, run, (step, "old"), &KEEP_ALL).expect("an old checkpoint");
    }
}

/// Moves the old version of step 200 to `.old-*`, as a save of the same step does, and puts a whole
/// version "newer" in its place.
fn just_replaced(run: &Path) {
    let layout = Layout::of(run);
    let aside = run.join("aside");
    fs::rename(layout.step_dir(200), &aside).expect("the old version");
    save_as(&Faulty::new(None), run, (200, "newer"), &KEEP_ALL).expect("its replacement");
    fs::rename(aside, layout.replaced(200)).expect("the old version");
}

impl Scene<'_> {
    /// Ends the save before, during and after each of its calls, in three ways. Returns the calls.
    fn play(&self) -> Vec<String> {
        let calls = self.undisturbed();
        for fault in Fault::each_of(&calls) {
            let Fault { call, moment, then } = fault;
            let name = &calls[call];
            self.disturbed(fault, &format!("{moment:?} {name}, then {then:?}"));
        }
        calls
    }

    fn undisturbed(&self) -> Vec<String> {
        let run = tempfile::tempdir().expect("a temporary folder");
        (self.prepare)(run.path());
        let disk = Faulty::new(None);
        save_as(&disk, run.path(), (self.step, "new"), &self.retention).expect("a save");
        assert!(self.is_new(run.path(), "undisturbed"));
        self.nothing_is_lost(run.path(), "undisturbed");
        disk.calls(run.path())
    }

    fn disturbed(&self, fault: Fault, place: &str) {
        let run = tempfile::tempdir().expect("a temporary folder");
        let run = run.path();
        (self.prepare)(run);
        let had_leftovers = has_leftovers(run);
        let disk = Faulty::new(Some(fault));
        let result = save_as(&disk, run, (self.step, "new"), &self.retention);
        assert!(result.is_err(), "{place}: the fault goes unnoticed");

        let is_new = self.is_new(run, place);
        self.nothing_is_lost(run, place);
        self.nothing_is_half(run, place);
        self.latest_is_whole(run, place);
        if !is_new && fault.then != Then::Dead && !had_leftovers {
            assert!(!has_leftovers(run), "{place}: {:?}", names(run));
        }

        let next = (self.step + 1, "restarted");
        save_as(&Faulty::new(None), run, next, &KEEP_ALL).expect("a save after a restart");
        let (newest, rejected) = found(run).expect("the checkpoint just saved");
        assert!(holds(&newest, next.0, next.1), "{place}");
        assert!(rejected.is_empty(), "{place}: {rejected:?}");
        assert!(!has_leftovers(run), "{place}: {:?}", names(run));
        self.nothing_is_lost(run, place);
        if is_new {
            let new = open(run, &Which::Step(self.step)).expect("the new checkpoint");
            assert!(holds(&new, self.step, "new"), "{place}");
        }
    }

    /// Returns whether the newest good checkpoint is the new one. Otherwise asserts that it is the
    /// one that was the newest before the save.
    fn is_new(&self, run: &Path, place: &str) -> bool {
        let Some((checkpoint, rejected)) = found(run) else {
            assert_eq!(self.newest, None, "{place}: the old checkpoint is gone");
            return false;
        };
        let known = rejected.iter().all(|step| self.damaged.contains(step));
        assert!(known, "{place}: {rejected:?}");
        let is_new = holds(&checkpoint, self.step, "new");
        let is_old = self.newest.is_some_and(|(s, v)| holds(&checkpoint, s, v));
        assert!(is_new || is_old, "{place}: neither old nor new");
        is_new
    }

    fn nothing_is_lost(&self, run: &Path, place: &str) {
        for &(step, version) in self.kept {
            let kept = open(run, &Which::Step(step));
            let kept = kept.unwrap_or_else(|error| panic!("{place}: {error}"));
            assert!(holds(&kept, step, version), "{place}: step {step}");
        }
    }

    /// Asserts that readers find no folder that is half written or half removed.
    fn nothing_is_half(&self, run: &Path, place: &str) {
        for found in survey(run, true).expect("a survey").checkpoints {
            let is_known = self.damaged.contains(&found.step);
            let is_whole = matches!(found.state, State::Whole);
            assert!(is_known || is_whole, "{place}: {found:?}");
        }
    }

    fn latest_is_whole(&self, run: &Path, place: &str) {
        let Ok(latest) = fs::read_to_string(Layout::of(run).latest()) else {
            assert_eq!(self.newest, None, "{place}: `latest` is gone");
            return;
        };
        let name = latest.strip_suffix('\n').expect(place);
        let newest = self.newest.map_or(self.step, |(step, _)| step);
        let steps = self.damaged.iter().chain([&newest, &self.step]);
        let mut paths = steps.map(|&step| Layout::of(run).step_dir(step));
        assert!(paths.any(|path| path.ends_with(name)), "{place}: {name}");
    }
}

/// Returns the newest good checkpoint, and the steps of the checkpoints that were skipped.
fn found(run: &Path) -> Option<(crate::Checkpoint, Vec<u64>)> {
    let found = open_newest_good(run).expect("a good checkpoint, or none at all");
    found.map(|(checkpoint, rejected)| (checkpoint, rejected.iter().map(|one| one.step).collect()))
}

fn has_leftovers(run: &Path) -> bool {
    Layout::of(run).dir().exists() && names(run).iter().any(|name| name.starts_with('.'))
}

#[test]
fn the_first_save_leaves_nothing_or_the_new_checkpoint() {
    Scene {
        prepare: &|_| {},
        step: 100,
        retention: KEEP_ALL,
        newest: None,
        kept: &[],
        damaged: &[],
    }
    .play();
}

#[test]
fn a_later_save_leaves_the_newest_or_the_new_checkpoint_at_every_call() {
    let calls = Scene {
        prepare: &|run| old(run, &[100, 200]),
        step: 300,
        retention: keep_last(1),
        newest: Some((200, "old")),
        kept: &[],
        damaged: &[],
    }
    .play();
    let expected = "create checkpoints
         sync .
         create checkpoints/.tmp-00000300
         create checkpoints/.tmp-00000300/model.safetensors
         write checkpoints/.tmp-00000300/model.safetensors
         sync checkpoints/.tmp-00000300/model.safetensors
         create checkpoints/.tmp-00000300/progress.json
         write checkpoints/.tmp-00000300/progress.json
         sync checkpoints/.tmp-00000300/progress.json
         create checkpoints/.tmp-00000300/manifest.json
         write checkpoints/.tmp-00000300/manifest.json
         sync checkpoints/.tmp-00000300/manifest.json
         sync checkpoints/.tmp-00000300
         rename checkpoints/.tmp-00000300
         sync checkpoints
         create checkpoints/.latest.aside
         write checkpoints/.latest.aside
         sync checkpoints/.latest.aside
         rename checkpoints/.latest.aside
         sync checkpoints
         rename checkpoints/step-00000100
         remove checkpoints/.tmp-00000100/manifest.json
         remove checkpoints/.tmp-00000100/model.safetensors
         remove checkpoints/.tmp-00000100/progress.json
         remove checkpoints/.tmp-00000100
         rename checkpoints/step-00000200
         remove checkpoints/.tmp-00000200/manifest.json
         remove checkpoints/.tmp-00000200/model.safetensors
         remove checkpoints/.tmp-00000200/progress.json
         remove checkpoints/.tmp-00000200";
    let expected: Vec<_> = expected.lines().map(str::trim).collect();
    assert_eq!(calls, expected);
}

#[test]
fn retention_ends_anywhere_and_takes_nothing_that_it_should_keep() {
    Scene {
        prepare: &|run| old(run, &[100, 150, 200, 210, 220]),
        step: 300,
        retention: Retention {
            keep_last: 2,
            keep_every: Some(100),
            keep_best: Some(150),
        },
        newest: Some((220, "old")),
        kept: &[(100, "old"), (150, "old"), (200, "old"), (220, "old")],
        damaged: &[],
    }
    .play();
}

#[test]
fn a_step_saved_again_has_its_old_or_its_new_content() {
    let calls = Scene {
        prepare: &|run| old(run, &[100, 200]),
        step: 200,
        retention: KEEP_ALL,
        newest: Some((200, "old")),
        kept: &[(100, "old")],
        damaged: &[],
    }
    .play();
    assert!(
        calls
            .iter()
            .any(|call| call == "rename checkpoints/step-00000200")
    );
    assert!(
        calls
            .iter()
            .any(|call| call == "rename checkpoints/.old-00000200")
    );
}

#[test]
fn a_damaged_step_saved_again_leaves_the_older_good_one_until_the_new_one_is_there() {
    Scene {
        prepare: &|run| {
            old(run, &[100, 200]);
            damage(run, 200);
        },
        step: 200,
        retention: keep_last(2),
        newest: Some((100, "old")),
        kept: &[(100, "old")],
        damaged: &[200],
    }
    .play();
}

#[test]
fn the_only_good_checkpoint_outlives_a_save_beside_damaged_ones() {
    Scene {
        prepare: &|run| {
            old(run, &[50, 100, 200, 250]);
            damage(run, 200);
            damage(run, 250);
        },
        step: 300,
        retention: keep_last(3),
        newest: Some((100, "old")),
        kept: &[(100, "old")],
        damaged: &[200, 250],
    }
    .play();
}

#[test]
fn the_repair_of_what_a_dead_process_left_can_itself_end_anywhere() {
    let calls = Scene {
        prepare: &|run| {
            old(run, &[100, 200]);
            let layout = Layout::of(run);
            fs::create_dir(layout.aside(300)).expect("a folder being written");
            fs::write(layout.aside(300).join(MODEL), "hal").expect("half a file");
            fs::rename(layout.step_dir(200), layout.replaced(200)).expect("a step moved away");
        },
        step: 300,
        retention: KEEP_ALL,
        newest: Some((200, "old")),
        kept: &[(100, "old"), (200, "old")],
        damaged: &[],
    }
    .play();
    assert!(
        calls
            .iter()
            .any(|call| call == "rename checkpoints/.old-00000200")
    );
}

#[test]
fn a_step_whose_replacement_is_whole_gives_way_to_it() {
    Scene {
        prepare: &|run| {
            old(run, &[200]);
            just_replaced(run);
        },
        step: 300,
        retention: KEEP_ALL,
        newest: Some((200, "newer")),
        kept: &[(200, "newer")],
        damaged: &[],
    }
    .play();
}

#[test]
fn a_step_whose_replacement_was_damaged_before_it_was_removed_is_found_and_put_back() {
    let calls = Scene {
        prepare: &|run| {
            old(run, &[200]);
            just_replaced(run);
            damage(run, 200);
        },
        step: 300,
        retention: KEEP_ALL,
        newest: Some((200, "old")),
        kept: &[],
        damaged: &[200],
    }
    .play();
    assert!(
        calls
            .iter()
            .any(|call| call == "rename checkpoints/step-00000200")
    );
}
