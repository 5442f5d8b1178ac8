//! Writing: aside, manifest last, one rename.
//!
//! ```text
//! repair what a dead process left          .tmp-* removed, a lone .old-N moved back
//! .tmp-N/      every file, synced; manifest.json, synced; the folder, synced
//! step-N       if it exists: renamed to .old-N
//! .tmp-N   ->  step-N                      the commit
//! checkpoints/ synced                      the commit lasts
//! .old-N       removed
//! latest       replaced
//! old steps    renamed to .tmp-*, removed  retention
//! ```
//!
//! After any prefix of this a reader finds the old checkpoint or the new one whole, and the next
//! save finishes or undoes the rest.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::atomic::{atomic_write, sync_dir};
use crate::error::{CheckpointError, at};
use crate::layout::{ASIDE, Entry, Layout, REPLACED, folders, list, step_of};
use crate::lock::RunLock;
use crate::manifest::{FileRecord, MANIFEST, MAX_MANIFEST, Manifest, check_names, hex};
use crate::retention::{Retention, to_remove};

/// What a checkpoint consists of.
#[derive(Clone, Copy)]
pub struct Snapshot<'a> {
    /// The number of optimizer steps taken.
    pub step: u64,
    /// The hash of the configuration.
    pub config_hash: &'a str,
    /// The program and version that writes.
    pub created_by: &'a str,
    /// Names and contents; a name is 1 to 128 of the characters `a-z 0-9 . _ -`.
    pub files: &'a [(&'a str, &'a dyn Content)],
}

/// What a file of a checkpoint contains, written as a stream so that it need not be in memory.
pub trait Content {
    /// Writes all of it, the same bytes each time.
    ///
    /// # Errors
    /// Whatever `out` answers.
    fn write_to(&self, out: &mut dyn Write) -> io::Result<()>;
}

impl Content for Vec<u8> {
    fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self)
    }
}

/// The places between two changes on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    Repaired,
    AsideCreated,
    FileWritten,
    ManifestWritten,
    AsideSynced,
    OldMovedAway,
    Committed,
    CommitSynced,
    OldRemoved,
    LatestWritten,
    ObsoleteMovedAway,
    ObsoleteRemoved,
}

/// Is told of every place reached; an error stops the sequence there.
pub(crate) type Reached<'r> = &'r mut dyn FnMut(Point) -> io::Result<()>;

/// Commits `snapshot` to the locked run directory and returns it as committed; then removes the
/// older checkpoints that `retention` does not keep.
///
/// A checkpoint of the same step is replaced. Checkpoints of later steps, left by a run that went
/// back to this one, are neither counted nor removed.
///
/// # Errors
/// [`CheckpointError::FileName`] before anything is written; [`CheckpointError::ManifestTooLarge`]
/// for thousands of files. [`CheckpointError::Io`] names the file and carries the system's answer; before the commit it leaves the earlier checkpoints as they
/// were, after it (path `latest`, `checkpoints` or an older step) the new one is there as well.
pub fn save(
    lock: &RunLock,
    snapshot: &Snapshot<'_>,
    retention: &Retention,
) -> Result<Entry, CheckpointError> {
    save_with(lock, snapshot, retention, &mut |_| Ok(()))
}

/// [`save`], telling `reached` of every place between two changes on disk.
pub(crate) fn save_with(
    lock: &RunLock,
    snapshot: &Snapshot<'_>,
    retention: &Retention,
    reached: Reached<'_>,
) -> Result<Entry, CheckpointError> {
    let layout = Layout::of(lock.run_dir());
    let aside = layout.aside(snapshot.step);
    check_names(
        snapshot.files.iter().map(|(name, _)| *name),
        &aside.join(MANIFEST),
    )?;
    fs::create_dir_all(layout.dir()).map_err(at("create", layout.dir()))?;
    sync_dir(lock.run_dir())?;
    repair(&layout)?;
    let mut reached = |point| reached(point).map_err(at("write", &aside));
    reached(Point::Repaired)?;

    let committed = write_aside(&aside, snapshot, &mut reached)
        .and_then(|size| commit(&layout, snapshot.step, size, &mut reached));
    let entry = committed.inspect_err(|_| {
        // The first error is the one worth reporting; the next save repairs again.
        let _ = repair(&layout);
    })?;
    reached(Point::Committed)?;

    sync_dir(layout.dir())?;
    reached(Point::CommitSynced)?;
    remove_if_there(&layout.replaced(entry.step))?;
    reached(Point::OldRemoved)?;
    let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
    atomic_write(&layout.latest(), format!("{name}\n").as_bytes())?;
    reached(Point::LatestWritten)?;
    retain(&layout, lock.run_dir(), entry.step, retention, &mut reached)?;
    Ok(entry)
}

