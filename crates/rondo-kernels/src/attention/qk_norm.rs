//! The norm of queries and keys before attention: which elements share a mean square, and whether
//! the norm comes before or after the rotary embedding.

use super::Shape;
use crate::norm::Norm;
use crate::vector::{dot, sum_of};

/// The norm of queries and keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QkNorm {
    /// The ε of the norm.
    pub norm: Norm,
    /// The elements that share a mean square.
    pub over: NormedOver,
}

/// The elements of queries and keys that share a mean square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormedOver {
    /// Each head is normed after the rotary embedding, without a scale.
    RotatedHeads,
    /// Each head is normed before the rotary embedding. All query heads share one scale `[d_head]`,
    /// and all key heads share another (Qwen3, arXiv 2505.09388).
    Heads,
    /// All query heads together are normed before the rotary embedding, and so are all key heads
    /// together. Queries and keys each have a scale of their full width (OLMo 2, arXiv 2501.00656).
    Width,
}

/// The scales of a norm of queries and keys.
#[derive(Clone, Copy, Debug)]
pub struct QkScales<'a> {
    /// The scale of queries: `[d_head]` or `[heads · d_head]`.
    pub queries: &'a [f32],
    /// The scale of keys: `[d_head]` or `[kv_heads · d_head]`.
    pub keys: &'a [f32],
}

impl QkNorm {
    /// Returns how many numbers per token the backward pass needs: the inverse root mean squares,
    /// and, if the norm has scales, the normed values before scaling.
    pub(super) fn kept_width(self, shape: Shape) -> usize {
        match self.over {
            NormedOver::RotatedHeads => shape.prepared_heads(),
            NormedOver::Heads | NormedOver::Width => {
                self.inverses(shape) + shape.prepared_heads() * shape.d_head
            }
        }
    }

    /// Returns the number of inverse root mean squares per token.
    fn inverses(self, shape: Shape) -> usize {
        match self.over {
            NormedOver::RotatedHeads | NormedOver::Heads => shape.prepared_heads(),
            NormedOver::Width => 2,
        }
    }

    /// Returns the lengths of the scales of queries and of keys, or `None` if the norm has no
    /// scales.
    pub(super) fn scale_lengths(self, shape: Shape) -> Option<[usize; 2]> {
        match self.over {
            NormedOver::RotatedHeads => None,
            NormedOver::Heads => Some([shape.d_head; 2]),
            NormedOver::Width => Some([shape.heads, shape.kv_heads].map(|n| n * shape.d_head)),
        }
    }

    /// Norms every head of a token in place; writes the inverse root mean squares to `kept`.
    #[inline(always)]
    pub(super) fn norm_heads(self, row: &mut [f32], d_head: usize, kept: &mut [f32]) {
        for (head, inverse_rms) in row.chunks_exact_mut(d_head).zip(kept) {
            *inverse_rms = self.inverse_rms(head);
            head.iter_mut().for_each(|x| *x *= *inverse_rms);
        }
    }

    /// Turns the gradient of the output of [`Self::norm_heads`] into that of its input, in place.
    ///
    /// With `y = r·x` and `r = 1 / √(mean(x²) + ε)`: `dx = r · (dy − y · mean(dy ∘ y))`.
    #[inline(always)]
    pub(super) fn norm_heads_backward(
        d_row: &mut [f32],
        normed: &[f32],
        d_head: usize,
        kept: &[f32],
    ) {
        let heads = d_row
            .chunks_exact_mut(d_head)
            .zip(normed.chunks_exact(d_head));
        for ((d_head_row, head), inverse_rms) in heads.zip(kept) {
            let mean = dot(d_head_row, head) / d_head as f32;
            for (d, y) in d_head_row.iter_mut().zip(head) {
                *d = inverse_rms * (*d - y * mean);
            }
        }
    }

    /// Norms and scales the queries and keys of a token in place. Writes the inverse root mean
    /// squares to `kept`, followed by the normed values before scaling.
    #[inline(always)]
    pub(super) fn norm_scaled(
        self,
        shape: Shape,
        scales: QkScales<'_>,
        row: &mut [f32],
        kept: &mut [f32],
    ) {
        let (inverses, normed) = kept.split_at_mut(self.inverses(shape));
        let mut inverses = inverses.iter_mut();
        let (queries, keys) = row.split_at_mut(shape.heads * shape.d_head);
        let (normed_queries, normed_keys) = normed.split_at_mut(queries.len());
        for (row, normed, scale) in [
            (queries, normed_queries, scales.queries),
            (keys, normed_keys, scales.keys),
        ] {
            let parts = row
                .chunks_exact_mut(scale.len())
                .zip(normed.chunks_exact_mut(scale.len()));
            for ((part, normed), inverse_rms) in parts.zip(&mut inverses) {
                *inverse_rms = self.inverse_rms(part);
                for ((x, normed), scale) in part.iter_mut().zip(normed).zip(scale) {
                    *normed = *x * *inverse_rms;
                    *x = *normed * scale;
                }
            }
        }
    }

    /// Turns the gradient of the output of [`Self::norm_scaled`] into that of its input, in place,
    /// and adds the token's contribution to the gradients of the scales.
    ///
    /// With `n = r·x`, the scale `g` and `y = n ∘ g`: `dg = Σ dy ∘ n` and
    /// `dx = r · (dy ∘ g − n · mean(dy ∘ g ∘ n))`.
    #[inline(always)]
    pub(super) fn norm_scaled_backward(
        self,
        shape: Shape,
        scales: QkScales<'_>,
        d_row: &mut [f32],
        kept: &[f32],
        d_scales: &mut [f32],
    ) {
        let (inverses, normed) = kept.split_at(self.inverses(shape));
        let mut inverses = inverses.iter();
        let (queries, keys) = d_row.split_at_mut(shape.heads * shape.d_head);
        let (normed_queries, normed_keys) = normed.split_at(queries.len());
        let (d_query_scale, d_key_scale) = d_scales.split_at_mut(scales.queries.len());
        for (d_row, normed, scale, d_scale) in [
            (queries, normed_queries, scales.queries, d_query_scale),
            (keys, normed_keys, scales.keys, d_key_scale),
        ] {
            let length = scale.len();
            let parts = d_row
                .chunks_exact_mut(length)
                .zip(normed.chunks_exact(length));
            for ((d_part, normed), inverse_rms) in parts.zip(&mut inverses) {
                let scaled = d_part.iter_mut().zip(normed).zip(scale);
                for (((d, normed), scale), d_scale) in scaled.zip(d_scale.iter_mut()) {
                    *d_scale += *d * normed;
                    *d *= scale;
                }
                let mean = dot(d_part, normed) / length as f32;
                for (d, normed) in d_part.iter_mut().zip(normed) {
                    *d = inverse_rms * (*d - normed * mean);
                }
            }
        }
    }

    #[inline(always)]
    fn inverse_rms(self, x: &[f32]) -> f32 {
        let mean_square = sum_of(x, |x| x * x) / x.len() as f32;
        1.0 / (mean_square + self.norm.eps).sqrt()
    }
}
