//! Conversion of tensors without fusion, where Burn's tensors are the tensors that kernels read.

use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn_cubecl::Cube;

use crate::tensor::{CubeTensor, contiguous};

/// Returns a contiguous tensor. Several kernels can then read it without a copy for each.
pub fn readable(x: &FloatTensor<Cube>) -> FloatTensor<Cube> {
    contiguous(x.clone())
}

/// Returns the tensor in the form that kernels read.
pub fn float(x: FloatTensor<Cube>) -> CubeTensor {
    contiguous(x)
}

/// Does what [`float`] does, for integers.
pub fn int(x: IntTensor<Cube>) -> CubeTensor {
    contiguous(x)
}

/// Does what [`float`] does, for truth values.
pub fn bool(x: BoolTensor<Cube>) -> CubeTensor {
    contiguous(x)
}

/// Returns the result of a kernel as a tensor of Burn's backend.
pub fn made(x: CubeTensor) -> FloatTensor<Cube> {
    x
}
