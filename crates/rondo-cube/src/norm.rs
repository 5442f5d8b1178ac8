//! The root-mean-square norm (Zhang & Sennrich 2019, arXiv 1910.07467), with or without a learned
//! scale. One kernel norms a tensor or the sum of two tensors, or norms a tensor and adds the
//! result to another tensor. The residual connection of a sublayer thus needs no pass of its own.

mod kernels;

use burn::backend::TensorMetadata;

use self::kernels::{Form, backward_kernel, forward_kernel};
use crate::column_sum::sum_of_rows;
use crate::rows::{Tile, cube_count};
use crate::tensor::{CubeTensor, check, empty, matrix};

/// The maximum number of cubes in a backward pass. Each cube sums the scale's gradient over its own
/// rows.
const BACKWARD_CUBES: usize = 512;

/// The tensor or sum that is normed, and the tensor to which the result is added, if there is one.
/// `n` is the norm.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// `n(x)`.
    Alone(&'a CubeTensor),
    /// `n(x + y)`.
    Sum(&'a CubeTensor, &'a CubeTensor),
    /// `x + n(y)`.
    AddedTo(&'a CubeTensor, &'a CubeTensor),
}

/// Returns the norm of every row, `n(x) = x / √(mean(x²) + eps) ⊙ scale`, in the form that `input`
/// selects.
///
/// # Shapes
///
/// The tensors of `input` and the result: `[.., width]`; `scale`: `[width]`.
///
/// # Panics
///
/// Panics if a tensor is not contiguous f32 or the shapes differ.
pub fn forward(input: Input<'_>, scale: Option<&CubeTensor>, eps: f32) -> CubeTensor {
    let (x, y, sum, added) = match input {
        Input::Alone(x) => (x, x, false, false),
        Input::Sum(x, y) => (x, y, true, false),
        Input::AddedTo(x, y) => (x, y, false, true),
    };
    let ([rows, width], tile) = checked(x, y, scale);
    let out = empty(x, x.shape());
    let form = Form {
        sum,
        added,
        scaled: scale.is_some(),
    };
    // x is passed in the place of a missing y or scale; the kernel does not read that argument.
    forward_kernel::launch(
        &x.client,
        cube_count(tile.cubes(rows)),
        tile.cube_dim(),
        x.clone().into_buffer_arg(),
        y.clone().into_buffer_arg(),
        scale.unwrap_or(x).clone().into_buffer_arg(),
        out.clone().into_buffer_arg(),
        rows,
        eps,
        1.0 / width as f32,
        tile,
        form,
    );
    out
}

/// The gradients of a norm.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// The gradient of the normed tensor. If a sum `x + y` was normed, x and y both have this
    /// gradient.
    pub normed: CubeTensor,
    /// The gradient of the scale; `None` if there is no scale.
    pub scale: Option<CubeTensor>,
}

/// Returns the gradients of `n(x)` or `n(x + y)`, given the gradient of the result.
///
/// # Shapes
///
/// `x`, `y`, `scale`: as for [`forward`]; `d_out`: the shape of the result.
///
/// # Panics
///
/// As [`forward`].
pub fn backward(
    x: &CubeTensor,
    y: Option<&CubeTensor>,
    scale: Option<&CubeTensor>,
    d_out: &CubeTensor,
    eps: f32,
) -> Gradients {
    let ([rows, width], tile) = checked(x, y.unwrap_or(d_out), scale);
    check(d_out);
    assert_eq!(d_out.shape(), x.shape(), "the gradient of a norm's result");
    let tiles = tile.cubes(rows);
    let cubes = tiles.clamp(1, BACKWARD_CUBES);
    let rounds = tiles.div_ceil(cubes);
    let normed = empty(x, x.shape());
    let parts = scale.map(|_| empty(x, [cubes, width]));
    let form = Form {
        sum: y.is_some(),
        added: false,
        scaled: scale.is_some(),
    };
    backward_kernel::launch(
        &x.client,
        cube_count(cubes),
        tile.cube_dim(),
        x.clone().into_buffer_arg(),
        y.unwrap_or(x).clone().into_buffer_arg(),
        scale.unwrap_or(x).clone().into_buffer_arg(),
        d_out.clone().into_buffer_arg(),
        normed.clone().into_buffer_arg(),
        parts.as_ref().unwrap_or(&normed).clone().into_buffer_arg(),
        rows,
        rounds,
        eps,
        1.0 / width as f32,
        tile,
        form,
    );
    Gradients {
        normed,
        scale: parts.map(|parts| sum_of_rows(&parts, width)),
    }
}

fn checked(x: &CubeTensor, y: &CubeTensor, scale: Option<&CubeTensor>) -> ([usize; 2], Tile) {
    check(x);
    check(y);
    assert_eq!(x.shape(), y.shape(), "the parts of a sum around a norm");
    let [rows, width] = matrix(x);
    if let Some(scale) = scale {
        check(scale);
        assert_eq!(matrix(scale), [1, width], "a scale for each column");
    }
    ([rows, width], Tile::new(width))
}

#[cfg(test)]
mod tests;
