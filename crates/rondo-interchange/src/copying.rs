//! Copies a tensor, or a part of a tensor, from a file to a stream. The numbers are converted and
//! checked, and transposed if the layouts differ.

use std::hint;
use std::io::{self, Read, Write};

use crate::archive::Entry;
use crate::element::Element;
use crate::error::InterchangeError;
use crate::vanished::Vanished;

/// How many numbers are converted at once, if their order does not change.
const CHUNK: usize = 1 << 16;
/// How many rows of the result are gathered at once from a transposed matrix: 16 numbers of type
/// f32 fill a cache line.
const ROWS: usize = 16;

/// How the numbers of a tensor are converted.
#[derive(Clone, Copy)]
pub(crate) struct Conversion<'a> {
    /// The type that is written.
    pub(crate) element: Element,
    /// Whether a matrix is transposed.
    pub(crate) transposed: bool,
    /// The part that is written; `None` for the whole tensor.
    pub(crate) part: Option<Part>,
    /// The divisor of every number, if any.
    pub(crate) divisor: Option<f64>,
    /// Counts the weights that become 0.
    pub(crate) vanished: &'a Vanished,
}

/// A part of a tensor: columns if a matrix is transposed, otherwise elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// The first column or element.
    pub(crate) first: usize,
    /// The number of columns or elements.
    pub(crate) count: usize,
}

/// A tensor in a file, and the type of its numbers.
pub(crate) struct Source<'a> {
    entry: &'a Entry,
    element: Element,
}

impl Source<'_> {
    /// Returns a tensor as a source of weights; `None` if weights cannot have its type.
    pub(crate) fn new(entry: &Entry) -> Option<Source<'_>> {
        let element = Element::of(entry.located.dtype)?;
        Some(Source { entry, element })
    }

    /// Writes the tensor.
    ///
    /// Memory holds one block of numbers, or the whole stored tensor if it is transposed.
    ///
    /// # Errors
    ///
    /// Returns an error if the file or `out` fails. The error contains an [`InterchangeError`] if a
    /// number is not finite or is beyond the range of the written type.
    fn copy(&self, into: Conversion<'_>, out: &mut dyn Write) -> io::Result<()> {
        match *self.entry.located.shape.as_slice() {
            [rows, cols] if into.transposed => self.copy_transposed(into, rows, cols, out),
            _ => self.copy_in_order(into, out),
        }
    }

    fn copy_in_order(&self, into: Conversion<'_>, out: &mut dyn Write) -> io::Result<()> {
        let size = into.element.size();
        let mut file = self.open()?;
        let Part { first, count } = into.part.unwrap_or(Part {
            first: 0,
            count: self.count(),
        });
        self.pass_over(&mut file, first)?;
        let mut stored = vec![0; CHUNK.min(count) * self.element.size()];
        let mut written = vec![0; CHUNK.min(count) * size];
        let end = first + count;
        for position in (first..end).step_by(CHUNK) {
            let here = CHUNK.min(end - position);
            let stored = &mut stored[..here * self.element.size()];
            self.fill(&mut file, stored)?;
            let written = &mut written[..here * size];
            let numbers = stored.chunks_exact(self.element.size());
            for (i, (number, place)) in numbers.zip(written.chunks_exact_mut(size)).enumerate() {
                self.put(into, number, position + i, place)?;
            }
            out.write_all(written)?;
        }
        Ok(())
    }

    fn copy_transposed(
        &self,
        into: Conversion<'_>,
        rows: usize,
        cols: usize,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let (from, to) = (self.element.size(), into.element.size());
        let mut stored = vec![0; self.count() * from];
        self.fill(&mut self.open()?, &mut stored)?;
        let part = into.part.unwrap_or(Part {
            first: 0,
            count: cols,
        });
        let end = part.first + part.count;
        let mut block = vec![0; ROWS.min(part.count) * rows * to];
        for first in (part.first..end).step_by(ROWS) {
            let here = ROWS.min(end - first);
            for row in 0..rows {
                for col in 0..here {
                    let position = row * cols + first + col;
                    let number = &stored[position * from..(position + 1) * from];
                    let place = (col * rows + row) * to;
                    self.put(into, number, position, &mut block[place..place + to])?;
                }
            }
            out.write_all(&block[..here * rows * to])?;
        }
        Ok(())
    }

    fn put(
        &self,
        into: Conversion<'_>,
        number: &[u8],
        position: usize,
        place: &mut [u8],
    ) -> io::Result<()> {
        let element = into.element;
        let stored = self.element.decode(number);
        let value = into
            .divisor
            .map_or(stored, |divisor| (f64::from(stored) / divisor) as f32);
        if value.is_finite() && element.encode(value, place).is_some() {
            if is_zero(place) && !is_zero(number) {
                into.vanished.add(&self.entry.located.name, stored);
            }
            return Ok(());
        }
        let (path, tensor) = (self.entry.file.clone(), self.entry.located.name.clone());
        Err(io::Error::other(match value.is_finite() {
            false => InterchangeError::NotFinite {
                path,
                tensor,
                value,
                position,
            },
            true => InterchangeError::OutOfRange {
                path,
                tensor,
                value,
                position,
                element,
            },
        }))
    }

    /// Returns the number of elements.
    fn count(&self) -> usize {
        self.entry.located.shape.iter().product()
    }

    fn open(&self) -> io::Result<impl Read + use<>> {
        self.entry.open().map_err(|error| self.unreadable(error))
    }

    /// Skips `count` numbers.
    fn pass_over(&self, file: &mut impl Read, count: usize) -> io::Result<()> {
        let mut left = count;
        let mut passed = vec![0; CHUNK.min(left) * self.element.size()];
        while left > 0 {
            let count = CHUNK.min(left);
            self.fill(file, &mut passed[..count * self.element.size()])?;
            left -= count;
        }
        Ok(())
    }

    fn fill(&self, file: &mut impl Read, bytes: &mut [u8]) -> io::Result<()> {
        file.read_exact(bytes)
            .map_err(|error| self.unreadable(error))
    }

    /// Marks an error as one of the source file, so that it is not mistaken for an error of `out`.
    fn unreadable(&self, error: io::Error) -> io::Error {
        io::Error::other(InterchangeError::io(&self.entry.file)(error))
    }
}

