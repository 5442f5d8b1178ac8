//! Opens regular files only: a pipe could block a run, and a device could have no end.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::error::DataError;

/// Opens a file for reading.
///
/// # Errors
///
/// If the system refuses, or if the path is not a regular file.
pub(crate) fn open_regular(path: &Path) -> Result<File, DataError> {
    let about = fs::metadata(path).map_err(DataError::io("read", path))?;
    if !about.is_file() {
        return Err(DataError::Document {
            path: path.to_owned(),
            message: "not a regular file".to_owned(),
        });
    }
    File::open(path).map_err(DataError::io("read", path))
}

/// Reads a whole file.
///
/// # Errors
///
/// The errors of [`open_regular`].
pub(crate) fn read_regular(path: &Path) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    open_regular(path)?
        .read_to_end(&mut bytes)
        .map_err(DataError::io("read", path))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_device_and_a_folder_are_refused() {
        for path in ["/dev/zero", "/"] {
            let error = read_regular(Path::new(path)).expect_err("no regular file");
            assert_eq!(error.to_string(), format!("{path}: not a regular file"));
        }
    }
}
