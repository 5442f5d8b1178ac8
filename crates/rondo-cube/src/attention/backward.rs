//! The kernels of the backward pass. With P the weights, dP = dO · Vᵀ and D the sums of a query's dO ⊙ O,
//!
//! ```text
//! dS = factor · P ⊙ (dP − D)        dQ = dS · K        dK = dSᵀ · Q        dV = Pᵀ · dO
//! ```
//!
//! (Dao 2023, arXiv 2307.08691, algorithm 2). One kernel computes dQ, a tile of queries in each cube; another one dK and dV, a tile of
//! keys in each cube with every query head that they serve: each sum is one cube's, in a fixed order.

use cubecl::prelude::*;

use super::product::{add_rows, score, zeros};
use super::sight::{Form, Places, Sizes, first_key, head_of, sees};
use super::stage::{Head, Turn};
use super::tile::Tile;
use crate::rows::{self, power, sum_of_lanes};

/// Writes the sum of the products of a row's result and its gradient: D.
#[cube(launch)]
pub(super) fn products_kernel(
    out: &[f32],
    d_out: &[f32],
    sums: &mut [f32],
    sizes: Sizes,
    places: Places,
    #[comptime] tile: rows::Tile,
) {
    let row = CUBE_POS * tile.rows + UNIT_POS_Y as usize;
    let rows = sizes.batch * sizes.heads * sizes.queries;
    let matrix = row / sizes.queries;
    let head = head_of(
        &places.out,
        matrix / sizes.heads,
        matrix % sizes.heads,
        sizes.queries,
        0,
    );
    let first = head.start + row % sizes.queries * head.stride;
    let mut sum = 0.0f32;
    let mut column = UNIT_POS_X as usize;
    if row < rows {
        while column < tile.width {
            sum += out[first + column] * d_out[first + column];
            column += tile.lanes;
        }
    }
    let all = sum_of_lanes(sum, tile);
    if row < rows && UNIT_POS_X == 0 {
        sums[row] = all;
    }
}

/// Computes dQ of one tile of queries.
#[cube(launch)]
pub(super) fn queries_kernel(
    queries: &[f32],
    keys: &[f32],
    values: &[f32],
    bias: &[f32],
    cos: &[f32],
    sin: &[f32],
    firsts: &[i32],
    d_out: &[f32],
    lse: &[f32],
    sums: &[f32],
    d_queries: &mut [f32],
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
    let of_out = head_of(&places.out, sequence, query_head, sizes.queries, 0);

    let lane = UNIT_POS as usize % tile.lanes;
    let group_row = UNIT_POS as usize / tile.lanes * tile.rows;
    let own = first_query + group_row;
    let slots = comptime!(tile.slots());
    let mut memory = Shared::<[f32]>::new_slice(comptime!(tile.memory()));
    let mut weights = Shared::<[f32]>::new_slice(comptime!(tile.own() * tile.pitch()));
    let mut result = zeros(comptime!(tile.rows * slots));
    let mut of_row_lse = zeros(tile.rows);
    let mut of_row_sum = zeros(tile.rows);
    let mut seen_from = Array::<usize>::new(tile.rows);
    #[unroll]
    for r in 0..tile.rows {
        seen_from[r] = first_key(firsts, &of_queries, own + r, form);
        if own + r < sizes.queries {
            of_row_lse[r] = lse[matrix * sizes.queries + own + r];
            of_row_sum[r] = sums[matrix * sizes.queries + own + r];
        }
    }

    let mut end = sizes.keys;
    if comptime!(form.causal) {
        end = min(end, first_query + comptime!(tile.own()));
    }
    let mut key = first_key(firsts, &of_queries, first_query, form) / comptime!(tile.other())
        * comptime!(tile.other());
    while key < end {
        let mut scores = zeros(comptime!(tile.rows * tile.columns));
        let mut d_weights = zeros(comptime!(tile.rows * tile.columns));
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
        score(
            &mut d_weights,
            &mut memory,
            d_out,
            values,
            bias,
            cos,
            sin,
            firsts,
            &of_out,
            &of_values,
            first_query,
            key,
            tile,
            comptime!(Turn::NONE),
        );
        #[unroll]
        for r in 0..tile.rows {
            #[unroll]
            for c in 0..tile.columns {
                let place = key + lane + c * tile.lanes;
                let at = r * tile.columns + c;
                let mut d_score = 0.0f32;
                if sees(own + r, sizes.queries, place, seen_from[r], end, form) {
                    let weight = power(scores[at] * factor - of_row_lse[r]);
                    d_score = factor * weight * (d_weights[at] - of_row_sum[r]);
                }
                weights[(group_row + r) * comptime!(tile.pitch()) + lane + c * tile.lanes] =
                    d_score;
            }
        }
        add_rows(
            &mut result,
            &weights,
            &mut memory,
            keys,
            bias,
            cos,
            sin,
            firsts,
            &of_keys,
            key,
            tile,
            comptime!(form.turn),
        );
        key += comptime!(tile.other());
    }
    write(&result, d_queries, &of_queries, own, tile);
}

