//! Named tensors in memory, in the safetensors format: `[length: u64][header: JSON][bytes]`. All
//! numbers are little-endian.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

use safetensors::Dtype;

use crate::content::Content;
use crate::header::{self, Located};
use crate::stream::TensorStream;
use crate::tensor_error::TensorError;

/// One tensor; the elements are contiguous, row-major and little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTensor<'a> {
    /// The path of the tensor in the model, unique in a file.
    pub name: String,
    /// The type of the elements.
    pub dtype: Dtype,
    /// The size of each dimension, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements.
    pub bytes: Cow<'a, [u8]>,
}

impl NamedTensor<'_> {
    /// Returns the elements as 32-bit floats.
    ///
    /// # Errors
    /// [`TensorError::WrongType`] if the tensor has another type; [`TensorError::Length`] if its
    /// bytes do not fit its shape, which cannot happen to a tensor from a [`TensorFile`].
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

/// A set of named tensors that will be written or was read.
///
/// The set borrows the bytes, so that a large model is never copied. When it is written, it is
/// streamed to disk as [`Content`]. When it is read, [`TensorFile::parse`] refers to the bytes of
/// the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorFile<'a> {
    /// The tensors, sorted by name.
    tensors: Vec<NamedTensor<'a>>,
    metadata: BTreeMap<String, String>,
}

impl<'a> TensorFile<'a> {
    /// Collects `tensors`, given in any order, and `metadata`. The same set always produces the
    /// same bytes.
    ///
    /// # Errors
    /// Returns an error if a name is given twice or reserved, the bytes do not fit the type and the
    /// shape, or the header is larger than 16 MiB.
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
    /// [`TensorError::Size`] if the file is too short or too long, [`TensorError::HeaderTooLarge`]
    /// if the header is too large, and [`TensorError::Header`] if the header is invalid.
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

    /// Returns the tensors, sorted by name.
    pub fn tensors(&self) -> &[NamedTensor<'a>] {
        &self.tensors
    }

    /// Converts the set into its tensors, sorted by name.
    pub fn into_tensors(self) -> Vec<NamedTensor<'a>> {
        self.tensors
    }

    /// Returns the tensor called `name`.
    pub fn get(&self, name: &str) -> Option<&NamedTensor<'a>> {
        let index = self
            .tensors
            .binary_search_by(|tensor| tensor.name.as_str().cmp(name))
            .ok()?;
        self.tensors.get(index)
    }

    /// Returns names and shapes, sorted by name, in the form that [`compare`](crate::compare)
    /// takes.
    pub fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        self.tensors
            .iter()
            .map(|tensor| (tensor.name.clone(), tensor.shape.clone()))
            .collect()
    }

    /// Returns the metadata of the file.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Returns the whole file in memory. To write a file without this copy, use the set as
    /// [`Content`].
    ///
    /// # Errors
    /// [`TensorError::Header`] if the header cannot be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TensorError> {
        let stream = self.stream()?;
        let mut bytes = Vec::with_capacity(stream.bytes() as usize);
        stream.write_to(&mut bytes)?;
        Ok(bytes)
    }

    /// Returns the file as a stream that writes the elements of this set.
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