/// [`Reached`] with its error in the terms of this crate.
type Hook<'r> = &'r mut dyn FnMut(Point) -> Result<(), CheckpointError>;

/// Undoes what a process that died, or an error, left half done.
fn repair(layout: &Layout) -> Result<(), CheckpointError> {
    for (name, path) in folders(layout.dir())? {
        if let Some(step) = step_of(&name, REPLACED) {
            let committed = layout.step_dir(step);
            if committed.is_dir() {
                remove_if_there(&path)?;
            } else {
                fs::rename(&path, &committed).map_err(at("rename", &path))?;
            }
        } else if name.starts_with(ASIDE) {
            remove_if_there(&path)?;
        }
    }
    Ok(())
}

fn write_aside(
    aside: &Path,
    snapshot: &Snapshot<'_>,
    reached: Hook<'_>,
) -> Result<u64, CheckpointError> {
    fs::create_dir(aside).map_err(at("create", aside))?;
    reached(Point::AsideCreated)?;
    let mut records = Vec::with_capacity(snapshot.files.len());
    for (name, content) in snapshot.files {
        records.push(write_file(aside, name, *content)?);
        reached(Point::FileWritten)?;
    }
    let Snapshot {
        step,
        config_hash,
        created_by,
        ..
    } = snapshot;
    let json = Manifest::new(*step, config_hash, created_by, records.clone())
        .and_then(|manifest| manifest.to_json())
        .map_err(|error| at("write", &aside.join(MANIFEST))(error.into()))?;
    let actual = json.len() as u64;
    if actual > MAX_MANIFEST {
        let path = aside.join(MANIFEST);
        return Err(CheckpointError::ManifestTooLarge {
            path,
            cap: MAX_MANIFEST,
            actual,
        });
    }
    records.push(write_file(aside, MANIFEST, &json)?);
    reached(Point::ManifestWritten)?;
    sync_dir(aside)?;
    reached(Point::AsideSynced)?;
    Ok(records.iter().map(|record| record.size).sum())
}

fn commit(
    layout: &Layout,
    step: u64,
    size: u64,
    reached: Hook<'_>,
) -> Result<Entry, CheckpointError> {
    let path = layout.step_dir(step);
    match fs::rename(&path, layout.replaced(step)) {
        Ok(()) => reached(Point::OldMovedAway)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(at("rename", &path)(error)),
    }
    let aside = layout.aside(step);
    fs::rename(&aside, &path).map_err(at("rename", &aside))?;
    Ok(Entry { step, path, size })
}

/// Removes old checkpoints, each moved away first: no `step-*` folder is ever half removed.
fn retain(
    layout: &Layout,
    run_dir: &Path,
    newest: u64,
    retention: &Retention,
    reached: Hook<'_>,
) -> Result<(), CheckpointError> {
    let steps = list(run_dir)?.into_iter().map(|entry| entry.step);
    let steps: Vec<u64> = steps.filter(|&step| step <= newest).collect();
    for step in to_remove(&steps, retention) {
        let (path, aside) = (layout.step_dir(step), layout.aside(step));
        fs::rename(&path, &aside).map_err(at("remove", &path))?;
        reached(Point::ObsoleteMovedAway)?;
        remove_if_there(&aside)?;
        reached(Point::ObsoleteRemoved)?;
    }
    Ok(())
}

fn write_file(
    dir: &Path,
    name: &str,
    content: &dyn Content,
) -> Result<FileRecord, CheckpointError> {
    let path = dir.join(name);
    let file = File::create_new(&path).map_err(at("create", &path))?;
    let mut out = Hashing {
        inner: BufWriter::new(file),
        hasher: blake3::Hasher::new(),
        size: 0,
    };
    content
        .write_to(&mut out)
        .and_then(|()| out.flush())
        .map_err(at("write", &path))?;
    out.inner.get_ref().sync_all().map_err(at("sync", &path))?;
    let blake3 = hex(out.hasher.finalize());
    Ok(FileRecord {
        name: name.to_owned(),
        size: out.size,
        blake3,
    })
}

fn remove_if_there(dir: &Path) -> Result<(), CheckpointError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at("remove", dir)(error)),
        _ => Ok(()),
    }
}

/// Counts and hashes what passes through.
struct Hashing<W> {
    inner: W,
    hasher: blake3::Hasher,
    size: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
