//! The form in which kernels read tensors, and the allocation of tensors.

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::{empty_device_contiguous_dtype, zeros_client};
use burn_cubecl::ops::reshape;

pub use burn_cubecl::tensor::CubeTensor;

pub use crate::column_sum::sum_of_rows;

/// Returns a tensor whose rows follow one another in memory, as every kernel requires.
pub fn contiguous(x: CubeTensor) -> CubeTensor {
    into_contiguous(x)
}

/// Returns a tensor with the same elements in another shape.
///
/// # Panics
///
/// Panics if `shape` has another number of elements.
pub fn reshaped(x: CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    reshape(x, shape.into())
}

/// Returns a tensor with two axes exchanged, without a copy.
pub fn swapped(x: CubeTensor, first: usize, second: usize) -> CubeTensor {
    CubeBackend::float_swap_dims(x, first, second)
}

/// Multiplies a tensor by the number `by`, `[1]`, which stays on the device.
pub fn scaled(x: CubeTensor, by: &CubeTensor) -> CubeTensor {
    let by = reshaped(by.clone(), vec![1; x.shape().num_dims()]);
    CubeBackend::float_mul(x, by)
}

/// Returns the number of rows and the width of a tensor, where a row is everything along the last
/// axis.
pub(crate) fn matrix(x: &CubeTensor) -> [usize; 2] {
    let shape = x.shape();
    let width = shape.last().copied().unwrap_or(1);
    [shape.num_elements() / width.max(1), width]
}

/// Allocates a contiguous f32 tensor on the device of `like`. Its elements are not initialised.
pub(crate) fn empty(like: &CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    empty_of(like, shape, DType::F32)
}

/// Does what [`empty`] does, with any element type.
pub(crate) fn empty_of(like: &CubeTensor, shape: impl Into<Shape>, dtype: DType) -> CubeTensor {
    let (client, device) = (like.client.clone(), like.device.clone());
    empty_device_contiguous_dtype(client, device, shape.into(), dtype)
}

/// Returns a tensor of f32 zeros with the shape and the device of `like`.
pub(crate) fn zeros(like: &CubeTensor) -> CubeTensor {
    let (client, device) = (like.client.clone(), like.device.clone());
    zeros_client(client, device, like.shape(), DType::F32)
}

/// Checks that kernels can read a tensor.
///
/// # Panics
///
/// Panics if the tensor is not f32 or not contiguous.
pub(crate) fn check(x: &CubeTensor) {
    assert_eq!(x.dtype, DType::F32, "the type of a tensor of a kernel");
    assert!(x.is_contiguous(), "the rows of a tensor follow each other");
}
