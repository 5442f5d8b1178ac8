//! The file `metrics.jsonl`, with one record per line. A run appends records, readers read them
//! back, and a resume shortens the file to the step from which the run continues.
//!
//! Each line is passed to the operating system in one write before [`Sink::write`] returns, so a
//! killed process loses at most the end of its last line. Readers skip such an incomplete line; a
//! resume removes the line.

mod reader;
mod resume;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rondo_files::{Disk, FileSystem};

pub use reader::{Records, read, records};
pub use resume::{Cut, Evaluation};

use crate::record::Record;
use crate::sinks::{Sink, SinkError};

/// Why a metrics file cannot be created, read, or cut.
#[derive(Debug, thiserror::Error)]
pub enum JsonlError {
    /// A new run found the file of another run.
    #[error("{}: a metrics file is there already; resume its run or choose another directory", path.display())]
    Exists {
        /// The metrics file.
        path: PathBuf,
    },
    /// The file system reported an error.
    #[error("{}: cannot {action} the metrics file", path.display())]
    Io {
        /// The metrics file.
        path: PathBuf,
        /// The action that failed.
        action: &'static str,
        /// The file system's reason.
        source: io::Error,
    },
    /// A complete line is not a record.
    #[error("{}: line {line} is not a metrics record; remove or repair the line", path.display())]
    Malformed {
        /// The metrics file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The parser's reason.
        source: serde_json::Error,
    },
}

/// Appends records to a file.
#[derive(Debug)]
pub struct JsonlSink {
    path: PathBuf,
    file: File,
    /// The number of bytes that the complete lines of the file take.
    whole: u64,
    /// Whether a failed write may have left part of a line after the complete lines.
    torn: bool,
}

impl JsonlSink {
    /// Creates a new file for a new run.
    ///
    /// # Errors
    ///
    /// The file exists already, or the file system reports an error.
    pub fn create(path: &Path) -> Result<Self, JsonlError> {
        let file = FileSystem.create_new(path);
        let file = file.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => JsonlError::Exists {
                path: path.to_owned(),
            },
            _ => io_error(path, "create", source),
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            whole: 0,
            torn: false,
        })
    }

    fn append(&mut self, record: &Record) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.whole)?;
            self.torn = false;
        }
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            self.torn = self.file.set_len(self.whole).is_err();
            return Err(error);
        }
        self.whole += line.len() as u64;
        Ok(())
    }

    fn failed(&self, source: io::Error) -> SinkError {
        SinkError {
            path: self.path.clone(),
            source,
        }
    }
}

impl Sink for JsonlSink {
    /// Appends one line. After a failure the file ends with the last complete line, and a later
    /// call may succeed.
    fn write(&mut self, record: &Record) -> Result<(), SinkError> {
        self.append(record).map_err(|source| self.failed(source))
    }

    /// Syncs the file to the device.
    fn finish(&mut self) -> Result<(), SinkError> {
        self.file.sync_all().map_err(|source| self.failed(source))
    }
}

fn io_error(path: &Path, action: &'static str, source: io::Error) -> JsonlError {
    JsonlError::Io {
        path: path.to_owned(),
        action,
        source,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed write must fail the test")]

    use std::fs::OpenOptions;

    use super::*;
    use crate::events::Event;
    use crate::names::LOSS;

    pub(in crate::jsonl) fn loss(step: u64) -> Record {
        let mut draft = Record::train(step, 8 * step);
        draft.set(LOSS, 1.0 / step as f64);
        draft.finish()
    }

    pub(in crate::jsonl) fn file_of(records: &[Record]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let mut sink = JsonlSink::create(&path).unwrap();
        for record in records {
            sink.write(record).unwrap();
        }
        (dir, path)
    }

    pub(in crate::jsonl) fn append(path: &Path, bytes: &[u8]) {
        OpenOptions::new()
            .append(true)
            .open(path)
            .unwrap()
            .write_all(bytes)
            .unwrap();
    }

    #[test]
    fn what_is_written_is_read_back_without_finishing() {
        let rows = [loss(1), Record::event(1, 8, Event::Checkpoint), loss(3)];
        let (_dir, path) = file_of(&rows);
        assert_eq!(read(&path).unwrap(), rows);
    }

    #[test]
    fn a_new_run_never_takes_the_file_of_another() {
        let (_dir, path) = file_of(&[loss(1)]);
        assert!(matches!(
            JsonlSink::create(&path),
            Err(JsonlError::Exists { .. })
        ));
        assert_eq!(read(&path).unwrap().len(), 1);
    }

    #[test]
    fn part_of_a_line_left_by_a_failed_write_is_removed_before_the_next() {
        let (_dir, path) = file_of(&[]);
        let (mut sink, _) = JsonlSink::open_for_resume(&path, 0, Evaluation::Stands).unwrap();
        sink.write(&loss(1)).unwrap();
        append(&path, b"{\"step\":2,");
        sink.torn = true;
        sink.write(&loss(3)).unwrap();
        assert_eq!(read(&path).unwrap(), [loss(1), loss(3)]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error_that_names_the_file() {
        let path = PathBuf::from("/dev/full");
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        let mut sink = JsonlSink {
            path,
            file,
            whole: 0,
            torn: false,
        };
        let error = sink.write(&loss(1)).unwrap_err();
        assert!(error.to_string().starts_with("/dev/full: "), "{error}");
    }
}
