//! Conversion of tensors with fusion, where Burn's tensors are entries in a queue of fused
//! operations.

use burn::backend::TensorMetadata;
use burn::backend::fusion::custom::{OperationIr, OperationOutput, StreamId};
use burn::backend::fusion::{NoOp, get_client};
use burn::backend::ir::{BackendIr, InitOperationIr};
use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn_cubecl::{Cube, CubeBackend};

use crate::tensor::{CubeTensor, contiguous};

/// Returns the tensor unchanged. If a queued tensor has to be copied, that happens when it is read.
pub fn readable(x: &FloatTensor<Cube>) -> FloatTensor<Cube> {
    x.clone()
}

/// Runs the operations that the tensor depends on, and returns the tensor in the form that kernels
/// read.
pub fn float(x: FloatTensor<Cube>) -> CubeTensor {
    contiguous(x.client.clone().resolve_tensor_float::<CubeBackend>(x))
}

/// Does what [`float`] does, for integers.
pub fn int(x: IntTensor<Cube>) -> CubeTensor {
    contiguous(x.client.clone().resolve_tensor_int::<CubeBackend>(x))
}

/// Does what [`float`] does, for truth values.
pub fn bool(x: BoolTensor<Cube>) -> CubeTensor {
    contiguous(x.client.clone().resolve_tensor_bool::<CubeBackend>(x))
}

/// Returns the result of a kernel as an entry in the queue.
pub fn made(x: CubeTensor) -> FloatTensor<Cube> {
    let client = get_client::<CubeBackend>(&x.device);
    let (shape, dtype) = (x.shape(), x.dtype);
    let handle = CubeBackend::float_tensor_handle(x);
    let entry = InitOperationIr::create(shape, dtype, || client.register_tensor_handle(handle));
    let operation = NoOp::<CubeBackend>::new();
    client
        .register(StreamId::current(), OperationIr::Init(entry), operation)
        .output()
}
