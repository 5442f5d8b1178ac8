//! What a file contains, written as a stream so that it need not be in memory.

use std::io::{self, Write};

/// The content of a file.
pub trait Content {
    /// Writes all of it, the same bytes each time.
    ///
    /// # Errors
    /// Any error that `out` returns.
    fn write_to(&self, out: &mut dyn Write) -> io::Result<()>;
}

impl Content for Vec<u8> {
    fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self)
    }
}
