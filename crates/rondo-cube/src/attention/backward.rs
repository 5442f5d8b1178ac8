//! The kernels of the backward pass (Dao 2023, arXiv 2307.08691, algorithm 2).
//!
//! P are the weights, dP = dO · Vᵀ, D is the sum of dO ⊙ O over the columns of each query, and
//! factor is 1 / √d_head:
//!
//! ```text
//! dS = factor · P ⊙ (dP − D)        dQ = dS · K        dK = dSᵀ · Q        dV = Pᵀ · dO
//! ```
//!
//! One kernel computes dQ; each cube computes one tile of queries. Another kernel computes dK and
//! dV; each cube computes one tile of keys, with all query heads that use these keys. Every sum is
//! computed by a single cube, in a fixed order. A cube's *own* rows are the rows of its tile; the
//! *other* rows are the rows that the cube walks over.

use cubecl::prelude::*;

use super::product::{add_rows, score, store, write_rows, zero_fours, zeros};
use super::sight::{Form, Places, Sizes, first_key, heads_of, keys_of_tile, sees};
use super::stage::{Head, Turn, other_row};
use super::tile::{Four, Tile};
use crate::rows::{self, power, sum_of_lanes};

/// Writes D: for each query, the inner product of the query's row in the result and in the gradient
/// of the result.
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
    let heads = heads_of(
        &places,
        &sizes,
        matrix / sizes.heads,
        matrix % sizes.heads,
        tile.width,
    );
    let first = heads.out.start + row % sizes.queries * heads.out.stride;
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
    let mut result = zero_fours(comptime!(tile.rows * slots));
    let mut of_row_lse = zeros(tile.rows);
    let mut of_row_sum = zeros(tile.rows);
    let mut seen_from = Array::<usize>::new(tile.rows);
    #[unroll]
    for r in 0..tile.rows {
        seen_from[r] = first_key(firsts, &heads.queries, own + r * tile.groups, form);
        if own + r * tile.groups < sizes.queries {
            of_row_lse[r] = lse[matrix * sizes.queries + own + r * tile.groups];
            of_row_sum[r] = sums[matrix * sizes.queries + own + r * tile.groups];
        }
    }

    let (first, end) = keys_of_tile(firsts, &heads.queries, sizes.keys, first_query, tile, form);
    let mut key = first;
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
            &heads.queries,
            &heads.keys,
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
            &heads.out,
            &heads.values,
            first_query,
            key,
            tile,
            comptime!(Turn::NONE),
        );
        #[unroll]
        for r in 0..tile.rows {
            #[unroll]
            for c in 0..tile.columns {
                let at = r * tile.columns + c;
                let place = key + other_row(lane, c, tile);
                let mut d_score = 0.0f32;
                if sees(
                    own + r * tile.groups,
                    sizes.queries,
                    place,
                    seen_from[r],
                    end,
                    form,
                ) {
                    let weight = power(scores[at] * factor - of_row_lse[r]);
                    d_score = factor * weight * (d_weights[at] - of_row_sum[r]);
                }
                scores[at] = d_score;
            }
        }
        store(&mut weights, &mut scores, tile);
        add_rows(
            &mut result,
            &weights,
            &mut memory,
            keys,
            bias,
            cos,
            sin,
            firsts,
            &heads.keys,
            key,
            tile,
            comptime!(form.turn),
        );
        key += comptime!(tile.other());
    }
    write_rows(&mut result, d_queries, &heads.queries, own, tile);
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
    let served = sizes.heads / sizes.key_heads;
    let first_head = matrix % sizes.key_heads * served;
    // The first keys are seen by the most queries, so their tiles take longest and run first.
    let own_key = CUBE_POS / matrices * comptime!(tile.own());

    let own = own_key + UNIT_POS as usize / tile.lanes;
    let slots = comptime!(tile.slots());
    let mut memory = Shared::<[Four]>::new_slice(comptime!(tile.memory()));
    let mut weights = Shared::<[Four]>::new_slice(comptime!(tile.own() * tile.pitch()));
    let mut of_key = zero_fours(comptime!(tile.rows * slots));
    let mut of_value = zero_fours(comptime!(tile.rows * slots));

    for head in first_head..first_head + served {
        let heads = heads_of(&places, &sizes, sequence, head, tile.d_head);
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
                &heads.keys,
                &heads.queries,
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
                &heads.values,
                &heads.out,
                own_key,
                query,
                tile,
                comptime!(Turn::NONE),
            );
            weigh(
                &mut scores,
                &mut d_weights,
                lse,
                sums,
                firsts,
                &heads.queries,
                (sequence * sizes.heads + head) * sizes.queries,
                query,
                own,
                sizes.keys,
                factor,
                tile,
                form,
            );
            store(&mut weights, &mut scores, tile);
            add_rows(
                &mut of_value,
                &weights,
                &mut memory,
                d_out,
                bias,
                cos,
                sin,
                firsts,
                &heads.out,
                query,
                tile,
                comptime!(Turn::NONE),
            );
            sync_cube();
            store(&mut weights, &mut d_weights, tile);
            add_rows(
                &mut of_key,
                &weights,
                &mut memory,
                queries,
                bias,
                cos,
                sin,
                firsts,
                &heads.queries,
                query,
                tile,
                comptime!(form.turn),
            );
            query += comptime!(tile.other());
            if comptime!(form.turn.cut) {
                // If the next query belongs to a segment that starts behind these keys, no later
                // query sees the keys.
                if query < end
                    && firsts[heads.queries.firsts + query] as usize
                        >= own_key + comptime!(tile.own())
                {
                    end = query;
                }
            }
        }
    }
    let heads = heads_of(&places, &sizes, sequence, first_head, tile.d_head);
    write_rows(&mut of_key, d_keys, &heads.keys, own, tile);
    write_rows(&mut of_value, d_values, &heads.values, own, tile);
}

/// Replaces the scores of own keys and other queries by weights, and the gradients of the weights
/// by gradients of the scores.
#[cube]
fn weigh(
    scores: &mut Array<f32>,
    d_weights: &mut Array<f32>,
    lse: &[f32],
    sums: &[f32],
    firsts: &[i32],
    queries: &Head,
    first_row: usize,
    first_query: usize,
    own: usize,
    keys: usize,
    factor: f32,
    #[comptime] tile: Tile,
    #[comptime] form: Form,
) {
    let lane = UNIT_POS as usize % tile.lanes;
    #[unroll]
    for c in 0..tile.columns {
        let query = first_query + other_row(lane, c, tile);
        let seen_from = first_key(firsts, queries, query, form);
        let mut of_row_lse = 0.0f32;
        let mut of_row_sum = 0.0f32;
        if query < queries.count {
            of_row_lse = lse[first_row + query];
            of_row_sum = sums[first_row + query];
        }
        #[unroll]
        for r in 0..tile.rows {
            let at = r * tile.columns + c;
            let mut weight = 0.0f32;
            if sees(
                query,
                queries.count,
                own + r * tile.groups,
                seen_from,
                keys,
                form,
            ) {
                weight = power(scores[at] * factor - of_row_lse);
            }
            d_weights[at] = factor * weight * (d_weights[at] - of_row_sum);
            scores[at] = weight;
        }
    }
}
