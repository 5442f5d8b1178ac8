//! Matrix products in a given precision.
//!
//! Burn prefers routines with tensor cores, tuned or not. On a device with TF32 these routines
//! round f32 numbers to 11 bits of significand. This module therefore chooses the routine for f32
//! on such a device. Its table also chooses wherever Burn does not tune, because it distinguishes
//! more kinds of devices than Burn does.
//!
//! In reading order: `routine` (how a product can be computed), `table` (which routine a device
//! uses), this file.

mod routine;
mod table;

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeDevice;
use cubecl::client::Client;
use cubecl::ir::{ElemType, FloatKind};
use rondo_kernels::product::Precision;

pub use self::routine::{Routine, Stages, Tile};
pub use self::table::{Adapter, Form, chosen};
use crate::tensor::{CubeTensor, empty, swapped};

/// Whether Burn tunes its products in this build.
const TUNES: bool = cfg!(feature = "fusion");

/// Returns `a · b` for two matrices, or for each pair of two batches of matrices. The result is
/// contiguous.
///
/// # Shapes
///
/// `a`: `[.., m, k]`; `b`: `[.., k, n]`; returns `[.., m, n]`. The leading axes are the same in all
/// three.
///
/// # Panics
///
/// Panics if the shapes do not fit or a tensor is not f32.
pub fn product(a: CubeTensor, b: CubeTensor, precision: Precision) -> CubeTensor {
    let routine = chosen_for(&a, &b, precision);
    // If the device cannot run the table's routine, `LARGE` replaces it: every device can run it,
    // and it is f32 too.
    let made =
        product_by(routine, a.clone(), b.clone()).or_else(|| product_by(Routine::LARGE, a, b));
    made.expect("a product of two matrices that fit")
}

/// Returns the routine that [`product`] uses.
pub fn chosen_for(a: &CubeTensor, b: &CubeTensor, precision: Precision) -> Routine {
    match leaves_to_burn(precision, client_has_tf32(&a.client), TUNES) {
        true => Routine::Burns,
        false => chosen(Adapter::of_tensor(a), Form::of(a, b)),
    }
}

/// As [`product`] in f32, with a routine that the caller chooses; `None` if the device cannot run
/// it.
///
/// # Panics
///
/// As [`product`].
pub fn product_by(routine: Routine, a: CubeTensor, b: CubeTensor) -> Option<CubeTensor> {
    for x in [&a, &b] {
        assert_eq!(x.dtype, DType::F32, "the type of a factor");
    }
    let out = empty(&a, shape(&a.shape(), &b.shape()));
    routine.launch(a, b, out)
}

/// Returns a tensor with its last two axes exchanged, without a copy.
pub fn transposed(x: &CubeTensor) -> CubeTensor {
    let axes = x.shape().num_dims();
    swapped(x.clone(), axes - 2, axes - 1)
}

/// Whether products on a device can be rounded to TF32: true on CUDA devices from compute
/// capability 8.0 on.
pub fn has_tf32(device: &CubeDevice) -> bool {
    client_has_tf32(&device.client())
}

fn client_has_tf32(client: &Client) -> bool {
    let tf32 = ElemType::Float(FloatKind::TF32);
    client.properties().supports_type(tf32)
}

/// Whether Burn chooses the routine: if TF32 is requested and available, or if every routine is f32
/// and Burn tunes.
fn leaves_to_burn(precision: Precision, has_tf32: bool, tunes: bool) -> bool {
    match (precision, has_tf32) {
        (Precision::Tf32, true) => true,
        (Precision::F32 | Precision::Bf16, true) => false,
        (_, false) => tunes,
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
