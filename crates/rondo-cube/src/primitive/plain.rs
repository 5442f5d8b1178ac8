//! Without fusion, Burn's tensors are the launchers' tensors.

use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn_cubecl::Cube;

use crate::tensor::{CubeTensor, contiguous};

/// Returns a contiguous tensor, so that several launchers can read it without copying it each time.
pub fn readable(x: &FloatTensor<Cube>) -> FloatTensor<Cube> {
    contiguous(x.clone())
}

/// Returns the tensor that launchers read.
pub fn float(x: FloatTensor<Cube>) -> CubeTensor {
    contiguous(x)
}

/// As [`float`], for integers.
pub fn int(x: IntTensor<Cube>) -> CubeTensor {
    contiguous(x)
}

/// As [`float`], for truth values.
pub fn bool(x: BoolTensor<Cube>) -> CubeTensor {
    contiguous(x)
}

/// Returns a launcher's result as a tensor of Burn's backend.
pub fn made(x: CubeTensor) -> FloatTensor<Cube> {
    x
}
