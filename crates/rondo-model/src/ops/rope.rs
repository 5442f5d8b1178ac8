//! The tables of the rotary embedding on the device and on the host, and the segments of a batch.
//! Positions restart in each segment.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData, s};
use rondo_kernels::attention::{Pairing, Segments};

use crate::config::{ModelConfig, RopePairing};

/// The rotary embedding's tables (Su et al. 2021, arXiv 2104.09864): the cosines and sines of the
/// angles `angle(pos, j) = pos · base^(−2j / d_head)`, computed in f32. A configured scaling
/// changes the frequencies `base^(−2j / d_head)`. The tables on the device are `[seq, d_head]`
/// each, in the layout that `rotate_pairs` or `rotate_halves` reads.
#[derive(Clone, Debug)]
pub struct Rope {
    cos: Tensor<2>,
    sin: Tensor<2>,
    host: Angles,
    /// The segments of a batch; `None` if its rows are not divided into segments.
    cut: Option<Cut>,
}

/// The segments of a batch, on the host and on the device.
#[derive(Clone, Debug)]
struct Cut {
    segments: Segments,
    /// The position of every token in its segment, `[batch · seq]`.
    positions: Tensor<1, Int>,
    /// The position in the row at which the segment of each token starts, `[batch, seq]`.
    firsts: Tensor<2, Int>,
}

/// The cosines and sines on the host, `[seq, d_head / 2]` each.
#[derive(Clone, Debug)]
pub(super) struct Angles {
    pub(super) pairing: Pairing,
    pub(super) cos: Arc<[f32]>,
    pub(super) sin: Arc<[f32]>,
}

impl Rope {
    /// Computes the tables for positions `0..seq`.
    pub fn new(config: &ModelConfig, seq: usize, device: &Device) -> Self {
        let d_head = config.d_head();
        let pairs = d_head / 2;
        let period = |pair: usize| {
            let exponent = (2 * pair) as f32 / d_head as f32;
            (config.rope_base as f32).powf(exponent)
        };
        let periods: Vec<f32> = (0..pairs)
            .map(|pair| match config.rope_scaling {
                None => period(pair),
                Some(scaling) => {
                    let exponent = (2 * pair) as f64 / d_head as f64;
                    let frequency = config.rope_base.powf(-exponent);
                    scaling.scaled(frequency).recip() as f32
                }
            })
            .collect();
        let angle = |i: usize| (i / pairs) as f32 / periods[i % pairs];
        let pairing = match config.rope_pairing {
            RopePairing::Adjacent => Pairing::Adjacent,
            RopePairing::Halves => Pairing::Halves,
        };
        let host = Angles {
            pairing,
            cos: (0..seq * pairs).map(|i| angle(i).cos()).collect(),
            sin: (0..seq * pairs).map(|i| angle(i).sin()).collect(),
        };
        let doubled = |values: &[f32], signs: [f32; 2]| {
            let values: Vec<f32> = match pairing {
                Pairing::Adjacent => {
                    let both = values.iter().flat_map(|x| signs.map(|sign| sign * x));
                    both.collect()
                }
                Pairing::Halves => {
                    let row =
                        |row: &[f32]| signs.map(|sign| row.iter().map(|x| sign * x).collect());
                    let rows = values.chunks_exact(pairs);
                    rows.flat_map(|values| row(values).into_iter().flat_map(Vec::into_iter))
                        .collect()
                }
            };
            Tensor::from_data(TensorData::new(values, [seq, d_head]), device)
        };
        Self {
            cos: doubled(&host.cos, [1.0, 1.0]),
            sin: doubled(&host.sin, [-1.0, 1.0]),
            host,
            cut: None,
        }
    }

    /// Returns the tables for a batch whose rows are divided into segments. Positions restart in
    /// each segment, and a token attends only within its own segment.
    ///
    /// # Panics
    ///
    /// Panics if the segments belong to rows of another length.
    #[must_use]
    pub fn within(self, segments: Segments) -> Self {
        let [seq, _] = self.cos.dims();
        assert_eq!(segments.seq(), seq, "rows of another length are cut");
        let device = self.cos.device();
        let positions: Vec<i32> = segments.positions().map(|place| place as i32).collect();
        let firsts: Vec<i32> = segments
            .firsts()
            .iter()
            .map(|place| *place as i32)
            .collect();
        let tokens = firsts.len();
        let positions = TensorData::new(positions, [tokens]);
        let firsts = TensorData::new(firsts, [tokens / seq, seq]);
        Self {
            cut: Some(Cut {
                positions: Tensor::from_data(positions, &device),
                firsts: Tensor::from_data(firsts, &device),
                segments,
            }),
            ..self
        }
    }

