//! Content that is written to a file as a stream, so that it is never in memory as a whole.

use std::io::{self, Write};

/// The content of a file.
pub trait Content {
    /// Writes the whole content. Every call writes the same bytes.
    ///
    /// # Errors
    /// Returns any error of `out`.
    fn write_to(&self, out: &mut dyn Write) -> io::Result<()>;
}

impl Content for Vec<u8> {
    fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self)
    }
}
