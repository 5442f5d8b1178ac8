//! The kernels of the optimizers' updates.

#![expect(
    clippy::used_underscore_binding,
    reason = "only the macro reads the argument that says what type B is"
)]

use std::f32::consts::{FRAC_PI_2, FRAC_PI_4};

use cubecl::prelude::*;

use super::numbers::{KEPT, OWN, RATE, SCALE};
use crate::rows::{LINE, Tile, sum_of_lanes};

/// The decay of each moment and its complement: β₁, 1 − β₁, β₂, 1 − β₂.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct MomentNumbers {
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
}

#[cube(launch)]
pub(super) fn adamw_kernel<B: Int>(
    value: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
    gradient: &[f32],
    scale: &[f32],
    counts: &[B],
    numbers: &[f32],
    count: usize,
    moments: MomentNumbers,
    #[comptime] decays: bool,
    #[comptime] on_device: bool,
    #[define(B)] _truth: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at < count && counted::<B>(counts, on_device) {
        let g = gradient[at] * factor(scale, numbers, on_device);
        let m = first[at] * moments.beta1 + g * moments.rest1;
        let v = second[at] * moments.beta2 + g * g * moments.rest2;
        first[at] = m;
        second[at] = v;
        let change = m / (v.sqrt() + numbers[OWN]) * numbers[RATE];
        value[at] = kept(value[at], numbers, decays) - change;
    }
}

/// Updates the moments by RavenAdam. Each cube writes its part of Σ g² / v.
#[cube(launch)]
pub(super) fn moments_kernel<B: Int>(
    first: &mut [f32],
    second: &mut [f32],
    gradient: &[f32],
    scale: &[f32],
    counts: &[B],
    parts: &mut [f32],
    numbers: &[f32],
    count: usize,
    moments: MomentNumbers,
    floor: f32,
    #[comptime] tile: Tile,
    #[comptime] on_device: bool,
    #[define(B)] _truth: ElemType,
) {
    let mut sum = 0.0f32;
    if counted::<B>(counts, on_device) {
        let factor = factor(scale, numbers, on_device);
        let mut at = ABSOLUTE_POS;
        while at < count {
            let g = gradient[at] * factor;
            let square = second[at] * moments.beta2 + g * g * moments.rest2;
            // A comparison with NaN is false, so `select` keeps a NaN.
            let v = select(square < floor, floor, square);
            first[at] = first[at] * moments.beta1 + g * moments.rest1;
            second[at] = v;
            sum += g * g / v;
            at += CUBE_COUNT * LINE;
        }
    }
    let sum = sum_of_lanes(sum, tile);
    if UNIT_POS == 0 {
        parts[CUBE_POS] = sum;
    }
}

/// Updates a parameter by RavenAdam.
#[cube(launch)]
pub(super) fn value_kernel<B: Int>(
    value: &mut [f32],
    first: &[f32],
    second: &[f32],
    parts: &[f32],
    counts: &[B],
    numbers: &[f32],
    count: usize,
    part_count: usize,
    share: f32,
    #[comptime] tile: Tile,
    #[comptime] decays: bool,
    #[comptime] update_clipping: bool,
    #[comptime] on_device: bool,
    #[define(B)] _truth: ElemType,
) {
    let mut rate = numbers[RATE];
    if comptime!(update_clipping) {
        let unit = UNIT_POS as usize;
        let mut part = 0.0f32;
        if unit < part_count {
            part = parts[unit];
        }
        let mean = sum_of_lanes(part, tile) * share;
        // A comparison with NaN is false, so a NaN mean makes the rate NaN.
        rate /= select(mean <= 1.0f32, 1.0f32, mean.sqrt());
    }
    let at = ABSOLUTE_POS;
    if at < count && counted::<B>(counts, on_device) {
        let angle = atan2(first[at], second[at].sqrt() * numbers[OWN]);
        value[at] = kept(value[at], numbers, decays) - angle * rate;
    }
}

/// Writes the sum of squares of a vector in parts. Each cube writes one part; the first cube writes
/// at place `first`.
#[cube(launch)]
pub(super) fn squares_kernel(
    x: &[f32],
    parts: &mut [f32],
    count: usize,
    first: usize,
    #[comptime] tile: Tile,
) {
    let mut sum = 0.0f32;
    let mut at = ABSOLUTE_POS;
    while at < count {
        sum += x[at] * x[at];
        at += CUBE_COUNT * LINE;
    }
    let sum = sum_of_lanes(sum, tile);
    if UNIT_POS == 0 {
        parts[first + CUBE_POS] = sum;
    }
}

/// Writes the square root of the sum of a vector's numbers.
#[cube(launch)]
pub(super) fn root_kernel(x: &[f32], out: &mut [f32], count: usize, #[comptime] tile: Tile) {
    let mut sum = 0.0f32;
    let mut at = UNIT_POS as usize;
    while at < count {
        sum += x[at];
        at += LINE;
    }
    let sum = sum_of_lanes(sum, tile);
    if UNIT_POS == 0 {
        out[0] = sum.sqrt();
    }
}

/// Returns whether the update is applied.
#[cube]
fn counted<B: Int>(counts: &[B], #[comptime] on_device: bool) -> bool {
    if comptime!(on_device) {
        counts[0] != B::from_int(0)
    } else {
        true.runtime()
    }
}

/// Returns the factor of the gradient, from the device or from the numbers of the step.
#[cube]
fn factor(scale: &[f32], numbers: &[f32], #[comptime] on_device: bool) -> f32 {
    if comptime!(on_device) {
        scale[0]
    } else {
        numbers[SCALE]
    }
}

/// Returns the value of a parameter after its decay.
#[cube]
fn kept(value: f32, numbers: &[f32], #[comptime] decays: bool) -> f32 {
    if comptime!(decays) {
        value * numbers[KEPT]
    } else {
        value
    }
}

/// Returns the angle of the point (x, y) for x ≥ 0, with the method of `rondo-kernels`. The `atan2`
/// of a device may be wrong by thousands of units in the last place.
#[cube]
fn atan2(y: f32, x: f32) -> f32 {
    let size = y.abs();
    let steep = size > x;
    let low = select(steep, x, size);
    let high = select(steep, size, x);
    let turned = low > 0.414_213_57f32 * high;
    let side = select(turned, low - high, low);
    let base = select(turned, low + high, high);
    let t = select(
        base == 0.0f32,
        0.0f32,
        side / select(base == 0.0f32, 1.0f32, base),
    );
    let z = t * t;
    let mut p = 8.053_744_5e-2f32;
    p = p * z - 1.387_768_6e-1f32;
    p = p * z + 1.997_771_1e-1f32;
    p = p * z - 3.333_295e-1f32;
    let part = (p * z) * t + t;
    let angle = select(turned, part + FRAC_PI_4, part);
    // π/2 is used in two parts, because f32 cannot hold it exactly.
    let angle = select(steep, FRAC_PI_2 - (angle + 4.371_139e-8f32), angle);
    select(y < 0.0f32, -angle, angle)
}
