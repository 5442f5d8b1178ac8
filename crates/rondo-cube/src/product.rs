//! Products of matrices in the precision that is asked for.
//!
//! Burn's own choice of a routine prefers tensor cores, and where a device has TF32 these multiply f32 numbers that they
//! have rounded to 11 bits of significand, tuned or not. So on such a device the routine for f32 is chosen here.

use burn::backend::TensorMetadata;
use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeDevice;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use cubecl::client::Client;
use cubecl::ir::{ElemType, FloatKind};
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems};
use cubek::matmul::launch::launch_ref;
use cubek::matmul::multi_level;
use cubek::matmul::routine::BlueprintStrategy;
use cubek::std::InputBinding;
use rondo_kernels::product::Precision;

use crate::tensor::{CubeTensor, empty, swapped};

/// Returns `a · b` of matrices, or of each pair in two batches of them, contiguous.
///
/// # Shapes
///
/// `a`: `[.., m, k]`; `b`: `[.., k, n]`; returns `[.., m, n]`; what stands before is the same in all.
///
/// # Panics
///
/// Panics where the shapes do not fit, or a tensor is not f32.
pub fn product(a: CubeTensor, b: CubeTensor, precision: Precision) -> CubeTensor {
    let routine = Routine::of(precision, client_has_tf32(&a.client));
    routine.product(a, b)
}

/// Returns a tensor with its last two axes exchanged, without a copy.
pub fn transposed(x: &CubeTensor) -> CubeTensor {
    let axes = x.shape().num_dims();
    swapped(x.clone(), axes - 2, axes - 1)
}

/// Whether products on a device can be rounded to TF32: on NVIDIA's from compute capability 8.0 on, through CUDA.
pub fn has_tf32(device: &CubeDevice) -> bool {
    client_has_tf32(&device.client())
}

fn client_has_tf32(client: &Client) -> bool {
    let tf32 = ElemType::Float(FloatKind::TF32);
    client.properties().supports_type(tf32)
}

/// How a product of f32 tensors is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Routine {
    /// As Burn chooses, which may tune.
    Burns,
    /// By units that multiply and add f32 numbers, without tensor cores.
    Units,
}

impl Routine {
    /// Chooses the routine for a device that has TF32 or not.
    fn of(precision: Precision, has_tf32: bool) -> Self {
        match (precision, has_tf32) {
            (Precision::Tf32, _) | (_, false) => Self::Burns,
            (Precision::F32 | Precision::Bf16, true) => Self::Units,
        }
    }

    fn product(self, a: CubeTensor, b: CubeTensor) -> CubeTensor {
        for x in [&a, &b] {
            assert_eq!(x.dtype, DType::F32, "the type of a factor");
        }
        let out = empty(&a, shape(&a.shape(), &b.shape()));
        match self {
            Self::Burns => {
                let made = matmul(a, b, Some(out), MatmulStrategy::default(), DType::F32);
                made.expect("a product of two matrices that fit")
            }
            Self::Units => {
                let number = dtype_to_storage_type(DType::F32);
                let [a, b] = [a, b].map(|x| InputBinding::new(x.binding(), number));
                let routine = multi_level::Strategy::SimpleUnit(BlueprintStrategy::default());
                let mut types = MatmulElems::from_globals(&MatmulGlobalElems {
                    lhs: number,
                    rhs: number,
                    out: number,
                });
                let target = out.clone().binding();
                launch_ref(&routine.into(), &out.client, a, b, target, &mut types)
                    .expect("a product of two matrices that fit");
                out
            }
        }
    }
}

/// Returns the shape of a product.
fn shape(a: &Shape, b: &Shape) -> Shape {
    let axes = a.num_dims();
    assert!(
        axes >= 2 && b.num_dims() == axes && a[..axes - 2] == b[..axes - 2],
        "batches of factors, {a:?} and {b:?}"
    );
    assert_eq!(
        a[axes - 1],
        b[axes - 2],
        "the inner length of {a:?} times {b:?}"
    );
    let mut shape = a.clone();
    shape[axes - 1] = b[axes - 1];
    shape
}

#[cfg(test)]
mod tests;
