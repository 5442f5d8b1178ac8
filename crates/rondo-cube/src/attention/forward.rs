//! The kernel of the forward pass.

use cubecl::prelude::*;

use super::join::{Join, join_lanes};
use super::product::{add_rows, score, zeros};
use super::sight::{Form, Places, Sizes, first_key, head_of, sees};
use super::stage::Turn;
use super::tile::Tile;
use crate::rows::power;

/// Attends the queries of one tile: the tiles with the most keys come first.
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
    let sequence = matrix / sizes.heads;
    let query_head = matrix % sizes.heads;
    let key_head = query_head * sizes.key_heads / sizes.heads;
    let first_query = (tiles - 1 - CUBE_POS / matrices) * comptime!(tile.own());
    let of_queries = head_of(
        &places.queries,
        sequence,
        query_head,
        sizes.queries,
        query_head * tile.d_head,
    );
    let of_keys = head_of(
        &places.keys,
        sequence,
        key_head,
        sizes.keys,
        (sizes.heads + key_head) * tile.d_head,
    );
    let of_values = head_of(&places.values, sequence, key_head, sizes.keys, 0);

    let lane = UNIT_POS as usize % tile.lanes;
    let own = first_query + UNIT_POS as usize / tile.lanes * tile.rows;
    let slots = comptime!(tile.slots());
    let mut memory = Shared::<[f32]>::new_slice(comptime!(tile.memory()));
    let mut weights = Shared::<[f32]>::new_slice(comptime!(tile.own() * tile.pitch()));
    let mut result = zeros(comptime!(tile.rows * slots));
    // The largest score of each own row so far, and a lane's sum of powers under it (Milakov & Gimelshein 2018, arXiv 1805.02867).
    let mut largest = zeros(tile.rows);
    let mut sums = zeros(tile.rows);
    #[unroll]
    for r in 0..tile.rows {
        largest[r] = f32::min_value();
    }

    let mut seen_from = Array::<usize>::new(tile.rows);
    #[unroll]
    for r in 0..tile.rows {
        seen_from[r] = first_key(firsts, &of_queries, own + r, form);
    }
    let mut end = sizes.keys;
    if comptime!(form.causal) {
        end = min(end, first_query + comptime!(tile.own()));
    }
    let mut key = first_key(firsts, &of_queries, first_query, form) / comptime!(tile.other())
        * comptime!(tile.other());
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
            &of_queries,
            &of_keys,
            first_query,
            key,
            tile,
            comptime!(form.turn),
        );
        let mut greatest = zeros(tile.rows);
        #[unroll]
        for r in 0..tile.rows {
            greatest[r] = largest[r];
            #[unroll]
            for c in 0..tile.columns {
                let place = key + lane + c * tile.lanes;
                let at = r * tile.columns + c;
                scores[at] *= factor;
                if sees(own + r, sizes.queries, place, seen_from[r], end, form)
                    && scores[at] > greatest[r]
                {
                    greatest[r] = scores[at];
                }
            }
        }
        join_lanes(&mut greatest, &mut memory, tile, Join::Largest);
        #[unroll]
        for r in 0..tile.rows {
            let shrink = power(largest[r] - greatest[r]);
            largest[r] = greatest[r];
            sums[r] *= shrink;
            #[unroll]
            for s in 0..slots {
                result[r * slots + s] *= shrink;
            }
            #[unroll]
            for c in 0..tile.columns {
                let place = key + lane + c * tile.lanes;
                let mut weight = 0.0f32;
                if sees(own + r, sizes.queries, place, seen_from[r], end, form) {
                    weight = power(scores[r * tile.columns + c] - greatest[r]);
                }
                sums[r] += weight;
                let row =
                    (UNIT_POS as usize / tile.lanes * tile.rows + r) * comptime!(tile.pitch());
                weights[row + lane + c * tile.lanes] = weight;
            }
        }
        add_rows(
            &mut result,
            &weights,
            &mut memory,
            values,
            bias,
            cos,
            sin,
            firsts,
            &of_values,
            key,
            tile,
            comptime!(Turn::NONE),
        );
        key += comptime!(tile.other());
    }

    join_lanes(&mut sums, &mut memory, tile, Join::Sum);
    let of_out = head_of(&places.out, sequence, query_head, sizes.queries, 0);
    #[unroll]
    for r in 0..tile.rows {
        let query = own + r;
        if query < sizes.queries {
            let share = 1.0f32 / sums[r];
            #[unroll]
            for s in 0..slots {
                let i = lane + s * tile.lanes;
                if i < tile.d_head {
                    out[of_out.start + query * of_out.stride + i] = result[r * slots + s] * share;
                }
            }
            if lane == 0 {
                lse[matrix * sizes.queries + query] = largest[r] + sums[r].ln();
            }
        }
    }
}
