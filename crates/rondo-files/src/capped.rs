//! Reads files up to a maximum size, because a device such as `/dev/zero` has no end.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The maximum size of a text file, in bytes.
pub const MAX_TEXT_BYTES: u64 = 64 << 20;

/// Reads `source` to its end. Returns `None` if `source` has more than `most` bytes.
///
/// # Errors
/// Returns an error if `source` cannot be read.
pub fn read_capped(source: impl Read, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    source.take(most + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

/// Reads a text file, or a pipe, to its end.
///
/// # Errors
/// Returns an error if the file cannot be read, is not UTF-8, or is larger than [`MAX_TEXT_BYTES`].
pub fn read_text(path: &Path) -> io::Result<String> {
    let bytes = read_capped(File::open(path)?, MAX_TEXT_BYTES)?.ok_or_else(|| {
        let message = format!("more than {MAX_TEXT_BYTES} bytes are no text to read");
        io::Error::new(io::ErrorKind::FileTooLarge, message)
    })?;
    let mut text = String::new();
    bytes.as_slice().read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_of_the_cap_is_read_and_a_longer_one_is_not() {
        let read = |bytes: &[u8]| read_capped(bytes, 3).expect("memory can be read");
        assert_eq!(read(b"abc").as_deref(), Some(&b"abc"[..]));
        assert_eq!(read(b"abcd"), None);
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("text");
        std::fs::write(&path, [0xff]).expect("writable");
        let error = read_text(&path).expect_err("not UTF-8");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    #[cfg(unix)]
    fn what_has_no_end_is_refused() {
        let error = read_text(Path::new("/dev/zero")).expect_err("zeros without end");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
