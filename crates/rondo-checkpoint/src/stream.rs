//! Tensor files larger than memory: tensors found without reading them, and written one at a time.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::ops::Range;

use crate::error::TensorError;
use crate::header::{self, LENGTH_BYTES, METADATA, Row};
use crate::save::Content;
use crate::tensors::DType;

/// A tensor and where it lies in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Its name, unique in the file.
    pub name: String,
    /// The type of its elements.
    pub dtype: DType,
    /// Its extents, outermost first.
    pub shape: Vec<usize>,
    /// Its elements, in bytes from the start of the file.
    pub range: Range<u64>,
}

/// Reads the header of a tensor file of `file_bytes` and returns its tensors by ascending name.
///
/// # Errors
/// [`TensorError::Io`] where `file` cannot be read, [`TensorError::Size`] for a truncated or
/// extended file, [`TensorError::HeaderTooLarge`] and [`TensorError::Header`] for a header that is
/// not one.
pub fn locate(file: &mut impl Read, file_bytes: u64) -> Result<Vec<Located>, TensorError> {
    let mut prefix = |expected: usize| {
        let mut bytes = Vec::new();
        file.take(expected as u64).read_to_end(&mut bytes)?;
        Ok::<_, TensorError>(bytes)
    };
    let truncated = |expected: usize| TensorError::Size {
        expected: expected as u64,
        actual: file_bytes,
    };
    let first = prefix(LENGTH_BYTES)?;
    let first = first.try_into().map_err(|_| truncated(LENGTH_BYTES))?;
    let length = header::length(first)?;
    let json = prefix(length)?;
    if json.len() != length {
        return Err(truncated(LENGTH_BYTES + length));
    }
    let header = header::parse(&json, file_bytes)?;
    let before = (LENGTH_BYTES + length) as u64;
    let tensors = header::tensors(&header).into_iter().map(|(name, info)| {
        let (start, end) = info.data_offsets;
        Located {
            name,
            dtype: info.dtype,
            shape: info.shape.clone(),
            range: before + start as u64..before + end as u64,
        }
    });
    Ok(tensors.collect())
}

/// Writes the elements of the tensor of this name.
type WriteElements<'w> = Box<dyn Fn(&str, &mut dyn Write) -> io::Result<()> + 'w>;

/// A tensor file whose elements are made when they are written.
///
/// The same tensors make the same bytes as a [`TensorFile`](crate::TensorFile) of them.
pub struct TensorStream<'w> {
    /// In file order.
    tensors: Vec<(String, DType, Vec<usize>, usize)>,
    header: Vec<u8>,
    write: WriteElements<'w>,
}

impl<'w> TensorStream<'w> {
    /// Announces `tensors`, in any order; `write` is asked for the elements of each in turn.
    ///
    /// # Errors
    /// [`TensorError`] for a name given twice or reserved, for a shape without a size, and for a
    /// header beyond 16 MiB.
    pub fn new(
        tensors: impl IntoIterator<Item = (String, DType, Vec<usize>)>,
        metadata: &BTreeMap<String, String>,
        write: impl Fn(&str, &mut dyn Write) -> io::Result<()> + 'w,
    ) -> Result<Self, TensorError> {
        let mut sized = BTreeMap::new();
        for (name, dtype, shape) in tensors {
            if name == METADATA {
                return Err(TensorError::Reserved { name });
            }
            let Some(bytes) = header::bytes_of(dtype, &shape) else {
                let actual = 0;
                return Err(TensorError::Length {
                    name,
                    dtype,
                    shape,
                    actual,
                });
            };
            if sized.insert(name.clone(), (dtype, shape, bytes)).is_some() {
                return Err(TensorError::Duplicate { name });
            }
        }
        let mut tensors: Vec<_> = sized
            .into_iter()
            .map(|(name, (dtype, shape, bytes))| (name, dtype, shape, bytes))
            .collect();
        tensors.sort_by(|a, b| header::file_order(&row(a)).cmp(&header::file_order(&row(b))));
        let rows: Vec<_> = tensors.iter().map(row).collect();
        let header = header::to_bytes(&rows, metadata)?;
        Ok(Self {
            tensors,
            header,
            write: Box::new(write),
        })
    }

    /// The size of the whole file in bytes.
    pub fn bytes(&self) -> u64 {
        let elements: u64 = self.tensors.iter().map(|(.., bytes)| *bytes as u64).sum();
        self.header.len() as u64 + elements
    }
}

fn row(tensor: &(String, DType, Vec<usize>, usize)) -> Row<'_> {
    let (name, dtype, shape, bytes) = tensor;
    Row {
        name,
        dtype: *dtype,
        shape,
        bytes: *bytes,
    }
}

impl Content for TensorStream<'_> {
    fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.header)?;
        for (name, _, _, bytes) in &self.tensors {
            let mut counted = Counted { out, written: 0 };
            (self.write)(name, &mut counted)?;
            let written = counted.written;
            if written != *bytes as u64 {
                let message = format!("tensor {name:?} has {bytes} bytes, {written} were written");
                return Err(io::Error::other(message));
            }
        }
        Ok(())
    }
}

/// Counts what passes through.
struct Counted<'o> {
    out: &'o mut dyn Write,
    written: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NamedTensor, TensorFile};

    fn tensors() -> Vec<(String, DType, Vec<usize>)> {
        [
            ("b", DType::F32, vec![1, 2]),
            ("a", DType::F32, vec![1]),
            ("c", DType::BF16, vec![]),
        ]
        .map(|(name, dtype, shape)| (name.to_owned(), dtype, shape))
        .into()
    }

    fn elements(name: &str) -> Vec<u8> {
        match name {
            "a" => vec![1, 2, 3, 4],
            "b" => (10..18).collect(),
            _ => vec![7, 7],
        }
    }

    fn streamed() -> Vec<u8> {
        let write = |name: &str, out: &mut dyn Write| out.write_all(&elements(name));
        let stream = TensorStream::new(tensors(), &BTreeMap::new(), write).expect("a stream");
        let mut bytes = Vec::new();
        stream.write_to(&mut bytes).expect("a vector takes all");
        assert_eq!(stream.bytes(), bytes.len() as u64);
        bytes
    }

    #[test]
    fn a_stream_writes_the_bytes_of_the_file_with_the_same_tensors() {
        let named = tensors().into_iter().map(|(name, dtype, shape)| {
            let bytes = elements(&name).into();
            NamedTensor {
                name,
                dtype,
                shape,
                bytes,
            }
        });
        let file = TensorFile::new(named, BTreeMap::new()).expect("a file");
        assert_eq!(file.to_bytes().expect("bytes"), streamed());
    }

    #[test]
    fn every_tensor_is_found_where_it_was_written() {
        let bytes = streamed();
        let found = locate(&mut bytes.as_slice(), bytes.len() as u64).expect("a whole file");
        assert_eq!(found.len(), 3);
        for tensor in found {
            let range = tensor.range.start as usize..tensor.range.end as usize;
            assert_eq!(bytes[range], elements(&tensor.name), "{}", tensor.name);
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let bytes = streamed();
        for cut in 0..bytes.len() {
            let found = locate(&mut &bytes[..cut], cut as u64);
            assert!(
                matches!(found, Err(TensorError::Size { .. })),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_tensor_written_short_is_an_error() {
        let write = |_: &str, out: &mut dyn Write| out.write_all(&[1]);
        let stream = TensorStream::new(tensors(), &BTreeMap::new(), write).expect("a stream");
        let error = stream
            .write_to(&mut Vec::new())
            .expect_err("one byte is too few");
        assert!(error.to_string().contains("1 were written"), "{error}");
    }
}
