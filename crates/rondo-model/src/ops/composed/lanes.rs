//! Weighted sums of lanes.

use burn::tensor::{Tensor, s};
use rondo_kernels::lanes::{LaneMix, LaneMixTensors};

/// See [`crate::ops::Operations::mix_lanes`].
pub(crate) fn mix_lanes(mix: LaneMix, tensors: LaneMixTensors<Tensor<3>, Tensor<2>>) -> Tensor<3> {
    let LaneMixTensors {
        lanes,
        fresh,
        weights,
        gains,
    } = tensors;
    let [_, _, all] = lanes.dims();
    let width = all / mix.lanes;
    let number = |table: &Tensor<2>, column: usize| -> Tensor<3> {
        let one = table
            .clone()
            .slice(s![mix.row..mix.row + 1, column..column + 1]);
        one.unsqueeze()
    };
    let lane = |n: usize| lanes.clone().slice(s![.., .., n * width..(n + 1) * width]);
    let sum = |k: usize| {
        let term = |n: usize| lane(n) * number(&weights, k * mix.lanes + n);
        let first = term(0);
        let old = (1..mix.lanes).fold(first, |sum, n| sum + term(n));
        match (&fresh, &gains) {
            (Some(fresh), Some(gains)) => old + fresh.clone() * number(gains, k),
            _ => old,
        }
    };
    let sums: Vec<Tensor<3>> = (0..mix.sums).map(sum).collect();
    Tensor::cat(sums, 2)
}
