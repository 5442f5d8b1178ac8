//! The factor per edge on the weights after the softmax, computed for a vector of queries at a
//! time. The factor is 1 without gates, and 0 or 1 with them.

use super::noise::{HeadNoise, RowNoise};
use super::tile::QUERIES;
use crate::vector::{LANES, exp};

/// One number for each query in a vector register.
pub(super) type Lanes = [f32; LANES];

/// A sum over the keys of a tile, for each query.
pub(super) struct PerQuery([Lanes; QUERIES / LANES]);

impl PerQuery {
    pub(super) fn zeros() -> Self {
        Self([[0.0; LANES]; QUERIES / LANES])
    }

    #[inline(always)]
    pub(super) fn vectors(&mut self) -> &mut [Lanes] {
        &mut self.0
    }

    /// Returns the sum over the first `count` queries; the others are padding.
    pub(super) fn total(&self, count: usize) -> f64 {
        let queries = &self.0.as_flattened()[..count];
        queries.iter().copied().map(f64::from).sum()
    }
}

/// How open the gates of a tile are, for each query.
pub(super) struct Tally {
    /// The sum of `σ(g)` over the keys, with `g` the logit of a gate.
    pub(super) expected: PerQuery,
    /// The number of keys with `g > 0`.
    pub(super) open: PerQuery,
}

impl Tally {
    pub(super) fn zeros() -> Self {
        Self {
            expected: PerQuery::zeros(),
            open: PerQuery::zeros(),
        }
    }
}

/// One key and a vector of queries.
#[derive(Clone, Copy)]
pub(super) struct Place<R> {
    /// The data that [`Edges::row`] returned for the key.
    pub(super) row: R,
    /// The position of the first query.
    pub(super) query: usize,
    /// The index, within the tile, of the vector of queries.
    pub(super) vector: usize,
}

/// The scores of a vector of queries for one key, and the gradients that belong to them.
pub(super) struct Weighted<'a> {
    /// In: the scores. Out: the weights that multiply the values.
    pub(super) scores: &'a mut Lanes,
    /// In: the gradients of the weights that multiply the values. Out: the gradients of the scores.
    pub(super) gradients: &'a mut Lanes,
    /// For each query, the logarithm of the sum of its exponentiated scores.
    pub(super) lse: &'a Lanes,
    /// For each query, `dO·O`.
    pub(super) mean: &'a Lanes,
}

/// A rule that gives the factor of each edge.
pub(super) trait Edges: Copy + Send + Sync {
    /// The data that the rule computes once for a key.
    type Row: Copy;

    /// Whether a factor can be 0.
    const CLOSE: bool;

    /// Prepares the data for a key, which is a row of a tile.
    fn row(self, key: usize) -> Self::Row;

    /// Multiplies weights by their factors, and counts open edges.
    fn weigh(self, place: Place<Self::Row>, scores: &Lanes, weights: &mut Lanes, tally: &mut Tally);

    /// Replaces the scores by the products of weights and factors, and the gradients of these
    /// products by the gradients of the scores. Adds the gradients of the gates' logits to
    /// `d_logit`.
    fn differentiate(self, place: Place<Self::Row>, weighted: Weighted<'_>, d_logit: &mut PerQuery);

    /// Returns the approximate number of open edges of a tile.
    fn open_edges(self, tally: &Tally, queries: usize) -> f64;
}

/// No gates: every factor is 1.
#[derive(Clone, Copy)]
pub(super) struct Ungated;

impl Edges for Ungated {
    type Row = ();
    const CLOSE: bool = false;

    #[inline(always)]
    fn row(self, _: usize) {}

    #[inline(always)]
    fn weigh(self, _: Place<()>, _: &Lanes, _: &mut Lanes, _: &mut Tally) {}

    #[inline(always)]
    fn differentiate(self, _: Place<()>, weighted: Weighted<'_>, _: &mut PerQuery) {
        let Weighted {
            scores,
            gradients,
            lse,
            mean,
        } = weighted;
        for lane in 0..LANES {
            scores[lane] = exp(scores[lane] - lse[lane]);
            gradients[lane] = scores[lane] * (gradients[lane] - mean[lane]);
        }
    }

    fn open_edges(self, _: &Tally, _: usize) -> f64 {
        f64::INFINITY
    }
}

/// The rule that opens the gates of one head of one sequence. `g` is the logit of a gate, `ℓ` its
/// noise.
pub(super) trait Draw: Copy + Send + Sync {
    /// The data that the rule computes once for a key.
    type Row: Copy;