/// Returns whether the little-endian bytes of a number are those of 0 or −0.
///
/// This code must not compare floats, and must not compare bytes in a way that the compiler could
/// turn into a comparison of floats: the processor may be set to treat subnormal numbers as 0.
fn is_zero(bytes: &[u8]) -> bool {
    match hint::black_box(bytes).split_last() {
        Some((last, rest)) => last.trailing_zeros() >= 7 && rest.iter().all(|byte| *byte == 0),
        None => true,
    }
}

/// Writes the tensor of `entry`, as [`Source::copy`] does.
///
/// # Errors
///
/// The errors of [`Source::copy`]; also returns an error if weights cannot have the tensor's type.
pub(crate) fn copy(entry: &Entry, into: Conversion<'_>, out: &mut dyn Write) -> io::Result<()> {
    match Source::new(entry) {
        Some(source) => source.copy(into, out),
        None => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Returns whether two tensors contain the same numbers; their types may differ.
pub(crate) fn same_numbers(a: &Source<'_>, b: &Source<'_>) -> io::Result<bool> {
    let (mut first, mut second) = (a.open()?, b.open()?);
    let mut left = a.count();
    if left != b.count() {
        return Ok(false);
    }
    let mut one = vec![0; CHUNK.min(left) * a.element.size()];
    let mut other = vec![0; CHUNK.min(left) * b.element.size()];
    while left > 0 {
        let count = CHUNK.min(left);
        let one = &mut one[..count * a.element.size()];
        let other = &mut other[..count * b.element.size()];
        a.fill(&mut first, one)?;
        b.fill(&mut second, other)?;
        let pairs = one
            .chunks_exact(a.element.size())
            .zip(other.chunks_exact(b.element.size()));
        let mut pairs = pairs.map(|(x, y)| (a.element.decode(x), b.element.decode(y)));
        if pairs.any(|(x, y)| x.to_bits() != y.to_bits()) {
            return Ok(false);
        }
        left -= count;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use rondo_files::{NamedTensor, TensorFile};

    use super::*;
    use crate::archive::Archive;

    fn stored(dir: &Path, element: Element, shape: &[usize], values: &[f32]) -> Archive {
        let mut bytes = vec![0; values.len() * element.size()];
        for (value, place) in values.iter().zip(bytes.chunks_exact_mut(element.size())) {
            let _ = element.encode(*value, place);
        }
        let tensor = NamedTensor {
            name: "w".to_owned(),
            dtype: element.dtype(),
            shape: shape.to_vec(),
            bytes: bytes.into(),
        };
        let file = TensorFile::new([tensor], BTreeMap::new()).expect("a file");
        let path = dir.join("w.safetensors");
        std::fs::write(&path, file.to_bytes().expect("bytes")).expect("writable");
        Archive::of_file(&path).expect("just written")
    }

    fn copied(archive: &Archive, transposed: bool) -> io::Result<Vec<f32>> {
        let vanished = Vanished::default();
        let into = Conversion {
            element: Element::F32,
            transposed,
            part: None,
            divisor: None,
            vanished: &vanished,
        };
        let mut bytes = Vec::new();
        copy(&archive.entries["w"], into, &mut bytes)?;
        Ok(bytes
            .chunks_exact(4)
            .map(|four| Element::F32.decode(four))
            .collect())
    }

    #[test]
    fn a_matrix_of_any_size_is_transposed() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (rows, cols) in [(1, 1), (2, 3), (3, 17), (40, 16), (5, 33)] {
            let values: Vec<f32> = (0..rows * cols).map(|i| i as f32).collect();
            let archive = stored(dir.path(), Element::F32, &[rows, cols], &values);
            assert_eq!(copied(&archive, false).expect("finite"), values);
            let turned = copied(&archive, true).expect("finite");
            for (i, value) in turned.iter().enumerate() {
                let (col, row) = (i / rows, i % rows);
                assert_eq!(value.to_bits(), values[row * cols + col].to_bits());
            }
        }
    }

    #[test]
    fn columns_of_a_matrix_and_elements_of_a_vector_are_copied_alone() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let values: Vec<f32> = (0..80).map(|i| i as f32).collect();
        let archive = stored(dir.path(), Element::F32, &[2, 40], &values);
        let vanished = Vanished::default();
        for transposed in [false, true] {
            let into = Conversion {
                element: Element::F32,
                transposed,
                part: Some(Part {
                    first: 3,
                    count: 18,
                }),
                divisor: None,
                vanished: &vanished,
            };
            let mut bytes = Vec::new();
            copy(&archive.entries["w"], into, &mut bytes).expect("finite");
            let found = bytes.chunks_exact(4).map(|four| Element::F32.decode(four));
            let expected: Vec<f32> = match transposed {
                false => (3..21).map(|i| i as f32).collect(),
                true => (3..21).flat_map(|i| [i as f32, (40 + i) as f32]).collect(),
            };
            assert_eq!(found.collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn numbers_that_are_not_finite_are_told_with_their_tensor_and_place() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (element, value, shown) in [
            (Element::F32, f32::NAN, "NaN"),
            (Element::Bf16, f32::INFINITY, "inf"),
            (Element::F16, f32::NEG_INFINITY, "-inf"),
        ] {
            let archive = stored(dir.path(), element, &[2, 2], &[0.0, 1.0, value, 2.0]);
            for transposed in [false, true] {
                let error = copied(&archive, transposed).expect_err("not finite");
                let error = InterchangeError::from_stream(error).expect("an error of this crate");
                let message = error.to_string();
                assert!(
                    message.ends_with(&format!("tensor w has {shown} at element 2")),
                    "{message}"
                );
            }
        }
    }

    #[test]
    fn the_place_of_a_number_counts_from_the_start_of_its_tensor_beyond_the_first_chunk() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let bad = CHUNK + 7;
        let mut values = vec![0.0; 2 * CHUNK];
        values[bad] = f32::NAN;
        let archive = stored(dir.path(), Element::F32, &[2 * CHUNK], &values);
        let vanished = Vanished::default();
        let part = Part {
            first: 5,
            count: 2 * CHUNK - 5,
        };
        for part in [None, Some(part)] {
            let into = Conversion {
                element: Element::F32,
                transposed: false,
                part,
                divisor: None,
                vanished: &vanished,
            };
            let error = copy(&archive.entries["w"], into, &mut Vec::new()).expect_err("not finite");
            let error = InterchangeError::from_stream(error).expect("an error of this crate");
            let message = error.to_string();
            assert!(message.ends_with(&format!("at element {bad}")), "{message}");
        }
    }

    #[test]
    fn a_file_that_shrank_meanwhile_is_named() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let archive = stored(dir.path(), Element::F32, &[4], &[0.0; 4]);
        std::fs::write(dir.path().join("w.safetensors"), "").expect("writable");
        let error = copied(&archive, false).expect_err("nothing is left");
        assert!(error.to_string().contains("w.safetensors"), "{error}");
    }
}
