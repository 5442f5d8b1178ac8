//! Writes tensor files that are larger than memory, one tensor at a time.

use std::collections::BTreeMap;
use std::io::{self, Write};

use safetensors::Dtype;

use crate::content::Content;
use crate::header::Header;
use crate::tensor_error::TensorError;

/// Writes the elements of the tensor with the given name.
type WriteElements<'w> = Box<dyn Fn(&str, &mut dyn Write) -> io::Result<()> + 'w>;

/// A tensor file whose elements are computed while the file is written.
///
/// The same tensors always produce the same bytes.
pub struct TensorStream<'w> {
    header: Header,
    write: WriteElements<'w>,
}

impl<'w> TensorStream<'w> {
    /// Prepares a file of `tensors`, which may be given in any order. `write` is called once for
    /// each tensor and writes its elements.
    ///
    /// # Errors
    /// Returns an error if a name is given twice or reserved, the size of a shape overflows, or the
    /// header is larger than 16 MiB.
    pub fn new(
        tensors: impl IntoIterator<Item = (String, Dtype, Vec<usize>)>,
        metadata: &BTreeMap<String, String>,
        write: impl Fn(&str, &mut dyn Write) -> io::Result<()> + 'w,
    ) -> Result<Self, TensorError> {
        Ok(Self {
            header: Header::new(tensors, metadata)?,
            write: Box::new(write),
        })
    }

    /// Returns the size of the whole file in bytes.
    pub fn bytes(&self) -> u64 {
        let last = self.header.tensors.last();
        last.map_or(self.header.bytes.len() as u64, |last| last.range.end)
    }
}

impl Content for TensorStream<'_> {
    fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.header.bytes)?;
        for tensor in &self.header.tensors {
            let mut counted = Counted { out, written: 0 };
            (self.write)(&tensor.name, &mut counted)?;
            let (written, bytes) = (counted.written, tensor.range.end - tensor.range.start);
            if written != bytes {
                let name = &tensor.name;
                let message = format!("tensor {name:?} has {bytes} bytes, {written} were written");
                return Err(io::Error::other(message));
            }
        }
        Ok(())
    }
}

/// Counts the bytes that are written to `out`.
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
    use crate::{NamedTensor, TensorFile, locate};

    fn tensors() -> Vec<(String, Dtype, Vec<usize>)> {
        [
            ("b", Dtype::F32, vec![1, 2]),
            ("a", Dtype::F32, vec![1]),
            ("c", Dtype::BF16, vec![]),
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
