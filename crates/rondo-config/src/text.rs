//! The one read of this crate: a text file, whole.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The largest text that is read, in bytes.
pub const MAX_TEXT_BYTES: u64 = 64 << 20;

/// Reads a text file, or a pipe, to its end.
///
/// # Errors
///
/// Where the system refuses, the text is not UTF-8, or it is larger than [`MAX_TEXT_BYTES`]: a device such as
/// `/dev/zero` has no end.
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(MAX_TEXT_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_TEXT_BYTES {
        let message = format!("more than {MAX_TEXT_BYTES} bytes are no text to read");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn what_has_no_end_is_refused() {
        let error = read_text(Path::new("/dev/zero")).expect_err("zeros without end");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
