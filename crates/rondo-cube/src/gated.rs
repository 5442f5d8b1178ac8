//! The gated SiLU `SiLU(a) ⊙ b` with `SiLU(a) = a · σ(a)` (Shazeer 2020, arXiv 2002.05202). In each
//! row of the input, `a` is the first half and `b` is the second half.
//!
//! ```text
//! da = dy ⊙ b ⊙ σ(a) ⊙ (1 + a ⊙ (1 − σ(a))),   db = dy ⊙ a ⊙ σ(a)
//! ```

use burn::backend::TensorMetadata;
use cubecl::prelude::*;

use crate::rows::{LINE, cube_count};
use crate::tensor::{CubeTensor, check, empty, matrix};

/// Multiplies the second half of every row by the SiLU of the first half.
///
/// # Shapes
///
/// `halves`: `[.., 2 · width]`; the result: `[.., width]`.
///
/// # Panics
///
/// Panics if the tensor is not contiguous f32 or its width is odd.
pub fn forward(halves: &CubeTensor) -> CubeTensor {
    let (width, shape) = half(halves);
    let count = shape.num_elements();
    let out = empty(halves, shape);
    forward_kernel::launch(
        &halves.client,
        cube_count(count.div_ceil(LINE)),
        CubeDim::new_1d(LINE as u32),
        halves.clone().into_buffer_arg(),
        out.clone().into_buffer_arg(),
        count,
        width,
    );
    out
}

/// Returns the gradient of both halves, given the gradient of the result.
///
/// # Shapes
///
/// `halves`: as for [`forward`]; `d_out`: the shape of the result of [`forward`].
///
/// # Panics
///
/// As [`forward`].
pub fn backward(halves: &CubeTensor, d_out: &CubeTensor) -> CubeTensor {
    let (width, shape) = half(halves);
    check(d_out);
    let count = shape.num_elements();
    assert_eq!(d_out.shape(), shape, "the gradient of a gated tensor");
    let out = empty(halves, halves.shape());
    backward_kernel::launch(
        &halves.client,
        cube_count(count.div_ceil(LINE)),
        CubeDim::new_1d(LINE as u32),
        halves.clone().into_buffer_arg(),
        d_out.clone().into_buffer_arg(),
        out.clone().into_buffer_arg(),
        count,
        width,
    );
    out
}

/// Returns the width of a half and the shape of the result.
fn half(halves: &CubeTensor) -> (usize, burn::tensor::Shape) {
    check(halves);
    let [_, both] = matrix(halves);
    assert!(both.is_multiple_of(2), "two halves of {both} columns");
    let mut shape = halves.shape();
    let last = shape.num_dims() - 1;
    shape[last] = both / 2;
    (both / 2, shape)
}

#[cube(launch)]
fn forward_kernel(halves: &[f32], out: &mut [f32], count: usize, width: usize) {
    let at = ABSOLUTE_POS;
    if at < count {
        let first = at + at / width * width;
        let a = halves[first];
        out[at] = a * sigmoid(a) * halves[first + width];
    }
}

#[cube(launch)]
fn backward_kernel(halves: &[f32], d_out: &[f32], out: &mut [f32], count: usize, width: usize) {
    let at = ABSOLUTE_POS;
    if at < count {
        let first = at + at / width * width;
        let a = halves[first];
        let gate = sigmoid(a);
        let d = d_out[at];
        out[first] = d * halves[first + width] * gate * (1.0f32 + a * (1.0f32 - gate));
        out[first + width] = d * a * gate;
    }
}

/// Returns `σ(x)`. The exponent is never positive, so the exponential cannot overflow.
#[cube]
fn sigmoid(x: f32) -> f32 {
    let small = (-x.abs()).exp();
    let above = 1.0f32 / (1.0f32 + small);
    select(x >= 0.0f32, above, small * above)
}

#[cfg(test)]
mod tests {
    use crate::testing::{Numbers, assert_close, device, values};

    #[test]
    fn one_half_gates_the_other_as_in_f64_with_its_gradient() {
        let Some(device) = device() else { return };
        let mut numbers = Numbers::new(4.0);
        for [rows, width] in [[1, 1], [1, 20], [63, 24], [65, 65], [7, 300]] {
            let mut halves = numbers.vector(2 * rows * width);
            // The gates of the first and the last row are fully open and fully shut.
            halves[0] = 1e30;
            halves[2 * (rows - 1) * width] = -1e30;
            let d_out = numbers.vector(rows * width);
            let x = device.tensor(&halves, [rows, 2 * width]);
            let y = values(super::forward(&x));
            let d_x = values(super::backward(&x, &device.tensor(&d_out, [rows, width])));
            for row in 0..rows {
                for column in 0..width {
                    let (at, first) = (row * width + column, 2 * row * width + column);
                    let [a, b] = [first, first + width].map(|at| f64::from(halves[at]));
                    let d = f64::from(d_out[at]);
                    let gate = 1.0 / (1.0 + (-a).exp());
                    assert_close(y[at], a * gate * b, (a * gate * b).abs());
                    let terms = (d * b * gate).abs() * (1.0 + (a * (1.0 - gate)).abs());
                    let expected = d * b * gate * (1.0 + a * (1.0 - gate));
                    assert_close(d_x[first], expected, terms);
                    assert_close(d_x[first + width], d * a * gate, (d * a * gate).abs());
                }
            }
        }
    }
}
