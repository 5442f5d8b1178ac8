//! Named tensors in the safetensors format: `[length: u64][header: JSON][bytes]`, little-endian.
//!
//! The header is written here, because the `safetensors` crate writes its metadata in the order of
//! a hash map, which differs between two runs of one program. Everything else is as that crate has
//! it: tensors by descending alignment, then by name, and a header padded to eight bytes. The frame
//! is read here, because that crate adds sizes from the file without checking for overflow; the
//! header itself is parsed and validated by its `Metadata`.
//!
//! Source: <https://github.com/huggingface/safetensors#format>.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

use crate::error::TensorError;
use crate::header::{self, LENGTH_BYTES, METADATA, Row};
use crate::save::Content;

pub use safetensors::Dtype as DType;

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

    fn row(&self) -> Row<'_> {
        Row {
            name: &self.name,
            dtype: self.dtype,
            shape: &self.shape,
            bytes: self.bytes.len(),
        }
    }

    fn check_length(&self) -> Result<(), TensorError> {
        if header::bytes_of(self.dtype, &self.shape) == Some(self.bytes.len()) {
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
        file.header()?;
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
        let length = header::length(*length)?;
        let (json, data) = rest.split_at_checked(length).ok_or(TensorError::Size {
            expected: (LENGTH_BYTES + length) as u64,
            actual,
        })?;
        let header = header::parse(json, actual)?;

        let tensors = header::tensors(&header).into_iter().map(|(name, info)| {
            let (start, end) = info.data_offsets;
            NamedTensor {
                name,
                dtype: info.dtype,
                shape: info.shape.clone(),
                bytes: Cow::Borrowed(&data[start..end]),
            }
        });
        Ok(Self {
            tensors: tensors.collect(),
            metadata: header.metadata().clone().into_iter().flatten().collect(),
        })
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
        let mut bytes = self.header()?;
        bytes.reserve_exact(self.tensors.iter().map(|tensor| tensor.bytes.len()).sum());
        for tensor in self.in_file_order() {
            bytes.extend_from_slice(&tensor.bytes);
        }
        Ok(bytes)
    }

    fn in_file_order(&self) -> Vec<&NamedTensor<'a>> {
        let mut tensors: Vec<_> = self.tensors.iter().collect();
        tensors.sort_by_key(|tensor| header::file_order(&tensor.row()));
        tensors
    }

    fn header(&self) -> Result<Vec<u8>, TensorError> {
        let rows: Vec<_> = self
            .in_file_order()
            .into_iter()
            .map(NamedTensor::row)
            .collect();
        header::to_bytes(&rows, &self.metadata)
    }
}

impl Content for TensorFile<'_> {
    fn write_to(&self, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(&self.header().map_err(io::Error::other)?)?;
        self.in_file_order()
            .into_iter()
            .try_for_each(|tensor| out.write_all(&tensor.bytes))
    }
}
