//! Replacing one file so that every reader, after any crash, sees the old bytes or the new.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::disk::{Disk, FileSystem, if_there};
use crate::error::{CheckpointError, at};
use crate::save::Content;

/// What stands before and after a file's name while its new content is being written.
const ASIDE: (&str, &str) = (".", ".aside");

/// Writes the whole of a file.
type WriteAll<'w> = &'w mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

/// Writes `bytes` to `path`: into `.NAME.aside` next to it, synced, renamed over it, folder synced.
///
/// A symbolic link at `path` is replaced, not followed. Two writers of one path must not run at
/// once; the run lock sees to that.
///
/// # Errors
/// [`CheckpointError::Io`]; `path` then has its old content and the aside file is gone, except when
/// the last step, syncing the folder, is the one that failed.
pub fn atomic_write(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    replace(&FileSystem, path, &mut |out| out.write_all(bytes))
}

/// Writes `content` to `path` as [`atomic_write`] does, without holding all of it in memory.
///
/// # Errors
/// As [`atomic_write`].
pub fn atomic_save(path: &Path, content: &dyn Content) -> Result<(), CheckpointError> {
    replace(&FileSystem, path, &mut |out| content.write_to(out))
}

/// Whether this is the name of what a writer that died may have left beside a file; the next write of
/// that file removes it.
pub fn is_leftover(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let (before, after) = (ASIDE.0.as_bytes(), ASIDE.1.as_bytes());
    name.len() > before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
}

/// [`atomic_write`] of whatever `write` writes, on any disk.
pub(crate) fn replace(
    disk: &impl Disk,
    path: &Path,
    write: WriteAll<'_>,
) -> Result<(), CheckpointError> {
    let Some(name) = path.file_name() else {
        return Err(at("write", path)(io::ErrorKind::InvalidInput.into()));
    };
    let mut aside_name = OsString::from(ASIDE.0);
    aside_name.push(name);
    aside_name.push(ASIDE.1);
    let aside = path.with_file_name(aside_name);

    let result = write_new(disk, &aside, write)
        .and_then(|()| disk.rename(&aside, path).map_err(at("rename", &aside)));
    if result.is_err() {
        // The first error is the one worth reporting.
        let _ = disk.remove_file(&aside);
    }
    result?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    disk.sync_dir(parent).map_err(at("sync", parent))
}

fn write_new(disk: &impl Disk, aside: &Path, write: WriteAll<'_>) -> Result<(), CheckpointError> {
    if_there(disk.remove_file(aside)).map_err(at("remove", aside))?;
    let file = disk.create_new(aside).map_err(at("create", aside))?;
    let mut out = BufWriter::new(file);
    let written = write(&mut out).and_then(|()| out.flush());
    written.map_err(at("write", aside))?;
    disk.sync(out.get_ref()).map_err(at("sync", aside))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_new_content_replaces_the_old_and_a_dead_writers_leftover() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("run.json");
        fs::write(dir.path().join(".run.json.aside"), "half").expect("a leftover");
        atomic_write(&path, b"one").expect("a first write");
        atomic_write(&path, b"two").expect("a second write");
        assert_eq!(fs::read(&path).expect("the file"), b"two");
        assert_eq!(fs::read_dir(dir.path()).expect("the folder").count(), 1);
    }

    #[test]
    fn only_what_a_writer_leaves_is_a_leftover() {
        for (name, expected) in [
            (".run.json.aside", true),
            ("run.json", false),
            (".lock", false),
            ("run.json.aside", false),
            (".aside", false),
        ] {
            assert_eq!(is_leftover(OsStr::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn a_write_that_cannot_be_renamed_leaves_nothing_behind_and_names_the_file() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("run.json");
        fs::create_dir(&path).expect("a folder in the way");
        let error = atomic_write(&path, b"one").expect_err("a folder is in the way");
        assert!(error.to_string().contains("run.json"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).expect("the folder").count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_is_replaced_and_its_target_untouched() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        fs::write(&target, "mine").expect("a target");
        std::os::unix::fs::symlink(&target, &link).expect("a link");
        atomic_write(&link, b"new").expect("a write");
        assert_eq!(fs::read(&target).expect("the target"), b"mine");
        assert_eq!(fs::read(&link).expect("the former link"), b"new");
    }
}
