//! Checks, writes and reads the header of a tensor file: the bytes before the elements.
//!
//! This crate writes the header itself, because the `safetensors` crate writes the metadata in the
//! order of a hash map, which differs between two runs of one program. The rest follows that crate:
//! tensors are sorted by descending alignment, then by name, and the header is padded to a multiple
//! of eight bytes. This crate also reads the lengths itself, because `safetensors` adds sizes from
//! the file without checking for overflow. The JSON is parsed and validated by the `Metadata` of
//! `safetensors`.
//!
//! Source: <https://github.com/huggingface/safetensors#format>.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::Range;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::tensor_error::TensorError;

/// The name that the format reserves for metadata.
const METADATA: &str = "__metadata__";
/// The number of bytes at the start of the file that hold the length of the header.
const LENGTH_BYTES: usize = size_of::<u64>();
/// The maximum length of a header, in bytes. A tensor takes about 100 bytes of header, so this is
/// enough for 160 thousand tensors.
const MAX_HEADER: usize = 16 << 20;

/// A tensor and its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The name, unique in the file.
    pub name: String,
    /// The type of the elements.
    pub dtype: Dtype,
    /// The size of each dimension, outermost first.
    pub shape: Vec<usize>,
    /// The range of the elements, in bytes from the start of the file.
    pub range: Range<u64>,
}

/// The header of a file that is to be written.
pub(crate) struct Header {
    /// Everything before the elements: the length, the JSON and its padding.
    pub(crate) bytes: Vec<u8>,
    /// The tensors, in the order of their elements in the file.
    pub(crate) tensors: Vec<Located>,
}

impl Header {
    /// Makes the header of a file with these tensors.
    ///
    /// # Errors
    /// [`TensorError::Duplicate`] if two tensors have the same name, [`TensorError::Reserved`] if a
    /// name is reserved, [`TensorError::Length`] if the size of a shape overflows, and
    /// [`TensorError::HeaderTooLarge`] if the header is larger than 16 MiB.
    pub(crate) fn new(
        tensors: impl IntoIterator<Item = (String, Dtype, Vec<usize>)>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self, TensorError> {
        let mut names = BTreeSet::new();
        let mut sized = Vec::new();
        for (name, dtype, shape) in tensors {
            if name == METADATA {
                return Err(TensorError::Reserved { name });
            }
            let Some(bytes) = bytes_of(dtype, &shape) else {
                let actual = 0;
                return Err(TensorError::Length {
                    name,
                    dtype,
                    shape,
                    actual,
                });
            };
            if !names.insert(name.clone()) {
                return Err(TensorError::Duplicate { name });
            }
            sized.push(Located {
                name,
                dtype,
                shape,
                range: 0..bytes as u64,
            });
        }
        sized.sort_by(|a, b| (Reverse(a.dtype), &a.name).cmp(&(Reverse(b.dtype), &b.name)));
        let mut start = 0;
        for tensor in &mut sized {
            tensor.range = start..start + tensor.range.end;
            start = tensor.range.end;
        }
        let bytes = to_bytes(&sized, metadata)?;
        for tensor in &mut sized {
            tensor.range.start += bytes.len() as u64;
            tensor.range.end += bytes.len() as u64;
        }
        Ok(Self {
            bytes,
            tensors: sized,
        })
    }
}

/// Returns the number of bytes of a tensor of `dtype` and `shape`; `None` if the number overflows.
pub(crate) fn bytes_of(dtype: Dtype, shape: &[usize]) -> Option<usize> {
    let elements = shape
        .iter()
        .try_fold(1_usize, |product, &n| product.checked_mul(n))?;
    let bits = elements.checked_mul(dtype.bitsize())?;
    bits.is_multiple_of(8).then_some(bits / 8)
}

/// Reads the header of a tensor file with `file_bytes` bytes. Returns the tensors, sorted by name.
///
/// # Errors
/// [`TensorError::Io`] if `file` cannot be read, [`TensorError::Size`] if the file is too short or
/// too long, [`TensorError::HeaderTooLarge`] if the header is too large, and
/// [`TensorError::Header`] if the header is invalid.
pub fn locate(file: &mut impl Read, file_bytes: u64) -> Result<Vec<Located>, TensorError> {
    Ok(read(file, file_bytes)?.0)
}

/// Does what [`locate`] does, and also returns the metadata.
pub(crate) fn read(
    file: &mut impl Read,
    file_bytes: u64,
) -> Result<(Vec<Located>, BTreeMap<String, String>), TensorError> {
    let mut prefix = |expected: usize| {
        let mut bytes = Vec::new();
        file.take(expected as u64).read_to_end(&mut bytes)?;
        Ok::<_, TensorError>(bytes)
    };
    let size = |expected: u64| TensorError::Size {
        expected,
        actual: file_bytes,
    };
    let first = prefix(LENGTH_BYTES)?;
    let first = first.try_into().map_err(|_| size(LENGTH_BYTES as u64))?;
    let length = u64::from_le_bytes(first);
    if length > MAX_HEADER as u64 {
        return Err(too_large(length));
    }
    let before = LENGTH_BYTES as u64 + length;
    let json = prefix(length as usize)?;
    if json.len() as u64 != length {
        return Err(size(before));
    }
    let header: Metadata = serde_json::from_slice(&json).map_err(TensorError::Header)?;
    let expected = before.saturating_add(header.data_len() as u64);
    if expected != file_bytes {
        return Err(size(expected));
    }
    let by_name: BTreeMap<_, _> = header.tensors().into_iter().collect();
    let tensors = by_name.into_iter().map(|(name, info)| {
        let (start, end) = info.data_offsets;
        Located {
            name,
            dtype: info.dtype,
            shape: info.shape.clone(),
            range: before + start as u64..before + end as u64,
        }
    });
    let metadata = header.metadata().clone().into_iter().flatten();
    Ok((tensors.collect(), metadata.collect()))
}

fn too_large(actual: u64) -> TensorError {
    TensorError::HeaderTooLarge {
        cap: MAX_HEADER as u64,
        actual,
    }
}

/// Returns all bytes before the elements of `tensors`. The ranges in the header count from the
/// first element.
fn to_bytes(
    tensors: &[Located],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, TensorError> {
    let mut header = vec![0; LENGTH_BYTES];
    let json = Json { tensors, metadata };
    serde_json::to_writer(&mut header, &json).map_err(TensorError::Header)?;
    header.resize(header.len().next_multiple_of(LENGTH_BYTES), b' ');
    if header.len() > MAX_HEADER {
        return Err(too_large(header.len() as u64));
    }
    let length = (header.len() - LENGTH_BYTES) as u64;
    header[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(header)
}

/// The JSON object of the header: the metadata sorted by name, then the tensors.
struct Json<'h> {
    tensors: &'h [Located],
    metadata: &'h BTreeMap<String, String>,
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.metadata.is_empty() {
            map.serialize_entry(METADATA, self.metadata)?;
        }
        for tensor in self.tensors {
            let Range { start, end } = tensor.range;
            let info = TensorInfo {
                dtype: tensor.dtype,
                shape: tensor.shape.clone(),
                data_offsets: (start as usize, end as usize),
            };
            map.serialize_entry(&tensor.name, &info)?;
        }
        map.end()
    }
}
