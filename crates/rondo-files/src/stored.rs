//! A tensor file on disk, read one tensor at a time.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use safetensors::Dtype;

use crate::header::{Located, locate};
use crate::tensor_error::TensorError;
use crate::tensors::NamedTensor;

/// The tensors of a file that stays open. Elements are read only on request.
#[derive(Debug)]
pub struct StoredTensors {
    file: File,
    /// The tensors, sorted by name.
    tensors: Vec<Located>,
}

impl StoredTensors {
    /// Reads the header of `file`.
    ///
    /// # Errors
    /// The errors of [`locate`].
    pub fn open(file: File) -> Result<Self, TensorError> {
        let bytes = file.metadata()?.len();
        let tensors = locate(&mut BufReader::new(&file), bytes)?;
        Ok(Self { file, tensors })
    }

    /// Returns the name and the shape of every tensor, sorted by name.
    pub fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let pair = |tensor: &Located| (tensor.name.clone(), tensor.shape.clone());
        self.tensors.iter().map(pair).collect()
    }

    /// Returns the name and the element type of every tensor, sorted by name.
    pub fn types(&self) -> impl Iterator<Item = (&str, Dtype)> {
        let tensors = self.tensors.iter();
        tensors.map(|tensor| (tensor.name.as_str(), tensor.dtype))
    }

    /// Reads the tensor called `name`; `None` if the file has no such tensor.
    ///
    /// # Errors
    /// [`TensorError::Io`] if the file cannot be read, or was truncated after it was opened.
    pub fn read(&self, name: &str) -> Result<Option<NamedTensor<'static>>, TensorError> {
        let found = self
            .tensors
            .binary_search_by(|tensor| tensor.name.as_str().cmp(name));
        let Ok(index) = found else {
            return Ok(None);
        };
        let tensor = &self.tensors[index];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(tensor.range.start))?;
        let mut bytes = vec![0; (tensor.range.end - tensor.range.start) as usize];
        file.read_exact(&mut bytes)?;
        Ok(Some(NamedTensor {
            name: tensor.name.clone(),
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
            bytes: bytes.into(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::TensorFile;

    fn tensor(name: &str, bytes: Vec<u8>) -> NamedTensor<'static> {
        NamedTensor {
            name: name.to_owned(),
            dtype: Dtype::F32,
            shape: vec![bytes.len() / 4],
            bytes: bytes.into(),
        }
    }

    #[test]
    fn each_tensor_is_read_by_its_name_in_any_order() {
        let tensors = [tensor("b", (0..8).collect()), tensor("a", vec![9; 4])];
        let file = TensorFile::new(tensors.clone(), BTreeMap::new()).expect("two tensors");
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("file");
        std::fs::write(&path, file.to_bytes().expect("bytes")).expect("writable");
        let stored = StoredTensors::open(File::open(&path).expect("there")).expect("whole");
        assert_eq!(stored.shapes(), file.shapes());
        assert!(stored.types().eq([("a", Dtype::F32), ("b", Dtype::F32)]));
        for expected in tensors {
            let found = stored.read(&expected.name).expect("readable");
            assert_eq!(found, Some(expected));
        }
        assert_eq!(stored.read("c").expect("readable"), None);
    }
}
