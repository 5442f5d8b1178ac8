//! The operations on queries, keys and values before attention: bias, norm, rotary embedding, in
//! this order. A norm without a scale is applied after the rotary embedding instead.

use super::qk_norm::{NormedOver, QkNorm, QkScales};
use super::{Rope, Segments, Shape};
use crate::rows::{for_rows, for_rows_of_two, for_rows_with_sums};
use crate::vector::vectorized;

/// The operations on queries, keys and values before attention. Every part is optional.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preparation<'a> {
    /// The bias, `[heads + kv_heads, d_head]`: one row per query head, then one per key head. With
    /// `kv_heads` more rows, the bias also covers the value heads.
    pub bias: Option<&'a [f32]>,
    /// The rotary embedding.
    pub rope: Option<Rope<'a>>,
    /// The segments; positions restart at the start of each segment. Without segments, positions
    /// restart at the start of each sequence.
    pub segments: Option<&'a Segments>,
    /// The norm of queries and keys.
    pub norm: Option<QkNorm>,
    /// The scales of the norm, if it has any.
    pub scales: Option<QkScales<'a>>,
}

/// The gradients of the parameters of a preparation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PreparationGradients {
    /// The gradient of the bias, in the shape of the bias.
    pub bias: Option<Vec<f32>>,
    /// The gradient of the scale of queries, in the shape of that scale.
    pub query_scale: Option<Vec<f32>>,
    /// The gradient of the scale of keys, in the shape of that scale.
    pub key_scale: Option<Vec<f32>>,
}

impl Preparation<'_> {
    /// Returns how many numbers per token [`prepare`] stores for the backward pass. Only the norm
    /// needs such numbers.
    pub fn kept_width(&self, shape: Shape) -> usize {
        self.norm.map_or(0, |norm| norm.kept_width(shape))
    }

    fn check(&self, shape: Shape, qkv: &[f32], kept: &[f32]) {
        shape.check(qkv);
        shape.check_segments(self.segments);
        assert_eq!(kept.len(), shape.rows() * self.kept_width(shape));
        if let Some(bias) = self.bias {
            let lengths = [shape.prepared_heads() * shape.d_head, shape.qkv_width()];
            assert!(lengths.contains(&bias.len()), "a bias of {}", bias.len());
        }
        let lengths = self.norm.and_then(|norm| norm.scale_lengths(shape));
        let found = self.scales.map(|it| [it.queries.len(), it.keys.len()]);
        assert_eq!(found, lengths, "scales of {shape:?}");
        if let Some(Rope { cos, sin, .. }) = self.rope {
            assert!(shape.d_head.is_multiple_of(2), "pairs of {}", shape.d_head);
            let pairs = shape.seq * shape.d_head / 2;
            assert_eq!([cos.len(), sin.len()], [pairs; 2], "angles of {shape:?}");
        }
    }

    /// Returns the position of a token, given its index in the batch.
    #[inline(always)]
    fn position(&self, shape: Shape, token: usize) -> usize {
        match self.segments {
            Some(segments) => segments.position(token),
            None => token % shape.seq,
        }
    }

    /// Returns the norm, if it is applied after the rotary embedding.
    #[inline(always)]
    fn norm_after(&self) -> Option<QkNorm> {
        self.norm
            .filter(|norm| norm.over == NormedOver::RotatedHeads)
    }

    /// Prepares rows in place; the first row is token `first` of the batch.
    #[inline(always)]
    fn prepare_rows(&self, shape: Shape, first: usize, rows: &mut [f32], kept: &mut [f32]) {
        let (d_head, width) = (shape.d_head, self.kept_width(shape));
        for (place, row) in rows.chunks_exact_mut(shape.qkv_width()).enumerate() {
            let kept = &mut kept[place * width..][..width];
            if let Some(bias) = self.bias {
                row.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
            }
            let row = &mut row[..shape.prepared_heads() * d_head];
            if let Some((norm, scales)) = self.norm.zip(self.scales) {
                norm.norm_scaled(shape, scales, row, kept);
            }
            if let Some(rope) = self.rope {
                rope.turn(row, self.position(shape, first + place), d_head, 1.0);
            }
            if let Some(norm) = self.norm_after() {
                norm.norm_heads(row, d_head, kept);
            }
        }
    }

    /// Turns the gradient of prepared rows into the gradient of the rows before preparation, in
    /// place. Adds the gradients of the bias, of the query scale and of the key scale to `sums`, in
    /// this order.
    #[inline(always)]
    fn prepare_rows_backward(
        &self,
        shape: Shape,
        first: usize,
        rows: &mut [f32],
        prepared: &[f32],
        kept: &[f32],
        sums: &mut [f32],
    ) {
        let (d_head, width) = (shape.d_head, shape.qkv_width());
        let (prepared_width, kept_width) =
            (shape.prepared_heads() * d_head, self.kept_width(shape));
        let (d_bias, d_scales) = sums.split_at_mut(self.bias.map_or(0, <[f32]>::len));
        for (row, token) in rows.chunks_exact_mut(width).zip(first..) {
            let kept = &kept[token * kept_width..][..kept_width];
            let turned = &mut row[..prepared_width];
            if self.norm_after().is_some() {
                let prepared = &prepared[token * width..][..prepared_width];
                QkNorm::norm_heads_backward(turned, prepared, d_head, kept);
            }
            if let Some(rope) = self.rope {
                rope.turn(turned, self.position(shape, token), d_head, -1.0);
            }
            if let Some((norm, scales)) = self.norm.zip(self.scales) {
                norm.norm_scaled_backward(shape, scales, turned, kept, d_scales);
            }
            d_bias.iter_mut().zip(row).for_each(|(sum, d)| *sum += *d);
        }
    }
}

