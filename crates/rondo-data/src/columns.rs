//! Tables with a column of texts: Parquet files and Arrow files or streams, recognised by the file
//! name's extension.
//!
//! One column is read, one row group at a time; each row is a document. The readers need the
//! feature `columns`.

#[cfg(feature = "columns")]
mod arrow;
#[cfg(feature = "columns")]
mod packing;
#[cfg(feature = "columns")]
mod parquet;

use std::cell::Cell;
use std::path::Path;

use crate::documents::{Each, Reading, Stop};
use crate::error::DataError;
use crate::notices::Notices;
#[cfg(feature = "columns")]
use rows::Rows;

/// A format of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Columns {
    /// Apache Parquet.
    Parquet,
    /// Arrow's file format, which is Feather's second version, and its stream format.
    Arrow,
}

impl Columns {
    /// Returns the format for the file name's extension.
    pub(crate) fn of_name(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_ascii_lowercase();
        match ending.as_encoded_bytes() {
            b"parquet" | b"pq" => Some(Self::Parquet),
            b"arrow" | b"arrows" | b"feather" | b"ipc" => Some(Self::Arrow),
            _ => None,
        }
    }

    /// Passes the text of every non-empty row to the reader's callback.
    ///
    /// # Errors
    ///
    /// If the file is damaged or has no text column of that name, or if a row has no text and such
    /// rows may not be skipped.
    #[cfg(feature = "columns")]
    pub(crate) fn for_each(
        self,
        path: &Path,
        reading: &Reading,
        notices: &mut Notices,
        read: &Cell<u64>,
        each: Each<'_>,
    ) -> Result<Stop, DataError> {
        let mut rows = Rows {
            path,
            reading,
            notices,
            read,
            each,
            row: 0,
        };
        match self {
            Self::Parquet => parquet::read(&mut rows),
            Self::Arrow => arrow::read(&mut rows),
        }
    }

    /// Refuses the file: this build has no reader for it.
    #[cfg(not(feature = "columns"))]
    pub(crate) fn for_each(
        self,
        path: &Path,
        _: &Reading,
        _: &mut Notices,
        _: &Cell<u64>,
        _: Each<'_>,
    ) -> Result<Stop, DataError> {
        let name = match self {
            Self::Parquet => "a Parquet file",
            Self::Arrow => "an Arrow file",
        };
        Err(DataError::Document {
            path: path.to_owned(),
            message: format!(
                "{name}, which this build does not read; build it with `--features columns`"
            ),
        })
    }
}

#[cfg(feature = "columns")]
mod rows {
    use std::cell::Cell;
    use std::fmt::Display;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::Path;

    use crate::documents::{Each, Reading, Stop, Then};
    use crate::error::DataError;
    use crate::notices::{Notice, Notices};

    /// The rows of a file and the callback that receives them.
    pub(super) struct Rows<'a> {
        pub(super) path: &'a Path,
        pub(super) reading: &'a Reading,
        pub(super) notices: &'a mut Notices,
        /// The number of bytes of the file that were read.
        pub(super) read: &'a Cell<u64>,
        pub(super) each: Each<'a>,
        /// The number of rows passed on so far.
        pub(super) row: usize,
    }

    impl Rows<'_> {
        /// Passes on the text of the next row; skips a row without text if that is allowed.
        pub(super) fn push(&mut self, text: Option<&[u8]>) -> Result<Stop, DataError> {
            self.row += 1;
            let field = &self.reading.field;
            let message = match text.map(std::str::from_utf8) {
                Some(Ok("")) => return Ok(Stop::No),
                Some(Ok(text)) => return (self.each)(text, Then::Ends),
                Some(Err(error)) => format!("not UTF-8 at byte {}", error.valid_up_to()),
                None => {
                    format!("no text in the column `{field}` (data.field, --field): it holds null")
                }
            };
            let row = self.row;
            if self.reading.skip_bad_lines {
                let place = self.path.display();
                self.notices.add(
                    Notice::BadLine,
                    format_args!("{place}: row {row}: {message}"),
                );
                return Ok(Stop::No);
            }
            Err(self.refuse(format!(
                "row {row}: {message}; data.skip_bad_lines (--skip-bad-lines) skips such rows"
            )))
        }

        /// Returns the error that no column has the requested name, with the names of the existing
        /// columns.
        pub(super) fn no_column(&self, columns: &[String]) -> DataError {
            let field = &self.reading.field;
            self.refuse(format!(
                "no column `{field}` (data.field, --field); columns here: {}",
                columns.join(", ")
            ))
        }

        /// Returns the error that the column contains something other than texts.
        pub(super) fn no_texts(&self, what: &dyn Display) -> DataError {
            let field = &self.reading.field;
            self.refuse(format!(
                "the column `{field}` (data.field, --field) holds {what}, not texts; write its values as texts first"
            ))
        }

        pub(super) fn refuse(&self, message: String) -> DataError {
            DataError::Document {
                path: self.path.to_owned(),
                message,
            }
        }

        /// Calls a library's reader, which can panic on a damaged file.
        pub(super) fn guard<T, E: Display>(
            &self,
            format: &str,
            call: impl FnOnce() -> Result<T, E>,
        ) -> Result<T, DataError> {
            let damaged = |why: &dyn Display| {
                self.refuse(format!(
                    "not a whole {format}, at row {}: {why}",
                    self.row + 1
                ))
            };
            match catch_unwind(AssertUnwindSafe(call)) {
                Ok(result) => result.map_err(|error| damaged(&error)),
                Err(_) => Err(damaged(&"the reader breaks on it")),
            }
        }
    }
}

#[cfg(all(test, feature = "columns"))]
mod tests;
