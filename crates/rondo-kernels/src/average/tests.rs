//! Compares the streaming form with golden values ([tests/golden/injections]): the direct sums of
//! the published formula, and their gradients. The gradients were confirmed with complex steps when
//! the golden values were made.
//!
//! [tests/golden/injections]: ../../../../tests/golden/injections

use super::blend::{backward_of_new, backward_of_past};
use super::total::{backward_row, forward_row};
use super::{Blend, BlendTensors, EPS, Forgetting, Total, TotalTensors, blend};
use crate::golden::Golden;
use crate::matrix::Matrix;
use crate::threads::one_and_two;

/// The ε of the golden values, used by the row functions in f64.
const EPSILON: f64 = 1e-6;
const F64_OUTPUT: f64 = 1e-13;
const F64_GRADIENT: f64 = 1e-11;
const F32_OUTPUT: f64 = 2e-6;
const F32_GRADIENT: f64 = 1e-5;
/// The tolerance of an average in f32 over up to a thousand iterations.
const F32_STREAM: f64 = 1e-5;

const GOLDEN: &[u8] = include_bytes!("../../../../tests/golden/injections/infiloop.safetensors");

/// The average over the iterations of one token, in f64.
struct Stream<'a> {
    q: &'a [f64],
    log_beta: f64,
    average: Option<(Vec<f64>, f64)>,
}

impl<'a> Stream<'a> {
    fn new(q: &'a [f64], log_beta: f64) -> Self {
        Self {
            q,
            log_beta,
            average: None,
        }
    }

    /// Adds the next output z to the average; returns its share γ of the weights.
    fn push(&mut self, z: &[f64]) -> f64 {
        let past = self.average.take();
        let total = forward_row(
            self.q,
            z,
            past.as_ref().map(|(_, total)| *total),
            self.log_beta,
            EPSILON,
        );
        let share = (forward_row(self.q, z, None, self.log_beta, EPSILON) - total).exp();
        let h = match past {
            None => z.to_vec(),
            Some((h, _)) => {
                let mut y = vec![0.0; z.len()];
                blend::forward_row(self.q, z, &h, total, EPSILON, &mut y);
                y
            }
        };
        self.average = Some((h, total));
        share
    }

    fn h(&self) -> &[f64] {
        self.average.as_ref().map_or(&[], |(h, _)| h)
    }
}

/// Does what [`Stream::push`] does, in f32 with the kernels. `state` holds the average and the
/// logarithm of the sum of its weights.
fn push_f32(q: &[f32], beta: f32, state: &mut Option<(Vec<f32>, Vec<f32>)>, z: &[f32]) {
    let row = |x| Matrix::new(x, 1, z.len());
    let one = |x| Matrix::new(x, 1, 1);
    let node = Total {
        forgetting: Forgetting::Fixed(beta),
    };
    let total = node.forward(&TotalTensors {
        z: row(z),
        past: state.as_ref().map(|(_, total)| one(total)),
        query: row(q),
        beta: None,
    });
    let h = match &*state {
        None => z.to_vec(),
        Some((h, _)) => Blend.forward(&BlendTensors {
            z: row(z),
            average: row(h),
            total: one(&total),
            query: row(q),
        }),
    };
    *state = Some((h, total));
}