/// Prepares the queries and keys of a packed projection in place, and the values if the bias
/// includes them.
///
/// # Shapes
///
/// `qkv`: `[batch · seq, qkv_width]`; `kept`: `[batch · seq, kept_width]` with
/// [`Preparation::kept_width`]. `kept` receives the data for [`prepare_backward`].
///
/// # Panics
///
/// Panics where a length does not fit the shape, or where a rotary embedding is given and `d_head`
/// is odd.
pub fn prepare(shape: Shape, preparation: Preparation<'_>, qkv: &mut [f32], kept: &mut [f32]) {
    preparation.check(shape, qkv, kept);
    let width = shape.qkv_width();
    let run = |first: usize, rows: &mut [f32], kept: &mut [f32]| {
        vectorized(
            #[inline(always)]
            || preparation.prepare_rows(shape, first, rows, kept),
        );
    };
    if kept.is_empty() {
        return for_rows(qkv, width, |first, rows| run(first, rows, &mut []));
    }
    for_rows_of_two((qkv, width), (kept, preparation.kept_width(shape)), run);
}

/// Turns the gradient of a prepared projection into the gradient of the projection before
/// preparation, in place. Returns the gradients of the bias and the scales that the preparation
/// has.
///
/// # Shapes
///
/// `qkv` and `kept`: as [`prepare`] left them; `d_qkv`: the shape of `qkv`.
///
/// # Panics
///
/// As [`prepare`].
pub fn prepare_backward(
    shape: Shape,
    preparation: Preparation<'_>,
    qkv: &[f32],
    kept: &[f32],
    d_qkv: &mut [f32],
) -> PreparationGradients {
    preparation.check(shape, qkv, kept);
    assert_eq!(d_qkv.len(), qkv.len(), "d_qkv of {shape:?}");
    let width = shape.qkv_width();
    let of_bias = preparation.bias.map_or(0, <[f32]>::len);
    let [of_queries, of_keys] = preparation
        .scales
        .map_or([0; 2], |scales| [scales.queries.len(), scales.keys.len()]);
    let length = of_bias + of_queries + of_keys;
    let mut sums = for_rows_with_sums(d_qkv, width, length, |first, rows, sums| {
        vectorized(
            #[inline(always)]
            || {
                preparation.prepare_rows_backward(shape, first, rows, qkv, kept, sums);
            },
        );
    });
    let keys = sums.split_off(of_bias + of_queries);
    let queries = sums.split_off(of_bias);
    PreparationGradients {
        bias: preparation.bias.map(|_| sums),
        query_scale: preparation.scales.map(|_| queries),
        key_scale: preparation.scales.map(|_| keys),
    }
}
