//! The documents of one file: plain text, JSON lines or a JSON list, each also compressed with gzip
//! or Zstandard. `columns` reads Parquet and Arrow files.
//!
//! The extensions decide: `.gz` or `.zst` first, then `.jsonl`, `.ndjson` or `.jsonlines` (one
//! document per line). A `.json` file is read as records if its first record contains a text. Every
//! other file is one document. Records are streamed, one in memory at a time.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

use crate::columns::Columns;
use crate::compressed::{GzMembers, ZstdFrames};
use crate::elements::{Elements, Fault};
use crate::error::DataError;
use crate::file::open_regular;
use crate::foreign;
use crate::notices::{Notice, Notices};
use crate::records;

/// The largest document of a compressed file, in bytes: a small file can unpack to any size.
const MAX_UNPACKED: u64 = 4 << 30;

/// The mark that some editors put before UTF-8 text; it does not belong to the text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether reading stops after a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Reading continues.
    No,
    /// Reading stops here.
    Here,
}

/// What follows after a part of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The document ends.
    Ends,
    /// Another part of the document follows.
    GoesOn,
    /// The document continues, but its rest is not read.
    IsCut,
}

/// Receives a document, or the next part of a long one.
pub(crate) type Each<'a> = &'a mut dyn FnMut(&str, Then) -> Result<Stop, DataError>;

/// The largest part of a plain text that is passed on at once, in bytes; a record is passed on as a
/// whole.
pub(crate) const STRETCH_BYTES: usize = 4 << 20;

/// How the documents of a file are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    /// Key or column of the text in a record.
    pub(crate) field: String,
    /// Whether lines and records that are not documents are skipped.
    pub(crate) skip_bad_lines: bool,
}

/// How a file is divided into documents.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The whole file is one document.
    Text,
    /// Each line is a record.
    Lines,
    /// The file is a JSON list of records.
    List,
}

/// Passes every non-empty document of a file to `each`. If the whole file is one document, passes
/// at most `most` bytes and one more character. `read` is updated with the number of bytes of the
/// file that were read so far.
pub(crate) fn for_each(
    path: &Path,
    reading: &Reading,
    most: u64,
    notices: &mut Notices,
    read: &Rc<Cell<u64>>,
    each: Each<'_>,
) -> Result<Stop, DataError> {
    if let Some(columns) = Columns::of_name(path) {
        return columns.for_each(path, reading, notices, read, each);
    }
    let mut file = Documents::open(path, Rc::clone(read))?;
    let form = file.form(reading);
    match (file.ending.as_str(), form) {
        ("json", Form::Text) => notices.add(Notice::Json, path.display()),
        ("csv" | "tsv", _) => notices.add(Notice::Table, path.display()),
        _ => {}
    }
    let ignored = Rc::clone(&file.ignored);
    let stop = match form {
        Form::Text => file.text(most, each),
        Form::Lines => file.lines(reading, notices, each),
        Form::List => file.list(reading, notices, each),
    }?;
    if ignored.get() {
        notices.add(Notice::BehindGzip, path.display());
    }
    Ok(stop)
}

/// Returns whether the whole file is one document; false if the file cannot be read.
pub(crate) fn is_plain(path: &Path, reading: &Reading) -> bool {
    Columns::of_name(path).is_none()
        && Documents::open(path, Rc::default()).is_ok_and(|file| file.form(reading) == Form::Text)
}

/// Finds the form of a `.json` file from its first record; a file that cannot be read as records is
/// text.
fn form_of_json(path: &Path, field: &str) -> Form {
    let mut record = Vec::new();
    let has_text = |record: &[u8]| records::text_of(record, field).is_ok();
    let first_line = Documents::open(path, Rc::default())
        .and_then(|mut file| file.read(Some(b'\n'), &mut record));
    if first_line.is_ok() && has_text(&record) {
        return Form::Lines;
    }
    let Ok(mut file) = Documents::open(path, Rc::default()) else {
        return Form::Text;
    };
    match Elements::new(&mut file.reader, file.most).next(&mut record) {
        Ok(Some(_)) if has_text(&record) => Form::List,
        _ => Form::Text,
    }
}

