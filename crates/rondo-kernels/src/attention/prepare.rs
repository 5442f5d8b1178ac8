//! What is done to queries and keys before attention: bias, rotary embedding, norm, in this order.

use super::{Segments, Shape};
use crate::rows::{for_rows, for_rows_of_two, for_rows_with_sums};
use crate::vector::{dot, sum_of, vectorized};

/// What is done to queries and keys; every part may be absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preparation<'a> {
    /// What is added, `[heads + kv_heads, d_head]`: to queries, then to keys.
    pub bias: Option<&'a [f32]>,
    /// The rotation that follows.
    pub rope: Option<Rope<'a>>,
    /// Where positions start anew; without it at every sequence.
    pub segments: Option<&'a Segments>,
    /// The ε of the norm that follows: each head becomes `x / √(mean(x²) + ε)`.
    pub norm_eps: Option<f32>,
}

/// Cosines and sines of the rotary embedding (Su et al. 2021, arXiv 2104.09864), `[seq, d_head / 2]`
/// each: position `p` turns the pair `(x_2j, x_2j+1)` by the angle at `[p, j]`.
#[derive(Clone, Copy, Debug)]
pub struct Rope<'a> {
    /// The cosines.
    pub cos: &'a [f32],
    /// The sines.
    pub sin: &'a [f32],
}

impl Preparation<'_> {
    /// Returns the length of `inverse_rms`: one number per token and prepared head with a norm, none
    /// without.
    pub fn inverse_rms_len(&self, shape: Shape) -> usize {
        match self.norm_eps {
            Some(_) => shape.rows() * shape.prepared_heads(),
            None => 0,
        }
    }

    fn check(&self, shape: Shape, qkv: &[f32], inverse_rms: &[f32]) {
        shape.check(qkv);
        shape.check_segments(self.segments);
        assert_eq!(inverse_rms.len(), self.inverse_rms_len(shape));
        if let Some(bias) = self.bias {
            assert_eq!(bias.len(), shape.prepared_heads() * shape.d_head);
        }
        if let Some(Rope { cos, sin }) = self.rope {
            assert!(shape.d_head.is_multiple_of(2), "pairs of {}", shape.d_head);
            let pairs = shape.seq * shape.d_head / 2;
            assert_eq!([cos.len(), sin.len()], [pairs; 2], "angles of {shape:?}");
        }
    }

    /// Returns the position of a token, which is counted over the batch.
    #[inline(always)]
    fn position(&self, shape: Shape, token: usize) -> usize {
        match self.segments {
            Some(segments) => segments.position(token),
            None => token % shape.seq,
        }
    }

    /// Prepares rows in place, of which the first is token `first` of the batch.
    #[inline(always)]
    fn prepare_rows(&self, shape: Shape, first: usize, rows: &mut [f32], inverse_rms: &mut [f32]) {
        let d_head = shape.d_head;
        let mut inverse_rms = inverse_rms.iter_mut();
        for (row, token) in rows.chunks_exact_mut(shape.qkv_width()).zip(first..) {
            let row = &mut row[..shape.prepared_heads() * d_head];
            if let Some(bias) = self.bias {
                row.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
            }
            if let Some(rope) = self.rope {
                rope.turn(row, self.position(shape, token), d_head, 1.0);
            }
            if let Some(eps) = self.norm_eps {
                for (head, inverse_rms) in row.chunks_exact_mut(d_head).zip(&mut inverse_rms) {
                    let mean_square = sum_of(head, |x| x * x) / d_head as f32;
                    *inverse_rms = 1.0 / (mean_square + eps).sqrt();
                    head.iter_mut().for_each(|x| *x *= *inverse_rms);
                }
            }
        }
    }

    /// Turns the gradient of prepared rows into that of the rows themselves, in place, and adds it
    /// to that of the bias.
    ///
    /// With `y = r·x` and `r = 1 / √(mean(x²) + ε)`: `dx = r · (dy − y · mean(dy ∘ y))`.
    #[inline(always)]
    fn prepare_rows_backward(
        &self,
        shape: Shape,
        first: usize,
        rows: &mut [f32],
        prepared: &[f32],
        inverse_rms: &[f32],
        d_bias: &mut [f32],
    ) {
        let (d_head, width) = (shape.d_head, shape.qkv_width());
        let heads = shape.prepared_heads();
        for (row, token) in rows.chunks_exact_mut(width).zip(first..) {
            let row = &mut row[..heads * d_head];
            if self.norm_eps.is_some() {
                let prepared = prepared[token * width..].chunks_exact(d_head);
                let inverse_rms = &inverse_rms[token * heads..][..heads];
                let heads = row.chunks_exact_mut(d_head).zip(prepared);
                for ((d_head_row, head), inverse_rms) in heads.zip(inverse_rms) {
                    let mean = dot(d_head_row, head) / d_head as f32;
                    for (d, y) in d_head_row.iter_mut().zip(head) {
                        *d = inverse_rms * (*d - y * mean);
                    }
                }
            }
            if let Some(rope) = self.rope {
                rope.turn(row, self.position(shape, token), d_head, -1.0);
            }
            d_bias.iter_mut().zip(row).for_each(|(sum, d)| *sum += *d);
        }
    }
}

