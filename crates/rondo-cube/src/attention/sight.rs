//! The sizes that the kernels of attention read, the places of heads in buffers, and the rule that
//! decides which keys a query sees.

use cubecl::prelude::*;

use super::stage::{Head, Place, Turn};
use super::tile::Tile;

/// The sizes of attention.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct Sizes {
    /// The number of sequences.
    pub(super) batch: usize,
    /// The number of query heads.
    pub(super) heads: usize,
    /// The number of key heads.
    pub(super) key_heads: usize,
    /// The number of queries of a head.
    pub(super) queries: usize,
    /// The number of keys of a head.
    pub(super) keys: usize,
}

/// The place of each operand in its buffer. A gradient has the same place as its operand.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct Places {
    pub(super) queries: Place,
    pub(super) keys: Place,
    pub(super) values: Place,
    pub(super) out: Place,
}

/// The kind of attention that a kernel computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Form {
    /// Whether a query sees only the keys up to its own position.
    pub(super) causal: bool,
    /// How queries and keys are transformed. If they are cut into segments, a query sees no key
    /// before its own segment.
    pub(super) turn: Turn,
}

/// The rows of one query head, and of the key head and value head that it uses.
#[derive(CubeType)]
pub(super) struct Heads {
    pub(super) queries: Head,
    pub(super) keys: Head,
    pub(super) values: Head,
    pub(super) out: Head,
}

/// Returns the rows of a query head of a sequence, and of the key head and value head that it uses.
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

/// Returns the rows of a head.
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

/// Returns the first key that a query sees. For a query beyond the last one it returns any key.
#[cube]
pub(super) fn first_key(
    firsts: &[i32],
    queries: &Head,
    query: usize,
    #[comptime] form: Form,
) -> usize {
    let mut first = 0usize;
    if comptime!(form.turn.cut) {
        // For a row beyond the last one, the kernel reads row 0 instead.
        let row = select(query < queries.count, query, 0);
        first = firsts[queries.firsts + row] as usize;
    }
    first
}

/// Returns whether a query sees a key; false if either of them lies beyond the last row. `first` is
/// the first key that the query sees, and `end` is the end of the keys that the tile's queries see.
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

/// Returns the start and the end of the keys that the queries of a tile see. The start is rounded
/// down to a whole tile of keys.
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