/// The uncompressed bytes of a file, with a limit to the size of a document.
struct Documents<'p> {
    path: &'p Path,
    /// The file name's extension that decides the form, in lower case.
    ending: String,
    /// The first bytes of the file.
    head: Vec<u8>,
    /// All uncompressed bytes of the file, without a byte order mark.
    reader: Box<dyn BufRead>,
    most: u64,
    /// Whether bytes after the last gzip member were ignored.
    ignored: Rc<Cell<bool>>,
}

impl<'p> Documents<'p> {
    fn open(path: &'p Path, read: Rc<Cell<u64>>) -> Result<Self, DataError> {
        let name = path
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().to_lowercase());
        let file = BufReader::new(Counted {
            file: open_regular(path)?,
            read,
        });
        let ignored = Rc::default();
        let (name, most, mut rest): (_, _, Box<dyn BufRead>) =
            if let Some(name) = name.strip_suffix(".gz") {
                let members = GzMembers::new(file, Rc::clone(&ignored));
                (name, MAX_UNPACKED, Box::new(BufReader::new(members)))
            } else if let Some(name) = name.strip_suffix(".zst") {
                let frames = ZstdFrames::new(file);
                (name, MAX_UNPACKED, Box::new(BufReader::new(frames)))
            } else {
                (name.as_str(), u64::MAX, Box::new(file))
            };
        let mut head = Vec::new();
        rest.by_ref()
            .take(foreign::HEAD_BYTES as u64)
            .read_to_end(&mut head)
            .map_err(DataError::io("read", path))?;
        if head.starts_with(BYTE_ORDER_MARK) {
            head.drain(..BYTE_ORDER_MARK.len());
        }
        let ending = Path::new(name).extension();
        Ok(Self {
            path,
            ending: ending.map_or_else(String::new, |ending| ending.to_string_lossy().into_owned()),
            reader: Box::new(Cursor::new(head.clone()).chain(rest)),
            head,
            most,
            ignored,
        })
    }

    /// Returns how the file is divided into documents.
    fn form(&self, reading: &Reading) -> Form {
        match self.ending.as_str() {
            "jsonl" | "ndjson" | "jsonlines" => Form::Lines,
            "json" => form_of_json(self.path, &reading.field),
            _ => Form::Text,
        }
    }

    /// Reads up to the byte that ends a document, or to the end of the file; returns whether
    /// anything was read.
    fn read(&mut self, end: Option<u8>, bytes: &mut Vec<u8>) -> Result<bool, DataError> {
        let most = self.most;
        let mut rest = self.reader.by_ref().take(most.saturating_add(1));
        let read = match end {
            Some(end) => rest.read_until(end, bytes),
            None => rest.read_to_end(bytes),
        };
        let count = read.map_err(DataError::io("read", self.path))?;
        if count as u64 > most {
            return Err(self.too_large());
        }
        Ok(count > 0)
    }

    /// Passes on the whole file, or its first `most` bytes and one more character, as one document.
    fn text(mut self, most: u64, each: Each<'_>) -> Result<Stop, DataError> {
        let whole_head = self.head.len() < foreign::HEAD_BYTES - BYTE_ORDER_MARK.len();
        self.check(&self.head, 0, whole_head)?;
        let most = most.saturating_add(4);
        let limited = most <= self.most;
        if limited {
            self.reader = Box::new(self.reader.take(most));
        }
        let mut bytes = Vec::new();
        let (mut before, mut begun) = (0, false);
        loop {
            let room = (STRETCH_BYTES - bytes.len()) as u64;
            let read = self.reader.by_ref().take(room).read_to_end(&mut bytes);
            let at_end = (read.map_err(DataError::io("read", self.path))? as u64) < room;
            let total = before + bytes.len() as u64;
            if !limited && total > self.most {
                return Err(self.too_large());
            }
            let whole = at_end && (!limited || total < most);
            self.check(&bytes, before, whole)?;
            let text = match std::str::from_utf8(&bytes) {
                Ok(text) => text,
                // After the check, the only possible error is an incomplete character at the end of
                // the stretch.
                Err(error) => {
                    std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
                }
            };
            let then = if at_end { Then::Ends } else { Then::GoesOn };
            begun |= !text.is_empty();
            if begun && each(text, then)? == Stop::Here {
                return Ok(Stop::Here);
            }
            if at_end {
                return Ok(Stop::No);
            }
            let handed_over = text.len();
            before += handed_over as u64;
            bytes.drain(..handed_over);
        }
    }

    /// Returns an error with the format of the file if the bytes are not text. `before` is the
    /// number of bytes in front of them.
    fn check(&self, bytes: &[u8], before: u64, whole: bool) -> Result<(), DataError> {
        match foreign::defect(bytes, before, whole) {
            None => Ok(()),
            Some(defect) => Err(self.refuse(self.format().unwrap_or(defect))),
        }
    }

    fn too_large(&self) -> DataError {
        self.refuse(format!(
            "unpacks to a document of more than {} bytes",
            self.most
        ))
    }

    /// Names the format of a file that is not text.
    fn format(&self) -> Option<String> {
        let name = self.path.file_name().unwrap_or_default();
        foreign::name_of(&self.head, &name.to_string_lossy().to_lowercase())
    }

    fn refuse(&self, message: String) -> DataError {
        DataError::Document {
            path: self.path.to_owned(),
            message,
        }
    }

    fn lines(
        &mut self,
        reading: &Reading,
        notices: &mut Notices,
        each: Each<'_>,
    ) -> Result<Stop, DataError> {
        let mut buffer = Vec::new();
        for line in 1.. {
            buffer.clear();
            if !self.read(Some(b'\n'), &mut buffer)? {
                break;
            }
            // If several files were concatenated, the first line of each may begin with the mark.
            let record = buffer.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&buffer);
            if record.trim_ascii().is_empty() {
                continue;
            }
            if self.record(record, line, reading, notices, each)? == Stop::Here {
                return Ok(Stop::Here);
            }
        }
        Ok(Stop::No)
    }

    fn list(
        &mut self,
        reading: &Reading,
        notices: &mut Notices,
        each: Each<'_>,
    ) -> Result<Stop, DataError> {
        // The list borrows the reader mutably, while the messages borrow the rest of `self`.
        let mut reader = std::mem::replace(&mut self.reader, Box::new(std::io::empty()));
        let mut list = Elements::new(&mut reader, self.most);
        let mut record = Vec::new();
        loop {
            match list.next(&mut record) {
                Ok(None) => return Ok(Stop::No),
                Ok(Some(line)) => {
                    if self.record(&record, line, reading, notices, each)? == Stop::Here {
                        return Ok(Stop::Here);
                    }
                }
                Err(Fault::Io(error)) => return Err(DataError::io("read", self.path)(error)),
                Err(Fault::Form(line, message)) => {
                    return Err(DataError::Line {
                        path: self.path.to_owned(),
                        line,
                        message,
                    });
                }
            }
        }
    }

    /// Passes on the text of a record; skips the record if that is allowed.
    fn record(
        &self,
        record: &[u8],
        line: usize,
        reading: &Reading,
        notices: &mut Notices,
        each: Each<'_>,
    ) -> Result<Stop, DataError> {
        let message = match records::text_of(record, &reading.field) {
            Ok(text) if text.is_empty() => return Ok(Stop::No),
            Ok(text) => return each(&text, Then::Ends),
            Err(message) => message,
        };
        if line == 1
            && let Some(format) = self.format()
            && foreign::defect(&self.head, 0, false).is_some()
        {
            return Err(self.refuse(format));
        }
        if reading.skip_bad_lines {
            let place = self.path.display();
            notices.add(Notice::BadLine, format_args!("{place}:{line}: {message}"));
            return Ok(Stop::No);
        }
        Err(DataError::Line {
            path: self.path.to_owned(),
            line,
            message: format!("{message}; data.skip_bad_lines (--skip-bad-lines) skips such lines"),
        })
    }
}

/// A file that counts the bytes read from it.
struct Counted {
    file: File,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
