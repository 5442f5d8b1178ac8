//! The sizes that kernels of attention read, where heads lie, and which keys a query sees.

use cubecl::prelude::*;

use super::stage::{Head, Place, Turn};
use super::tile::Tile;

/// The sizes of attention.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct Sizes {
    /// Sequences.
    pub(super) batch: usize,
    /// Query heads.
    pub(super) heads: usize,
    /// Key heads.
    pub(super) key_heads: usize,
    /// Queries of a head.
    pub(super) queries: usize,
    /// Keys of a head.
    pub(super) keys: usize,
}

/// Where each operand lies; gradients lie as what they are the gradients of.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct Places {
    pub(super) queries: Place,
    pub(super) keys: Place,
    pub(super) values: Place,
    pub(super) out: Place,
}

/// What kind of attention a kernel computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Form {
    /// A query sees no key after its own.
    pub(super) causal: bool,
    /// What is made of queries and keys. Where they are cut, a query sees no key before its segment.
    pub(super) turn: Turn,
}

/// Where the rows of one query head lie, with those of the key head that serves it.
#[derive(CubeType)]
pub(super) struct Heads {
    pub(super) queries: Head,
    pub(super) keys: Head,
    pub(super) values: Head,
    pub(super) out: Head,
}

/// Returns where the rows of a query head of a sequence lie.
#[cube]
pub(super) fn heads_of(
    places: &Places,
    sizes: &Sizes,
    sequence: usize,
    head: usize,
    #[comptime] d_head: usize,
) -> Heads {
    let key_head = head * sizes.key_heads / sizes.heads;
    let bias = (sizes.heads + key_head) * d_head;
    Heads {
        queries: head_of(
            &places.queries,
            sequence,
            head,
            sizes.queries,
            head * d_head,
        ),
        keys: head_of(&places.keys, sequence, key_head, sizes.keys, bias),
        values: head_of(&places.values, sequence, key_head, sizes.keys, 0),
        out: head_of(&places.out, sequence, head, sizes.queries, 0),
    }
}

/// Returns where the rows of a head lie.
#[cube]
fn head_of(place: &Place, sequence: usize, head: usize, count: usize, bias: usize) -> Head {
    Head {
        start: place.first + sequence * place.sequence + head * place.head,
        stride: place.position,
        count,
        bias,
        firsts: sequence * count,
    }
}

/// Returns the first key that a query sees, any where the query is not there.
#[cube]
pub(super) fn first_key(
    firsts: &[i32],
    queries: &Head,
    query: usize,
    #[comptime] form: Form,
) -> usize {
    let mut first = 0usize;
    if comptime!(form.turn.cut) {
        // The first row stands in the place of one that is not there.
        let row = select(query < queries.count, query, 0);
        first = firsts[queries.firsts + row] as usize;
    }
    first
}

/// Whether a query sees a key, both of which may not be there. `first` is the first key that it sees, `end` the first one that no
/// query of the tile sees.
#[cube]
pub(super) fn sees(
    query: usize,
    queries: usize,
    key: usize,
    first: usize,
    end: usize,
    #[comptime] form: Form,
) -> bool {
    let mut visible = query < queries && key < end;
    if comptime!(form.causal) {
        visible = visible && key <= query;
    }
    if comptime!(form.turn.cut) {
        visible = visible && key >= first;
    }
    visible
}

/// Returns the keys that some query of a tile sees: the first one, at the start of a tile, and the end.
#[cube]
pub(super) fn keys_of_tile(
    firsts: &[i32],
    queries: &Head,
    keys: usize,
    query: usize,
    #[comptime] tile: Tile,
    #[comptime] form: Form,
) -> (usize, usize) {
    let other = comptime!(tile.other());
    let first = first_key(firsts, queries, query, form) / other * other;
    let mut end = keys;
    if comptime!(form.causal) {
        end = min(end, query + comptime!(tile.own()));
    }
    (first, end)
}
