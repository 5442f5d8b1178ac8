//! The kernels of the softmax.

use cubecl::prelude::*;

use crate::rows::{Tile, largest_of_lanes, power, sum_of_lanes};

/// Makes weights of the scores of each row.
#[cube(launch)]
pub(super) fn forward_kernel(
    scores: &mut [f32],
    rows: usize,
    queries: usize,
    factor: f32,
    #[comptime] tile: Tile,
    #[comptime] causal: bool,
) {
    let row = CUBE_POS * tile.rows + UNIT_POS_Y as usize;
    let lane = UNIT_POS_X as usize;
    let first = row * tile.width;
    let visible = seen(row, rows, queries, tile, causal);

    // The largest score of a lane, and its sum of powers under that one (Milakov & Gimelshein 2018, arXiv 1805.02867).
    let mut largest = f32::min_value();
    let mut sum = 0.0f32;
    let mut column = lane;
    while column < visible {
        let score = scores[first + column] * factor;
        if score > largest {
            sum = sum * power(largest - score) + 1.0f32;
            largest = score;
        } else {
            sum += power(score - largest);
        }
        column += tile.lanes;
    }
    let all = largest_of_lanes(largest, tile);
    let share = 1.0f32 / sum_of_lanes(sum * power(largest - all), tile);
    let mut column = lane;
    if row < rows {
        while column < tile.width {
            let mut weight = 0.0f32;
            if column < visible {
                weight = power(scores[first + column] * factor - all) * share;
            }
            scores[first + column] = weight;
            column += tile.lanes;
        }
    }
}

/// Makes gradients of scores of those of their weights.
#[cube(launch)]
pub(super) fn backward_kernel(
    weights: &[f32],
    gradients: &mut [f32],
    rows: usize,
    queries: usize,
    factor: f32,
    #[comptime] tile: Tile,
    #[comptime] causal: bool,
) {
    let row = CUBE_POS * tile.rows + UNIT_POS_Y as usize;
    let lane = UNIT_POS_X as usize;
    let first = row * tile.width;
    let visible = seen(row, rows, queries, tile, causal);
    let mut product = 0.0f32;
    let mut column = lane;
    while column < visible {
        product += gradients[first + column] * weights[first + column];
        column += tile.lanes;
    }
    let mean = sum_of_lanes(product, tile);
    let mut column = lane;
    if row < rows {
        while column < tile.width {
            let mut gradient = 0.0f32;
            if column < visible {
                let at = first + column;
                gradient = factor * weights[at] * (gradients[at] - mean);
            }
            gradients[first + column] = gradient;
            column += tile.lanes;
        }
    }
}

/// Returns how many of the keys a row's query sees; none where the row is not there.
#[cube]
fn seen(
    row: usize,
    rows: usize,
    queries: usize,
    #[comptime] tile: Tile,
    #[comptime] causal: bool,
) -> usize {
    let mut seen = 0usize;
    if row < rows {
        if comptime!(causal) {
            seen += row % queries + 1;
        } else {
            seen += tile.width;
        }
    }
    seen
}
