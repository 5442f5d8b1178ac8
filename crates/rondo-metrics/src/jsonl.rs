//! `metrics.jsonl`: one record a line, appended, read back, and cut to a step at a resume.
//!
//! A line reaches the operating system in one write before [`Sink::write`] returns, so a killed process
//! loses at most the end of its last line. Readers pass over such an end; a resume removes it.

mod reader;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

pub use reader::{Records, read, records};

use crate::record::Record;
use crate::sinks::{Sink, SinkError};

/// Why a metrics file cannot be created, read, or cut.
#[derive(Debug, thiserror::Error)]
pub enum JsonlError {
    /// A new run found the file of another.
    #[error("{}: a metrics file is there already; resume its run or choose another directory", path.display())]
    Exists {
        /// The metrics file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{}: cannot {action} the metrics file", path.display())]
    Io {
        /// The metrics file.
        path: PathBuf,
        /// What was tried.
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
        /// What the parser saw.
        source: serde_json::Error,
    },
}

/// What a resume left in the file and what it removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Records at or before the resumed step.
    pub kept: usize,
    /// Records after it; they will be written again.
    pub dropped: usize,
}

/// Appends records to a file.
#[derive(Debug)]
pub struct JsonlSink {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines in the file.
    whole: u64,
    /// Whether a failed write may have left part of a line after them.
    torn: bool,
}

impl JsonlSink {
    /// Creates a new file for a new run.
    ///
    /// # Errors
    ///
    /// The file exists already, or the file system refuses.
    pub fn create(path: &Path) -> Result<Self, JsonlError> {
        let file = new_file(path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => JsonlError::Exists {
                path: path.to_owned(),
            },
            _ => JsonlError::Io {
                path: path.to_owned(),
                action: "create",
                source,
            },
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            whole: 0,
            torn: false,
        })
    }

    /// Opens the file of an interrupted run and removes every record after `last_step`, so that going on
    /// from that step doubles no row. Kept lines stay byte for byte. The shortened file is written
    /// aside and renamed: whatever happens, one of the two is there whole. A missing file is created.
    ///
    /// # Errors
    ///
    /// A complete line is not a record, or the file system refuses; the file is then as it was.
    pub fn open_for_resume(path: &Path, last_step: u64) -> Result<(Self, Cut), JsonlError> {
        if !path
            .try_exists()
            .map_err(|source| io_error(path, "open", source))?
        {
            return Ok((
                Self::create(path)?,
                Cut {
                    kept: 0,
                    dropped: 0,
                },
            ));
        }
        let aside = path.with_extension("jsonl.tmp");
        let resumed = Self::rewrite(path, &aside, last_step);
        if resumed.is_err() {
            // The original is untouched; a leftover only costs space and the next resume removes it.
            let _ = fs::remove_file(&aside);
        }
        resumed
    }

    fn rewrite(path: &Path, aside: &Path, last_step: u64) -> Result<(Self, Cut), JsonlError> {
        let failed = |action| move |source| io_error(path, action, source);
        match fs::remove_file(aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("rewrite")(error));
            }
            _ => {}
        }
        let file = new_file(aside).map_err(failed("rewrite"))?;
        let mut kept_lines = BufWriter::new(&file);
        let mut cut = Cut {
            kept: 0,
            dropped: 0,
        };
        let mut whole = 0;
        let mut records = records(path)?;
        while let Some(record) = records.next() {
            if record?.step > last_step {
                cut.dropped += 1;
                continue;
            }
            let line = records.line();
            kept_lines.write_all(line).map_err(failed("rewrite"))?;
            kept_lines.write_all(b"\n").map_err(failed("rewrite"))?;
            whole += line.len() as u64 + 1;
            cut.kept += 1;
        }
        kept_lines.flush().map_err(failed("rewrite"))?;
        drop(kept_lines);
        file.sync_all().map_err(failed("rewrite"))?;
        fs::rename(aside, path).map_err(failed("replace"))?;
        sync_parent(path).map_err(failed("replace"))?;
        Ok((
            Self {
                path: path.to_owned(),
                file,
                whole,
                torn: false,
            },
            cut,
        ))
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
}

