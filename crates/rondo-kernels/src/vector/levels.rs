//! Tests the functions of this crate with every instruction set that the machine has, not only with
//! the widest.

use std::cell::Cell;

use super::Level;
use crate::attention::{Gate, Opening};
use crate::cross_entropy::{Head, loss_with_gradients};
use crate::feed_forward::{FeedForward, FeedForwardWeights};
use crate::matrix::Matrix;
use crate::norm::Norm;
use crate::product::Precision;
use crate::self_attention::{AttentionWeights, Heads, OverSequences, SelfAttention};
use crate::sublayer::{After, Branch, Sublayer, SublayerTensors};
use crate::update::{Parameter, Rule, Step, Update, sum_of_squares};

thread_local! {
    static WIDEST: Cell<Level> = const { Cell::new(Level::Avx512) };
}

/// Returns the widest instruction set that this thread may select.
pub(super) fn widest() -> Level {
    WIDEST.get()
}

/// Returns the results of `work` on threads that are limited to each instruction set, the widest
/// first.
fn at_every_level<R: Send>(work: impl Fn() -> R + Sync) -> [R; 3] {
    [Level::Avx512, Level::Avx2, Level::Baseline].map(|level| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(2)
            .start_handler(move |_| WIDEST.set(level))
            .build();
        pool.expect("threads").install(&work)
    })
}

const ROWS: usize = 70;
const WIDTH: usize = 48;
const HEADS: usize = 3;

/// Returns values between −1 and 1 that do not repeat soon.
fn waves(count: usize, step: f32) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * step).sin()).collect()
}

/// Returns the output and the gradients of a sublayer around the branch. `list` returns the
/// gradients of the branch's weights.
fn sublayer<B: Branch>(
    branch: B,
    weights: B::Weights<Matrix<'_>>,
    list: impl Fn(B::Weights<Vec<f32>>) -> Vec<Vec<f32>>,
) -> Vec<f32> {
    let (x, d_out) = (waves(ROWS * WIDTH, 0.7), waves(ROWS * WIDTH, 1.9));
    let scale = waves(WIDTH, 0.3);
    let (norm, scale) = (Norm { eps: 1e-5 }, Matrix::new(&scale, 1, WIDTH));
    let sublayer = Sublayer {
        before: Some(norm),
        branch,
        after: After::NormOfSum(norm),
    };
    let tensors = SublayerTensors {
        x: Matrix::new(&x, ROWS, WIDTH),
        before: Some(scale),
        after: Some(scale),
        branch: weights,
    };
    let (out, saved) = sublayer.forward(&tensors);
    let gradients = sublayer.backward(&tensors, &saved, Matrix::new(&d_out, ROWS, WIDTH));
    let scales = [gradients.before, gradients.after].into_iter().flatten();
    let parts = [out, gradients.x].into_iter().chain(scales);
    parts.chain(list(gradients.branch)).flatten().collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_gated_mlp_with_its_norms_has_the_same_bits_by_all_instructions() {
    let (w_in, w_out) = (waves(WIDTH * 2 * WIDTH, 1.3), waves(WIDTH * WIDTH, 2.3));
    let [wide, middle, plain] = at_every_level(|| {
        sublayer(
            FeedForward {
                precision: Precision::F32,
            },
            FeedForwardWeights {
                in_proj: Matrix::new(&w_in, WIDTH, 2 * WIDTH),
                out_proj: Matrix::new(&w_out, WIDTH, WIDTH),
            },
            |gradients| vec![gradients.in_proj, gradients.out_proj],
        )
    });
    assert!(bits(&wide) == bits(&middle) && bits(&wide) == bits(&plain));
}

#[test]
fn the_loss_and_an_update_have_the_same_bits_by_all_instructions() {
    const VOCAB: usize = 101;
    let (hidden, head) = (waves(ROWS * WIDTH, 0.7), waves(WIDTH * VOCAB, 1.3));
    let targets: Vec<i32> = (0..ROWS).map(|i| (i * 7 % VOCAB) as i32).collect();
    let [wide, middle, plain] = at_every_level(|| {
        let (hidden, matrix) = (
            Matrix::new(&hidden, ROWS, WIDTH),
            Matrix::new(&head, WIDTH, VOCAB),
        );
        let untied = Head {
            tied: false,
            precision: Precision::F32,
        };
        let found = loss_with_gradients(untied, hidden, matrix, &targets, None);
        let mut value = head.clone();
        let [mut first, mut second] = [vec![0.0; head.len()], vec![0.0; head.len()]];
        let parameter = Parameter {
            value: &mut value,
            first: &mut first,
            second: &mut second,
            gradient: &found.d_head,
        };
        let step = Step {
            lr: 1e-2,
            decay: 1e-3,
            beta1: 0.9,
            beta2: 0.95,
            update: 1,
            gradient_scale: 0.5,
        };
        let rule = Rule::AdamW { eps: 1e-8 };
        Update { rule, step }.apply(parameter);
        let norm = sum_of_squares(&found.d_head).to_bits();
        let parts = [
            vec![found.loss],
            found.d_hidden,
            found.d_head,
            value,
            second,
        ];
        (bits(&parts.concat()), norm)
    });
    assert!(wide == middle && wide == plain);
}

/// Checks that a sublayer around attention gives the same result with all instruction sets, up to
/// rounding: tiles use fused multiply-adds only if the instruction set has them.
fn check_attention(gate: Option<Gate>, gate_bias: Option<&[f32]>) {
    let heads = Heads {
        queries: HEADS,
        keys: HEADS,
        d_head: WIDTH / HEADS,
    };
    let (qkv, proj) = (waves(WIDTH * 3 * WIDTH, 1.3), waves(WIDTH * WIDTH, 2.3));
    let [wide, middle, plain] = at_every_level(|| {
        sublayer(
            OverSequences {
                attention: SelfAttention {
                    heads,
                    qk_norm: None,
                    gate,
                    precision: Precision::F32,
                },
                sequences: [2, ROWS / 2],
                rope: None,
                segments: None,
            },
            AttentionWeights {
                qkv: Matrix::new(&qkv, WIDTH, 3 * WIDTH),
                qk_bias: None,
                q_norm: None,
                k_norm: None,
                gate_bias: gate_bias.map(|bias| Matrix::new(bias, 1, HEADS)),
                proj: Matrix::new(&proj, WIDTH, WIDTH),
            },
            |gradients| {
                let bias = gradients.gate_bias.into_iter();
                bias.chain([gradients.qkv, gradients.proj]).collect()
            },
        )
    });
    for other in [middle, plain] {
        for (a, b) in wide.iter().zip(&other) {
            assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{a} is not {b}");
        }
    }
}

#[test]
fn attention_is_the_same_to_rounding_by_all_instructions() {
    check_attention(None, None);
}

#[test]
fn gated_attention_is_the_same_to_rounding_by_all_instructions() {
    for opening in [Opening::Drawn { key: 1 }, Opening::Threshold] {
        let gate = Gate {
            opening,
            bias: 0.5,
            d_density: 3.0,
        };
        check_attention(Some(gate), Some(&[0.1, -0.2, -1.3]));
    }
}
