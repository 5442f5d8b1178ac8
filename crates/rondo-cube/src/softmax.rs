//! The softmax of attention's scores, in their own memory: row i is that of the scores of query i, of which a causal one sees
//! the first i + 1.
//!
//! ```text
//! pᵢⱼ = e^(c·sᵢⱼ) / Σₖ e^(c·sᵢₖ)                c a factor, k over what the query sees; 0 elsewhere
//! dsᵢⱼ = c · pᵢⱼ · (dpᵢⱼ − Σₖ dpᵢₖ · pᵢₖ)
//! ```

mod kernels;

use burn::backend::TensorMetadata;

use self::kernels::{backward_kernel, forward_kernel};
use crate::rows::{Tile, cube_count};
use crate::tensor::{CubeTensor, check, matrix};

/// Makes weights of scores that nothing else holds, and returns them.
///
/// # Shapes
///
/// `scores`: `[.., queries, keys]`, as many keys as queries where it is `causal`.
///
/// # Panics
///
/// Panics where the tensor is not contiguous f32, or has other shapes.
pub fn forward(scores: CubeTensor, factor: f32, causal: bool) -> CubeTensor {
    let (rows, queries, tile) = layout(&scores, causal);
    forward_kernel::launch(
        &scores.client,
        cube_count(tile.cubes(rows)),
        tile.cube_dim(),
        scores.clone().into_buffer_arg(),
        rows,
        queries,
        factor,
        tile,
        causal,
    );
    scores
}

/// Makes gradients of scores of those of their weights, which nothing else holds, and returns them.
///
/// # Shapes
///
/// As [`forward`], both tensors.
///
/// # Panics
///
/// As [`forward`].
pub fn backward(
    weights: &CubeTensor,
    d_weights: CubeTensor,
    factor: f32,
    causal: bool,
) -> CubeTensor {
    let (rows, queries, tile) = layout(&d_weights, causal);
    check(weights);
    assert_eq!(
        weights.shape(),
        d_weights.shape(),
        "the gradient of weights"
    );
    backward_kernel::launch(
        &weights.client,
        cube_count(tile.cubes(rows)),
        tile.cube_dim(),
        weights.clone().into_buffer_arg(),
        d_weights.clone().into_buffer_arg(),
        rows,
        queries,
        factor,
        tile,
        causal,
    );
    d_weights
}

/// Returns the rows of all matrices, the queries of each, and how units are laid over them.
fn layout(x: &CubeTensor, causal: bool) -> (usize, usize, Tile) {
    check(x);
    let [rows, keys] = matrix(x);
    let shape = x.shape();
    let queries = shape[shape.num_dims() - 2];
    assert!(
        !causal || queries == keys,
        "{queries} causal queries of {keys} keys"
    );
    (rows, queries, Tile::new(keys))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Numbers, TestDevice, assert_close, device, values};

    /// Weights by f64, `[matrices · queries, keys]`.
    fn expected(
        scores: &[f32],
        [queries, keys]: [usize; 2],
        factor: f64,
        causal: bool,
    ) -> Vec<f64> {
        let mut weights = Vec::with_capacity(scores.len());
        for (row, scores) in scores.chunks(keys).enumerate() {
            let seen = if causal { row % queries + 1 } else { keys };
            let scaled = |s: &f32| f64::from(*s) * factor;
            let largest = scores[..seen]
                .iter()
                .map(scaled)
                .fold(f64::NEG_INFINITY, f64::max);
            let powers: Vec<f64> = scores[..seen]
                .iter()
                .map(|s| (scaled(s) - largest).exp())
                .collect();
            let sum: f64 = powers.iter().sum();
            weights.extend(powers.iter().map(|power| power / sum));
            weights.extend((seen..keys).map(|_| 0.0));
        }
        weights
    }

    fn check_at(device: &TestDevice, [matrices, queries, keys]: [usize; 3], causal: bool) {
        let mut numbers = Numbers::new(4.0);
        let count = matrices * queries * keys;
        let (scores, d_weights) = (numbers.vector(count), numbers.vector(count));
        let factor = 0.25_f32;
        let shape = [matrices, queries, keys];
        let found = forward(device.tensor(&scores, shape), factor, causal);
        let backward = backward(&found, device.tensor(&d_weights, shape), factor, causal);
        let (found, backward) = (values(found), values(backward));
        let expected = expected(&scores, [queries, keys], f64::from(factor), causal);
        for (row, expected) in expected.chunks(keys).enumerate() {
            let at = row * keys;
            // An exponential of a device may be off by 3 + 2·|x| units in the last place, and |x| is at most 2 here.
            for (found, expected) in found[at..].iter().zip(expected) {
                assert_close(*found, *expected, 2.0 * expected);
            }
            let d = |k: usize| f64::from(d_weights[at + k]);
            let products = (0..keys).map(|k| d(k) * expected[k]);
            let (mean, size): (f64, f64) = (products.clone().sum(), products.map(f64::abs).sum());
            for (k, p) in expected.iter().enumerate() {
                let scale = f64::from(factor) * p;
                let terms = 3.0 * scale * (d(k).abs() + size);
                assert_close(backward[at + k], scale * (d(k) - mean), terms);
            }
        }
    }

    #[test]
    fn weights_and_their_gradients_are_those_of_f64() {
        let Some(device) = device() else { return };
        for seq in [1, 63, 65, 300] {
            check_at(&device, [3, seq, seq], true);
        }
        for shape in [[3, 1, 65], [2, 20, 24], [1, 7, 600]] {
            check_at(&device, shape, false);
        }
    }

    #[test]
    fn what_a_query_does_not_see_makes_no_difference() {
        let Some(device) = device() else { return };
        let scores = [1e30, f32::NAN, 0.0, 0.0];
        let found = forward(device.tensor(&scores, [2, 2]), 1.0, true);
        assert_eq!(values(found), [1.0, 0.0, 0.5, 0.5]);
        let weights = device.tensor(&[1.0, 0.0, 0.5, 0.5], [2, 2]);
        let d = device.tensor(&[1.0, f32::NAN, 3.0, 1.0], [2, 2]);
        // 0.5 · (3 − 2) and 0.5 · (1 − 2).
        assert_eq!(
            values(backward(&weights, d, 1.0, true)),
            [0.0, 0.0, 0.5, -0.5]
        );
    }
}
