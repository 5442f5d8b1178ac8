//! A disk on which one chosen call is the last one, or fails.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use crate::disk::{Disk, FileSystem};

/// How far the chosen call gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Before,
    /// Half of the bytes are written; other calls do nothing.
    Midway,
    After,
}

/// What becomes of the calls after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// None does anything: the process was killed.
    Dead,
    /// They work: a single error.
    Works,
    /// Whatever needs space fails: the disk is full.
    Full,
}

/// Which call, how far, and what then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) call: usize,
    pub(super) moment: Moment,
    pub(super) then: Then,
}

/// The file system with a fault in it; it records its calls and does not wait for a device.
#[derive(Clone)]
pub(super) struct Faulty {
    fault: Option<Fault>,
    calls: Rc<RefCell<Vec<String>>>,
}

enum Verdict {
    Act,
    Refuse,
    ActHalf,
    ActAndFail,
}

impl Faulty {
    pub(super) fn new(fault: Option<Fault>) -> Self {
        let calls = Rc::default();
        Self { fault, calls }
    }

    /// Every call so far: a verb and a name, with its folder inside a checkpoint.
    pub(super) fn calls(&self) -> Vec<String> {
        self.calls.borrow().clone()
    }

    fn judge(&self, verb: &str, path: &Path) -> Verdict {
        let name = |path: &Path| path.file_name().expect("a name").display().to_string();
        let folder = name(path.parent().expect("a folder"));
        let is_inside = [".tmp-", ".old-", "step-"]
            .iter()
            .any(|prefix| folder.starts_with(prefix));
        let name = name(path);
        let shown = match is_inside {
            true => format!("{folder}/{name}"),
            false => name,
        };
        let mut calls = self.calls.borrow_mut();
        let now = calls.len();
        calls.push(format!("{verb} {shown}"));
        let Some(fault) = self.fault else {
            return Verdict::Act;
        };
        if now < fault.call {
            return Verdict::Act;
        }
        if now == fault.call {
            return match (fault.moment, verb) {
                (Moment::Midway, "write") => Verdict::ActHalf,
                (Moment::Before | Moment::Midway, _) => Verdict::Refuse,
                (Moment::After, _) => Verdict::ActAndFail,
            };
        }
        let takes_space = matches!(verb, "create" | "write" | "sync");
        match fault.then {
            Then::Dead => Verdict::Refuse,
            Then::Full if takes_space => Verdict::Refuse,
            Then::Works | Then::Full => Verdict::Act,
        }
    }

    fn call<T>(
        &self,
        verb: &str,
        path: &Path,
        act: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        match self.judge(verb, path) {
            Verdict::Act => act(),
            Verdict::Refuse | Verdict::ActHalf => Err(self.error()),
            Verdict::ActAndFail => act().and(Err(self.error())),
        }
    }

    fn error(&self) -> io::Error {
        match self.fault.map(|fault| fault.then) {
            Some(Then::Full) => io::ErrorKind::StorageFull.into(),
            _ => io::ErrorKind::PermissionDenied.into(),
        }
    }
}

impl Disk for Faulty {
    type File = FaultyFile;

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.call("create", dir, || FileSystem.create_dir_all(dir))
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.call("create", dir, || FileSystem.create_dir(dir))
    }

    fn create_new(&self, path: &Path) -> io::Result<FaultyFile> {
        let file = self.call("create", path, || FileSystem.create_new(path))?;
        Ok(FaultyFile {
            disk: self.clone(),
            file,
            path: path.into(),
        })
    }

    fn sync(&self, file: &FaultyFile) -> io::Result<()> {
        self.call("sync", &file.path, || Ok(()))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.call("sync", dir, || Ok(()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if !from.exists() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.call("rename", from, || FileSystem.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        if !path.exists() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.call("remove", path, || FileSystem.remove_file(path))
    }

    /// One file after the other, so that a fault can fall between them.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(dir)? {
            paths.push(entry?.path());
        }
        paths.sort();
        for path in paths {
            self.remove_file(&path)?;
        }
        self.call("remove", dir, || fs::remove_dir(dir))
    }
}

pub(super) struct FaultyFile {
    disk: Faulty,
    file: File,
    path: Box<Path>,
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.disk.judge("write", &self.path) {
            Verdict::Act => self.file.write(bytes),
            Verdict::Refuse => Err(self.disk.error()),
            Verdict::ActHalf => {
                self.file.write_all(&bytes[..bytes.len() / 2])?;
                Err(self.disk.error())
            }
            Verdict::ActAndFail => {
                self.file.write_all(bytes)?;
                Err(self.disk.error())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
