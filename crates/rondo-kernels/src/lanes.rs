//! Weighted sums of lanes: `y_k = Σ_n W_kn L_n + β_k z` (hyper-connections over iterations,
//! arXiv 2604.21106).
//!
//! Lanes L_n are states that are stored side by side in a row; z is a new state. The weights are
//! one row of a table that has a row per iteration.

use crate::matrix::Matrix;
use crate::real::Real;
use crate::rows::{for_rows, for_rows_of_two_with_sums};
use crate::vector::vectorized;

/// The sums `Σ_n W_kn L_n + β_k z` for every k, without their tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneMix {
    /// The row of the tables that is used, which is the index of the iteration.
    pub row: usize,
    /// The number of lanes.
    pub lanes: usize,
    /// The number of sums.
    pub sums: usize,
}

/// The tensors of a [`LaneMix`], or other values in their places: `X` in the place of matrices with
/// a row per token, `W` in the place of tables.
#[derive(Clone, Copy, Debug)]
pub struct LaneMixTensors<X, W = X> {
    /// The lanes L, `[tokens, lanes · width]`.
    pub lanes: X,
    /// The new state z, `[tokens, width]`; `None` if the sums have no z.
    pub fresh: Option<X>,
    /// The table of the weights W, `[rows, sums · lanes]`.
    pub weights: W,
    /// The table of the factors β, `[rows, sums]`; `None` if the sums have no z.
    pub gains: Option<W>,
}

impl LaneMix {
    /// Returns the sums, `[tokens, sums · width]`.
    pub fn forward(self, tensors: &LaneMixTensors<Matrix<'_>>) -> Vec<f32> {
        let [tokens, all] = tensors.lanes.shape();
        let width = all / self.lanes;
        let (weights, gains) = self.rows(tensors);
        let lanes = tensors.lanes.elements();
        let fresh = tensors.fresh.map(|fresh| fresh.elements());
        let out_width = self.sums * width;
        let mut out = vec![0.0; tokens * out_width];
        for_rows(&mut out, out_width, |first, out| {
            vectorized(
                #[inline(always)]
                || {
                    for (row, out) in (first..).zip(out.chunks_exact_mut(out_width)) {
                        let lanes = &lanes[row * all..(row + 1) * all];
                        let fresh = fresh.map(|z| &z[row * width..(row + 1) * width]);
                        forward_row(weights, gains, lanes, fresh, width, out);
                    }
                },
            );
        });
        out
    }

    /// Returns the gradient of every tensor. The gradient of a table is zero outside the row that
    /// is used.
    ///
    /// # Shapes
    ///
    /// `d_out`: `[tokens, sums · width]`.
    pub fn backward(
        self,
        tensors: &LaneMixTensors<Matrix<'_>>,
        d_out: Matrix<'_>,
    ) -> LaneMixTensors<Vec<f32>> {
        let [tokens, all] = tensors.lanes.shape();
        let width = all / self.lanes;
        let (weights, gains) = self.rows(tensors);
        let lanes = tensors.lanes.elements();
        let fresh = tensors.fresh.map(|fresh| fresh.elements());
        let (d_out, out_width) = (d_out.elements(), self.sums * width);
        let count = self.sums * self.lanes;
        let mut d_lanes = vec![0.0; tokens * all];
        // Without a z, `d_fresh` is not used. It is still allocated, because both outputs must have
        // the same number of rows.
        let mut d_fresh = vec![0.0; tokens * width];
        let length = count + self.sums;
        let sums = for_rows_of_two_with_sums(
            (&mut d_lanes, all),
            (&mut d_fresh, width),
            length,
            |first, d_lanes, d_fresh, sums| {
                vectorized(
                    #[inline(always)]
                    || {
                        let outputs = d_lanes
                            .chunks_exact_mut(all)
                            .zip(d_fresh.chunks_exact_mut(width));
                        for (row, (d_lanes, d_fresh)) in (first..).zip(outputs) {
                            let given = Row {
                                weights,
                                gains,
                                lanes: &lanes[row * all..(row + 1) * all],
                                fresh: fresh.map(|z| &z[row * width..(row + 1) * width]),
                                d_out: &d_out[row * out_width..(row + 1) * out_width],
                            };
                            given.backward(width, d_lanes, d_fresh, sums);
                        }
                    },
                );
            },
        );
        let table = |of: Matrix<'_>, found: &[f32]| {
            let [rows, columns] = of.shape();
            let mut table = vec![0.0; rows * columns];
            table[self.row * columns..(self.row + 1) * columns].copy_from_slice(found);
            table
        };
        let (of_weights, of_gains) = sums.split_at(count);
        LaneMixTensors {
            lanes: d_lanes,
            fresh: tensors.fresh.map(|_| d_fresh),
            weights: table(tensors.weights, of_weights),
            gains: tensors.gains.map(|gains| table(gains, of_gains)),
        }
    }

    /// Returns the rows of the two tables that are used.
    fn rows<'a>(self, tensors: &LaneMixTensors<Matrix<'a>>) -> (&'a [f32], Option<&'a [f32]>) {
        let gains = tensors.gains.map(|gains| gains.row(self.row));
        (tensors.weights.row(self.row), gains)
    }
}

#[inline(always)]
fn forward_row<T: Real>(
    weights: &[T],
    gains: Option<&[T]>,
    lanes: &[T],
    fresh: Option<&[T]>,
    width: usize,
    out: &mut [T],
) {
    let count = lanes.len() / width;
    for (k, out) in out.chunks_exact_mut(width).enumerate() {
        out.fill(T::ZERO);
        let terms = lanes.chunks_exact(width).zip(&weights[k * count..]);
        for (lane, weight) in terms {
            for (out, lane) in out.iter_mut().zip(lane) {
                *out += *weight * *lane;
            }
        }
        if let (Some(gains), Some(fresh)) = (gains, fresh) {
            for (out, fresh) in out.iter_mut().zip(fresh) {
                *out += gains[k] * *fresh;
            }
        }
    }
}

/// The inputs of the backward pass of a row.
struct Row<'a, T> {
    weights: &'a [T],
    gains: Option<&'a [T]>,
    lanes: &'a [T],
    fresh: Option<&'a [T]>,
    d_out: &'a [T],
}

impl<T: Real> Row<'_, T> {
    /// Writes the gradients of the lanes and of z. Adds the gradients of the weights, and after
    /// them those of the factors β, to `sums`.
    #[inline(always)]
    fn backward(&self, width: usize, d_lanes: &mut [T], d_fresh: &mut [T], sums: &mut [T]) {
        let count = self.lanes.len() / width;
        let of_weights = self.d_out.len() / width * count;
        d_lanes.fill(T::ZERO);
        d_fresh.fill(T::ZERO);
        for (k, d_out) in self.d_out.chunks_exact(width).enumerate() {
            let lanes = self.lanes.chunks_exact(width);
            let lanes = lanes.zip(d_lanes.chunks_exact_mut(width)).enumerate();
            for (n, (lane, d_lane)) in lanes {
                let weight = self.weights[k * count + n];
                sums[k * count + n] += T::dot(d_out, lane);
                for (d_lane, d_out) in d_lane.iter_mut().zip(d_out) {
                    *d_lane += weight * *d_out;
                }
            }
            if let (Some(gains), Some(fresh)) = (self.gains, self.fresh) {
                sums[of_weights + k] += T::dot(d_out, fresh);
                for (d_fresh, d_out) in d_fresh.iter_mut().zip(d_out) {
                    *d_fresh += gains[k] * *d_out;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