fn largest(found: impl IntoIterator<Item = f64>, expected: &[f64]) -> f64 {
    let pairs = found.into_iter().zip(expected);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn narrow(x: &[f64]) -> Vec<f32> {
    x.iter().map(|x| *x as f32).collect()
}

fn wide(x: &[f32]) -> impl Iterator<Item = f64> {
    x.iter().map(|x| f64::from(*x))
}

#[test]
fn the_stream_is_the_direct_weighted_sum_over_a_thousand_steps() {
    let golden = Golden::open(GOLDEN);
    let (z, q) = (golden.get("z"), golden.get("q"));
    let kept = [1, 2, 3, 5, 10, 50, 100, 500, 1000];
    for (name, beta) in [("0.0", 0.0), ("0.5", 0.5), ("0.9", 0.9), ("0.999", 0.999)] {
        let (h, gamma) = (
            golden.get(&format!("beta_{name}.h")),
            golden.get(&format!("beta_{name}.gamma")),
        );
        let mut stream = Stream::new(q, f64::ln(beta));
        let (q_f32, mut state) = (narrow(q), None);
        let mut seen = 0;
        for (step, z) in z.chunks(8).enumerate() {
            let share = stream.push(z);
            push_f32(&q_f32, beta as f32, &mut state, &narrow(z));
            assert!(
                (share - gamma[step]).abs() < F64_OUTPUT,
                "β {beta}, step {step}"
            );
            if kept.contains(&(step + 1)) {
                let expected = &h[8 * seen..8 * (seen + 1)];
                let off = largest(stream.h().iter().copied(), expected);
                assert!(off < F64_OUTPUT, "β {beta}, step {step}: {off:e}");
                let (found, _) = state.as_ref().expect("a state");
                let off = largest(wide(found), expected);
                assert!(off < F32_STREAM, "β {beta}, step {step}: {off:e}");
                seen += 1;
            }
        }
        assert_eq!(seen, kept.len());
    }
}

#[test]
fn a_closed_loop_follows_the_published_rule() {
    let golden = Golden::open(GOLDEN);
    let (a, b, expected) = (
        golden.get("closed.A"),
        golden.get("closed.b"),
        golden.get("closed.h"),
    );
    let mut stream = Stream::new(golden.get("q"), 0.95_f64.ln());
    let mut h = vec![0.0; 8];
    let mut seen = 0;
    for step in 1..=200 {
        let row = |(row, b): (&[f64], &f64)| {
            let sum: f64 = row.iter().zip(&h).map(|(a, h)| a * h).sum();
            (sum + b).tanh()
        };
        let z: Vec<f64> = a.chunks(8).zip(b).map(row).collect();
        stream.push(&z);
        h = stream.h().to_vec();
        if [1, 2, 10, 50, 200].contains(&step) {
            let off = largest(h.iter().copied(), &expected[8 * seen..8 * (seen + 1)]);
            assert!(off < F64_OUTPUT, "step {step}: {off:e}");
            seen += 1;
        }
    }
}

/// Returns the gradients of `Σ G ⊙ h` over all iterations with respect to z, q and the number that
/// gives β. The row functions compute them in f64; `upstream` is G.
fn gradients(q: &[f64], z: &[f64], number: f64, upstream: &[f64]) -> (Vec<f64>, Vec<f64>, f64) {
    let [log_beta, of_number] = Forgetting::logarithm(0.0, Some(number));
    let width = q.len();
    let mut stream = Stream::new(q, log_beta);
    let mut states = Vec::new();
    for z in z.chunks(width) {
        stream.push(z);
        states.push(stream.average.clone().expect("a state"));
    }
    let (mut d_z, mut d_q, mut d_log_beta) = (vec![0.0; z.len()], vec![0.0; width], 0.0);
    let (mut d_h, mut d_total) = (vec![0.0; width], 0.0);
    for step in (0..states.len()).rev() {
        let at = step * width..(step + 1) * width;
        let (z, upstream) = (&z[at.clone()], &upstream[at.clone()]);
        let d_y: Vec<f64> = d_h.iter().zip(upstream).map(|(d, g)| d + g).collect();
        let total = states[step].1;
        let mut of_z = vec![0.0; width];
        match step.checked_sub(1).map(|past| &states[past]) {
            None => {
                of_z.clone_from(&d_y);
                d_h.fill(0.0);
            }
            Some((h, _)) => {
                let of_total = backward_of_past(q, z, h, &d_y, [total, EPSILON], &mut d_h);
                backward_of_new(q, z, &d_y, [total, of_total, EPSILON], &mut of_z, &mut d_q);
                d_total += of_total;
            }
        }
        let past = step.checked_sub(1).map(|past| states[past].1);
        let mut of_score = vec![0.0; width];
        d_total = backward_row(
            q,
            z,
            past,
            [log_beta, d_total, EPSILON],
            &mut of_score,
            &mut d_q,
        );
        d_log_beta += d_total;
        for (d_z, (a, b)) in d_z[at].iter_mut().zip(of_z.iter().zip(&of_score)) {
            *d_z = a + b;
        }
    }
    (d_z, d_q, d_log_beta * of_number)
}

fn relative(found: impl IntoIterator<Item = f64>, expected: &[f64]) -> f64 {
    let square = |x: f64| x * x;
    let off: f64 = found
        .into_iter()
        .zip(expected)
        .map(|(a, b)| square(a - b))
        .sum();
    (off / expected.iter().copied().map(square).sum::<f64>()).sqrt()
}

#[test]
fn the_gradients_are_those_of_the_direct_sum() {
    let golden = Golden::open(GOLDEN);
    let of = |name: &str| golden.get(&format!("short.{name}"));
    let number = of("beta_logit")[0];
    let (d_z, d_q, d_number) = gradients(of("q"), of("z"), number, of("upstream"));
    assert!(relative(d_z, of("grad.z")) < F64_GRADIENT);
    assert!(relative(d_q, of("grad.q")) < F64_GRADIENT);
    assert!(relative([d_number], of("grad.beta_logit")) < F64_GRADIENT);
}

fn rows(x: &[f32], width: usize) -> Matrix<'_> {
    Matrix::new(x, x.len() / width, width)
}

fn numbers(x: &[f32]) -> Matrix<'_> {
    rows(x, 1)
}

