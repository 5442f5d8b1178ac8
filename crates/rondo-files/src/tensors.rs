//! Named tensors in memory, in the safetensors format: `[length: u64][header: JSON][bytes]`, little-endian.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

use safetensors::Dtype;

use crate::content::Content;
use crate::header::{self, Located};
use crate::stream::TensorStream;
use crate::tensor_error::TensorError;

/// One tensor: contiguous, row-major, little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTensor<'a> {
    /// Its path in the model, unique in a file.
    pub name: String,
    /// The type of its elements.
    pub dtype: Dtype,
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
        if self.dtype != Dtype::F32 {
            let (expected, actual) = (Dtype::F32, self.dtype);
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
/// It borrows the bytes both ways, so that a large model is never copied: as [`Content`] it is
/// streamed to disk, and [`TensorFile::parse`] points into the file's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorFile<'a> {
    /// By ascending name.
    tensors: Vec<NamedTensor<'a>>,
    metadata: BTreeMap<String, String>,
}

impl<'a> TensorFile<'a> {
    /// Collects `tensors`, given in any order, and `metadata`. The same set always makes the same
    /// bytes.
    ///
    /// # Errors
    /// [`TensorError`] for a name given twice or reserved, for bytes that do not fit type and
    /// shape, and for a header beyond 16 MiB.
    pub fn new(
        tensors: impl IntoIterator<Item = NamedTensor<'a>>,
        metadata: BTreeMap<String, String>,
    ) -> Result<Self, TensorError> {
        let mut tensors: Vec<_> = tensors.into_iter().collect();
        tensors.iter().try_for_each(NamedTensor::check_length)?;
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        let file = Self { tensors, metadata };
        file.stream()?;
        Ok(file)
    }

    /// Reads a file from arbitrary bytes without copying the elements.
    ///
    /// # Errors
    /// [`TensorError::Size`] for a truncated or extended file, [`TensorError::HeaderTooLarge`] and
    /// [`TensorError::Header`] for an invalid header.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TensorError> {
        let (located, metadata) = header::read(&mut { bytes }, bytes.len() as u64)?;
        let tensors = located.into_iter().map(|tensor| {
            let Located {
                name,
                dtype,
                shape,
                range,
            } = tensor;
            NamedTensor {
                name,
                dtype,
                shape,
                bytes: Cow::Borrowed(&bytes[range.start as usize..range.end as usize]),
            }
        });
        Ok(Self {
            tensors: tensors.collect(),
            metadata,
        })
    }

    /// The tensors by ascending name.
    pub fn tensors(&self) -> &[NamedTensor<'a>] {
        &self.tensors
    }

    /// Returns the tensors themselves, by ascending name.
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

    /// The metadata that the writer added.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Returns the whole file in memory; to write a file without this copy, use it as [`Content`].
    ///
    /// # Errors
    /// [`TensorError::Header`] when the header cannot be put into JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TensorError> {
        let stream = self.stream()?;
        let mut bytes = Vec::with_capacity(stream.bytes() as usize);
        stream.write_to(&mut bytes)?;
        Ok(bytes)
    }

    /// Returns the file as a stream that writes each tensor's own elements.
    fn stream(&self) -> Result<TensorStream<'_>, TensorError> {
        let tensors = self.tensors.iter();
        let announced =
            tensors.map(|tensor| (tensor.name.clone(), tensor.dtype, tensor.shape.clone()));
        TensorStream::new(announced, &self.metadata, |name, out| {
            let tensor = self.get(name);
            tensor.map_or(Ok(()), |tensor| out.write_all(&tensor.bytes))
        })
    }
}

impl Content for TensorFile<'_> {
    fn write_to(&self, out: &mut dyn io::Write) -> io::Result<()> {
        self.stream().map_err(io::Error::other)?.write_to(out)
    }
}

#[cfg(test)]
mod tests;