/// Prepares the queries and keys of a packed projection in place.
///
/// # Shapes
///
/// `qkv`: `[batch · seq, qkv_width]`; `inverse_rms`: `[batch · seq, heads + kv_heads]` with a norm,
/// empty without; what [`prepare_backward`] needs of it is written there.
///
/// # Panics
///
/// Panics where a length does not fit the shape, or where an odd `d_head` is to be rotated.
pub fn prepare(
    shape: Shape,
    preparation: Preparation<'_>,
    qkv: &mut [f32],
    inverse_rms: &mut [f32],
) {
    preparation.check(shape, qkv, inverse_rms);
    let width = shape.qkv_width();
    let run = |first: usize, rows: &mut [f32], inverse_rms: &mut [f32]| {
        vectorized(
            #[inline(always)]
            || preparation.prepare_rows(shape, first, rows, inverse_rms),
        );
    };
    if inverse_rms.is_empty() {
        return for_rows(qkv, width, |first, rows| run(first, rows, &mut []));
    }
    for_rows_of_two((qkv, width), (inverse_rms, shape.prepared_heads()), run);
}

/// Turns the gradient of a prepared projection into that of the projection, in place; returns that
/// of the bias, if there is one.
///
/// # Shapes
///
/// `qkv` and `inverse_rms`: as [`prepare`] left them; `d_qkv`: as `qkv`; the gradient of the bias:
/// `[heads + kv_heads, d_head]`.
///
/// # Panics
///
/// As [`prepare`].
pub fn prepare_backward(
    shape: Shape,
    preparation: Preparation<'_>,
    qkv: &[f32],
    inverse_rms: &[f32],
    d_qkv: &mut [f32],
) -> Option<Vec<f32>> {
    preparation.check(shape, qkv, inverse_rms);
    assert_eq!(d_qkv.len(), qkv.len(), "d_qkv of {shape:?}");
    let width = shape.qkv_width();
    let length = preparation.bias.map_or(0, <[f32]>::len);
    let d_bias = for_rows_with_sums(d_qkv, width, length, |first, rows, d_bias| {
        vectorized(
            #[inline(always)]
            || {
                preparation.prepare_rows_backward(shape, first, rows, qkv, inverse_rms, d_bias);
            },
        );
    });
    preparation.bias.map(|_| d_bias)
}

impl Rope<'_> {
    /// Turns every head of a token at `position`: forth where `direction` is 1, back where it is −1.
    #[inline(always)]
    fn turn(&self, heads: &mut [f32], position: usize, d_head: usize, direction: f32) {
        let pairs = position * (d_head / 2)..(position + 1) * (d_head / 2);
        let (cos, sin) = (&self.cos[pairs.clone()], &self.sin[pairs]);
        for head in heads.chunks_exact_mut(d_head) {
            let angles = cos.iter().zip(sin);
            for ([x, y], (cos, sin)) in head.as_chunks_mut::<2>().0.iter_mut().zip(angles) {
                let sin = direction * sin;
                (*x, *y) = (*x * cos - *y * sin, *y * cos + *x * sin);
            }
        }
    }
}
