//! The records that were appended to a metrics file since the last look.
//!
//! A resume cuts a metrics file and writes its end again, by renaming another file over it. Neither inodes nor times tell that
//! reliably on a mounted folder, so the content does: before anything is read, the last line that was read must still be
//! where it was.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::SystemTime;

use rondo_metrics::{JsonlError, Record};

/// Bytes after which a look ends, so that the first numbers of a long run are shown while the rest is read.
const PORTION: u64 = 4 << 20;

/// The longest line that is read, in bytes, as in every other reader of metrics.
const MAX_LINE: u64 = 64 << 20;

/// What a look at a file has found.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Whether the file was rewritten: what was known of it is void.
    pub(crate) restarted: bool,
    /// Records that were appended since the last look.
    pub(crate) records: Vec<Record>,
    /// Whether there is more to read already.
    pub(crate) more: bool,
    /// Why reading ended before the end of the file; the next look tries again.
    pub(crate) fault: Option<JsonlError>,
    /// When the file was changed last, by the clock of its file system.
    pub(crate) modified: Option<SystemTime>,
}

/// A place in a metrics file.
#[derive(Debug)]
pub(crate) struct Tail {
    path: PathBuf,
    /// Bytes of the records that were read.
    offset: u64,
    /// Lines of them.
    lines: usize,
    /// The last line of them, with its end.
    last: Vec<u8>,
    /// Length and time of the file when it was read last, up to its end.
    seen: Option<(u64, Option<SystemTime>)>,
}

impl Tail {
    /// Starts at the beginning of a file, which need not be there yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            offset: 0,
            lines: 0,
            last: Vec::new(),
            seen: None,
        }
    }

    /// Forgets what was read, so that the next look begins anew.
    pub(crate) fn rewind(&mut self) {
        *self = Self::new(std::mem::take(&mut self.path));
    }

    /// Reads what was appended since the last look; none where nothing has changed.
    ///
    /// # Errors
    ///
    /// Where the file cannot be opened or read. A line that is not a record is a fault of the look, which holds the
    /// records before it.
    pub(crate) fn look(&mut self) -> Result<Option<Look>, JsonlError> {
        // After an error the file is looked at again, also where it has not changed.
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

    /// Returns whether the file still has, where it was, the line that was read last.
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
            // The end of a line whose record was read before it.
            let is_rest = line == b"\n" && !self.last.is_empty() && !self.last.ends_with(b"\n");
            if !is_rest {
                match serde_json::from_slice::<Record>(&line) {
                    Ok(record) => look.records.push(record),
                    // A line that is still being written, or that a killed process has left.
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
