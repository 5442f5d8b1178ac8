//! Compares every function in f64 with its central differences. For shapes up to several tasks,
//! compares the kernels in f32 with the functions in f64.

use crate::injection::channels::{self, Channels, ChannelsTensors, Coefficient};
use crate::injection::history::{self, Difference, DifferenceTensors};
use crate::injection::mix::{Mix, MixTensors};
use crate::injection::orthogonal::{self, Orthogonal, OrthogonalTensors, Row};
use crate::matrix::Matrix;
use crate::threads::one_and_two;

/// The step of a central difference.
const STEP: f64 = 1e-5;
/// The allowed relative error of a central difference, which comes from truncation and rounding.
const CLOSE: f64 = 1e-8;

/// Returns numbers between −1 and 1 that are exact in f32.
fn numbers(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        f64::from((state >> 40) as f32 / (1 << 23) as f32 - 1.0)
    };
    (0..count).map(|_| next()).collect()
}

fn narrow(x: &[f64]) -> Vec<f32> {
    x.iter().map(|x| *x as f32).collect()
}

/// Asserts that `gradient` is the gradient of `loss` with respect to the operand number `which`.
fn check(
    name: &str,
    operands: &[Vec<f64>],
    which: usize,
    gradient: &[f64],
    loss: impl Fn(&[Vec<f64>]) -> f64,
) {
    assert_eq!(
        operands[which].len(),
        gradient.len(),
        "{name}, operand {which}"
    );
    for (at, gradient) in gradient.iter().enumerate() {
        let moved = |by: f64| {
            let mut operands = operands.to_vec();
            operands[which][at] += by;
            loss(&operands)
        };
        let found = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
        assert!(
            (found - gradient).abs() < CLOSE * (1.0 + gradient.abs()),
            "{name}, operand {which}, element {at}: {found} is not {gradient}"
        );
    }
}

/// Asserts that a result in f32 is close to the result in f64, relative in norm.
fn near(name: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let square = |x: f64| x * x;
    let norm: f64 = expected.iter().copied().map(square).sum();
    let off: f64 = found
        .iter()
        .zip(expected)
        .map(|(a, b)| square(f64::from(*a) - b))
        .sum();
    assert!(
        (off / norm).sqrt() < 1e-5,
        "{name}: {}",
        (off / norm).sqrt()
    );
}

fn weighted(y: &[f64], weights: &[f64]) -> f64 {
    y.iter().zip(weights).map(|(y, w)| y * w).sum()
}

/// The tested shapes, `[rows, width]`: from a single row to several tasks.
const SHAPES: [[usize; 2]; 3] = [[1, 1], [3, 7], [2500, 19]];

