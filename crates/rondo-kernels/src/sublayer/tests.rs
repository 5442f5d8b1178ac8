//! Compares sublayers around an MLP with a version in f64, and their gradients with the central
//! differences of that version.

use super::*;
use crate::feed_forward::{FeedForward, FeedForwardWeights};
use crate::product::Precision;
use crate::threads::one_and_two;

/// The sizes of a sublayer, and the norms that it has.
#[derive(Clone, Copy, Debug)]
struct Case {
    rows: usize,
    width: usize,
    d_ff: usize,
    before: Option<bool>,
    after: AfterKind,
    scale: f32,
}

/// The kind of [`After`]. The flag states whether the norm has a scale.
#[derive(Clone, Copy, Debug)]
enum AfterKind {
    Sum,
    NormOfSum(bool),
    NormOfBranch(bool),
}

const EPS: f32 = 1e-5;

/// The operands: x, the scale before, the scale after, W_in, W_out, and the weights of the output
/// in the loss.
type Operands<T> = [Vec<T>; 6];

fn narrow(operands: &Operands<f64>) -> Operands<f32> {
    let narrow = |x: &Vec<f64>| x.iter().map(|&x| x as f32).collect();
    operands.each_ref().map(narrow)
}

impl Case {
    fn operands(self) -> Operands<f64> {
        let Self {
            rows, width, d_ff, ..
        } = self;
        let sizes = [
            rows * width,
            width,
            width,
            width * 2 * d_ff,
            d_ff * width,
            rows * width,
        ];
        let mut state = 1_u64;
        sizes.map(|size| {
            let next = || {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                // The number is rounded to f32, so the kernel and the f64 version get the same
                // number.
                let uniform = (state >> 40) as f32 / (1 << 24) as f32 - 0.5;
                f64::from(uniform * 2.0 * self.scale)
            };
            std::iter::repeat_with(next).take(size).collect()
        })
    }

    /// Returns `Σ c ⊙ sublayer(x)`, computed in f64.
    fn loss(self, [x, before, after, w_in, w_out, c]: &Operands<f64>) -> f64 {
        let norm = |x: &[f64], scale: Option<&[f64]>| -> Vec<f64> {
            let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
            let r = 1.0 / (mean + f64::from(EPS)).sqrt();
            let scaled = |(i, x): (usize, &f64)| x * r * scale.map_or(1.0, |scale| scale[i]);
            x.iter().enumerate().map(scaled).collect()
        };
        let Self { width, d_ff, .. } = self;
        let mut loss = 0.0;
        for (x, c) in x.chunks(width).zip(c.chunks(width)) {
            let input = match self.before {
                Some(scaled) => norm(x, scaled.then_some(before)),
                None => x.to_vec(),
            };
            let inner = |column: usize| -> f64 {
                let rows = input.iter().enumerate();
                rows.map(|(i, x)| x * w_in[i * 2 * d_ff + column]).sum()
            };
            let gate = |a: f64| a / (1.0 + (-a).exp());
            let h: Vec<f64> = (0..d_ff)
                .map(|j| gate(inner(j)) * inner(d_ff + j))
                .collect();
            let outer = |column: usize| -> f64 {
                let rows = h.iter().enumerate();
                rows.map(|(j, h)| h * w_out[j * width + column]).sum()
            };
            let y: Vec<f64> = (0..width).map(outer).collect();
            let sum: Vec<f64> = x.iter().zip(&y).map(|(x, y)| x + y).collect();
            let out = match self.after {
                AfterKind::Sum => sum,
                AfterKind::NormOfSum(scaled) => norm(&sum, scaled.then_some(after)),
                AfterKind::NormOfBranch(scaled) => {
                    let y = norm(&y, scaled.then_some(after));
                    x.iter().zip(y).map(|(x, y)| x + y).collect()
                }
            };
            loss += out.iter().zip(c).map(|(out, c)| out * c).sum::<f64>();
        }
        loss
    }

    fn sublayer(self) -> Sublayer<FeedForward> {
        let norm = Norm { eps: EPS };
        Sublayer {
            before: self.before.map(|_| norm),
            branch: FeedForward {
                precision: Precision::F32,
            },
            after: match self.after {
                AfterKind::Sum => After::Sum,
                AfterKind::NormOfSum(_) => After::NormOfSum(norm),
                AfterKind::NormOfBranch(_) => After::NormOfBranch(norm),
            },
        }
    }

