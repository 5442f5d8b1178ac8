//! The errors of named tensors and of tensor files.

use std::io;

use safetensors::Dtype;

/// Named tensors could not be written to, or read from, the safetensors format.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// Two tensors have the same name.
    #[error("two tensors are named {name:?}")]
    Duplicate {
        /// The name that occurs twice.
        name: String,
    },
    /// The format reserves this name for metadata.
    #[error("a tensor cannot be named {name:?}: the safetensors format reserves it")]
    Reserved {
        /// The reserved name.
        name: String,
    },
    /// The tensor's bytes do not fit its type and shape, or their number overflows.
    #[error("tensor {name:?} of type {dtype} and shape {shape:?} cannot have {actual} bytes")]
    Length {
        /// The name of the tensor.
        name: String,
        /// The element type.
        dtype: Dtype,
        /// The shape.
        shape: Vec<usize>,
        /// The number of bytes given; 0 if the number for the shape overflows.
        actual: usize,
    },
    /// The values were requested as another type than the stored type.
    #[error("tensor {name:?} should be {expected} but is {actual}")]
    WrongType {
        /// The name of the tensor.
        name: String,
        /// The requested type.
        expected: Dtype,
        /// The stored type.
        actual: Dtype,
    },
    /// The file ends too early or has bytes after its last tensor.
    #[error("the tensor file has the wrong size: expected {expected} bytes, found {actual}")]
    Size {
        /// The size according to the header, in bytes.
        expected: u64,
        /// The actual size, in bytes.
        actual: u64,
    },
    /// The header is larger than any model here needs.
    #[error("the tensor file's header is too large: expected at most {cap} bytes, found {actual}")]
    HeaderTooLarge {
        /// The maximum size of a header, in bytes.
        cap: u64,
        /// The size of this header, in bytes.
        actual: u64,
    },
    /// The header is not the JSON that the format requires.
    #[error("the tensor file's header is invalid")]
    Header(#[source] serde_json::Error),
    /// The file system returned an error.
    #[error("the tensor file cannot be read")]
    Io(#[from] io::Error),
}