/// Computes dK and dV of one tile of keys.
#[cube(launch)]
pub(super) fn keys_kernel(
    queries: &[f32],
    keys: &[f32],
    values: &[f32],
    bias: &[f32],
    cos: &[f32],
    sin: &[f32],
    firsts: &[i32],
    d_out: &[f32],
    lse: &[f32],
    sums: &[f32],
    d_keys: &mut [f32],
    d_values: &mut [f32],
    sizes: Sizes,
    places: Places,
    factor: f32,
    #[comptime] tile: Tile,
    #[comptime] form: Form,
) {
    let matrices = sizes.batch * sizes.key_heads;
    let tiles = sizes.keys.div_ceil(comptime!(tile.own()));
    if CUBE_POS >= matrices * tiles {
        terminate!();
    }
    let matrix = CUBE_POS % matrices;
    let sequence = matrix / sizes.key_heads;
    let key_head = matrix % sizes.key_heads;
    // The first keys, which most queries see, come first.
    let own_key = CUBE_POS / matrices * comptime!(tile.own());
    let of_keys = head_of(
        &places.keys,
        sequence,
        key_head,
        sizes.keys,
        (sizes.heads + key_head) * tile.d_head,
    );
    let of_values = head_of(&places.values, sequence, key_head, sizes.keys, 0);

    let lane = UNIT_POS as usize % tile.lanes;
    let group_row = UNIT_POS as usize / tile.lanes * tile.rows;
    let own = own_key + group_row;
    let slots = comptime!(tile.slots());
    let mut memory = Shared::<[f32]>::new_slice(comptime!(tile.memory()));
    let mut weights = Shared::<[f32]>::new_slice(comptime!(tile.own() * tile.pitch()));
    let mut of_key = zeros(comptime!(tile.rows * slots));
    let mut of_value = zeros(comptime!(tile.rows * slots));

    let served = sizes.heads / sizes.key_heads;
    for of_group in 0..served {
        let query_head = key_head * served + of_group;
        let of_queries = head_of(
            &places.queries,
            sequence,
            query_head,
            sizes.queries,
            query_head * tile.d_head,
        );
        let of_out = head_of(&places.out, sequence, query_head, sizes.queries, 0);
        let first_row = (sequence * sizes.heads + query_head) * sizes.queries;
        let mut query = 0usize;
        if comptime!(form.causal) {
            query += own_key - own_key % comptime!(tile.other());
        }
        let mut end = sizes.queries;
        while query < end {
            let mut scores = zeros(comptime!(tile.rows * tile.columns));
            let mut d_weights = zeros(comptime!(tile.rows * tile.columns));
            score(
                &mut scores,
                &mut memory,
                keys,
                queries,
                bias,
                cos,
                sin,
                firsts,
                &of_keys,
                &of_queries,
                own_key,
                query,
                tile,
                comptime!(form.turn),
            );
            score(
                &mut d_weights,
                &mut memory,
                values,
                d_out,
                bias,
                cos,
                sin,
                firsts,
                &of_values,
                &of_out,
                own_key,
                query,
                tile,
                comptime!(Turn::NONE),
            );
            #[unroll]
            for c in 0..tile.columns {
                let place = query + lane + c * tile.lanes;
                let seen_from = first_key(firsts, &of_queries, place, form);
                let mut of_row_lse = 0.0f32;
                let mut of_row_sum = 0.0f32;
                if place < sizes.queries {
                    of_row_lse = lse[first_row + place];
                    of_row_sum = sums[first_row + place];
                }
                #[unroll]
                for r in 0..tile.rows {
                    let at = r * tile.columns + c;
                    let mut weight = 0.0f32;
                    if sees(place, sizes.queries, own + r, seen_from, sizes.keys, form) {
                        weight = power(scores[at] * factor - of_row_lse);
                    }
                    scores[at] = factor * weight * (d_weights[at] - of_row_sum);
                    weights[(group_row + r) * comptime!(tile.pitch()) + lane + c * tile.lanes] =
                        weight;
                }
            }
            add_rows(
                &mut of_value,
                &weights,
                &mut memory,
                d_out,
                bias,
                cos,
                sin,
                firsts,
                &of_out,
                query,
                tile,
                comptime!(Turn::NONE),
            );
            sync_cube();
            #[unroll]
            for r in 0..tile.rows {
                #[unroll]
                for c in 0..tile.columns {
                    weights[(group_row + r) * comptime!(tile.pitch()) + lane + c * tile.lanes] =
                        scores[r * tile.columns + c];
                }
            }
            add_rows(
                &mut of_key,
                &weights,
                &mut memory,
                queries,
                bias,
                cos,
                sin,
                firsts,
                &of_queries,
                query,
                tile,
                comptime!(form.turn),
            );
            query += comptime!(tile.other());
            if comptime!(form.turn.cut) {
                // Later queries see these keys no more once a segment starts behind them.
                if query < end
                    && firsts[of_queries.firsts + query] as usize >= own_key + comptime!(tile.own())
                {
                    end = query;
                }
            }
        }
    }
    write(&of_key, d_keys, &of_keys, own, tile);
    write(&of_value, d_values, &of_values, own, tile);
}

/// Writes the own rows of a unit.
#[cube]
fn write(result: &Array<f32>, out: &mut [f32], head: &Head, own: usize, #[comptime] tile: Tile) {
    let lane = UNIT_POS as usize % tile.lanes;
    let slots = comptime!(tile.slots());
    #[unroll]
    for r in 0..tile.rows {
        #[unroll]
        for s in 0..slots {
            let i = lane + s * tile.lanes;
            if own + r < head.count && i < tile.d_head {
                out[head.start + (own + r) * head.stride + i] = result[r * slots + s];
            }
        }
    }
}