#[test]
fn the_channels_have_the_gradients_of_differences() {
    for coefficient in [Coefficient::Decay, Coefficient::Step, Coefficient::Hold] {
        for [rows, width] in SHAPES {
            let size = rows * width;
            // The operands are x, base, A_log, dt_bias and the weights of the output in the loss.
            let operands = [
                numbers(1, size),
                numbers(2, size),
                numbers(3, width),
                numbers(4, width),
                numbers(5, size),
            ];
            let forward = |o: &[Vec<f64>]| {
                let c = coefficient.values(&o[2], &o[3]);
                let mut y = vec![0.0; size];
                for ((y, x), base) in y
                    .chunks_mut(width)
                    .zip(o[0].chunks(width))
                    .zip(o[1].chunks(width))
                {
                    channels::forward_row(&c, x, Some(base), y);
                }
                y
            };
            let c = coefficient.values(&operands[2], &operands[3]);
            let (mut d_x, mut d_c) = (vec![0.0; size], vec![0.0; width]);
            let rows_of = |which: usize| operands[which].chunks(width);
            for ((d_x, x), d_y) in d_x.chunks_mut(width).zip(rows_of(0)).zip(rows_of(4)) {
                channels::backward_row(&c, x, d_y, d_x, &mut d_c);
            }
            let [d_a_log, d_dt_bias] = coefficient.backward(&operands[2], &operands[3], &d_c);
            let name = format!("{coefficient:?}");
            if size < 100 {
                let loss = |o: &[Vec<f64>]| weighted(&forward(o), &o[4]);
                for (which, gradient) in
                    [(0, &d_x), (1, &operands[4]), (2, &d_a_log), (3, &d_dt_bias)]
                {
                    check(&name, &operands, which, gradient, loss);
                }
            }
            let single: Vec<Vec<f32>> = operands.iter().map(|x| narrow(x)).collect();
            let view =
                |which: usize| Matrix::new(&single[which], single[which].len() / width, width);
            let tensors = ChannelsTensors {
                x: view(0),
                base: Some(view(1)),
                a_log: view(2),
                dt_bias: view(3),
            };
            let run = || {
                let node = Channels { coefficient };
                (node.forward(&tensors), node.backward(&tensors, view(4)))
            };
            let [(y, found), (y_of_two, found_of_two)] = one_and_two(run);
            near(&name, &y, &forward(&operands));
            near(&name, &found.x, &d_x);
            near(&name, &found.dt_bias, &d_dt_bias);
            if coefficient != Coefficient::Step {
                near(&name, &found.a_log, &d_a_log);
            }
            assert_eq!(
                (bits(&y), bits(&found.dt_bias)),
                (bits(&y_of_two), bits(&found_of_two.dt_bias))
            );
        }
    }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn the_orthogonal_rows_have_the_gradients_of_differences() {
    for [rows, width] in SHAPES {
        let size = rows * width;
        // The operands are x, u, A_log, dt_bias and the weights of the output in the loss.
        let operands = [
            numbers(1, size),
            numbers(2, size),
            numbers(3, width),
            numbers(4, width),
            numbers(5, size),
        ];
        // For the small shapes ε is large, so an error in the terms with ε shows in a difference.
        let eps = if size < 100 { 0.1 } else { 1e-6 };
        let forward = |o: &[Vec<f64>]| {
            let decay = Coefficient::Decay.values(&o[2], &o[3]);
            let mut y = vec![0.0; size];
            for ((y, x), u) in y
                .chunks_mut(width)
                .zip(o[0].chunks(width))
                .zip(o[1].chunks(width))
            {
                orthogonal::forward_row(&decay, x, u, eps, y);
            }
            y
        };
        let decay = Coefficient::Decay.values(&operands[2], &operands[3]);
        let (mut d_x, mut d_u, mut d_decay) = (vec![0.0; size], vec![0.0; size], vec![0.0; width]);
        let mut scratch = vec![0.0; 2 * width];
        for at in (0..size).step_by(width) {
            let row = at..at + width;
            let given = Row {
                decay: &decay,
                x: &operands[0][row.clone()],
                update: &operands[1][row.clone()],
                d_y: &operands[4][row.clone()],
            };
            let (d_x, d_u) = (&mut d_x[row.clone()], &mut d_u[row]);
            given.backward(eps, d_x, d_u, &mut d_decay, &mut scratch);
        }
        let [d_a_log, d_dt_bias] =
            Coefficient::Decay.backward(&operands[2], &operands[3], &d_decay);
        if size < 100 {
            let loss = |o: &[Vec<f64>]| weighted(&forward(o), &o[4]);
            for (which, gradient) in [(0, &d_x), (1, &d_u), (2, &d_a_log), (3, &d_dt_bias)] {
                check("orthogonal", &operands, which, gradient, loss);
            }
            continue;
        }
        let single: Vec<Vec<f32>> = operands.iter().map(|x| narrow(x)).collect();
        let view = |which: usize| Matrix::new(&single[which], single[which].len() / width, width);
        let tensors = OrthogonalTensors {
            x: view(0),
            update: view(1),
            a_log: view(2),
            dt_bias: view(3),
        };
        let run = || {
            (
                Orthogonal.forward(&tensors),
                Orthogonal.backward(&tensors, view(4)),
            )
        };
        let [(y, found), (y_of_two, found_of_two)] = one_and_two(run);
        near("orthogonal", &y, &forward(&operands));
        for (found, expected) in [
            (&found.x, &d_x),
            (&found.update, &d_u),
            (&found.a_log, &d_a_log),
            (&found.dt_bias, &d_dt_bias),
        ] {
            near("orthogonal", found, expected);
        }
        assert_eq!(
            (bits(&y), bits(&found.a_log)),
            (bits(&y_of_two), bits(&found_of_two.a_log))
        );
    }
}

#[test]
fn a_mix_has_the_gradients_of_differences() {
    for mix in [Mix::Sum, Mix::Mean] {
        for [rows, width] in SHAPES {
            let size = rows * width;
            // The operands are x, e, α and the weights of the output in the loss.
            let operands = [
                numbers(1, size),
                numbers(2, size),
                numbers(3, 1),
                numbers(5, size),
            ];
            let forward = |o: &[Vec<f64>]| {
                let mut y = vec![0.0; size];
                mix.forward_row(o[2][0], &o[0], &o[1], &mut y);
                y
            };
            let alpha = operands[2][0];
            let scaled =
                |factor: f64| -> Vec<f64> { operands[3].iter().map(|d| factor * d).collect() };
            let d_alpha = [mix.d_alpha_row(&operands[0], &operands[1], &operands[3])];
            let (d_x, d_e) = (scaled(mix.keep(alpha)), scaled(alpha));
            if size < 100 {
                let loss = |o: &[Vec<f64>]| weighted(&forward(o), &o[3]);
                for (which, gradient) in [(0, &d_x[..]), (1, &d_e), (2, &d_alpha)] {
                    check("mix", &operands, which, gradient, loss);
                }
            }
            let single: Vec<Vec<f32>> = operands.iter().map(|x| narrow(x)).collect();
            let view = |which: usize| Matrix::new(&single[which], rows, width);
            let tensors = MixTensors {
                x: view(0),
                embedding: view(1),
                alpha: Matrix::new(&single[2], 1, 1),
            };
            let [(y, found), (_, found_of_two)] =
                one_and_two(|| (mix.forward(&tensors), mix.backward(&tensors, view(3))));
            near("mix", &y, &forward(&operands));
            near("mix", &found.x, &d_x);
            near("mix", &found.embedding, &d_e);
            near("mix", &found.alpha, &d_alpha);
            assert_eq!(bits(&found.alpha), bits(&found_of_two.alpha));
        }
    }
}

#[test]
fn a_difference_of_states_has_the_gradients_of_differences() {
    for [rows, width] in SHAPES {
        for (lags, lag, per_lag, is_based) in [
            (1, 0, width, false),
            (3, 2, width, true),
            (2, 1, 1, true),
            (2, 0, 1, false),
        ] {
            let size = rows * width;
            // The operands are x, past, base, the coefficients and the weights of the output in the
            // loss.
            let operands = [
                numbers(1, size),
                numbers(2, size),
                numbers(3, size),
                numbers(4, lags * per_lag),
                numbers(5, size),
            ];
            let channels = |o: &[Vec<f64>]| -> Vec<f64> {
                let row = &o[3][lag * per_lag..(lag + 1) * per_lag];
                (0..width)
                    .map(|i| row[if per_lag == 1 { 0 } else { i }])
                    .collect()
            };
            let forward = |o: &[Vec<f64>]| {
                let (c, base) = (channels(o), if is_based { &o[2] } else { &o[0] });
                let mut y = vec![0.0; size];
                for (row, y) in y.chunks_mut(width).enumerate() {
                    let row = row * width..(row + 1) * width;
                    history::forward_row(&c, &o[0][row.clone()], &o[1][row.clone()], &base[row], y);
                }
                y
            };
            let c = channels(&operands);
            let (mut d_past, mut d_c) = (vec![0.0; size], vec![0.0; width]);
            for (row, d_past) in d_past.chunks_mut(width).enumerate() {
                let row = row * width..(row + 1) * width;
                let (x, past) = (&operands[0][row.clone()], &operands[1][row.clone()]);
                history::backward_row(&c, x, past, &operands[4][row], d_past, &mut d_c);
            }
            let through = if is_based { 0.0 } else { 1.0 };
            let d_x: Vec<f64> = d_past
                .iter()
                .zip(&operands[4])
                .map(|(past, y)| through * y - past)
                .collect();
            let mut d_coefficients = vec![0.0; lags * per_lag];
            match per_lag {
                1 if width > 1 => d_coefficients[lag] = d_c.iter().sum(),
                _ => d_coefficients[lag * per_lag..(lag + 1) * per_lag].copy_from_slice(&d_c),
            }
            if size < 100 {
                let loss = |o: &[Vec<f64>]| weighted(&forward(o), &o[4]);
                for (which, gradient) in [(0, &d_x), (1, &d_past), (3, &d_coefficients)] {
                    check("history", &operands, which, gradient, loss);
                }
            }
            let single: Vec<Vec<f32>> = operands.iter().map(|x| narrow(x)).collect();
            let view = |which: usize| Matrix::new(&single[which], rows, width);
            let tensors = DifferenceTensors {
                x: view(0),
                past: view(1),
                base: is_based.then(|| view(2)),
                coefficients: Matrix::new(&single[3], lags, per_lag),
            };
            let node = Difference { lag };
            let [(y, found), (_, found_of_two)] =
                one_and_two(|| (node.forward(&tensors), node.backward(&tensors, view(4))));
            near("history", &y, &forward(&operands));
            near("history", &found.x, &d_x);
            near("history", &found.past, &d_past);
            near("history", &found.coefficients, &d_coefficients);
            assert_eq!(found.base.is_some(), is_based);
            assert_eq!(bits(&found.coefficients), bits(&found_of_two.coefficients));
        }
    }
}
