//! The kernels of the norm.

use cubecl::prelude::*;

use crate::rows::{Tile, sum_of_lanes};

/// Which of the optional tensors of a norm exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Form {
    /// Whether the sum x + y is normed.
    pub(super) sum: bool,
    /// Whether y is normed and the result is added to x.
    pub(super) added: bool,
    /// Whether there is a scale.
    pub(super) scaled: bool,
}

#[cube(launch)]
pub(super) fn forward_kernel(
    x: &[f32],
    y: &[f32],
    scale: &[f32],
    out: &mut [f32],
    rows: usize,
    eps: f32,
    inverse_width: f32,
    #[comptime] tile: Tile,
    #[comptime] form: Form,
) {
    let row = CUBE_POS * tile.rows + UNIT_POS_Y as usize;
    let lane = UNIT_POS_X as usize;
    let mut own = Array::<f32>::new(tile.columns);
    let mut squares = 0.0f32;
    #[unroll]
    for k in 0..tile.columns {
        let column = lane + k * tile.lanes;
        if row < rows && column < tile.width {
            let at = row * tile.width + column;
            let value = normed(x, y, at, form);
            own[k] = value;
            squares += value * value;
        }
    }
    let root = 1.0f32 / (sum_of_lanes(squares, tile) * inverse_width + eps).sqrt();
    #[unroll]
    for k in 0..tile.columns {
        let column = lane + k * tile.lanes;
        if row < rows && column < tile.width {
            let at = row * tile.width + column;
            let mut value = own[k] * root;
            if comptime!(form.scaled) {
                value *= scale[column];
            }
            if comptime!(form.added) {
                value += x[at];
            }
            out[at] = value;
        }
    }
}

/// Writes the gradient of the normed tensor. Each cube also writes the part of the scale's gradient
/// that comes from the rows of this cube.
#[cube(launch)]
pub(super) fn backward_kernel(
    x: &[f32],
    y: &[f32],
    scale: &[f32],
    d_out: &[f32],
    d_normed: &mut [f32],
    parts: &mut [f32],
    rows: usize,
    rounds: usize,
    eps: f32,
    inverse_width: f32,
    #[comptime] tile: Tile,
    #[comptime] form: Form,
) {
    let lane = UNIT_POS_X as usize;
    let slot = UNIT_POS_Y as usize;
    // `own` holds first the numbers that are normed, then these numbers divided by their root mean
    // square.
    let mut own = Array::<f32>::new(tile.columns);
    let mut gradient = Array::<f32>::new(tile.columns);
    let mut d_scale = Array::<f32>::new(tile.columns);
    #[unroll]
    for k in 0..tile.columns {
        d_scale[k] = 0.0f32;
    }
    for round in 0..rounds {
        let row = (CUBE_POS * rounds + round) * tile.rows + slot;
        let mut squares = 0.0f32;
        #[unroll]
        for k in 0..tile.columns {
            let column = lane + k * tile.lanes;
            if row < rows && column < tile.width {
                let value = normed(x, y, row * tile.width + column, form);
                own[k] = value;
                squares += value * value;
            }
        }
        let root = 1.0f32 / (sum_of_lanes(squares, tile) * inverse_width + eps).sqrt();
        let mut product = 0.0f32;
        #[unroll]
        for k in 0..tile.columns {
            let column = lane + k * tile.lanes;
            if row < rows && column < tile.width {
                let mut g = d_out[row * tile.width + column];
                let u = own[k] * root;
                own[k] = u;
                if comptime!(form.scaled) {
                    d_scale[k] += g * u;
                    g *= scale[column];
                }
                gradient[k] = g;
                product += g * u;
            }
        }
        let mean = sum_of_lanes(product, tile) * inverse_width;
        #[unroll]
        for k in 0..tile.columns {
            let column = lane + k * tile.lanes;
            if row < rows && column < tile.width {
                d_normed[row * tile.width + column] = root * (gradient[k] - own[k] * mean);
            }
        }
    }
    if comptime!(form.scaled) {
        let mut shared = Shared::<[f32]>::new_slice(comptime!(tile.lanes * tile.rows));
        #[unroll]
        for k in 0..tile.columns {
            shared[slot * tile.lanes + lane] = d_scale[k];
            sync_cube();
            let column = lane + k * tile.lanes;
            if slot == 0 && column < tile.width {
                let mut sum = 0.0f32;
                #[unroll]
                for other in 0..tile.rows {
                    sum += shared[other * tile.lanes + lane];
                }
                parts[CUBE_POS * tile.width + column] = sum;
            }
            sync_cube();
        }
    }
}

/// Returns one of the numbers that are normed.
#[cube]
fn normed(x: &[f32], y: &[f32], at: usize, #[comptime] form: Form) -> f32 {
    if comptime!(form.sum) {
        x[at] + y[at]
    } else if comptime!(form.added) {
        y[at]
    } else {
        x[at]
    }
}
