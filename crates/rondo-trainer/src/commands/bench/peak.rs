//! Measures the matrix-product peak: the best rate of a device that computes only one large
//! product.

use std::time::Instant;

use burn::tensor::{Distribution, Tensor};
use rondo_model::ops::{Product, of};
use rondo_train::device::Listed;
use rondo_train::error::Result;

/// The number of rows, and of columns, of each matrix.
const PEAK_SIDE: usize = 1024;

/// Returns the best rate of a product of square f32 matrices, in FLOP/s. The device computes in the
/// requested precision, f32 or TF32; flex computes in f32.
///
/// # Errors
///
/// Returns an error if the device fails.
pub(super) fn matmul_peak(listed: &Listed) -> Result<f64> {
    let device = &listed.device;
    let matrix = || Tensor::<2>::random([PEAK_SIDE; 2], Distribution::Default, device);
    let (a, b) = (matrix(), matrix());
    let (ops, product) = (of(&a), Product::plain(listed.precision));
    let mut best = f64::INFINITY;
    for _ in 0..6 {
        listed.sync()?;
        let started = Instant::now();
        for _ in 0..4 {
            let _ = ops.product(product, a.clone(), b.clone());
        }
        listed.sync()?;
        best = best.min(started.elapsed().as_secs_f64() / 4.0);
    }
    Ok(2.0 * (PEAK_SIDE as f64).powi(3) / best)
}
