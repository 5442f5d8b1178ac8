//! Compares sublayers whose products round to bf16 with the same sublayers without rounding.

use super::*;
use crate::feed_forward::{FeedForward, FeedForwardWeights};
use crate::product::Precision;
use crate::self_attention::{AttentionWeights, Heads, OverSequences, SelfAttention};

const ROWS: usize = 80;
const WIDTH: usize = 48;
const D_FF: usize = 100;

/// The largest relative error of a bf16 number, 2⁻⁹.
const ROUNDING: f64 = 1.0 / 512.0;

/// Returns random numbers with the variance of a weight, so sums of products cancel only by chance.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let scale = (3.0 / WIDTH as f32).sqrt();
    let mut state = seed;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let uniform = (state >> 40) as f32 / (1 << 23) as f32 - 1.0;
        uniform * scale
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Checks that the output and every gradient of `x + branch(norm(x))` with rounding are close to
/// those without rounding. `list` returns the gradients of the branch's weights.
fn check<B: Branch>(
    branch: impl Fn(Precision) -> B,
    weights: B::Weights<Matrix<'_>>,
    list: impl Fn(B::Weights<Vec<f32>>) -> Vec<Vec<f32>>,
) {
    let (x, d_out) = (numbers(ROWS * WIDTH, 1), numbers(ROWS * WIDTH, 2));
    let tensors = SublayerTensors {
        x: Matrix::new(&x, ROWS, WIDTH),
        before: None,
        after: None,
        branch: weights,
    };
    let run = |precision| {
        let sublayer = Sublayer {
            before: Some(Norm { eps: 1e-5 }),
            branch: branch(precision),
            after: After::Sum,
        };
        let (out, saved) = sublayer.forward(&tensors);
        let gradients = sublayer.backward(&tensors, &saved, Matrix::new(&d_out, ROWS, WIDTH));
        let parts = [out, gradients.x].into_iter();
        parts.chain(list(gradients.branch)).collect::<Vec<_>>()
    };
    let (full, rounded) = (run(Precision::F32), run(Precision::Bf16));
    assert_eq!(full.len(), rounded.len());
    for (part, (full, rounded)) in full.iter().zip(&rounded).enumerate() {
        let square = |x: f32| f64::from(x) * f64::from(x);
        let size: f64 = full.iter().map(|x| square(*x)).sum();
        let pairs = full.iter().zip(rounded);
        let error: f64 = pairs.map(|(full, rounded)| square(full - rounded)).sum();
        let share = (error / size).sqrt();
        // The longest path to a gradient passes three products with two rounded factors each. The
        // functions between the products are at most quadratic in their input. At most ten
        // roundings therefore add up in one direction.
        assert!(
            share > 0.0 && share < 10.0 * ROUNDING,
            "part {part} is off by {share}"
        );
    }
}

#[test]
fn a_gated_mlp_of_rounded_numbers_is_near_that_of_the_numbers() {
    let (w_in, w_out) = (numbers(WIDTH * 2 * D_FF, 3), numbers(D_FF * WIDTH, 4));
    check(
        |precision| FeedForward { precision },
        FeedForwardWeights {
            in_proj: Matrix::new(&w_in, WIDTH, 2 * D_FF),
            out_proj: Matrix::new(&w_out, D_FF, WIDTH),
        },
        |gradients| vec![gradients.in_proj, gradients.out_proj],
    );
}

#[test]
fn attention_between_rounded_projections_is_near_that_between_the_projections() {
    let (qkv, proj) = (numbers(WIDTH * 3 * WIDTH, 3), numbers(WIDTH * WIDTH, 4));
    check(
        |precision| OverSequences {
            attention: SelfAttention {
                heads: Heads {
                    queries: 3,
                    keys: 3,
                    d_head: 16,
                },
                qk_norm: None,
                gate: None,
                precision,
            },
            sequences: [2, 40],
            rope: None,
            segments: None,
        },
        AttentionWeights {
            qkv: Matrix::new(&qkv, WIDTH, 3 * WIDTH),
            qk_bias: None,
            q_norm: None,
            k_norm: None,
            gate_bias: None,
            proj: Matrix::new(&proj, WIDTH, WIDTH),
        },
        |gradients| vec![gradients.qkv, gradients.proj],
    );
}
