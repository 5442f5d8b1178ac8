//! Tensors that are the launchers' own.

use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn_cubecl::Cube;

use crate::tensor::{CubeTensor, contiguous};

/// Returns a tensor whose rows need not be copied again and again before a launcher reads them.
pub fn readable(x: &FloatTensor<Cube>) -> FloatTensor<Cube> {
    contiguous(x.clone())
}

/// Returns the tensor that launchers read.
pub fn float(x: FloatTensor<Cube>) -> CubeTensor {
    contiguous(x)
}

/// As [`float`], of integers.
pub fn int(x: IntTensor<Cube>) -> CubeTensor {
    contiguous(x)
}

/// As [`float`], of truth values.
pub fn bool(x: BoolTensor<Cube>) -> CubeTensor {
    contiguous(x)
}

/// Returns what launchers made as Burn's backend has it.
pub fn made(x: CubeTensor) -> FloatTensor<Cube> {
    x
}