    /// Returns the tables for the positions `range`.
    ///
    /// # Panics
    ///
    /// Panics if rows are divided into segments.
    #[must_use]
    pub fn positions(&self, range: Range<usize>) -> Self {
        assert!(self.cut.is_none(), "positions of rows that are cut");
        let [seq, d_head] = self.cos.dims();
        let pairs = d_head / 2;
        let part = |values: &Arc<[f32]>| {
            if range == (0..seq) {
                return Arc::clone(values);
            }
            Arc::from(&values[range.start * pairs..range.end * pairs])
        };
        Self {
            cos: self.cos.clone().slice(s![range.clone(), ..]),
            sin: self.sin.clone().slice(s![range.clone(), ..]),
            host: Angles {
                pairing: self.host.pairing,
                cos: part(&self.host.cos),
                sin: part(&self.host.sin),
            },
            cut: None,
        }
    }

    /// Returns the segments of the rows, if rows are divided.
    pub(super) fn segments(&self) -> Option<&Segments> {
        self.cut.as_ref().map(|cut| &cut.segments)
    }

    /// Returns which keys a query may attend to, `[batch, 1, queries, keys]`: 1 if the key is in
    /// the query's segment and not after the query, otherwise 0. Returns `None` if rows are not
    /// divided.
    pub(super) fn visible(&self) -> Option<Tensor<4>> {
        let cut = self.cut.as_ref()?;
        let [batch, seq] = cut.firsts.dims();
        let places = |shape| Tensor::arange(0..seq as i64, &cut.firsts.device()).reshape(shape);
        let (queries, keys): (Tensor<4, Int>, Tensor<4, Int>) =
            (places([1, 1, seq, 1]), places([1, 1, 1, seq]));
        let shape = [batch, 1, seq, seq];
        let keys = keys.expand(shape);
        let firsts = cut.firsts.clone().reshape([batch, 1, seq, 1]).expand(shape);
        let of_segment = keys.clone().greater_equal(firsts);
        let not_after = keys.lower_equal(queries.expand(shape));
        Some(of_segment.bool_and(not_after).float())
    }

    /// Returns the tables on the host, for a kernel that rotates queries and keys itself.
    pub(super) fn on_host(&self) -> Angles {
        self.host.clone()
    }

    /// Returns which elements of a head are rotated as a pair.
    #[cfg(feature = "cube")]
    pub(super) fn pairing(&self) -> Pairing {
        self.host.pairing
    }

    /// Returns the tables on the device, for a kernel that rotates queries and keys itself. The
    /// cosines and the sines are `[seq, d_head]` each. For each adjacent pair, the first table
    /// holds the cosine twice, and the second table holds the negated sine and then the sine.
    #[cfg(feature = "cube")]
    pub(super) fn on_device(&self) -> [Tensor<2>; 2] {
        [self.cos.clone(), self.sin.clone()]
    }

    /// Returns the position in the row at which the segment of each token starts, `[batch, seq]`;
    /// `None` if rows are not divided.
    #[cfg(feature = "cube")]
    pub(super) fn firsts(&self) -> Option<Tensor<2, Int>> {
        self.cut.as_ref().map(|cut| cut.firsts.clone())
    }

    /// Rotates queries or keys.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, heads, d_head]` to the same.
    pub(super) fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let [cos, sin] = [&self.cos, &self.sin].map(|table| match &self.cut {
            None => table.clone(),
            Some(cut) => table.clone().select(0, cut.positions.clone()),
        });
        match self.host.pairing {
            Pairing::Adjacent => rotate_pairs(x, cos, sin),
            Pairing::Halves => rotate_halves(x, cos, sin),
        }
    }
}

