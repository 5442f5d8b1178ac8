//! The write sequence: a temporary folder, the manifest last, one rename.
//!
//! ```text
//! repair what a dead process left          .tmp-* removed, a lone .old-N moved back
//! .tmp-N/      every file, synced; manifest.json, synced; the folder, synced
//! step-N       if it exists: renamed to .old-N
//! .tmp-N   ->  step-N                      the commit
//! checkpoints/ synced                      the commit lasts
//! .old-N       renamed to .tmp-N, removed
//! latest       replaced
//! old steps    renamed to .tmp-*, removed  retention
//! ```
//! After an interruption at any point of this sequence, a reader finds either the old or the new
//! checkpoint whole. The next save completes or undoes the rest.

use std::io::{self, Write};
use std::path::Path;

use rondo_files::{Content, Disk, FileSystem, RunLock, if_there, replace, write_new};

use crate::error::{CheckpointError, at};
use crate::layout::{Entry, Layout};
use crate::manifest::{FileRecord, MANIFEST, MAX_MANIFEST, Manifest, check_names, hex};
use crate::repair::{discard, repair};
use crate::retention::{Retention, retain};

/// The content of a checkpoint.
#[derive(Clone, Copy)]
pub struct Snapshot<'a> {
    /// The number of optimizer steps taken.
    pub step: u64,
    /// The hash of the configuration that the checkpoint was trained with.
    pub config_hash: &'a str,
    /// The program and version that write the checkpoint.
    pub created_by: &'a str,
    /// The files' names and contents. A name has 1 to 128 of the characters `a-z 0-9 . _ -`.
    pub files: &'a [(&'a str, &'a dyn Content)],
}

/// Commits `snapshot` to the locked run directory, then removes the older checkpoints that
/// `retention` does not keep. Returns the committed checkpoint.
///
/// A checkpoint of the same step is replaced. Checkpoints of later steps are neither counted nor
/// removed. Such checkpoints exist if a resume found them damaged and skipped them.
///
/// # Errors
/// [`CheckpointError::FileName`] before anything is written; [`CheckpointError::ManifestTooLarge`]
/// for thousands of files; [`CheckpointError::Io`] with the file and the error of the system. If an
/// I/O error occurs before the commit, the earlier checkpoints are unchanged. If it occurs after
/// the commit (its path is then `latest`, `checkpoints` or an older step), the new checkpoint
/// exists too.
pub fn save(
    lock: &RunLock,
    snapshot: &Snapshot<'_>,
    retention: &Retention,
) -> Result<Entry, CheckpointError> {
    save_on(&FileSystem, lock, snapshot, retention)
}

/// Does what [`save`] does, on any disk.
pub(crate) fn save_on(
    disk: &impl Disk,
    lock: &RunLock,
    snapshot: &Snapshot<'_>,
    retention: &Retention,
) -> Result<Entry, CheckpointError> {
    let layout = Layout::of(lock.run_dir());
    let aside = layout.aside(snapshot.step);
    check_names(
        snapshot.files.iter().map(|(name, _)| *name),
        &aside.join(MANIFEST),
    )?;
    disk.create_dir_all(layout.dir())
        .map_err(at("create", layout.dir()))?;
    sync_dir(disk, lock.run_dir())?;
    repair(disk, &layout)?;

    let committed = write_aside(disk, &aside, snapshot)
        .and_then(|size| commit(disk, &layout, snapshot.step, size));
    let entry = committed.inspect_err(|_| {
        // The first error is reported. An error of this repair is ignored, because the next save
        // repairs again.
        let _ = repair(disk, &layout);
    })?;

    sync_dir(disk, layout.dir())?;
    discard(disk, &layout.replaced(entry.step), &aside)?;
    let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
    replace(disk, &layout.latest(), |out| writeln!(out, "{name}"))?;
    retain(disk, &layout, entry.step, retention)?;
    Ok(entry)
}

/// Writes every file, the manifest last. Returns the total size of the files.
fn write_aside(
    disk: &impl Disk,
    aside: &Path,
    snapshot: &Snapshot<'_>,
) -> Result<u64, CheckpointError> {
    disk.create_dir(aside).map_err(at("create", aside))?;
    let mut records = Vec::with_capacity(snapshot.files.len());
    for (name, content) in snapshot.files {
        records.push(write_file(disk, aside, name, *content)?);
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
    records.push(write_file(disk, aside, MANIFEST, &json)?);
    sync_dir(disk, aside)?;
    Ok(records.iter().map(|record| record.size).sum())
}

fn commit(
    disk: &impl Disk,
    layout: &Layout,
    step: u64,
    size: u64,
) -> Result<Entry, CheckpointError> {
    let path = layout.step_dir(step);
    if_there(disk.rename(&path, &layout.replaced(step))).map_err(at("rename", &path))?;
    let aside = layout.aside(step);
    disk.rename(&aside, &path).map_err(at("rename", &aside))?;
    Ok(Entry { step, path, size })
}

fn write_file(
    disk: &impl Disk,
    dir: &Path,
    name: &str,
    content: &dyn Content,
) -> Result<FileRecord, CheckpointError> {
    let (mut hasher, mut size) = (blake3::Hasher::new(), 0);
    write_new(disk, &dir.join(name), |out| {
        content.write_to(&mut Hashing {
            inner: out,
            hasher: &mut hasher,
            size: &mut size,
        })
    })?;
    Ok(FileRecord {
        name: name.to_owned(),
        size,
        blake3: hex(hasher.finalize()),
    })
}

fn sync_dir(disk: &impl Disk, dir: &Path) -> Result<(), CheckpointError> {
    disk.sync_dir(dir).map_err(at("sync", dir))
}

/// Hashes and counts the bytes that are written through it.
struct Hashing<'w> {
    inner: &'w mut dyn Write,
    hasher: &'w mut blake3::Hasher,
    size: &'w mut u64,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        *self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