    fn tensors<'a>(
        self,
        [x, before, after, w_in, w_out, _]: &'a Operands<f32>,
    ) -> SublayerTensors<Matrix<'a>, FeedForwardWeights<Matrix<'a>>> {
        let Self {
            rows, width, d_ff, ..
        } = self;
        let scale = |scale: &'a [f32]| Matrix::new(scale, 1, width);
        let scaled = matches!(
            self.after,
            AfterKind::NormOfSum(true) | AfterKind::NormOfBranch(true)
        );
        SublayerTensors {
            x: Matrix::new(x, rows, width),
            before: (self.before == Some(true)).then(|| scale(before)),
            after: scaled.then(|| scale(after)),
            branch: FeedForwardWeights {
                in_proj: Matrix::new(w_in, width, 2 * d_ff),
                out_proj: Matrix::new(w_out, d_ff, width),
            },
        }
    }

    fn check(self) {
        let operands = self.operands();
        let narrow = narrow(&operands);
        let [.., c] = &narrow;
        let Self { rows, width, .. } = self;
        let (sublayer, tensors) = (self.sublayer(), self.tensors(&narrow));
        let (out, saved) = sublayer.forward(&tensors);
        let loss: f64 = out
            .iter()
            .zip(c)
            .map(|(y, c)| f64::from(*y) * f64::from(*c))
            .sum();
        let exact = self.loss(&operands);
        assert!(
            (loss - exact).abs() < 1e-4 * (1.0 + exact.abs()),
            "{self:?}: {loss} {exact}"
        );
        let gradients = sublayer.backward(&tensors, &saved, Matrix::new(c, rows, width));
        assert_eq!(gradients.before.is_some(), tensors.before.is_some());
        assert_eq!(gradients.after.is_some(), tensors.after.is_some());
        let ours = [
            Some(gradients.x),
            gradients.before,
            gradients.after,
            Some(gradients.branch.in_proj),
            Some(gradients.branch.out_proj),
        ];
        for (which, gradient) in ours.into_iter().enumerate() {
            for (i, ours) in gradient.into_iter().flatten().enumerate() {
                let moved = |by: f64| {
                    let mut operands = operands.clone();
                    operands[which][i] += by;
                    self.loss(&operands)
                };
                let exact = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                let difference = (f64::from(ours) - exact).abs();
                assert!(
                    difference < 2e-4 * (1.0 + exact.abs()),
                    "{self:?}: operand {which}, element {i}: {ours} against {exact}"
                );
            }
        }
    }
}

#[test]
fn every_placement_of_the_norms_has_the_gradient_of_its_differences() {
    let befores = [None, Some(false), Some(true)];
    let afters = [
        AfterKind::Sum,
        AfterKind::NormOfSum(false),
        AfterKind::NormOfSum(true),
        AfterKind::NormOfBranch(false),
        AfterKind::NormOfBranch(true),
    ];
    for before in befores {
        for after in afters {
            Case {
                rows: 3,
                width: 5,
                d_ff: 7,
                before,
                after,
                scale: 1.0,
            }
            .check();
        }
    }
}

#[test]
fn odd_sizes_and_large_values_have_the_gradient_of_their_differences() {
    for (rows, width, d_ff, scale) in [
        (1, 1, 1, 1.0),
        (2, 17, 3, 0.5),
        (1, 33, 19, 0.3),
        (4, 2, 16, 6.0),
    ] {
        Case {
            rows,
            width,
            d_ff,
            before: Some(true),
            after: AfterKind::NormOfSum(true),
            scale,
        }
        .check();
    }
}

#[test]
fn one_thread_and_two_give_the_same_bits() {
    let case = Case {
        rows: 700,
        width: 96,
        d_ff: 130,
        before: Some(true),
        after: AfterKind::NormOfSum(true),
        scale: 1.0,
    };
    let operands = narrow(&case.operands());
    let (sublayer, tensors) = (case.sublayer(), case.tensors(&operands));
    let [.., c] = &operands;
    let c = Matrix::new(c, case.rows, case.width);
    let [one, two] = one_and_two(|| {
        let (out, saved) = sublayer.forward(&tensors);
        let gradients = sublayer.backward(&tensors, &saved, c);
        let FeedForwardWeights { in_proj, out_proj } = gradients.branch;
        let all = [out, gradients.x, in_proj, out_proj].into_iter();
        let all = all.chain(gradients.before).chain(gradients.after);
        all.flatten().map(f32::to_bits).collect::<Vec<u32>>()
    });
    assert!(one == two);
}
