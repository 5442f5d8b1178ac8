//! Replaces a file or a folder while the process is killed, or the disk fails, at each of the calls
//! that change something.

use std::fs;
use std::path::Path;

use crate::faulty::{Fault, Faulty, Then};
use crate::{FileError, StagedFolder, replace};

/// A write, and the conditions that must hold however the write ends.
struct Scene<'s> {
    /// Prepares the folder before the write.
    prepare: &'s dyn Fn(&Path),
    write: &'s dyn Fn(&Faulty, &Path) -> Result<(), FileError>,
    /// Checks the folder. Gets how the write ended, and the text that identifies the case in
    /// messages.
    check: &'s dyn Fn(&Path, End, &str),
}

/// How a write ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    Failed,
    Killed,
}

impl Scene<'_> {
    /// Makes each call of the write fail in every way, and repeats the write after each failure.
    /// Returns the calls of a write without failure.
    fn play(&self) -> Vec<String> {
        let (calls, result) = self.write_with(None);
        result.expect("a disk without faults");
        for fault in Fault::each_of(&calls) {
            let (_, result) = self.write_with(Some(fault));
            assert!(result.is_err(), "{fault:?} goes unnoticed");
        }
        calls
    }

    fn write_with(&self, fault: Option<Fault>) -> (Vec<String>, Result<(), FileError>) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let dir = dir.path();
        (self.prepare)(dir);
        let disk = Faulty::new(fault);
        let result = (self.write)(&disk, dir);
        let end = match fault.map(|fault| fault.then) {
            None => End::Done,
            Some(Then::Dead) => End::Killed,
            Some(Then::Works | Then::Full) => End::Failed,
        };
        (self.check)(dir, end, &format!("{fault:?}"));
        (self.write)(&Faulty::new(None), dir).expect("another try");
        (self.check)(dir, End::Done, &format!("after {fault:?}"));
        (disk.calls(dir), result)
    }
}

/// Returns the content of the file or folder `name`; `None` if it does not exist.
fn held(dir: &Path, name: &str) -> Option<Vec<String>> {
    let path = dir.join(name);
    let text = |path: &Path| fs::read_to_string(path).expect("a text");
    if path.is_file() {
        return Some(vec![text(&path)]);
    }
    let mut held = Vec::new();
    for entry in fs::read_dir(path).ok()? {
        held.push(text(&entry.expect("an entry").path()));
    }
    held.sort();
    Some(held)
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).into()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_file_has_its_old_content_or_its_new_at_every_call() {
    let calls = Scene {
        prepare: &|dir| {
            fs::write(dir.join("file"), "old").expect("a file");
            fs::write(dir.join(".file.aside"), "half").expect("a leftover");
        },
        write: &|disk, dir| replace(disk, &dir.join("file"), |out| out.write_all(b"new")),
        check: &|dir, end, place| {
            let held = held(dir, "file").expect(place);
            assert!(held == ["new"] || held == ["old"], "{place}: {held:?}");
            if end == End::Done {
                assert_eq!(held, ["new"], "{place}");
            }
            if end != End::Killed {
                assert_eq!(names(dir).len(), 1, "{place}: {:?}", names(dir));
            }
        },
    }
    .play();
    assert_eq!(
        calls,
        [
            "remove .file.aside",
            "create .file.aside",
            "write .file.aside",
            "sync .file.aside",
            "rename .file.aside",
            "sync ."
        ]
    );
}

/// Writes two files into a folder, and moves the folder to its target.
fn folder(
    disk: &Faulty,
    target: &Path,
    put: impl FnOnce(StagedFolder<Faulty>) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let staged = StagedFolder::create(disk, target)?;
    staged.write("a", |out| out.write_all(b"new a"))?;
    staged.write("b", |out| out.write_all(b"new b"))?;
    put(staged)
}

#[test]
fn a_folder_for_a_free_place_is_whole_or_not_there_at_every_call() {
    let calls = Scene {
        prepare: &|_| {},
        write: &|disk, dir| {
            let target = dir.join("above/run");
            // If the first attempt failed only after the commit, the second attempt finds the
            // folder.
            match target.exists() {
                true => Ok(()),
                false => folder(disk, &target, StagedFolder::commit),
            }
        },
        check: &|dir, end, place| {
            let held = held(dir, "above/run");
            let is_new = held == Some(texts(["new a", "new b"]));
            assert!(is_new || held.is_none(), "{place}: {held:?}");
            assert!(is_new || end != End::Done, "{place}");
            if end != End::Killed {
                let left = names(dir).len();
                assert_eq!(left, usize::from(is_new), "{place}: {:?}", names(dir));
            }
            if is_new {
                assert_eq!(names(&dir.join("above")), ["run"], "{place}");
            }
        },
    }
    .play();
    let process = std::process::id();
    let expected = format!(
        "create above/.run.{process}.partial
         create above/.run.{process}.partial/a
         write above/.run.{process}.partial/a
         sync above/.run.{process}.partial/a
         create above/.run.{process}.partial/b
         write above/.run.{process}.partial/b
         sync above/.run.{process}.partial/b
         sync above/.run.{process}.partial
         rename above/.run.{process}.partial
         sync above"
    );
    let expected: Vec<_> = expected.lines().map(str::trim).collect();
    assert_eq!(calls, expected);
}

#[test]
fn a_folder_in_a_taken_place_is_old_or_new_and_never_lost_at_any_call() {
    let aside = |what: &str| format!(".run.{}.{what}", std::process::id());
    let calls = Scene {
        prepare: &|dir| {
            fs::create_dir(dir.join("run")).expect("a folder");
            fs::write(dir.join("run/a"), "old").expect("a file");
        },
        write: &|disk, dir| {
            // A folder that a killed process has moved away must be moved back by a person.
            if held(dir, "run").is_none() {
                fs::rename(dir.join(aside("replaced")), dir.join("run")).expect("the old folder");
            }
            let _ = fs::remove_dir_all(dir.join(aside("replaced")));
            folder(disk, &dir.join("run"), StagedFolder::replace)
        },
        check: &|dir, end, place| {
            let (here, away) = (held(dir, "run"), held(dir, &aside("replaced")));
            let (is_new, old) = (
                here == Some(texts(["new a", "new b"])),
                Some(texts(["old"])),
            );
            assert!(
                is_new || here == old || away == old,
                "{place}: {here:?}, {away:?}"
            );
            assert!(here.is_some() || end == End::Killed, "{place}");
            assert!(is_new || end != End::Done, "{place}");
            if end == End::Done {
                assert_eq!(names(dir), ["run"], "{place}");
            }
            let partial = names(dir).contains(&aside("partial"));
            assert!(!partial || end == End::Killed, "{place}");
        },
    }
    .play();
    let process = std::process::id();
    let expected = format!(
        "sync .run.{process}.partial
         rename run
         rename .run.{process}.partial
         sync .
         remove .run.{process}.replaced/a
         remove .run.{process}.replaced"
    );
    let expected: Vec<_> = expected.lines().map(str::trim).collect();
    assert_eq!(calls[calls.len() - expected.len()..], expected);
}