impl Sink for JsonlSink {
    /// Appends one line. After a failure the file ends with the last whole line, and a later call may
    /// succeed.
    fn write(&mut self, record: &Record) -> Result<(), SinkError> {
        self.append(record).map_err(|source| SinkError {
            path: self.path.clone(),
            source,
        })
    }

    /// Waits until the device has the file.
    fn finish(&mut self) -> Result<(), SinkError> {
        self.file.sync_all().map_err(|source| SinkError {
            path: self.path.clone(),
            source,
        })
    }
}

/// Creates a file that is not there yet, following no link; writes go to its end.
fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).open(path)
}

/// Makes a rename in the file's directory durable, where the platform can.
fn sync_parent(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
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

    use super::*;
    use crate::events::Event;

    pub(in crate::jsonl) fn loss(step: u64) -> Record {
        let mut record = Record::train(step, 8 * step);
        record.push("loss", 1.0 / step as f64).unwrap();
        record
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
    fn a_resume_cuts_after_its_step_and_doubles_nothing() {
        let rows = [
            loss(1),
            loss(2),
            Record::eval(2, 16),
            Record::event(2, 16, Event::Checkpoint),
            loss(3),
            Record::eval(3, 24),
            Record::event(3, 24, Event::LossSpike),
        ];
        let (_dir, path) = file_of(&rows);
        append(&path, b"{\"step\":4,\"tok");
        let (mut sink, cut) = JsonlSink::open_for_resume(&path, 2).unwrap();
        assert_eq!(
            cut,
            Cut {
                kept: 4,
                dropped: 3
            }
        );
        sink.write(&loss(3)).unwrap();
        sink.finish().unwrap();
        let mut expected = rows[..4].to_vec();
        expected.push(loss(3));
        assert_eq!(read(&path).unwrap(), expected);
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "nothing aside"
        );
    }

    #[test]
    fn a_resume_keeps_lines_byte_for_byte_and_mends_a_lost_line_end() {
        let (_dir, path) = file_of(&[]);
        let line = br#"{"tokens":8, "step":1,"kind":"train","metrics":{"later":1e0}}"#;
        append(&path, line);
        let (mut sink, cut) = JsonlSink::open_for_resume(&path, 1).unwrap();
        assert_eq!(
            cut,
            Cut {
                kept: 1,
                dropped: 0
            }
        );
        sink.write(&loss(2)).unwrap();
        assert!(
            fs::read(&path)
                .unwrap()
                .starts_with(&[line.as_slice(), b"\n{"].concat())
        );
    }

    #[test]
    fn a_resume_that_is_refused_changes_nothing() {
        let (_dir, path) = file_of(&[loss(1)]);
        append(&path, b"rubbish\n");
        let before = fs::read(&path).unwrap();
        assert!(JsonlSink::open_for_resume(&path, 0).is_err());
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "nothing aside"
        );
    }

    #[test]
    fn a_leftover_of_a_killed_resume_is_no_obstacle() {
        let (_dir, path) = file_of(&[loss(1), loss(2)]);
        fs::write(path.with_extension("jsonl.tmp"), "half a").unwrap();
        JsonlSink::open_for_resume(&path, 1).unwrap();
        assert_eq!(read(&path).unwrap(), [loss(1)]);
    }

    #[test]
    fn a_missing_file_is_created_at_a_resume() {
        let (_dir, path) = file_of(&[]);
        fs::remove_file(&path).unwrap();
        let (mut sink, _) = JsonlSink::open_for_resume(&path, 9).unwrap();
        sink.write(&loss(10)).unwrap();
        assert_eq!(read(&path).unwrap(), [loss(10)]);
    }

    #[test]
    fn part_of_a_line_left_by_a_failed_write_is_removed_before_the_next() {
        let (_dir, path) = file_of(&[]);
        let (mut sink, _) = JsonlSink::open_for_resume(&path, 0).unwrap();
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