/// Runs the kernels on the short golden sequence, repeated for `tokens` tokens. Returns h and the
/// gradient of z for the first token, then the gradients of q and of the number that gives β,
/// summed over all tokens.
fn short(golden: &Golden, tokens: usize) -> (Vec<f32>, Vec<f32>, Vec<f32>, f32) {
    let of = |name: &str| golden.get(&format!("short.{name}"));
    let (width, number) = (of("q").len(), of("beta_logit")[0]);
    let (q, beta) = (narrow(of("q")), [number as f32]);
    let repeat = |x: &[f64]| -> Vec<f32> { narrow(x).repeat(tokens) };
    let steps: Vec<Vec<f32>> = of("z").chunks(width).map(repeat).collect();
    let upstream: Vec<Vec<f32>> = of("upstream").chunks(width).map(repeat).collect();
    let (query, learned) = (Matrix::new(&q, 1, width), Matrix::new(&beta, 1, 1));
    let node = Total {
        forgetting: Forgetting::Learned,
    };
    let mut states: Vec<(Vec<f32>, Vec<f32>)> = Vec::new();
    for z in &steps {
        let past = states.last();
        let total = node.forward(&TotalTensors {
            z: rows(z, width),
            past: past.map(|(_, total)| numbers(total)),
            query,
            beta: Some(learned),
        });
        let h = past.map_or_else(
            || z.clone(),
            |(h, _)| {
                Blend.forward(&BlendTensors {
                    z: rows(z, width),
                    average: rows(h, width),
                    total: numbers(&total),
                    query,
                })
            },
        );
        states.push((h, total));
    }
    let (mut d_z, mut d_q, mut d_beta) = (Vec::new(), vec![0.0; width], 0.0);
    let (mut d_h, mut d_total) = (vec![0.0; tokens * width], vec![0.0; tokens]);
    for step in (0..steps.len()).rev() {
        let d_y: Vec<f32> = d_h
            .iter()
            .zip(&upstream[step])
            .map(|(d, g)| d + g)
            .collect();
        let z = rows(&steps[step], width);
        let past = step.checked_sub(1).map(|past| &states[past]);
        let mut of_z = d_y.clone();
        d_h.fill(0.0);
        if let Some((h, _)) = past {
            let (average, total) = (rows(h, width), numbers(&states[step].1));
            let found = Blend.backward(
                &BlendTensors {
                    z,
                    average,
                    total,
                    query,
                },
                rows(&d_y, width),
            );
            (of_z, d_h) = (found.z, found.average);
            d_total
                .iter_mut()
                .zip(found.total)
                .for_each(|(sum, d)| *sum += d);
            d_q.iter_mut()
                .zip(found.query)
                .for_each(|(sum, d)| *sum += d);
        }
        let tensors = TotalTensors {
            z,
            past: past.map(|(_, total)| numbers(total)),
            query,
            beta: Some(learned),
        };
        let found = node.backward(&tensors, numbers(&d_total));
        d_total = found.past.unwrap_or_default();
        d_q.iter_mut()
            .zip(found.query)
            .for_each(|(sum, d)| *sum += d);
        d_beta += found.beta.expect("it is learned")[0];
        of_z.iter_mut().zip(found.z).for_each(|(sum, d)| *sum += d);
        d_z.push(of_z);
    }
    d_z.reverse();
    let h: Vec<f32> = states
        .iter()
        .flat_map(|(h, _)| h[..width].to_vec())
        .collect();
    let of_first: Vec<f32> = d_z.iter().flat_map(|d| d[..width].to_vec()).collect();
    (h, of_first, d_q, d_beta)
}

/// With three tokens, outputs and gradients in f32 agree with the golden values. With 9000 tokens,
/// the long sums have the same bits on one thread and on two.
#[test]
fn the_kernels_have_the_outputs_and_gradients_of_the_rows_on_any_number_of_threads() {
    let golden = Golden::open(GOLDEN);
    let of = |name: &str| golden.get(&format!("short.{name}"));
    assert!((f64::from(EPS) - EPSILON).abs() < 1e-12);
    let tokens = 3;
    let (h, d_z, d_q, d_beta) = short(&golden, tokens);
    assert!(largest(wide(&h), of("h")) < F32_OUTPUT);
    assert!(relative(wide(&d_z), of("grad.z")) < F32_GRADIENT);
    let each = 1.0 / tokens as f64;
    // The gradient of the number that gives β is about a hundredth of the terms in its sum, so its
    // own relative error is large. It is therefore compared together with the gradient of q, in one
    // norm.
    let found = wide(&d_q).chain([f64::from(d_beta)]).map(|d| d * each);
    let expected = [of("grad.q"), of("grad.beta_logit")].concat();
    assert!(relative(found, &expected) < F32_GRADIENT);
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let [one, two] = one_and_two(|| short(&golden, 9000));
    assert_eq!(bits(&one.2), bits(&two.2));
    assert_eq!(
        (bits(&one.0), one.3.to_bits()),
        (bits(&two.0), two.3.to_bits())
    );
}

#[test]
fn large_scores_stay_finite_and_the_newest_wins() {
    let (q, mut state) = ([300.0, 0.0], None);
    push_f32(&q, 0.9, &mut state, &[-1.0, 0.0]);
    push_f32(&q, 0.9, &mut state, &[1.0, 0.5]);
    let (h, total) = state.expect("a state");
    assert!(
        (h[0] - 1.0).abs() < 1e-6 && (h[1] - 0.5).abs() < 1e-6,
        "{h:?}"
    );
    assert!(total[0].is_finite());
}
