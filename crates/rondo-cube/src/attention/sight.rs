//! The sizes that kernels of attention read, where heads lie, and which keys a query sees.

use cubecl::prelude::*;

use super::stage::{Head, Place, Turn};

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

/// Returns the rows of a head.
#[cube]
pub(super) fn head_of(
    place: &Place,
    sequence: usize,
    head: usize,
    count: usize,
    bias: usize,
) -> Head {
    Head {
        start: place.first + sequence * place.sequence + head * place.head,
        stride: place.position,
        count,
        bias,
        firsts: sequence * count,
    }
}

/// Returns the first key that a query sees, 0 where the query is not there.
#[cube]
pub(super) fn first_key(
    firsts: &[i32],
    queries: &Head,
    query: usize,
    #[comptime] form: Form,
) -> usize {
    let mut first = 0usize;
    if comptime!(form.turn.cut) {
        if query < queries.count {
            first = firsts[queries.firsts + query] as usize;
        }
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
