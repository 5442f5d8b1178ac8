//! What can be wrong with named tensors or with a tensor file.

use std::io;

use safetensors::Dtype;

/// Named tensors could not be put into, or taken out of, the safetensors format.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// Two tensors have the same name.
    #[error("two tensors are named {name:?}")]
    Duplicate {
        /// The name that occurs twice.
        name: String,
    },
    /// The format keeps this name for its metadata.
    #[error("a tensor cannot be named {name:?}: the safetensors format reserves it")]
    Reserved {
        /// The reserved name.
        name: String,
    },
    /// Type and shape need another number of bytes, or more than can be counted.
    #[error("tensor {name:?} of type {dtype} and shape {shape:?} cannot have {actual} bytes")]
    Length {
        /// The tensor.
        name: String,
        /// Its element type.
        dtype: Dtype,
        /// Its shape.
        shape: Vec<usize>,
        /// The bytes given.
        actual: usize,
    },
    /// The values were requested as another type than the stored one.
    #[error("tensor {name:?} should be {expected} but is {actual}")]
    WrongType {
        /// The tensor.
        name: String,
        /// The requested type.
        expected: Dtype,
        /// The type stored.
        actual: Dtype,
    },
    /// The file ends too early, or continues after its last tensor.
    #[error("the tensor file has the wrong size: expected {expected} bytes, found {actual}")]
    Size {
        /// The size its header announces, in bytes.
        expected: u64,
        /// The size found, in bytes.
        actual: u64,
    },
    /// The header is larger than any model here needs.
    #[error("the tensor file's header is too large: expected at most {cap} bytes, found {actual}")]
    HeaderTooLarge {
        /// The largest header accepted, in bytes.
        cap: u64,
        /// Its size, in bytes.
        actual: u64,
    },
    /// The header is not the JSON that the format prescribes.
    #[error("the tensor file's header is invalid")]
    Header(#[source] serde_json::Error),
    /// The file system refused.
    #[error("the tensor file cannot be read")]
    Io(#[from] io::Error),
}
