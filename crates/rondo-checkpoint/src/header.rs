//! The header of a tensor file: what stands before the elements, written and read.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use safetensors::tensor::{Metadata, TensorInfo};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::error::TensorError;
use crate::tensors::DType;

/// The name that the format keeps for its metadata.
pub(crate) const METADATA: &str = "__metadata__";
/// The length of the header stands in the first bytes.
pub(crate) const LENGTH_BYTES: usize = size_of::<u64>();
/// A tensor takes about 100 bytes of header: this is room for 160 thousand.
const MAX_HEADER: usize = 16 << 20;

/// What the header says of one tensor; its place follows from those before it.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    pub(crate) dtype: DType,
    pub(crate) shape: &'a [usize],
    pub(crate) bytes: usize,
}

/// The key by which tensors stand in a file: descending alignment, then name.
pub(crate) fn file_order<'a>(row: &Row<'a>) -> (Reverse<DType>, &'a str) {
    (Reverse(row.dtype), row.name)
}

/// Returns the bytes that `dtype` and `shape` ask for, if there is such a number.
pub(crate) fn bytes_of(dtype: DType, shape: &[usize]) -> Option<usize> {
    let elements = shape
        .iter()
        .try_fold(1_usize, |product, &n| product.checked_mul(n))?;
    let bits = elements.checked_mul(dtype.bitsize())?;
    bits.is_multiple_of(8).then_some(bits / 8)
}

/// Returns the length, the JSON and its padding: everything before the elements of `rows`, which
/// stand in file order.
///
/// # Errors
/// [`TensorError::HeaderTooLarge`] beyond 16 MiB.
pub(crate) fn to_bytes(
    rows: &[Row<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, TensorError> {
    let mut header = vec![0; LENGTH_BYTES];
    let json = Json { rows, metadata };
    serde_json::to_writer(&mut header, &json).map_err(TensorError::Header)?;
    header.resize(header.len().next_multiple_of(LENGTH_BYTES), b' ');
    if header.len() > MAX_HEADER {
        return Err(too_large(header.len() as u64));
    }
    let length = (header.len() - LENGTH_BYTES) as u64;
    header[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(header)
}

/// Returns the length of the JSON from the first bytes of a file.
///
/// # Errors
/// [`TensorError::HeaderTooLarge`] beyond 16 MiB.
pub(crate) fn length(first: [u8; LENGTH_BYTES]) -> Result<usize, TensorError> {
    let length = u64::from_le_bytes(first);
    if length > MAX_HEADER as u64 {
        return Err(too_large(length));
    }
    Ok(length as usize)
}

/// Reads the JSON of a file of `file_bytes`; offsets in it count from the end of the JSON.
///
/// # Errors
/// [`TensorError::Header`] where it is not what the format prescribes, [`TensorError::Size`] where
/// the file ends too early or goes on.
pub(crate) fn parse(json: &[u8], file_bytes: u64) -> Result<Metadata, TensorError> {
    let header: Metadata = serde_json::from_slice(json).map_err(TensorError::Header)?;
    let before = (LENGTH_BYTES + json.len()) as u64;
    let expected = before.saturating_add(header.data_len() as u64);
    if expected != file_bytes {
        return Err(TensorError::Size {
            expected,
            actual: file_bytes,
        });
    }
    Ok(header)
}

/// Returns the tensors of a header by ascending name.
pub(crate) fn tensors(header: &Metadata) -> BTreeMap<String, &TensorInfo> {
    header.tensors().into_iter().collect()
}

fn too_large(actual: u64) -> TensorError {
    TensorError::HeaderTooLarge {
        cap: MAX_HEADER as u64,
        actual,
    }
}

/// The JSON object: metadata by name, then the tensors in file order.
struct Json<'h> {
    rows: &'h [Row<'h>],
    metadata: &'h BTreeMap<String, String>,
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.metadata.is_empty() {
            map.serialize_entry(METADATA, self.metadata)?;
        }
        let mut start = 0;
        for row in self.rows {
            let end = start + row.bytes;
            let info = TensorInfo {
                dtype: row.dtype,
                shape: row.shape.to_vec(),
                data_offsets: (start, end),
            };
            map.serialize_entry(row.name, &info)?;
            start = end;
        }
        map.end()
    }
}
