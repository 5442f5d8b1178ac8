//! Causal self-attention with grouped heads over the packed projection; no matrix of scores is
//! stored.
//!
//! For each sequence and query head, over the keys up to the query's own position, attention
//! returns `A = softmax(Q·Kᵀ / √d_head) · V`. The scores are computed tile by tile. Each tile is
//! exponentiated relative to the largest score so far, multiplied with the values and discarded.
//! The backward pass computes the tiles again with the help of `lse`, the logarithm of the sum of
//! each query's exponentiated scores (Dao et al. 2022, arXiv 2205.14135; Dao 2023,
//! arXiv 2307.08691).
//!
//! A row may be cut into [`Segments`]. Each segment is then a sequence of its own.
//!
//! Reading order: [`Shape`]; `segments`; `prepare`, the operations on queries and keys before
//! attention, with its parts `qk_norm` and `rope`; [`Gate`], the gates on the edges (pairs of a
//! query and a key), and the `noise` that opens them; `tile_product` and `scratch`; `tile`, the
//! steps that the forward and the backward pass share; `edges`, the factor per edge on the weights
//! after the softmax; `open_edges`, a product that skips the closed edges; `forward`; `backward`.

mod backward;
mod edges;
mod forward;
mod gate;
mod noise;
mod open_edges;
mod prepare;
mod qk_norm;
mod rope;
mod scratch;
mod segments;
#[cfg(test)]
mod tests;
mod tile;
mod tile_product;

pub use backward::{Known, backward, backward_gated};
pub use forward::{forward, forward_gated};
pub use gate::{Gate, Opening, Openness};
pub use noise::{MULTIPLIERS, RowKeys, mixed_bits, row_keys, uniform_at};
pub use prepare::{Preparation, PreparationGradients, prepare, prepare_backward};
pub use qk_norm::{NormedOver, QkNorm, QkScales};
pub use rope::{Pairing, Rope};
pub use segments::Segments;

use std::ops::Range;

use crate::matrix::Matrix;

/// The sizes of an attention layer and its batch; none is zero.
///
/// The packed projection has a row per token, `[batch · seq, qkv_width]`: the query heads, then the
/// key heads, then the value heads. `heads / kv_heads` neighbouring query heads share one key head
/// and one value head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The number of sequences.
    pub batch: usize,
    /// The number of tokens of a sequence.
    pub seq: usize,
    /// The number of query heads.
    pub heads: usize,
    /// The number of key heads, which is also the number of value heads; a divisor of `heads`.
    pub kv_heads: usize,
    /// The number of elements of a head.
    pub d_head: usize,
}

impl Shape {
    /// Returns the number of tokens of the batch, which is the number of rows of every buffer.
    pub fn rows(&self) -> usize {
        self.batch * self.seq
    }

    /// Returns the width of a row of the packed projection.
    pub fn qkv_width(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.d_head
    }

    /// Returns the width of a row of the result.
    pub fn attended_width(&self) -> usize {
        self.heads * self.d_head
    }

    /// Returns the number of query heads and key heads together: the heads that are prepared before
    /// attention.
    pub fn prepared_heads(&self) -> usize {
        self.heads + self.kv_heads
    }

    /// Returns the length of `lse`: one number per sequence, query head and token, in this order.
    pub fn lse_len(&self) -> usize {
        self.rows() * self.heads
    }

    /// Returns the number of edges of a query head: `batch · seq · (seq + 1) / 2`.
    pub fn edges(&self) -> u64 {
        (self.batch * (self.seq * (self.seq + 1) / 2)) as u64
    }

    /// Returns how many query heads share a key head.
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Returns `1 / √d_head`.
    fn scale(&self) -> f32 {
        1.0 / (self.d_head as f32).sqrt()
    }

    /// Returns the queries, keys and values of one query head of one sequence.
    fn head<'a>(&self, qkv: Matrix<'a>, sequence: usize, head: usize) -> Head<'a> {
        let tokens = qkv.rows(sequence * self.seq..(sequence + 1) * self.seq);
        let columns = |index: usize| tokens.columns(index * self.d_head..(index + 1) * self.d_head);
        let key_head = self.heads + head / self.group();
        Head {
            queries: columns(head),
            keys: columns(key_head),
            values: columns(key_head + self.kv_heads),
        }
    }

    /// Checks that the segments fit the batch.
    fn check_segments(&self, segments: Option<&Segments>) {
        if let Some(segments) = segments {
            let found = (segments.seq(), segments.firsts().len());
            assert_eq!(found, (self.seq, self.rows()), "segments of {self:?}");
        }
    }

    /// Checks the sizes, and the length of a packed projection.
    fn check(&self, qkv: &[f32]) {
        let Self {
            batch,
            seq,
            heads,
            kv_heads,
            d_head,
        } = *self;
        assert!(
            batch * seq * heads * kv_heads * d_head > 0 && heads.is_multiple_of(kv_heads),
            "{self:?}"
        );
        assert_eq!(qkv.len(), self.rows() * self.qkv_width(), "qkv of {self:?}");
    }
}

/// The queries, keys and values of one query head of one sequence, `[seq, d_head]` each.
#[derive(Clone, Copy)]
struct Head<'a> {
    queries: Matrix<'a>,
    keys: Matrix<'a>,
    values: Matrix<'a>,
}

impl Head<'_> {
    /// Returns a part of the sequence's queries, keys and values.
    fn tokens(self, part: Range<usize>) -> Self {
        Self {
            queries: self.queries.rows(part.clone()),
            keys: self.keys.rows(part.clone()),
            values: self.values.rows(part),
        }
    }
}
