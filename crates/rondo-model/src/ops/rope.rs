//! The rotary embedding's tables, on the device and on the host.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData, s};

use crate::config::ModelConfig;

/// Cosines and sines of the rotary embedding (Su et al. 2021, arXiv 2104.09864):
/// angle(pos, j) = pos · base^(−2j / d_head), computed in f32; on the device laid out for
/// `rotate_pairs`, `[seq, d_head]` each.
#[derive(Clone, Debug)]
pub struct Rope {
    cos: Tensor<2>,
    sin: Tensor<2>,
    host: Angles,
}

/// The tables on the host, `[seq, d_head / 2]` each.
#[derive(Clone, Debug)]
pub(super) struct Angles {
    pub(super) cos: Arc<[f32]>,
    pub(super) sin: Arc<[f32]>,
}

impl Rope {
    /// Computes the tables of positions `0..seq`.
    pub fn new(config: &ModelConfig, seq: usize, device: &Device) -> Self {
        let d_head = config.d_head();
        let pairs = d_head / 2;
        let angle = |i: usize| {
            let (position, pair) = (i / pairs, i % pairs);
            let exponent = (2 * pair) as f32 / d_head as f32;
            position as f32 / (config.rope_base as f32).powf(exponent)
        };
        let host = Angles {
            cos: (0..seq * pairs).map(|i| angle(i).cos()).collect(),
            sin: (0..seq * pairs).map(|i| angle(i).sin()).collect(),
        };
        let doubled = |values: &[f32], signs: [f32; 2]| {
            let both = values.iter().flat_map(|x| signs.map(|sign| sign * x));
            let values: Vec<f32> = both.collect();
            Tensor::from_data(TensorData::new(values, [seq, d_head]), device)
        };
        Self {
            cos: doubled(&host.cos, [1.0, 1.0]),
            sin: doubled(&host.sin, [-1.0, 1.0]),
            host,
        }
    }

    /// Returns the tables of the positions `range`.
    #[must_use]
    pub fn positions(&self, range: Range<usize>) -> Self {
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
                cos: part(&self.host.cos),
                sin: part(&self.host.sin),
            },
        }
    }

    /// Returns the tables on the host, for a kernel that rotates by itself.
    pub(super) fn on_host(&self) -> Angles {
        self.host.clone()
    }

    /// Returns cosines and sines on the device, for a kernel that rotates by itself: `[seq, d_head]` each, every cosine
    /// twice, every sine with a minus and with a plus.
    #[cfg(feature = "cube")]
    pub(super) fn on_device(&self) -> [Tensor<2>; 2] {
        [self.cos.clone(), self.sin.clone()]
    }

    /// Rotates queries or keys.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, heads, d_head]` to the same.
    pub(super) fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        rotate_pairs(x, self.cos.clone(), self.sin.clone())
    }
}

/// Rotary embedding on adjacent pairs, `(x0, x1) → (x0·c − x1·s, x1·c + x0·s)`, as
/// `x ⊙ cos + swap(x) ⊙ sin` with swapped pairs.
///
/// # Shapes
///
/// `x`: `[batch, seq, heads, d_head]`; `cos`, `sin`: `[seq, d_head]`, cos with each c twice, sin
/// with −s and s in the places of a pair.
fn rotate_pairs(x: Tensor<4>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<4> {
    let [batch, seq, heads, d_head] = x.dims();
    let pairs: Tensor<5> = x.clone().reshape([batch, seq, heads, d_head / 2, 2]);
    let swapped = pairs.flip([4]).reshape([batch, seq, heads, d_head]);
    let shape = [1, seq, 1, d_head];
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
