//! Reads a metrics file, even while a run writes it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::{JsonlError, io_error};
use crate::record::Record;

/// The maximum length of a line, in bytes. The lines of a run have a few thousand bytes.
const MAX_LINE: u64 = 64 << 20;

/// Reads a metrics file one record at a time. The last line may lack its line end, because the
/// process that writes the file is running or was killed. Such a line is skipped unless it is a
/// whole record.
#[derive(Debug)]
pub struct Records {
    path: PathBuf,
    input: BufReader<File>,
    number: usize,
    buffer: Vec<u8>,
}

impl Records {
    /// Returns the bytes of the line that was read last, without the line end.
    pub(super) fn line(&self) -> &[u8] {
        self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer)
    }
}

impl Iterator for Records {
    type Item = Result<Record, JsonlError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.buffer.clear();
        let mut rest = self.input.by_ref().take(MAX_LINE);
        match rest.read_until(b'\n', &mut self.buffer) {
            Ok(0) => return None,
            Ok(_) if rest.limit() == 0 && !self.buffer.ends_with(b"\n") => {
                let reason = format!("line {} has more than {MAX_LINE} bytes", self.number + 1);
                let source = io::Error::new(io::ErrorKind::InvalidData, reason);
                return Some(Err(io_error(&self.path, "read", source)));
            }
            Ok(_) => self.number += 1,
            Err(source) => return Some(Err(io_error(&self.path, "read", source))),
        }
        match serde_json::from_slice(self.line()) {
            Ok(record) => Some(Ok(record)),
            Err(_) if !self.buffer.ends_with(b"\n") => None,
            Err(source) => {
                let path = self.path.clone();
                Some(Err(JsonlError::Malformed {
                    path,
                    line: self.number,
                    source,
                }))
            }
        }
    }
}

/// Opens a metrics file for reading record by record.
///
/// # Errors
///
/// The file cannot be opened.
pub fn records(path: &Path) -> Result<Records, JsonlError> {
    let file = File::open(path).map_err(|source| io_error(path, "open", source))?;
    Ok(Records {
        path: path.to_owned(),
        input: BufReader::new(file),
        number: 0,
        buffer: Vec::new(),
    })
}

/// Reads a whole metrics file.
///
/// # Errors
///
/// The file cannot be read, or a complete line is not a record.
pub fn read(path: &Path) -> Result<Vec<Record>, JsonlError> {
    records(path)?.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed write must fail the test")]

    use std::fs;

    use super::*;
    use crate::jsonl::tests::{append, file_of, loss};

    #[test]
    fn every_cut_through_the_last_line_reads_the_lines_before_it() {
        let (_dir, path) = file_of(&[loss(1), loss(2)]);
        let bytes = fs::read(&path).unwrap();
        let first = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
        for end in first..bytes.len() - 1 {
            fs::write(&path, &bytes[..end]).unwrap();
            assert_eq!(read(&path).unwrap(), [loss(1)], "cut at {end}");
        }
        // Only the line end is missing, so the record is whole.
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(read(&path).unwrap(), [loss(1), loss(2)]);
    }

    #[test]
    fn a_broken_line_inside_is_an_error_with_file_and_line() {
        let (_dir, path) = file_of(&[loss(1)]);
        append(&path, b"{\"step\":\n\xff\n");
        let error = read(&path).unwrap_err();
        assert!(
            matches!(error, JsonlError::Malformed { line: 2, .. }),
            "{error:?}"
        );
        assert!(
            error.to_string().contains("metrics.jsonl: line 2 "),
            "{error}"
        );
    }

    #[test]
    fn a_line_longer_than_any_record_is_an_error_that_says_so() {
        let (_dir, path) = file_of(&[loss(1)]);
        let file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() + MAX_LINE)
            .unwrap();
        let error = std::error::Error::source(&read(&path).unwrap_err()).map(ToString::to_string);
        assert!(error.unwrap().starts_with("line 2 has more than"));
    }
}
