//! Reads tensor files.

use std::fs::File;

use rondo_files::{DType, StoredTensors, TensorError, TensorFile, locate};

use crate::scratch;

/// Reads a tensor file (safetensors) in all three ways: from memory, by its header alone, and from
/// disk one tensor at a time.
///
/// All three ways must accept the file, or all three must refuse it. They must find the same names,
/// types, shapes and bytes. A file written from these tensors must read back equal.
///
/// # Panics
///
/// Panics if one of these properties does not hold.
pub fn tensors(bytes: &[u8]) {
    let parsed = TensorFile::parse(bytes);
    let located = locate(&mut { bytes }, bytes.len() as u64);
    let path = scratch::file("input.safetensors", bytes);
    let stored = StoredTensors::open(File::open(path).expect("the file written just now"));
    let (file, located, stored) = match (parsed, located, stored) {
        (Ok(file), Ok(located), Ok(stored)) => (file, located, stored),
        (Err(one), Err(two), Err(three)) => {
            let kinds = [&one, &two, &three].map(std::mem::discriminant);
            assert!(
                kinds[0] == kinds[1] && kinds[1] == kinds[2],
                "{one}, {two}, {three}"
            );
            return;
        }
        (one, two, three) => panic!("in memory {one:?}, by header {two:?}, on disk {three:?}"),
    };
    assert_eq!(stored.shapes(), file.shapes());
    for (tensor, place) in file.tensors().iter().zip(&located) {
        assert_eq!((&tensor.name, tensor.dtype), (&place.name, place.dtype));
        let range = place.range.start as usize..place.range.end as usize;
        assert_eq!(tensor.bytes.as_ref(), &bytes[range], "{}", tensor.name);
        let read = stored.read(&tensor.name).expect("a tensor of the file");
        assert_eq!(read.as_ref(), Some(tensor));
        match tensor.f32_values() {
            Ok(values) => assert_eq!(4 * values.len(), tensor.bytes.len()),
            Err(TensorError::WrongType { actual, .. }) => assert!(actual != DType::F32),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(located.len(), file.tensors().len());

    let written = TensorFile::new(file.tensors().to_vec(), file.metadata().clone())
        .and_then(|file| file.to_bytes())
        .expect("what was read can be written");
    assert_eq!(TensorFile::parse(&written).expect("what was written"), file);
}
