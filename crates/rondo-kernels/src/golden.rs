//! Golden values for tests: the f64 tensors of a file.

use std::collections::BTreeMap;

use rondo_files::TensorFile;

/// Tensors in f64 with their shapes, by name.
pub(crate) struct Golden(BTreeMap<String, (Vec<usize>, Vec<f64>)>);

impl Golden {
    /// Reads the f64 tensors of a file and ignores tensors of other types.
    pub(crate) fn open(bytes: &[u8]) -> Self {
        let file = TensorFile::parse(bytes).expect("the golden file is whole");
        let doubles = file
            .tensors()
            .iter()
            .filter(|one| one.bytes.len() == 8 * one.shape.iter().product::<usize>());
        let read = |bytes: &[u8]| {
            let (octets, _) = bytes.as_chunks();
            octets
                .iter()
                .map(|&octet| f64::from_le_bytes(octet))
                .collect()
        };
        let tensors = doubles.map(|one| (one.name.clone(), (one.shape.clone(), read(&one.bytes))));
        Self(tensors.collect())
    }

    /// Returns the numbers of a tensor.
    pub(crate) fn get(&self, name: &str) -> &[f64] {
        &self.0[name].1
    }

    /// Returns the shape of a tensor.
    pub(crate) fn shape(&self, name: &str) -> &[usize] {
        &self.0[name].0
    }
}
