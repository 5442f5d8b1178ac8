//! Token files given for an evaluation: a shard, `input_ids` of a `.safetensors` file, or rows of
//! ids in JSON.

use std::fs;
use std::path::Path;

use rondo_files::{DType, NamedTensor, TensorFile};
use serde_json::Value;

use crate::error::DataError;
use crate::shards::Shard;

/// The tensor that holds the tokens of a `.safetensors` file.
const INPUT_IDS: &str = "input_ids";

/// Reads rows of token ids: a `.tokens` shard (one row); a `.safetensors` file with `input_ids`,
/// `[batch, seq]` or `[seq]`, of 32 or 64-bit integers; or JSON, a list of ids or a list of lists.
///
/// # Errors
///
/// When the file cannot be read, has another form, holds no token, or names a token beyond the
/// vocabulary; the error says where.
pub fn read_tokens(path: &Path, vocab_size: usize) -> Result<Vec<Vec<u32>>, DataError> {
    if path.extension().is_some_and(|ending| ending == "tokens") {
        let shard = Shard::open(path)?;
        let row = checked_row(path, "", shard.iter().map(Value::from), vocab_size)?;
        return Ok(vec![row]);
    }
    let bytes = fs::read(path).map_err(DataError::io("read", path))?;
    if path
        .extension()
        .is_some_and(|ending| ending == "safetensors")
    {
        return rows_of_tensor(path, &bytes, vocab_size);
    }
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        refuse(
            path,
            format!("neither a .tokens nor a .safetensors file nor JSON: {error}"),
        )
    })?;
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

/// Reads the rows of `input_ids`; other tensors of the file are ignored.
fn rows_of_tensor(
    path: &Path,
    bytes: &[u8],
    vocab_size: usize,
) -> Result<Vec<Vec<u32>>, DataError> {
    let file = TensorFile::parse(bytes).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        refuse(path, format!("{error}{}", cause.unwrap_or_default()))
    })?;
    let tensor = file
        .get(INPUT_IDS)
        .ok_or_else(|| refuse(path, format!("holds no tensor {INPUT_IDS}")))?;
    let seq = match tensor.shape.as_slice() {
        [seq] | [_, seq] => *seq,
        other => {
            let message = format!("{INPUT_IDS} must be [batch, seq] or [seq], found {other:?}");
            return Err(refuse(path, message));
        }
    };
    let ids = integers(tensor).ok_or_else(|| {
        let message = format!(
            "{INPUT_IDS} must be I64, I32 or U32, found {}",
            tensor.dtype
        );
        refuse(path, message)
    })?;
    if ids.is_empty() {
        return Err(refuse(path, "holds no token".to_owned()));
    }
    let several = tensor.shape.len() > 1;
    (0..)
        .zip(ids.chunks(seq))
        .map(|(number, row)| {
            let place = if several {
                format!("row {number}, ")
            } else {
                String::new()
            };
            checked_row(path, &place, row.iter().cloned(), vocab_size)
        })
        .collect()
}

/// Returns the ids of an integer tensor.
fn integers(tensor: &NamedTensor<'_>) -> Option<Vec<Value>> {
    fn ids<const N: usize, T: Into<Value>>(bytes: &[u8], id: fn([u8; N]) -> T) -> Vec<Value> {
        let (ids, _) = bytes.as_chunks();
        ids.iter().map(|&bytes| id(bytes).into()).collect()
    }
    match tensor.dtype {
        DType::I64 => Some(ids(&tensor.bytes, i64::from_le_bytes)),
        DType::I32 => Some(ids(&tensor.bytes, i32::from_le_bytes)),
        DType::U32 => Some(ids(&tensor.bytes, u32::from_le_bytes)),
        _ => None,
    }
}

/// Checks that values are token ids; `row` names the row in messages.
fn checked_row(
    path: &Path,
    row: &str,
    values: impl IntoIterator<Item = Value>,
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

    /// Reads a file with one tensor of this name, type, shape and content.
    fn read_tensor(
        name: &str,
        dtype: DType,
        shape: &[usize],
        bytes: Vec<u8>,
    ) -> Result<Vec<Vec<u32>>, DataError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("rows.safetensors");
        let tensor = NamedTensor {
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
            bytes: bytes.into(),
        };
        let file = TensorFile::new([tensor], std::collections::BTreeMap::new()).expect("a file");
        fs::write(&path, file.to_bytes().expect("bytes")).expect("writable");
        read_tokens(&path, 10)
    }

    #[test]
    fn input_ids_of_every_integer_type_are_rows() {
        let longs: Vec<u8> = [1_i64, 2, 3, 9, 0, 4]
            .iter()
            .flat_map(|id| id.to_le_bytes())
            .collect();
        let rows = read_tensor("input_ids", DType::I64, &[2, 3], longs).expect("two rows");
        assert_eq!(rows, [[1, 2, 3], [9, 0, 4]]);
        let ints: Vec<u8> = [7_u32, 8].iter().flat_map(|id| id.to_le_bytes()).collect();
        for dtype in [DType::I32, DType::U32] {
            let rows = read_tensor("input_ids", dtype, &[2], ints.clone()).expect("one row");
            assert_eq!(rows, [[7, 8]]);
        }
    }

    #[test]
    fn wrong_tensors_are_refused_with_their_reason() {
        let minus = (-1_i64).to_le_bytes().to_vec();
        let ten = 10_i32.to_le_bytes().to_vec();
        for (found, expected) in [
            (
                read_tensor("input_ids", DType::I64, &[1, 1], minus),
                "-1 at row 0, position 0",
            ),
            (
                read_tensor("input_ids", DType::I32, &[1], ten.clone()),
                "token 10 at position 0",
            ),
            (
                read_tensor("input_ids", DType::F32, &[1], ten.clone()),
                "found F32",
            ),
            (
                read_tensor("labels", DType::I32, &[1], ten.clone()),
                "no tensor input_ids",
            ),
            (
                read_tensor("input_ids", DType::I32, &[1, 1, 1], ten),
                "found [1, 1, 1]",
            ),
            (
                read_tensor("input_ids", DType::I32, &[3, 0], Vec::new()),
                "holds no token",
            ),
        ] {
            let error = found.expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("rows.safetensors");
        fs::write(&path, "{}").expect("writable");
        let error = read_tokens(&path, 10).expect_err("two bytes").to_string();
        assert!(error.contains("wrong size"), "{error}");
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