/// Rotates adjacent pairs: `(x0, x1) → (x0·c − x1·s, x1·c + x0·s)`, with the cosine c and the sine
/// s of the pair's angle. The result is computed as `x ⊙ cos + swap(x) ⊙ sin`, where `swap`
/// exchanges the elements of each pair.
///
/// # Shapes
///
/// `x`: `[batch, seq, heads, d_head]`; `cos`, `sin`: `[seq, d_head]`, or `[batch · seq, d_head]` if
/// positions differ between sequences. For each pair, `cos` holds c twice, and `sin` holds −s and
/// then s.
fn rotate_pairs(x: Tensor<4>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<4> {
    let [batch, seq, heads, d_head] = x.dims();
    let pairs: Tensor<5> = x.clone().reshape([batch, seq, heads, d_head / 2, 2]);
    let swapped = pairs.flip([4]).reshape([batch, seq, heads, d_head]);
    turned(x, swapped, cos, sin)
}

/// Like [`rotate_pairs`], but a pair has one element from each half of the head:
/// `(x_j, x_{j + d_head/2})`.
///
/// # Shapes
///
/// As in [`rotate_pairs`], but the halves of a row of `cos` both hold the c of all pairs. The first
/// half of a row of `sin` holds the −s of all pairs, and the second half holds the s of all pairs.
fn rotate_halves(x: Tensor<4>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<4> {
    let [batch, seq, heads, d_head] = x.dims();
    let halves: Tensor<5> = x.clone().reshape([batch, seq, heads, 2, d_head / 2]);
    let swapped = halves.flip([3]).reshape([batch, seq, heads, d_head]);
    turned(x, swapped, cos, sin)
}

/// Returns `x ⊙ cos + swapped ⊙ sin`, with the same tables for all heads.
fn turned(x: Tensor<4>, swapped: Tensor<4>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<4> {
    let [_, seq, _, d_head] = x.dims();
    let [angles, _] = cos.dims();
    let shape = [angles / seq, seq, 1, d_head];
    x * cos.reshape(shape) + swapped * sin.reshape(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_maps_each_pair_to_its_perpendicular() {
        let device = Device::flex();
        let x = Tensor::<4>::from_data([[[[1.0, 2.0, 3.0, 4.0]]]], &device);
        let cos = Tensor::<2>::from_data([[0.0, 0.0, 1.0, 1.0]], &device);
        let sin = Tensor::<2>::from_data([[-1.0, 1.0, 0.0, 0.0]], &device);
        let y = rotate_pairs(x, cos, sin).into_data();
        assert_eq!(y.iter::<f32>().collect::<Vec<_>>(), [-2.0, 1.0, 3.0, 4.0]);
    }

    #[test]
    fn a_quarter_turn_maps_halves_to_each_other() {
        let device = Device::flex();
        let x = Tensor::<4>::from_data([[[[1.0, 2.0, 3.0, 4.0]]]], &device);
        // The pair (1, 3) is rotated, the pair (2, 4) is not.
        let cos = Tensor::<2>::from_data([[0.0, 1.0, 0.0, 1.0]], &device);
        let sin = Tensor::<2>::from_data([[-1.0, 0.0, 1.0, 0.0]], &device);
        let y = rotate_halves(x, cos, sin).into_data();
        assert_eq!(y.iter::<f32>().collect::<Vec<_>>(), [-3.0, 2.0, 1.0, 4.0]);
    }

    #[test]
    fn halves_turn_as_neighbours_do_with_their_elements_in_another_order() {
        let adjacent = ModelConfig {
            d_model: 6,
            n_heads: 1,
            n_kv_heads: 1,
            rope_base: 7.0,
            ..ModelConfig::default()
        };
        let halves = ModelConfig {
            rope_pairing: RopePairing::Halves,
            ..adjacent.clone()
        };
        let device = Device::flex();
        let turned = |config: &ModelConfig, x: [f32; 6]| {
            let x = Tensor::<4>::from_data([[[x], [x]]], &device);
            let y = Rope::new(config, 2, &device).rotate(x).into_data();
            y.iter::<f32>().collect::<Vec<f32>>()
        };
        let found = turned(&halves, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let expected = turned(&adjacent, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let order = [0, 3, 1, 4, 2, 5];
        let reordered = (0..2).flat_map(|token| order.map(|place| found[token * 6 + place]));
        assert_eq!(reordered.collect::<Vec<f32>>(), expected);
    }

    #[test]
    fn positions_start_anew_in_every_segment_and_no_query_sees_another() {
        let config = ModelConfig {
            d_model: 4,
            n_heads: 1,
            n_kv_heads: 1,
            ..ModelConfig::default()
        };
        let device = Device::flex();
        let rope = Rope::new(&config, 4, &device);
        // The segments of the first row have 2 and 2 tokens, those of the second 1 and 3.
        let segments = Segments::behind(&[1, 0, 1, 1, 0, 1, 1, 0], 4, |token| token == 0);
        let cut = rope.clone().within(segments);
        let x = Tensor::<4>::ones([2, 4, 1, 4], &device);
        let values = |x: Tensor<4>| x.into_data().iter::<f32>().collect::<Vec<f32>>();
        let whole = values(rope.rotate(x.clone()));
        let found = values(cut.rotate(x));
        for (token, position) in [0, 1, 0, 1, 0, 0, 1, 2].into_iter().enumerate() {
            let place = |at: usize| at * 4..(at + 1) * 4;
            assert_eq!(found[place(token)], whole[place(position)], "token {token}");
        }
        assert!(rope.visible().is_none());
        let visible = cut.visible().expect("rows are cut");
        assert_eq!(visible.dims(), [2, 1, 4, 4]);
        #[rustfmt::skip]
        assert_eq!(values(visible), [
            1.0, 0.0, 0.0, 0.0,
            1.0, 1.0, 0.0, 0.0,
            0.0, 0.0, 1.0, 0.0,
            0.0, 0.0, 1.0, 1.0,

            1.0, 0.0, 0.0, 0.0,
            0.0, 1.0, 0.0, 0.0,
            0.0, 1.0, 1.0, 0.0,
            0.0, 1.0, 1.0, 1.0,
        ]);
    }

    #[test]
    fn a_pair_turns_by_its_position_in_radians() {
        let config = ModelConfig {
            d_model: 2,
            n_heads: 1,
            n_kv_heads: 1,
            ..ModelConfig::default()
        };
        let device = Device::flex();
        let x = Tensor::<4>::from_data([[[[1.0, 0.0]], [[1.0, 0.0]], [[0.0, 1.0]]]], &device);
        let y = Rope::new(&config, 3, &device).rotate(x);
        let expected = [
            1.0,
            0.0,
            1.0_f32.cos(),
            1.0_f32.sin(),
            -2.0_f32.sin(),
            2.0_f32.cos(),
        ];
        for (found, expected) in y.into_data().iter::<f32>().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
        }
    }
}
