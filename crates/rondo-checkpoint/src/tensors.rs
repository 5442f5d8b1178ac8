//! Named tensors in the safetensors format: `[length: u64][header: JSON][bytes]`, little-endian.
//!
//! The header is written here, because the `safetensors` crate writes its metadata in the order of
//! a hash map, which differs between two runs of one program. Everything else is as that crate has
//! it: tensors by descending alignment, then by name, and a header padded to eight bytes. The frame
//! is read here, because that crate adds sizes from the file without checking for overflow; the
//! header itself is parsed and validated by its [`Metadata`].
//!
//! Source: <https://github.com/huggingface/safetensors#format>.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;

use safetensors::tensor::{Metadata, TensorInfo};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::error::TensorError;
use crate::save::Content;

pub use safetensors::Dtype as DType;

const METADATA: &str = "__metadata__";
const LENGTH_BYTES: usize = size_of::<u64>();
/// A tensor takes about 100 bytes of header: this is room for 160 thousand.
const MAX_HEADER: usize = 16 << 20;

/// One tensor: contiguous, row-major, little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTensor<'a> {
    /// Its path in the model, unique in a file.
    pub name: String,
    /// The type of its elements.
    pub dtype: DType,
    /// Its extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its elements.
    pub bytes: Cow<'a, [u8]>,
}

impl NamedTensor<'_> {
    /// Copies the elements out as 32-bit floats.
    ///
    /// # Errors
    /// [`TensorError::WrongType`] when the tensor stores another type; [`TensorError::Length`] when
    /// its bytes do not fit its shape, which no tensor of a [`TensorFile`] does.
    pub fn f32_values(&self) -> Result<Vec<f32>, TensorError> {
        if self.dtype != DType::F32 {
            let (expected, actual) = (DType::F32, self.dtype);
            return Err(TensorError::WrongType {
                name: self.name.clone(),
                expected,
                actual,
            });
        }
        self.check_length()?;
        let (quads, _) = self.bytes.as_chunks();
        Ok(quads.iter().map(|&quad| f32::from_le_bytes(quad)).collect())
    }

    fn check_length(&self) -> Result<(), TensorError> {
        let elements = self
            .shape
            .iter()
            .try_fold(1_usize, |product, &n| product.checked_mul(n));
        let bits = elements.and_then(|elements| elements.checked_mul(self.dtype.bitsize()));
        if bits.is_some_and(|bits| bits.is_multiple_of(8) && bits / 8 == self.bytes.len()) {
            return Ok(());
        }
        Err(TensorError::Length {
            name: self.name.clone(),
            dtype: self.dtype,
            shape: self.shape.clone(),
            actual: self.bytes.len(),
        })
    }
}

/// A set of named tensors, to be written or as read.
///
/// It borrows the bytes in both directions, so that neither costs a second copy of a large model:
/// as [`Content`] it streams to disk, and [`TensorFile::parse`] points into the file's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorFile<'a> {
    /// By ascending name.
    tensors: Vec<NamedTensor<'a>>,
    metadata: BTreeMap<String, String>,
}

