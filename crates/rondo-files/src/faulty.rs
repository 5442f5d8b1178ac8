//! A disk that stops or fails at one chosen call, for the tests of code that writes through a
//! [`Disk`].
//!
//! This module is public, because other crates test their own sequences of calls with it. With a
//! cargo feature instead, the tests would compile every crate that writes files a second time.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::disk::{Disk, FileSystem};

/// How much of the chosen call is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The call does nothing.
    Before,
    /// Half of the bytes are written. Only writes can stop midway.
    Midway,
    /// The call is done completely, but an error is returned.
    After,
}

/// What happens to the calls after the chosen call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// They all fail and do nothing, as after the process was killed.
    Dead,
    /// They succeed: the fault was a single error.
    Works,
    /// Calls that need space fail, as on a full disk.
    Full,
}

/// Which call fails, how much of it is done, and what happens to the later calls.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The call, counted from 0.
    pub call: usize,
    /// How much of the call is done.
    pub moment: Moment,
    /// What happens to the later calls.
    pub then: Then,
}

impl Fault {
    /// Returns every possible fault of a program, given the `calls` that it makes on a disk without
    /// faults.
    pub fn each_of(calls: &[String]) -> Vec<Self> {
        let mut faults = Vec::new();
        for (call, shown) in calls.iter().enumerate() {
            for moment in [Moment::Before, Moment::Midway, Moment::After] {
                if moment == Moment::Midway && !shown.starts_with("write") {
                    continue;
                }
                let after = [Then::Dead, Then::Works, Then::Full];
                faults.extend(after.map(|then| Self { call, moment, then }));
            }
        }
        faults
    }
}

/// The file system with at most one fault. It records all calls, and it does not sync anything to
/// the device.
#[derive(Clone)]
pub struct Faulty {
    fault: Option<Fault>,
    calls: Rc<RefCell<Vec<(&'static str, PathBuf)>>>,
}

enum Verdict {
    Act,
    Refuse,
    ActHalf,
    ActAndFail,
}

impl Faulty {
    /// Makes a disk with this fault; `None` for a disk without faults.
    pub fn new(fault: Option<Fault>) -> Self {
        let calls = Rc::default();
        Self { fault, calls }
    }

    /// Returns all calls so far. Each is a verb and a path relative to `root`.
    pub fn calls(&self, root: &Path) -> Vec<String> {
        let shown = |(verb, path): &(&str, PathBuf)| match path.strip_prefix(root) {
            Ok(inside) if inside.as_os_str().is_empty() => format!("{verb} ."),
            Ok(inside) => format!("{verb} {}", inside.display()),
            Err(_) => format!("{verb} {}", path.display()),
        };
        self.calls.borrow().iter().map(shown).collect()
    }

    fn judge(&self, verb: &'static str, path: &Path) -> Verdict {
        let mut calls = self.calls.borrow_mut();
        let now = calls.len();
        calls.push((verb, path.to_owned()));
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
        verb: &'static str,
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

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        if !dir.exists() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.call("remove", dir, || FileSystem.remove_dir(dir))
    }

    /// Removes the files one by one, so that a fault can occur between two of them.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(dir)? {
            paths.push(entry?.path());
        }
        paths.sort();
        for path in paths {
            self.remove_file(&path)?;
        }
        self.remove_dir(dir)
    }
}

/// A file on a [`Faulty`] disk.
pub struct FaultyFile {
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
