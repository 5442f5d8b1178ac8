//! How launchers read and make tensors.

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::{empty_device_contiguous_dtype, zeros_client};
use burn_cubecl::ops::reshape;

pub use burn_cubecl::tensor::CubeTensor;

pub use crate::column_sum::sum_of_rows;

/// Returns a tensor with its rows one after another in memory, as every launcher takes them.
pub fn contiguous(x: CubeTensor) -> CubeTensor {
    into_contiguous(x)
}

/// Returns the same elements in another shape.
///
/// # Panics
///
/// Panics where their number differs.
pub fn reshaped(x: CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    reshape(x, shape.into())
}

/// Returns a tensor with two axes exchanged, without a copy.
pub fn swapped(x: CubeTensor, first: usize, second: usize) -> CubeTensor {
    CubeBackend::float_swap_dims(x, first, second)
}

/// Returns a matrix times a number, `[1]`, that is on the device.
pub fn scaled(x: CubeTensor, by: &CubeTensor) -> CubeTensor {
    let by = reshaped(by.clone(), vec![1; x.shape().num_dims()]);
    CubeBackend::float_mul(x, by)
}

/// Returns the rows and the width of the last axis.
pub(crate) fn matrix(x: &CubeTensor) -> [usize; 2] {
    let shape = x.shape();
    let width = shape.last().copied().unwrap_or(1);
    [shape.num_elements() / width.max(1), width]
}

/// Returns a contiguous f32 tensor on the device of `like`, its elements not yet written.
pub(crate) fn empty(like: &CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    empty_of(like, shape, DType::F32)
}

/// As [`empty`], of any type.
pub(crate) fn empty_of(like: &CubeTensor, shape: impl Into<Shape>, dtype: DType) -> CubeTensor {
    let (client, device) = (like.client.clone(), like.device.clone());
    empty_device_contiguous_dtype(client, device, shape.into(), dtype)
}

/// Returns a tensor of zeros like another.
pub(crate) fn zeros(like: &CubeTensor) -> CubeTensor {
    let (client, device) = (like.client.clone(), like.device.clone());
    zeros_client(client, device, like.shape(), DType::F32)
}

/// Checks that a tensor is what kernels read.
///
/// # Panics
///
/// Where it is not f32, or not contiguous.
pub(crate) fn check(x: &CubeTensor) {
    assert_eq!(x.dtype, DType::F32, "the type of a tensor of a kernel");
    assert!(x.is_contiguous(), "the rows of a tensor follow each other");
}
