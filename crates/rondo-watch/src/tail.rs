//! Reads the records that were appended to a metrics file since the last call.
//!
//! A resume shortens the metrics file by renaming another file over it, and then appends to it
//! again. On a mounted folder, neither inodes nor modification times show this reliably. Therefore
//! the content is checked: before new records are read, the last line that was read must still be
//! in its place.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::SystemTime;

use rondo_metrics::{JsonlError, Record};

/// The number of bytes after which a call returns. The first values of a long run can then be shown
/// while the rest is read.
const PORTION: u64 = 4 << 20;

/// The maximum length of a line, in bytes. It is the same in every reader of metrics.
const MAX_LINE: u64 = 64 << 20;

/// The result of reading a file.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Whether the file was rewritten, so that everything read before is invalid.
    pub(crate) restarted: bool,
    /// Records that were appended since the last call.
    pub(crate) records: Vec<Record>,
    /// Whether more records are ready to be read.
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
    /// How many bytes of the file have been read as records.
    offset: u64,
    /// How many lines have been read.
    lines: usize,
    /// The last line that was read, with its line end.
    last: Vec<u8>,
    /// The size and the modification time of the file when it was last read to its end.
    seen: Option<(u64, Option<SystemTime>)>,
}

impl Tail {
    /// Makes a position at the beginning of a file. The file need not exist yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            offset: 0,
            lines: 0,
            last: Vec::new(),
            seen: None,
        }
    }

    /// Resets the position, so that the next call reads from the beginning.
    pub(crate) fn rewind(&mut self) {
        *self = Self::new(std::mem::take(&mut self.path));
    }

    /// Reads the records that were appended since the last call; `None` if nothing has changed.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be opened or read. A line that is not a record is no
    /// error: the result contains the fault, and the records before this line.
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

    /// Reads records until the end of the file, or until [`PORTION`] bytes have been read.
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
            // This is the line end of a record that was read earlier.
            let is_rest = line == b"\n" && !self.last.is_empty() && !self.last.ends_with(b"\n");
            if !is_rest {
                match serde_json::from_slice::<Record>(&line) {
                    Ok(record) => look.records.push(record),
                    // This line is still being written, or a killed process left it incomplete.
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
