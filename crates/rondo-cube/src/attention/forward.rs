//! The kernel of the forward pass. A cube's *own* rows are its queries; the *other* rows are the
//! keys that it walks over.

use cubecl::prelude::*;

use super::join::join_lanes;
use super::product::{add_rows, score, store, write_rows, zero_fours, zeros};
use super::sight::{Form, Places, Sizes, first_key, heads_of, keys_of_tile, sees};
use super::stage::{Head, Turn, other_row};
use super::tile::{Four, Tile};
use crate::rows::{Join, power};

/// Computes attention for one tile of queries. The tiles with the most keys run first.
#[cube(launch)]
pub(super) fn forward_kernel(
    queries: &[f32],
    keys: &[f32],
    values: &[f32],
    bias: &[f32],
    cos: &[f32],
    sin: &[f32],
    firsts: &[i32],
    out: &mut [f32],
    lse: &mut [f32],
    sizes: Sizes,
    places: Places,
    factor: f32,
    #[comptime] tile: Tile,
    #[comptime] form: Form,
) {
    let matrices = sizes.batch * sizes.heads;
    let tiles = sizes.queries.div_ceil(comptime!(tile.own()));
    if CUBE_POS >= matrices * tiles {
        terminate!();
    }
    let matrix = CUBE_POS % matrices;
    let first_query = (tiles - 1 - CUBE_POS / matrices) * comptime!(tile.own());
    let heads = heads_of(
        &places,
        &sizes,
        matrix / sizes.heads,
        matrix % sizes.heads,
        tile.d_head,
    );

    let lane = UNIT_POS as usize % tile.lanes;
    let own = first_query + UNIT_POS as usize / tile.lanes;
    let slots = comptime!(tile.slots());
    let mut memory = Shared::<[Four]>::new_slice(comptime!(tile.memory()));
    let mut weights = Shared::<[Four]>::new_slice(comptime!(tile.own() * tile.pitch()));
    let mut exchanged = Shared::<[f32]>::new_slice(comptime!(tile.exchanged()));
    let mut result = zero_fours(comptime!(tile.rows * slots));
    // `largest` is the largest score of each own row so far, and `sums` is each lane's sum of
    // powers relative to that score (Milakov & Gimelshein 2018, arXiv 1805.02867).
    let mut largest = zeros(tile.rows);
    let mut sums = zeros(tile.rows);
    #[unroll]
    for r in 0..tile.rows {
        largest[r] = f32::min_value();
    }

    let mut seen_from = Array::<usize>::new(tile.rows);
    #[unroll]
    for r in 0..tile.rows {
        seen_from[r] = first_key(firsts, &heads.queries, own + r * tile.groups, form);
    }
    let (first, end) = keys_of_tile(firsts, &heads.queries, sizes.keys, first_query, tile, form);
    let mut key = first;
    while key < end {
        let mut scores = zeros(comptime!(tile.rows * tile.columns));
        score(
            &mut scores,
            &mut memory,
            queries,
            keys,
            bias,
            cos,
            sin,
            firsts,
            &heads.queries,
            &heads.keys,
            first_query,
            key,
            tile,
            comptime!(form.turn),
        );
        let mut greatest = zeros(tile.rows);
        scale(
            &mut scores,
            &mut greatest,
            &mut largest,
            &mut seen_from,
            sizes.queries,
            own,
            key,
            end,
            factor,
            tile,
            form,
        );
        join_lanes(&mut greatest, &mut exchanged, tile, Join::Largest);
        soften(
            &mut scores,
            &mut result,
            &mut largest,
            &mut sums,
            &mut greatest,
            tile,
        );
        store(&mut weights, &mut scores, tile);
        add_rows(
            &mut result,
            &weights,
            &mut memory,
            values,
            bias,
            cos,
            sin,
            firsts,
            &heads.values,
            key,
            tile,
            comptime!(Turn::NONE),
        );
        key += comptime!(tile.other());
    }

    join_lanes(&mut sums, &mut exchanged, tile, Join::Sum);
    write(&mut result, &mut sums, out, &heads.out, own, tile);
    #[unroll]
    for r in 0..tile.rows {
        if lane == 0 && own + r * tile.groups < sizes.queries {
            lse[matrix * sizes.queries + own + r * tile.groups] = largest[r] + sums[r].ln();
        }
    }
}

/// Scales the scores of the keys that a query sees, and finds the greatest score of each own row so
/// far.
#[cube]
fn scale(
    scores: &mut Array<f32>,
    greatest: &mut Array<f32>,
    largest: &mut Array<f32>,
    seen_from: &mut Array<usize>,
    queries: usize,
    own: usize,
    key: usize,
    end: usize,
    factor: f32,
    #[comptime] tile: Tile,
    #[comptime] form: Form,
) {
    let lane = UNIT_POS as usize % tile.lanes;
    #[unroll]
    for r in 0..tile.rows {
        greatest[r] = largest[r];
        let query = own + r * tile.groups;
        #[unroll]
        for c in 0..tile.columns {
            let place = key + other_row(lane, c, tile);
            let seen = sees(query, queries, place, seen_from[r], end, form);
            let score = scaled(scores[r * tile.columns + c], factor, seen);
            scores[r * tile.columns + c] = score;
            greatest[r] = select(score > greatest[r], score, greatest[r]);
        }
    }
}

/// Returns the scaled score. For a key that the query does not see, it returns the smallest number,
/// which gives a weight of 0.
#[cube]
fn scaled(score: f32, factor: f32, seen: bool) -> f32 {
    select(seen, score * factor, f32::min_value())
}

/// Divides the own rows of a unit by the sums of their weights, and writes them to the result.
#[cube]
fn write(
    result: &mut Array<Four>,
    sums: &mut Array<f32>,
    out: &mut [f32],
    head: &Head,
    own: usize,
    #[comptime] tile: Tile,
) {
    let slots = comptime!(tile.slots());
    #[unroll]
    for r in 0..tile.rows {
        let share = Four::new(1.0f32 / sums[r]);
        #[unroll]
        for s in 0..slots {
            result[r * slots + s] *= share;
        }
    }
    write_rows(result, out, head, own, tile);
}

/// Replaces the scores by weights relative to the greatest score of each own row so far. Rescales
/// the earlier sums to the same greatest score.
#[cube]
fn soften(
    scores: &mut Array<f32>,
    result: &mut Array<Four>,
    largest: &mut Array<f32>,
    sums: &mut Array<f32>,
    greatest: &mut Array<f32>,
    #[comptime] tile: Tile,
) {
    let slots = comptime!(tile.slots());
    #[unroll]
    for r in 0..tile.rows {
        let shrink = power(largest[r] - greatest[r]);
        largest[r] = greatest[r];
        sums[r] *= shrink;
        #[unroll]
        for s in 0..slots {
            result[r * slots + s] *= Four::new(shrink);
        }
        #[unroll]
        for c in 0..tile.columns {
            let score = scores[r * tile.columns + c];
            let weight = select(
                score <= f32::min_value(),
                0.0f32,
                power(score - greatest[r]),
            );
            sums[r] += weight;
            scores[r * tile.columns + c] = weight;
        }
    }
}