    /// Prepares the data for a key, which is a row of a tile.
    fn row(self, key: usize) -> Self::Row;

    /// Returns `σ(g + ℓ)` and whether the gate is open. The arguments are `g` and `e = exp(−g)`.
    fn open(row: Self::Row, query: usize, g: f32, e: f32) -> (f32, bool);

    /// Returns the approximate number of open edges of a tile.
    fn open_edges(tally: &Tally, queries: usize) -> f64;
}

/// Opens each gate at random, with probability `σ(g)`.
impl Draw for HeadNoise {
    type Row = RowNoise;

    #[inline(always)]
    fn row(self, key: usize) -> RowNoise {
        HeadNoise::row(self, key)
    }

    #[inline(always)]
    fn open(row: RowNoise, query: usize, _: f32, e: f32) -> (f32, bool) {
        let u = row.uniform(query as u32);
        let closed = e * (1.0 - u);
        (u / (u + closed), u > closed)
    }

    fn open_edges(tally: &Tally, queries: usize) -> f64 {
        tally.expected.total(queries)
    }
}

/// Opens the gates with `g > 0`.
#[derive(Clone, Copy)]
pub(super) struct Threshold;

impl Draw for Threshold {
    type Row = ();

    #[inline(always)]
    fn row(self, _: usize) {}

    #[inline(always)]
    fn open((): (), _: usize, g: f32, e: f32) -> (f32, bool) {
        (1.0 / (1.0 + e), g > 0.0)
    }

    fn open_edges(tally: &Tally, queries: usize) -> f64 {
        tally.open.total(queries)
    }
}

/// The gates of one head of one sequence.
#[derive(Clone, Copy)]
pub(super) struct Gated<D> {
    draw: D,
    bias: f32,
    pull: f32,
}

impl<D> Gated<D> {
    pub(super) fn new(draw: D, bias: f32, pull: f32) -> Self {
        Self { draw, bias, pull }
    }
}

impl<D: Draw> Edges for Gated<D> {
    type Row = D::Row;
    const CLOSE: bool = true;

    #[inline(always)]
    fn row(self, key: usize) -> D::Row {
        self.draw.row(key)
    }

    #[inline(always)]
    fn weigh(self, place: Place<D::Row>, scores: &Lanes, weights: &mut Lanes, tally: &mut Tally) {
        let expected = &mut tally.expected.vectors()[place.vector];
        let count = &mut tally.open.vectors()[place.vector];
        for lane in 0..LANES {
            let g = scores[lane] + self.bias;
            let e = exp(-g);
            let (_, open) = D::open(place.row, place.query + lane, g, e);
            expected[lane] += 1.0 / (1.0 + e);
            count[lane] += if g > 0.0 { 1.0 } else { 0.0 };
            weights[lane] = if open { weights[lane] } else { 0.0 };
        }
    }

    /// With `P` the softmax, `A` the factor of the edge, `s = σ(g + ℓ)` and `dW` the gradient of
    /// the weights that multiply the values: `dg = P · dW · s(1 − s) + pull · σ(1 − σ)` with
    /// `σ = σ(g)`, and `da = P · (A · dW − dO·O) + dg` for the score `a`.
    #[inline(always)]
    fn differentiate(self, place: Place<D::Row>, weighted: Weighted<'_>, d_logit: &mut PerQuery) {
        let Weighted {
            scores,
            gradients,
            lse,
            mean,
        } = weighted;
        let d_logit = &mut d_logit.vectors()[place.vector];
        for lane in 0..LANES {
            let g = scores[lane] + self.bias;
            let e = exp(-g);
            let probability = exp(scores[lane] - lse[lane]);
            let (s, open) = D::open(place.row, place.query + lane, g, e);
            let sigma = 1.0 / (1.0 + e);
            let d_g = probability * gradients[lane] * (s * (1.0 - s))
                + self.pull * (sigma * (1.0 - sigma));
            let passed = if open { gradients[lane] } else { 0.0 };
            scores[lane] = if open { probability } else { 0.0 };
            gradients[lane] = probability * (passed - mean[lane]) + d_g;
            d_logit[lane] += d_g;
        }
    }

    fn open_edges(self, tally: &Tally, queries: usize) -> f64 {
        D::open_edges(tally, queries)
    }
}
