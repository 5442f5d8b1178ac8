//! Files that are read whole, and only up to a size.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::ReferenceError;

/// Reads a file of at most `most` bytes; `None` where it is larger.
///
/// # Errors
///
/// Where the file cannot be read.
pub(crate) fn read(path: &Path, most: u64) -> Result<Option<Vec<u8>>, ReferenceError> {
    let file = File::open(path).map_err(ReferenceError::io(path))?;
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(ReferenceError::io(path))?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}
