//! Reads the records that were appended to a metrics file since the last call.
//!
//! A resume shortens a metrics file and then appends to it again, by renaming another file over it.
//! On a mounted folder neither inodes nor times show that reliably, so the content is checked:
//! before anything is read, the last line that was read must still be at its place.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::SystemTime;

use rondo_metrics::{JsonlError, Record};

/// The number of bytes after which a call returns, so that the first numbers of a long run are
/// shown while the rest is read.
const PORTION: u64 = 4 << 20;

/// The longest line that is read, in bytes; the same as in every other reader of metrics.
const MAX_LINE: u64 = 64 << 20;

/// The result of reading a file.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Whether the file was rewritten, so that everything read before is invalid.
    pub(crate) restarted: bool,
    /// Records that were appended since the last call.
    pub(crate) records: Vec<Record>,
    /// Whether there is more to read at once.
    pub(crate) more: bool,
    /// Why reading ended before the end of the file; the next call tries again.
    pub(crate) fault: Option<JsonlError>,
    /// When the file was last changed, by the clock of its file system.
    pub(crate) modified: Option<SystemTime>,
}

/// A position in a metrics file.
#[derive(Debug)]
pub(crate) struct Tail {
    path: PathBuf,
    /// The bytes of the records that were read.
    offset: u64,
    /// The number of their lines.
    lines: usize,
    /// The last of these lines, with its line end.
    last: Vec<u8>,
    /// Length and time of the file when it was last read to its end.
    seen: Option<(u64, Option<SystemTime>)>,
}

impl Tail {
    /// Starts at the beginning of a file, which need not exist yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            offset: 0,
            lines: 0,
            last: Vec::new(),
            seen: None,
        }
    }

    /// Drops everything that was read, so that the next call starts from the beginning.
    pub(crate) fn rewind(&mut self) {
        *self = Self::new(std::mem::take(&mut self.path));
    }

    /// Reads the records that were appended since the last call; none if nothing has changed.
    ///
    /// # Errors
    ///
    /// Where the file cannot be opened or read. A line that is not a record is reported as a fault
    /// in the result, which contains the records before it.
    pub(crate) fn look(&mut self) -> Result<Option<Look>, JsonlError> {
        // After an error the file is read again even if it has not changed.
        let look = self.try_look();
        if look.is_err() {
            self.seen = None;
        }
        look
    }

    fn try_look(&mut self) -> Result<Option<Look>, JsonlError> {
        let file = File::open(&self.path).map_err(|error| self.io("open", error))?;
        let about = file.metadata().map_err(|error| self.io("read", error))?;
        let now = (about.len(), about.modified().ok());
        if self.seen == Some(now) {
            return Ok(None);
        }
        let mut look = Look {
            modified: now.1,
            ..Look::default()
        };
        let mut input = BufReader::new(file);
        if !self
            .is_continued(&mut input, now.0)
            .map_err(|error| self.io("read", error))?
        {
            self.rewind();
            look.restarted = true;
        }
        input
            .seek(SeekFrom::Start(self.offset))
            .map_err(|error| self.io("read", error))?;
        self.read(&mut input, &mut look)
            .map_err(|error| self.io("read", error))?;
        self.seen = (!look.more).then_some(now);
        Ok(Some(look))
    }

    /// Returns whether the last line that was read is still at its place in the file.
    fn is_continued(&self, input: &mut BufReader<File>, len: u64) -> io::Result<bool> {
        if len < self.offset {
            return Ok(false);
        }
        input.seek(SeekFrom::Start(self.offset - self.last.len() as u64))?;
        let mut there = vec![0; self.last.len()];
        match input.read_exact(&mut there) {
            Ok(()) => Ok(there == self.last),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads records until the end of the file or of the portion.
    fn read(&mut self, input: &mut BufReader<File>, look: &mut Look) -> io::Result<()> {
        let end = self.offset + PORTION;
        let mut line = Vec::new();
        loop {
            if self.offset >= end {
                look.more = true;
                return Ok(());
            }
            line.clear();
            let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(());
            }
            let is_whole = line.ends_with(b"\n");
            if !is_whole && read as u64 == MAX_LINE {
                let reason = format!("line {} has more than {MAX_LINE} bytes", self.lines + 1);
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
            // The line end of a record that was read earlier.
            let is_rest = line == b"\n" && !self.last.is_empty() && !self.last.ends_with(b"\n");
            if !is_rest {
                match serde_json::from_slice::<Record>(&line) {
                    Ok(record) => look.records.push(record),
                    // A line that is still being written, or that a killed process left incomplete.
                    Err(_) if !is_whole => return Ok(()),
                    Err(source) => {
                        look.fault = Some(JsonlError::Malformed {
                            path: self.path.clone(),
                            line: self.lines + 1,
                            source,
                        });
                        return Ok(());
                    }
                }
                self.lines += 1;
            }
            self.offset += read as u64;
            std::mem::swap(&mut self.last, &mut line);
        }
    }

    fn io(&self, action: &'static str, source: io::Error) -> JsonlError {
        JsonlError::Io {
            path: self.path.clone(),
            action,
            source,
        }
    }
}

#[cfg(test)]
mod tests;
