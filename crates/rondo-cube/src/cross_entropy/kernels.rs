//! The kernels that compute the cross entropy.

use cubecl::prelude::*;

use crate::rows::{Tile, largest_of_lanes, power, sum_of_lanes};

/// Which optional inputs and outputs a kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Form {
    /// Whether the kernel replaces the logits by their gradients.
    pub(super) gradient: bool,
    /// Whether tokens have weights.
    pub(super) weighted: bool,
}

/// Computes the loss of one token per cube. `mean_weight` is the mean weight of all tokens, and
/// `share` is 1 divided by the number of tokens.
#[cube(launch)]
pub(super) fn row_kernel(
    logits: &mut [f32],
    targets: &[i32],
    weights: &[f32],
    mean_weight: &[f32],
    nll: &mut [f32],
    hits: &mut [f32],
    rows: usize,
    first: usize,
    share: f32,
    #[comptime] tile: Tile,
    #[comptime] form: Form,
) {
    if CUBE_POS >= rows {
        terminate!();
    }
    let lane = UNIT_POS_X as usize;
    let token = first + CUBE_POS;
    let row = CUBE_POS * tile.width;
    let target = targets[token] as usize;
    let own = logits[row + target];

    // `largest` is the largest logit of a lane so far, and `sum` is the lane's sum of powers
    // relative to that logit (Milakov & Gimelshein 2018, arXiv 1805.02867).
    let mut largest = f32::min_value();
    let mut sum = 0.0f32;
    let mut beaten = 0.0f32;
    let mut column = lane;
    while column < tile.width {
        let logit = logits[row + column];
        if logit > largest {
            sum = sum * power(largest - logit) + 1.0f32;
            largest = logit;
        } else {
            sum += power(logit - largest);
        }
        if logit > own || (logit >= own && column < target) {
            beaten = 1.0f32;
        }
        column += tile.lanes;
    }
    let all = largest_of_lanes(largest, tile);
    let sum = sum_of_lanes(sum * power(largest - all), tile);
    let beaten = largest_of_lanes(beaten, tile);
    if lane == 0 {
        nll[token] = sum.ln() + (all - own);
        hits[token] = 1.0f32 - beaten;
    }
    if comptime!(form.gradient) {
        let mut share = share;
        if comptime!(form.weighted) {
            share *= weights[token] / mean_weight[0];
        }
        let factor = share / sum;
        let mut column = lane;
        while column < tile.width {
            let mut gradient = power(logits[row + column] - all) * factor;
            if column == target {
                gradient -= share;
            }
            logits[row + column] = gradient;
            column += tile.lanes;
        }
    }
}

/// Writes Σ x·w / Σ w if there are weights, otherwise the mean of x.
#[cube(launch)]
pub(super) fn mean_kernel(
    x: &[f32],
    weights: &[f32],
    out: &mut [f32],
    count: usize,
    share: f32,
    #[comptime] tile: Tile,
    #[comptime] weighted: bool,
) {
    let mut sum = 0.0f32;
    let mut total = 0.0f32;
    let mut at = UNIT_POS_X as usize;
    while at < count {
        if comptime!(weighted) {
            let weight = weights[at];
            sum += x[at] * weight;
            total += weight;
        } else {
            sum += x[at];
        }
        at += tile.lanes;
    }
    let sum = sum_of_lanes(sum, tile);
    let mut mean = sum * share;
    if comptime!(weighted) {
        mean = sum / sum_of_lanes(total, tile);
    }
    if UNIT_POS_X == 0 {
        out[0] = mean;
    }
}
