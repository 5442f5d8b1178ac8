//! Token files handed in for evaluation: a shard, or rows of ids in JSON.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::batch::Batch;
use crate::error::DataError;
use crate::shards::Shard;

/// Reads rows of token ids: a `.tokens` shard (one row) or JSON, a list of ids or a list of lists.
///
/// # Errors
///
/// When the file cannot be read, has another form, holds no token, or names a token beyond the
/// vocabulary; the error says where.
pub fn read_tokens(path: &Path, vocab_size: usize) -> Result<Vec<Vec<u32>>, DataError> {
    if path.extension().is_some_and(|ending| ending == "tokens") {
        let row = Shard::open(path)?.iter().map(Value::from).collect();
        return checked_row(path, "", row, vocab_size).map(|row| vec![row]);
    }
    let bytes = fs::read(path).map_err(DataError::io("read", path))?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| refuse(path, format!("neither a .tokens file nor JSON: {error}")))?;
    let Value::Array(values) = value else {
        return Err(refuse(path, "expected a list of token ids".to_owned()));
    };
    let rows = if values.iter().any(Value::is_array) {
        (0..)
            .zip(values)
            .map(|(number, row)| match row {
                Value::Array(row) => checked_row(path, &format!("row {number}, "), row, vocab_size),
                _ => Err(refuse(path, format!("row {number} is not a list"))),
            })
            .collect::<Result<Vec<_>, _>>()?
    } else {
        vec![checked_row(path, "", values, vocab_size)?]
    };
    if rows.iter().all(Vec::is_empty) {
        return Err(refuse(path, "holds no token".to_owned()));
    }
    Ok(rows)
}

/// Cuts rows into consecutive windows of at most `seq` targets and gathers neighbours of equal
/// length in batches of at most `batch`. Every token but a row's first is predicted once.
pub fn batches_of_rows(rows: &[Vec<u32>], batch: usize, seq: usize) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for row in rows {
        let mut start = 0;
        while start + 1 < row.len() {
            let end = (start + seq.max(1) + 1).min(row.len());
            let window = &row[start..end];
            let targets = window.len() - 1;
            match batches.last_mut() {
                Some(last) if last.seq == targets && last.batch < batch => last.push_window(window),
                _ => {
                    let mut first = Batch::with_capacity(batch, targets);
                    first.push_window(window);
                    batches.push(first);
                }
            }
            start = end - 1;
        }
    }
    batches
}

fn checked_row(
    path: &Path,
    row: &str,
    values: Vec<Value>,
    vocab_size: usize,
) -> Result<Vec<u32>, DataError> {
    (0..)
        .zip(values)
        .map(|(position, value): (usize, _)| {
            let position = format!("{row}position {position}");
            let id = value
                .as_u64()
                .ok_or_else(|| refuse(path, format!("{value} at {position} is not a token id")))?;
            u32::try_from(id)
                .ok()
                .filter(|&id| (id as usize) < vocab_size)
                .ok_or_else(|| DataError::TokenBeyondVocabulary {
                    path: path.to_owned(),
                    position,
                    id,
                    vocab_size,
                })
        })
        .collect()
}

fn refuse(path: &Path, message: String) -> DataError {
    DataError::Document {
        path: path.to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shards::ShardWriter;

    fn read(text: &str) -> Result<Vec<Vec<u32>>, DataError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("rows.json");
        fs::write(&path, text).expect("writable");
        read_tokens(&path, 10)
    }

    #[test]
    fn windows_predict_every_token_but_a_rows_first_once() {
        let rows = [vec![0, 1, 2, 3, 4, 5], vec![6, 7, 8], vec![9]];
        let batches = batches_of_rows(&rows, 2, 2);
        let targets: Vec<u32> = batches
            .iter()
            .flat_map(|batch| batch.targets.clone())
            .collect();
        assert_eq!(targets, [1, 2, 3, 4, 5, 7, 8]);
        let shapes: Vec<_> = batches
            .iter()
            .map(|batch| (batch.batch, batch.seq))
            .collect();
        assert_eq!(shapes, [(2, 2), (1, 1), (1, 2)]);
    }

    #[test]
    fn one_row_or_several_are_read() {
        assert_eq!(read("[1, 2, 9]").expect("one row"), [[1, 2, 9]]);
        assert_eq!(
            read("[[1], [2, 3]]").expect("two rows"),
            [vec![1], vec![2, 3]]
        );
    }

    #[test]
    fn a_shard_is_one_row_and_its_ids_are_checked_too() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("rows.tokens");
        let mut writer = ShardWriter::create(&path, 300, [0; 32]).expect("writable");
        writer.push(&[4, 299]).expect("inside the vocabulary");
        writer.finish().expect("writable");
        assert_eq!(read_tokens(&path, 300).expect("whole"), [[4, 299]]);
        let error = read_tokens(&path, 299).expect_err("too small a vocabulary");
        assert!(
            error.to_string().contains("token 299 at position 1"),
            "{error}"
        );
    }

    #[test]
    fn wrong_rows_are_refused_with_their_place() {
        for (text, expected) in [
            ("[1, 10]", "token 10 at position 1 lies beyond"),
            (
                "[[1], [2, 4294967297]]",
                "token 4294967297 at row 1, position 1",
            ),
            ("[[1], 2]", "row 1 is not a list"),
            ("[1, -2]", "-2 at position 1 is not a token id"),
            ("[1, 2.5]", "2.5 at position 1 is not"),
            ("{}", "expected a list"),
            ("[]", "holds no token"),
            ("[[]]", "holds no token"),
            ("[1,", "nor JSON"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
