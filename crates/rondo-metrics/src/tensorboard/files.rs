//! The event files of a run: this module creates new files, and finds existing files, also those of
//! an earlier version.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use super::message::wall_time;

/// The prefix of the name of an event file. Ten digits follow: the seconds since 1970, or a larger
/// number if the clock was set back.
const PREFIX: &str = "events.out.tfevents.";

/// Returns the event files in a folder, in the order of their names; an empty list if the folder
/// does not exist.
///
/// # Errors
///
/// The folder exists and cannot be read.
pub fn event_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(PREFIX)) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Creates an event file whose name sorts after the existing names. `TensorBoard` reads the files
/// of a directory in the order of their names. The time alone would not suffice, because a clock
/// may have been set back.
pub(super) fn create_file(directory: &Path) -> io::Result<File> {
    fs::create_dir_all(directory)?;
    let process = process::id();
    let mut number = wall_time() as u64;
    let numbers = event_files(directory)?;
    if let Some(newest) = numbers.iter().filter_map(|path| number_of(path)).max() {
        number = number.max(newest.saturating_add(1));
    }
    for attempt in 0..100 {
        let name = format!("{PREFIX}{number:010}.rondo.{process}.{attempt}");
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(directory.join(name))
        {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result,
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Returns the number in the name of an event file; `None` if it does not have ten digits.
pub(super) fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let (number, _) = name.strip_prefix(PREFIX)?.split_once('.')?;
    // A number with more than ten digits would sort before a number with fewer digits.
    number.parse::<u64>().ok().filter(|_| number.len() == 10)
}
