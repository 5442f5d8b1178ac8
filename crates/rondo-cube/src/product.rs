//! Matrix products in a given precision.
//!
//! With or without tuning, Burn prefers routines that use tensor cores. On a device with TF32 these
//! routines round f32 numbers to 11 bits of significand. On such a device this module therefore
//! chooses the routine if the precision is f32. This module also chooses the routine in builds in
//! which Burn does not tune, because `table` distinguishes more kinds of devices than Burn does.
//!
//! Reading order: `routine`, the ways to compute a product; `table`, the routine for each device;
//! this file.

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

/// Whether Burn tunes its products (times several routines and keeps the fastest) in this build.
const TUNES: bool = cfg!(feature = "fusion");

/// Returns `a · b` for two matrices, or for every pair of matrices in two batches. The result is
/// contiguous.
///
/// # Shapes
///
/// `a`: `[.., m, k]`; `b`: `[.., k, n]`; the result: `[.., m, n]`. All three have the same leading
/// axes.
///
/// # Panics
///
/// Panics if the shapes do not fit or a tensor is not f32.
pub fn product(a: CubeTensor, b: CubeTensor, precision: Precision) -> CubeTensor {
    let routine = chosen_for(&a, &b, precision);
    // If the device cannot run the routine from the table, `LARGE` replaces it. Every device can
    // run `LARGE`, which also computes in f32.
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

/// Returns the result of [`product`] in f32, computed with `routine`. Returns `None` if the device
/// cannot run `routine`.
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

/// Returns whether products on a device can be rounded to TF32. This is true for CUDA devices with
/// compute capability 8.0 or higher.
pub fn has_tf32(device: &CubeDevice) -> bool {
    client_has_tf32(&device.client())
}

fn client_has_tf32(client: &Client) -> bool {
    let tf32 = ElemType::Float(FloatKind::TF32);
    client.properties().supports_type(tf32)
}

/// Returns whether Burn chooses the routine. On a device with TF32, Burn chooses if TF32 is
/// requested. On other devices every routine computes in f32, and Burn chooses in builds with
/// tuning.
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
