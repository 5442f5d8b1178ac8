//! Parquet: one column of byte arrays, read page by page.

mod delta;
mod pages;

use parquet::basic::Type as Physical;
use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::SchemaDescriptor;

use self::pages::Pages;
use super::Rows;
use crate::documents::Stop;
use crate::error::DataError;
use crate::file::open_regular;

/// The name of the format in messages.
const FORMAT: &str = "Parquet file";

/// The number of rows that are read at once.
const ROWS_AT_ONCE: usize = 256;

/// Passes on every row of the file.
pub(super) fn read(rows: &mut Rows<'_>) -> Result<Stop, DataError> {
    let file = open_regular(rows.path)?;
    let footer = file.try_clone().map_err(DataError::io("read", rows.path))?;
    let reader = rows.guard(FORMAT, || SerializedFileReader::new(footer).map_err(plain))?;
    let about = reader.metadata().file_metadata();
    let (column, deepest) = column(rows, about.schema_descr())?;
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    for group in 0..reader.num_row_groups() {
        let about = reader.metadata().row_group(group);
        let chunk = about.column(column);
        let file = file.try_clone().map_err(DataError::io("read", rows.path))?;
        let column = rows.guard(FORMAT, || {
            let count = usize::try_from(about.num_rows()).map_err(ParquetError::from);
            let pages = count.and_then(|count| Pages::new(file, chunk, count));
            let pages = pages.map_err(plain)?;
            Ok::<_, String>(get_column_reader(chunk.column_descr_ptr(), Box::new(pages)))
        })?;
        let ColumnReader::ByteArrayColumnReader(mut texts) = column else {
            return Err(rows.no_texts(&"numbers"));
        };
        loop {
            levels.clear();
            values.clear();
            let (count, ..) = rows.guard(FORMAT, || {
                let read = texts.read_records(ROWS_AT_ONCE, Some(&mut levels), None, &mut values);
                read.map_err(plain)
            })?;
            if count == 0 {
                rows.read
                    .set(rows.read.get() + about.compressed_size().unsigned_abs());
                break;
            }
            let mut present = values.iter();
            for row in 0..count {
                // A text is present if its definition level is the deepest one. A lower level means
                // that the text, or a group around it, is null.
                let there = deepest == 0 || levels.get(row) == Some(&deepest);
                let text = if there { present.next() } else { None };
                if rows.push(text.map(parquet::data_type::ByteArray::data))? == Stop::Here {
                    return Ok(Stop::Here);
                }
            }
        }
    }
    let (said, found) = (about.num_rows(), rows.row);
    match usize::try_from(said) == Ok(found) {
        true => Ok(Stop::No),
        false => Err(rows.refuse(format!(
            "not a whole {FORMAT}: its footer names {said} rows, {found} are there"
        ))),
    }
}

/// Finds the requested column. Returns its index, and the definition level of values that are not
/// null.
fn column(rows: &Rows<'_>, schema: &SchemaDescriptor) -> Result<(usize, i16), DataError> {
    let columns = schema.columns();
    let field = &rows.reading.field;
    let at = columns
        .iter()
        .position(|column| column.path().string() == *field);
    let Some(at) = at else {
        let inside = format!("{field}.");
        let nested = |column: &&parquet::schema::types::ColumnDescPtr| {
            column.path().string().starts_with(&inside)
        };
        if let Some(first) = columns.iter().find(nested) {
            let what = format!("records or lists (`{}`)", first.path().string());
            return Err(rows.no_texts(&what));
        }
        let names: Vec<String> = columns
            .iter()
            .map(|column| column.path().string())
            .collect();
        return Err(rows.no_column(&names));
    };
    let column = &columns[at];
    if column.max_rep_level() > 0 {
        return Err(rows.no_texts(&"lists"));
    }
    match column.physical_type() {
        Physical::BYTE_ARRAY => Ok((at, column.max_def_level())),
        other => Err(rows.no_texts(&format!("values of type {other}"))),
    }
}

/// Returns the message of an error without the library's prefix for its kind.
fn plain(error: ParquetError) -> String {
    match error {
        ParquetError::General(text) | ParquetError::EOF(text) => text,
        other => other.to_string(),
    }
}
