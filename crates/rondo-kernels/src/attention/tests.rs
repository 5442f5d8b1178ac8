//! Compares the kernels with attention computed in f64. The gradient in f64 is compared with
//! central differences.

mod gated;
mod gated_reference;
mod plain;
mod reference;
mod segmented;

use super::*;

/// The largest allowed error of a kernel against f64, relative to the largest element of the result
/// (or to 1, if all are smaller): about a hundred roundings of f32.
const TOLERANCE: f64 = 1e-5;

/// The largest allowed error of a gradient in f64 against [`slopes`], in the same units.
const DIFFERENCE_TOLERANCE: f64 = 1e-8;

/// The input of a layer and the gradient of its output.
#[derive(Clone)]
struct Layer {
    shape: Shape,
    qkv: Vec<f32>,
    d_attended: Vec<f32>,
}

impl Layer {
    /// Draws the input from (−scale, scale).
    fn new([batch, seq, heads, kv_heads, d_head]: [usize; 5], scale: f32) -> Self {
        let shape = Shape {
            batch,
            seq,
            heads,
            kv_heads,
            d_head,
        };
        let mut qkv = noise(1, shape.rows() * shape.qkv_width());
        qkv.iter_mut().for_each(|x| *x *= scale);
        Self {
            shape,
            qkv,
            d_attended: noise(2, shape.rows() * shape.attended_width()),
        }
    }

    /// Adds 1 to all inputs from `token` on; returns the offset of the output of `token`.
    fn change_from(&mut self, token: usize) -> usize {
        let start = token * self.shape.qkv_width();
        self.qkv[start..].iter_mut().for_each(|x| *x += 1.0);
        token * self.shape.attended_width()
    }
}

/// Returns numbers in (−1, 1) that look random (SplitMix64).
fn noise(seed: u64, length: usize) -> Vec<f32> {
    (0..length as u64)
        .map(|i| {
            let mut z = (seed << 32 | i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().copied().map(f64::from).collect()
}

/// Returns the slope of `f` at `x` along every coordinate, by central differences.
fn slopes(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let along = |i: usize| {
        let at = |by: f64| {
            let mut x = x.to_vec();
            x[i] += by;
            f(&x)
        };
        (at(STEP) - at(-STEP)) / (2.0 * STEP)
    };
    (0..x.len()).map(along).collect()
}

#[track_caller]
fn assert_close(what: &str, tolerance: f64, ours: &[f64], exact: &[f64]) {
    assert_eq!(ours.len(), exact.len(), "{what}");
    let largest = exact.iter().fold(1.0_f64, |m, x| m.max(x.abs()));
    for (i, (ours, exact)) in ours.iter().zip(exact).enumerate() {
        let error = (ours - exact).abs() / largest;
        assert!(
            error <= tolerance,
            "{what}[{i}]: {ours}, not {exact}: {error:e}"
        );
    }
}