impl<'a> TensorFile<'a> {
    /// Collects `tensors`, in any order, and `metadata`. The same set always makes the same bytes.
    ///
    /// # Errors
    /// [`TensorError`] for a name given twice or reserved, for bytes that do not fit type and
    /// shape, and for a header beyond 16 MiB.
    pub fn new(
        tensors: impl IntoIterator<Item = NamedTensor<'a>>,
        metadata: BTreeMap<String, String>,
    ) -> Result<Self, TensorError> {
        let mut tensors: Vec<_> = tensors.into_iter().collect();
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(TensorError::Duplicate {
                name: pair[0].name.clone(),
            });
        }
        for tensor in &tensors {
            if tensor.name == METADATA {
                return Err(TensorError::Reserved {
                    name: tensor.name.clone(),
                });
            }
            tensor.check_length()?;
        }
        let file = Self { tensors, metadata };
        let header = file.header().map_err(TensorError::Header)?.len();
        if header > MAX_HEADER {
            return Err(header_too_large(header as u64));
        }
        Ok(file)
    }

    /// Reads a file from arbitrary bytes without copying the elements.
    ///
    /// # Errors
    /// [`TensorError::Size`] for a truncated or extended file, [`TensorError::HeaderTooLarge`] and
    /// [`TensorError::Header`] for a header that is not one.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TensorError> {
        let actual = bytes.len() as u64;
        let (length, rest) =
            bytes
                .split_first_chunk::<LENGTH_BYTES>()
                .ok_or(TensorError::Size {
                    expected: LENGTH_BYTES as u64,
                    actual,
                })?;
        let length = u64::from_le_bytes(*length);
        if length > MAX_HEADER as u64 {
            return Err(header_too_large(length));
        }
        let before_data = LENGTH_BYTES as u64 + length;
        let (header, data) = rest
            .split_at_checked(length as usize)
            .ok_or(TensorError::Size {
                expected: before_data,
                actual,
            })?;
        let header: Metadata = serde_json::from_slice(header).map_err(TensorError::Header)?;
        if header.data_len() != data.len() {
            let expected = before_data.saturating_add(header.data_len() as u64);
            return Err(TensorError::Size { expected, actual });
        }

        let mut tensors = Vec::new();
        for name in header.offset_keys() {
            if let Some(TensorInfo {
                dtype,
                shape,
                data_offsets: (start, end),
            }) = header.info(&name)
            {
                let bytes = Cow::Borrowed(&data[*start..*end]);
                tensors.push(NamedTensor {
                    name,
                    dtype: *dtype,
                    shape: shape.clone(),
                    bytes,
                });
            }
        }
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        let metadata = header.metadata().clone().into_iter().flatten().collect();
        Ok(Self { tensors, metadata })
    }

    /// The tensors by ascending name.
    pub fn tensors(&self) -> &[NamedTensor<'a>] {
        &self.tensors
    }

    /// Gives up the tensors, by ascending name.
    pub fn into_tensors(self) -> Vec<NamedTensor<'a>> {
        self.tensors
    }

    /// The tensor called `name`.
    pub fn get(&self, name: &str) -> Option<&NamedTensor<'a>> {
        let index = self
            .tensors
            .binary_search_by(|tensor| tensor.name.as_str().cmp(name))
            .ok()?;
        self.tensors.get(index)
    }

    /// Names and shapes by ascending name, as [`compare`](crate::compare) takes them.
    pub fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        self.tensors
            .iter()
            .map(|tensor| (tensor.name.clone(), tensor.shape.clone()))
            .collect()
    }

    /// What the writer noted beside the tensors.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The whole file in memory; to write one without this copy, use it as [`Content`].
    ///
    /// # Errors
    /// [`TensorError::Header`] when the header cannot be put into JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TensorError> {
        let mut bytes = self.header().map_err(TensorError::Header)?;
        bytes.reserve_exact(self.tensors.iter().map(|tensor| tensor.bytes.len()).sum());
        for tensor in self.in_file_order() {
            bytes.extend_from_slice(&tensor.bytes);
        }
        Ok(bytes)
    }

    fn in_file_order(&self) -> Vec<&NamedTensor<'a>> {
        let mut tensors: Vec<_> = self.tensors.iter().collect();
        // A stable sort: within one type the order stays by name.
        tensors.sort_by_key(|tensor| Reverse(tensor.dtype));
        tensors
    }

    /// The length, the JSON and its padding: everything before the elements.
    fn header(&self) -> serde_json::Result<Vec<u8>> {
        let mut header = vec![0; LENGTH_BYTES];
        serde_json::to_writer(&mut header, &Header(self))?;
        header.resize(header.len().next_multiple_of(LENGTH_BYTES), b' ');
        let length = (header.len() - LENGTH_BYTES) as u64;
        header[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        Ok(header)
    }
}

impl Content for TensorFile<'_> {
    fn write_to(&self, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(&self.header()?)?;
        self.in_file_order()
            .into_iter()
            .try_for_each(|tensor| out.write_all(&tensor.bytes))
    }
}

/// The JSON object of the header: metadata by name, then the tensors in file order.
struct Header<'h>(&'h TensorFile<'h>);

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.0.metadata.is_empty() {
            map.serialize_entry(METADATA, &self.0.metadata)?;
        }
        let mut start = 0;
        for NamedTensor {
            name,
            dtype,
            shape,
            bytes,
        } in self.0.in_file_order()
        {
            let end = start + bytes.len();
            let info = TensorInfo {
                dtype: *dtype,
                shape: shape.clone(),
                data_offsets: (start, end),
            };
            map.serialize_entry(name, &info)?;
            start = end;
        }
        map.end()
    }
}

fn header_too_large(actual: u64) -> TensorError {
    TensorError::HeaderTooLarge {
        cap: MAX_HEADER as u64,
        actual,
    }
}
