//! Replacing one file so that every reader, after any crash, sees the old bytes or the new.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::error::{CheckpointError, at};
use crate::save::Content;

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
    replace(path, &mut |out| out.write_all(bytes))
}

/// Writes `content` to `path` as [`atomic_write`] does, without holding all of it in memory.
///
/// # Errors
/// As [`atomic_write`].
pub fn atomic_save(path: &Path, content: &dyn Content) -> Result<(), CheckpointError> {
    replace(path, &mut |out| content.write_to(out))
}

fn replace(path: &Path, write: WriteAll<'_>) -> Result<(), CheckpointError> {
    let Some(name) = path.file_name() else {
        return Err(at("write", path)(io::ErrorKind::InvalidInput.into()));
    };
    let mut aside_name = OsString::from(".");
    aside_name.push(name);
    aside_name.push(".aside");
    let aside = path.with_file_name(aside_name);

    let result = write_new(&aside, write)
        .and_then(|()| fs::rename(&aside, path).map_err(at("rename", &aside)));
    if result.is_err() {
        // The first error is the one worth reporting.
        let _ = fs::remove_file(&aside);
    }
    result?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => sync_dir(Path::new(".")),
    }
}

fn write_new(aside: &Path, write: WriteAll<'_>) -> Result<(), CheckpointError> {
    match fs::remove_file(aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(at("remove", aside)(error));
        }
        _ => {}
    }
    let file = File::create_new(aside).map_err(at("create", aside))?;
    let mut out = BufWriter::new(file);
    let written = write(&mut out).and_then(|()| out.flush());
    written.map_err(at("write", aside))?;
    out.get_ref().sync_all().map_err(at("sync", aside))
}

/// Makes the names in `dir` durable.
#[cfg(unix)]
pub(crate) fn sync_dir(dir: &Path) -> Result<(), CheckpointError> {
    match File::open(dir).and_then(|folder| folder.sync_all()) {
        // Some network file systems cannot sync a folder; their renames are as durable as they get.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        result => result.map_err(at("sync", dir)),
    }
}

/// Elsewhere a folder cannot be opened as a file, and the file system journals its names.
#[cfg(not(unix))]
pub(crate) fn sync_dir(_dir: &Path) -> Result<(), CheckpointError> {
    Ok(())
}

#[cfg(test)]
mod tests {
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
