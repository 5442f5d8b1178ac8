//! Arrow's file and stream formats: one column of texts, read batch by batch.
//!
//! A file consists of eight bytes, a stream, and a footer, which sequential readers can ignore. The
//! lengths in the messages of a stream are compared with the file size before the library allocates
//! memory for them.

mod lengths;

use std::io::{BufReader, Seek, SeekFrom};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_schema::{DataType, Fields};

use super::Rows;
use crate::documents::Stop;
use crate::error::DataError;
use crate::file::open_regular;
use crate::notices::Notice;

/// The name of the format in messages.
const FORMAT: &str = "Arrow file";

/// Passes on every row of the file.
pub(super) fn read(rows: &mut Rows<'_>) -> Result<Stop, DataError> {
    let mut file = open_regular(rows.path)?;
    let checked = lengths::check(&mut file).map_err(DataError::io("read", rows.path))?;
    let start = checked.map_err(|why| rows.refuse(format!("not a whole {FORMAT}: {why}")))?;
    if !start.ended {
        rows.notices.add(Notice::NoEndMark, rows.path.display());
    }
    file.seek(SeekFrom::Start(start.at))
        .map_err(DataError::io("read", rows.path))?;
    let whole = rows.guard(FORMAT, || {
        StreamReader::try_new(BufReader::new(&file), None)
    })?;
    let schema = whole.schema();
    let column = column(rows, schema.fields())?;
    drop(whole);
    file.seek(SeekFrom::Start(start.at))
        .map_err(DataError::io("read", rows.path))?;
    let mut batches = rows.guard(FORMAT, || {
        StreamReader::try_new(BufReader::new(&file), Some(vec![column.at]))
    })?;
    loop {
        let batch = rows.guard(FORMAT, || batches.next().transpose())?;
        let Some(batch) = batch else {
            return Ok(Stop::No);
        };
        let at = (&file).stream_position();
        rows.read.set(at.map_err(DataError::io("read", rows.path))?);
        if push_batch(rows, &batch, &column.inside)? == Stop::Here {
            return Ok(Stop::Here);
        }
    }
}

/// The column that is read.
struct Column {
    /// The index of the outermost field.
    at: usize,
    /// The names of the nested fields, from the child of the outermost field down to the texts.
    inside: Vec<String>,
}

/// Finds the column by a name or by a path of names separated by dots.
fn column(rows: &Rows<'_>, fields: &Fields) -> Result<Column, DataError> {
    let mut path = Vec::new();
    let Some((at, holds)) = find(fields, &rows.reading.field, &mut path) else {
        let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        return Err(rows.no_column(&names));
    };
    if !is_text(&holds) {
        return Err(rows.no_texts(&format!("values of type {holds}")));
    }
    Ok(Column { at, inside: path })
}

/// Finds a field by its name or path. Returns the index of the outermost field and the type of the
/// innermost field; `inside` receives the names of the fields below the outermost one.
fn find(fields: &Fields, name: &str, inside: &mut Vec<String>) -> Option<(usize, DataType)> {
    if let Some((at, field)) = fields.find(name) {
        return Some((at, field.data_type().clone()));
    }
    let mut dots = name.match_indices('.');
    dots.find_map(|(dot, _)| {
        let (at, field) = fields.find(&name[..dot])?;
        let DataType::Struct(deeper) = field.data_type() else {
            return None;
        };
        let mut further = Vec::new();
        let (number, holds) = find(deeper, &name[dot + 1..], &mut further)?;
        inside.push(deeper[number].name().clone());
        inside.extend(further);
        Some((at, holds))
    })
}

fn is_text(holds: &DataType) -> bool {
    match holds {
        DataType::Dictionary(_, values) => is_text(values),
        other => matches!(
            other,
            DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Binary
                | DataType::LargeBinary
                | DataType::BinaryView
        ),
    }
}

/// Passes on the texts of one batch.
fn push_batch(
    rows: &mut Rows<'_>,
    batch: &RecordBatch,
    inside: &[String],
) -> Result<Stop, DataError> {
    let mut array: ArrayRef = batch.column(0).clone();
    let mut outer = Vec::new();
    for name in inside {
        let group = array.as_struct();
        let Some(inner) = group.column_by_name(name).cloned() else {
            return Err(rows.refuse(format!("not a whole {FORMAT}: a batch lacks `{name}`")));
        };
        outer.push(array);
        array = inner;
    }
    // A dictionary stores each text once, and each row holds the index of its text. A dictionary
    // without texts has only null rows; `normalized_keys` would panic for it.
    let places = array.as_any_dictionary_opt().map(|dictionary| {
        let texts = dictionary.values().clone();
        let places = match texts.is_empty() {
            true => vec![0; array.len()],
            false => dictionary.normalized_keys(),
        };
        (places, texts)
    });
    for row in 0..array.len() {
        let hidden = array.is_null(row) || outer.iter().any(|group| group.is_null(row));
        let text = match &places {
            _ if hidden => None,
            Some((_, texts)) if texts.is_empty() => None,
            Some((places, texts)) => text_at(texts, places[row]),
            None => text_at(&array, row),
        };
        if rows.push(text)? == Stop::Here {
            return Ok(Stop::Here);
        }
    }
    Ok(Stop::No)
}

/// Returns the bytes of a text; `None` if the text is null.
fn text_at(array: &dyn Array, row: usize) -> Option<&[u8]> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row).as_bytes()),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row).as_bytes()),
        DataType::Utf8View => Some(array.as_string_view().value(row).as_bytes()),
        DataType::Binary => Some(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Some(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => Some(array.as_binary_view().value(row)),
        _ => None,
    }
}
