//! The functions of this crate by each of the instructions that the machine has, not the widest
//! alone.

use std::cell::Cell;

use super::Level;
use crate::attention::{Gate, Opening, Preparation, Shape};
use crate::cross_entropy::{Head, loss_with_gradients};
use crate::feed_forward::FeedForward;
use crate::matrix::Matrix;
use crate::norm::RmsNorm;
use crate::product::Precision;
use crate::self_attention::SelfAttention;
use crate::sublayer::{After, Branch, Sublayer};
use crate::update::{Parameter, Step, adamw, sum_of_squares};

thread_local! {
    static WIDEST: Cell<Level> = const { Cell::new(Level::Avx512) };
}

/// Returns the widest instructions that this thread picks.
pub(super) fn widest() -> Level {
    WIDEST.get()
}

/// Returns what `work` gives on threads that pick nothing wider than each level, the widest first.
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

/// Values between −1 and 1 that do not repeat soon.
fn waves(count: usize, step: f32) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * step).sin()).collect()
}

/// Returns the output and the gradients of a sublayer around the branch.
fn sublayer<B: Branch>(branch: B) -> Vec<f32> {
    let (x, d_out) = (waves(ROWS * WIDTH, 0.7), waves(ROWS * WIDTH, 1.9));
    let (scale, x) = (waves(WIDTH, 0.3), Matrix::new(&x, ROWS, WIDTH));
    let norm = RmsNorm {
        scale: Some(&scale),
        eps: 1e-5,
    };
    let sublayer = Sublayer {
        before: Some(norm),
        branch,
        after: After::NormOfSum(norm),
    };
    let (out, saved) = sublayer.forward(x);
    let gradients = sublayer.backward(x, &saved, Matrix::new(&d_out, ROWS, WIDTH));
    let parts = [out, gradients.input].into_iter().chain(gradients.weights);
    parts.flatten().collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_gated_mlp_with_its_norms_has_the_same_bits_by_all_instructions() {
    let (w_in, w_out) = (waves(WIDTH * 2 * WIDTH, 1.3), waves(WIDTH * WIDTH, 2.3));
    let [wide, middle, plain] = at_every_level(|| {
        sublayer(FeedForward {
            in_proj: Matrix::new(&w_in, WIDTH, 2 * WIDTH),
            out_proj: Matrix::new(&w_out, WIDTH, WIDTH),
            precision: Precision::F32,
        })
    });
    assert!(bits(&wide) == bits(&middle) && bits(&wide) == bits(&plain));
}

#[test]
fn the_loss_and_an_update_have_the_same_bits_by_all_instructions() {
    const VOCAB: usize = 101;
    let (hidden, head) = (waves(ROWS * WIDTH, 0.7), waves(WIDTH * VOCAB, 1.3));
    let targets: Vec<i32> = (0..ROWS).map(|i| (i * 7 % VOCAB) as i32).collect();
    let [wide, middle, plain] = at_every_level(|| {
        let (hidden, table) = (
            Matrix::new(&hidden, ROWS, WIDTH),
            Matrix::new(&head, WIDTH, VOCAB),
        );
        let found =
            loss_with_gradients(hidden, Head::Untied(table), &targets, None, Precision::F32);
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
        adamw(parameter, step, 1e-8);
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

/// Checks that a sublayer around attention is the same by all instructions, to rounding: the tiles
/// multiply and add in one rounding where the machine can.
fn check_attention(gate: Option<Gate<'_>>) {
    let shape = Shape {
        batch: 2,
        seq: ROWS / 2,
        heads: HEADS,
        kv_heads: HEADS,
        d_head: WIDTH / HEADS,
    };
    let (qkv, proj) = (waves(WIDTH * 3 * WIDTH, 1.3), waves(WIDTH * WIDTH, 2.3));
    let [wide, middle, plain] = at_every_level(|| {
        sublayer(SelfAttention {
            shape,
            qkv: Matrix::new(&qkv, WIDTH, 3 * WIDTH),
            preparation: Preparation::default(),
            gate,
            proj: Matrix::new(&proj, WIDTH, WIDTH),
            precision: Precision::F32,
        })
    });
    for other in [middle, plain] {
        for (a, b) in wide.iter().zip(&other) {
            assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{a} is not {b}");
        }
    }
}

#[test]
fn attention_is_the_same_to_rounding_by_all_instructions() {
    check_attention(None);
}

#[test]
fn gated_attention_is_the_same_to_rounding_by_all_instructions() {
    for opening in [Opening::Drawn { key: 1 }, Opening::Threshold] {
        check_attention(Some(Gate {
            opening,
            bias: 0.5,
            head_bias: Some(&[0.1, -0.2, -1.3]),
            d_density: 3.0,
        }));
    }
}
