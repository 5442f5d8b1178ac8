//! Compares lanes over five iterations with results of their authors' code ([tests/golden/tying]),
//! in f64 and in f32.
//!
//! [tests/golden/tying]: ../../../../tests/golden/tying

use super::*;
use crate::golden::Golden;
use crate::threads::one_and_two;

/// The ε of the norm after the core.
const EPSILON: f64 = 1e-6;
/// The tolerances of results in f64 and in f32, relative to the largest value. Gradients are
/// compared in norm; in f64 they must agree within ten times the tolerance.
const F64: f64 = 1e-12;
const F32: f64 = 1e-5;

const GOLDEN: &[u8] = include_bytes!("../../../../tests/golden/tying/hyperconnections.safetensors");

const LANES: usize = 3;
const ITERATIONS: usize = 5;
const WIDTH: usize = 16;
const INNER: usize = 32;

/// A small nonlinear map with a norm, in the place of the core block.
struct Core<'a> {
    w1: &'a [f64],
    w2: &'a [f64],
    scale: &'a [f64],
}

impl Core<'_> {
    /// Returns the hidden units, the output before the norm, and 1 over the root mean square of
    /// this output.
    fn parts(&self, u: &[f64]) -> (Vec<f64>, Vec<f64>, f64) {
        let product = |row: &[f64], x: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        let hidden: Vec<f64> = self
            .w1
            .chunks(WIDTH)
            .map(|row| product(row, u).tanh())
            .collect();
        let outer = self.w2.chunks(INNER).zip(u);
        let b: Vec<f64> = outer.map(|(row, u)| u + product(row, &hidden)).collect();
        let mean = b.iter().map(|b| b * b).sum::<f64>() / WIDTH as f64;
        (hidden, b, 1.0 / (mean + EPSILON).sqrt())
    }

    fn forward(&self, u: &[f64]) -> Vec<f64> {
        let (_, b, r) = self.parts(u);
        b.iter().zip(self.scale).map(|(b, g)| g * b * r).collect()
    }

    fn backward(&self, u: &[f64], d_s: &[f64]) -> Vec<f64> {
        let (hidden, b, r) = self.parts(u);
        let g: Vec<f64> = d_s.iter().zip(self.scale).map(|(d, g)| d * g).collect();
        let inner = g.iter().zip(&b).map(|(g, b)| g * b).sum::<f64>() / WIDTH as f64;
        let d_b: Vec<f64> = g
            .iter()
            .zip(&b)
            .map(|(g, b)| r * (g - b * r * r * inner))
            .collect();
        let of_hidden = |j: usize| -> f64 {
            let column = (0..WIDTH)
                .map(|o| d_b[o] * self.w2[o * INNER + j])
                .sum::<f64>();
            column * (1.0 - hidden[j] * hidden[j])
        };
        let d_hidden: Vec<f64> = (0..INNER).map(of_hidden).collect();
        let of_input = |i: usize| -> f64 {
            let through = (0..INNER).map(|j| d_hidden[j] * self.w1[j * WIDTH + i]);
            d_b[i] + through.sum::<f64>()
        };
        (0..WIDTH).map(of_input).collect()
    }
}

/// Computes lane sums and their gradients in some float type. `tables` are the weights and the
/// gains.
trait Mix {
    fn mix(&self, tables: [&[f64]; 2], lanes: &[f64], fresh: Option<&[f64]>) -> Vec<f64>;
    fn back(
        &self,
        tables: [&[f64]; 2],
        lanes: &[f64],
        fresh: Option<&[f64]>,
        d_out: &[f64],
    ) -> LaneMixTensors<Vec<f64>>;
}

/// Uses the row functions, in f64.
struct Rows(LaneMix);

/// Uses the kernels, in f32.
struct Kernels(LaneMix);

impl Rows {
    fn tables<'a>(&self, [weights, gains]: [&'a [f64]; 2]) -> (&'a [f64], &'a [f64]) {
        let LaneMix { row, lanes, sums } = self.0;
        let weights = &weights[row * sums * lanes..(row + 1) * sums * lanes];
        let gains = gains.get(row * sums..(row + 1) * sums).unwrap_or(&[]);
        (weights, gains)
    }
}

impl Mix for Rows {
    fn mix(&self, tables: [&[f64]; 2], lanes: &[f64], fresh: Option<&[f64]>) -> Vec<f64> {
        let (weights, gains) = self.tables(tables);
        let LaneMix {
            lanes: count, sums, ..
        } = self.0;
        let mut out = vec![0.0; lanes.len() / count * sums];
        let tokens = lanes
            .chunks(count * WIDTH)
            .zip(out.chunks_mut(sums * WIDTH));
        for (token, (lanes, out)) in tokens.enumerate() {
            let fresh = fresh.map(|z| &z[token * WIDTH..(token + 1) * WIDTH]);
            forward_row(weights, Some(gains), lanes, fresh, WIDTH, out);
        }
        out
    }

    fn back(
        &self,
        tables: [&[f64]; 2],
        lanes: &[f64],
        fresh: Option<&[f64]>,
        d_out: &[f64],
    ) -> LaneMixTensors<Vec<f64>> {
        let (weights, gains) = self.tables(tables);
        let LaneMix {
            row,
            lanes: count,
            sums,
        } = self.0;
        let tokens = lanes.len() / (count * WIDTH);
        let (mut d_lanes, mut d_fresh) = (vec![0.0; lanes.len()], vec![0.0; tokens * WIDTH]);
        let mut found = vec![0.0; sums * count + sums];
        for token in 0..tokens {
            let all = token * count * WIDTH..(token + 1) * count * WIDTH;
            let own = token * WIDTH..(token + 1) * WIDTH;
            let given = Row {
                weights,
                gains: Some(gains),
                lanes: &lanes[all.clone()],
                fresh: fresh.map(|z| &z[own.clone()]),
                d_out: &d_out[token * sums * WIDTH..(token + 1) * sums * WIDTH],
            };
            given.backward(WIDTH, &mut d_lanes[all], &mut d_fresh[own], &mut found);
        }
        let table = |columns: usize, found: &[f64]| {
            let mut table = vec![0.0; ITERATIONS * columns];
            table[row * columns..(row + 1) * columns].copy_from_slice(found);
            table
        };
        let (of_weights, of_gains) = found.split_at(sums * count);
        LaneMixTensors {
            lanes: d_lanes,
            fresh: fresh.map(|_| d_fresh),
            weights: table(sums * count, of_weights),
            gains: fresh.map(|_| table(sums, of_gains)),
        }
    }
}

fn narrow(x: &[f64]) -> Vec<f32> {
    x.iter().map(|x| *x as f32).collect()
}

fn wide(x: Vec<f32>) -> Vec<f64> {
    x.into_iter().map(f64::from).collect()
}

impl Mix for Kernels {
    fn mix(&self, [weights, gains]: [&[f64]; 2], lanes: &[f64], fresh: Option<&[f64]>) -> Vec<f64> {
        let LaneMix {
            lanes: count, sums, ..
        } = self.0;
        let [weights, gains, lanes] = [weights, gains, lanes].map(narrow);
        let fresh = fresh.map(narrow);
        let tokens = lanes.len() / (count * WIDTH);
        wide(
            self.0.forward(&LaneMixTensors {
                lanes: Matrix::new(&lanes, tokens, count * WIDTH),
                fresh: fresh.as_ref().map(|z| Matrix::new(z, tokens, WIDTH)),
                weights: Matrix::new(&weights, ITERATIONS, sums * count),
                gains: fresh
                    .as_ref()
                    .map(|_| Matrix::new(&gains, ITERATIONS, sums)),
            }),
        )
    }

    fn back(
        &self,
        [weights, gains]: [&[f64]; 2],
        lanes: &[f64],
        fresh: Option<&[f64]>,
        d_out: &[f64],
    ) -> LaneMixTensors<Vec<f64>> {
        let LaneMix {
            lanes: count, sums, ..
        } = self.0;
        let [weights, gains, lanes, d_out] = [weights, gains, lanes, d_out].map(narrow);
        let fresh = fresh.map(narrow);
        let tokens = lanes.len() / (count * WIDTH);
        let tensors = LaneMixTensors {
            lanes: Matrix::new(&lanes, tokens, count * WIDTH),
            fresh: fresh.as_ref().map(|z| Matrix::new(z, tokens, WIDTH)),
            weights: Matrix::new(&weights, ITERATIONS, sums * count),
            gains: fresh
                .as_ref()
                .map(|_| Matrix::new(&gains, ITERATIONS, sums)),
        };
        let found = self
            .0
            .backward(&tensors, Matrix::new(&d_out, tokens, sums * WIDTH));
        LaneMixTensors {
            lanes: wide(found.lanes),
            fresh: found.fresh.map(wide),
            weights: wide(found.weights),
            gains: found.gains.map(wide),
        }
    }
}

/// Runs the five iterations and their gradients, and compares the results with the golden values.
/// `make` returns the implementation for each [`LaneMix`].
fn check<M: Mix>(set: &str, make: impl Fn(LaneMix) -> M, output: f64, gradient: f64) {
    let golden = Golden::open(GOLDEN);
    let of = |name: &str| golden.get(&format!("{set}.{name}"));
    let (e, upstream) = (golden.get("e"), golden.get("upstream"));
    let core = Core {
        w1: golden.get("W1"),
        w2: golden.get("W2"),
        scale: golden.get("norm_weight"),
    };
    let (alpha, m, beta) = (of("alpha"), of("M"), of("beta"));
    let read = |row| {
        make(LaneMix {
            row,
            lanes: LANES,
            sums: 1,
        })
    };
    let write = |row| {
        make(LaneMix {
            row,
            lanes: LANES,
            sums: LANES,
        })
    };
    let close = |name: &str, found: &[f64], expected: &[f64]| {
        let pairs = found.iter().zip(expected);
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let largest = expected.iter().map(|x| x.abs()).fold(1.0, f64::max);
        assert!(worst <= output * largest, "{set}.{name}: {worst:e}");
    };
    let mut lanes: Vec<f64> = e.chunks(WIDTH).flat_map(|e| e.repeat(LANES)).collect();
    let mut steps = Vec::new();
    for r in 0..ITERATIONS {
        let u = read(r).mix([alpha, &[]], &lanes, None);
        close(&format!("u_{}", r + 1), &u, of(&format!("u_{}", r + 1)));
        let s: Vec<f64> = u.chunks(WIDTH).flat_map(|u| core.forward(u)).collect();
        let after = write(r).mix([m, beta], &lanes, Some(&s));
        // The golden lanes have the shape `[lane, batch, seq, width]`.
        let expected = of(&format!("lanes_{}", r + 1));
        let lane = |n: usize| -> Vec<f64> {
            let tokens = after.chunks(LANES * WIDTH);
            tokens
                .flat_map(|token| token[n * WIDTH..(n + 1) * WIDTH].to_vec())
                .collect()
        };
        for n in 0..LANES {
            let size = e.len();
            close("lanes", &lane(n), &expected[n * size..(n + 1) * size]);
        }
        steps.push((lanes, u, s));
        lanes = after;
    }
    let pooled: Vec<f64> = lanes
        .chunks(LANES * WIDTH)
        .flat_map(|token| (0..WIDTH).map(move |i| (0..LANES).map(|n| token[n * WIDTH + i]).sum()))
        .collect();
    close("pooled", &pooled, of("pooled"));
    let mut d_lanes: Vec<f64> = upstream
        .chunks(WIDTH)
        .flat_map(|g| g.repeat(LANES))
        .collect();
    let [mut d_alpha, mut d_m, mut d_beta] = [alpha, m, beta].map(|x| vec![0.0; x.len()]);
    let add = |sum: &mut Vec<f64>, part: &[f64]| {
        sum.iter_mut()
            .zip(part)
            .for_each(|(sum, part)| *sum += part);
    };
    for (r, (lanes, u, s)) in steps.iter().enumerate().rev() {
        let found = write(r).back([m, beta], lanes, Some(s), &d_lanes);
        add(&mut d_m, &found.weights);
        add(&mut d_beta, &found.gains.expect("there is a z"));
        let d_s = found.fresh.expect("there is a z");
        let tokens = u.chunks(WIDTH).zip(d_s.chunks(WIDTH));
        let d_u: Vec<f64> = tokens.flat_map(|(u, d_s)| core.backward(u, d_s)).collect();
        d_lanes = found.lanes;
        let found = read(r).back([alpha, &[]], lanes, None, &d_u);
        add(&mut d_alpha, &found.weights);
        add(&mut d_lanes, &found.lanes);
    }
    let d_e: Vec<f64> = d_lanes
        .chunks(LANES * WIDTH)
        .flat_map(|token| (0..WIDTH).map(move |i| (0..LANES).map(|n| token[n * WIDTH + i]).sum()))
        .collect();
    for (name, found) in [("alpha", d_alpha), ("M", d_m), ("beta", d_beta), ("e", d_e)] {
        let expected = of(&format!("grad.{name}"));
        let square = |x: f64| x * x;
        let norm: f64 = expected.iter().copied().map(square).sum();
        let off: f64 = found.iter().zip(expected).map(|(a, b)| square(a - b)).sum();
        let relative = (off / norm).sqrt();
        assert!(relative <= gradient, "{set}.grad.{name}: {relative:e}");
    }
}

/// Runs the row functions and the kernels on the same numbers and checks that they agree. Returns
/// the results of the row functions.
struct Beside(LaneMix);

impl Beside {
    fn near(&self, found: &[f64], expected: &[f64]) {
        let square = |x: f64| x * x;
        let norm: f64 = expected.iter().copied().map(square).sum();
        let pairs = found.iter().zip(expected);
        let off: f64 = pairs.map(|(a, b)| square(a - b)).sum();
        let relative = (off / norm).sqrt();
        assert!(relative < F32, "{:?}: {relative:e}", self.0);
    }
}

impl Mix for Beside {
    fn mix(&self, tables: [&[f64]; 2], lanes: &[f64], fresh: Option<&[f64]>) -> Vec<f64> {
        let expected = Rows(self.0).mix(tables, lanes, fresh);
        self.near(&Kernels(self.0).mix(tables, lanes, fresh), &expected);
        expected
    }

    fn back(
        &self,
        tables: [&[f64]; 2],
        lanes: &[f64],
        fresh: Option<&[f64]>,
        d_out: &[f64],
    ) -> LaneMixTensors<Vec<f64>> {
        let expected = Rows(self.0).back(tables, lanes, fresh, d_out);
        let found = Kernels(self.0).back(tables, lanes, fresh, d_out);
        self.near(&found.lanes, &expected.lanes);
        self.near(&found.weights, &expected.weights);
        for (found, expected) in [
            (&found.fresh, &expected.fresh),
            (&found.gains, &expected.gains),
        ] {
            let pair = found.as_ref().zip(expected.as_ref());
            pair.into_iter().for_each(|(a, b)| self.near(a, b));
        }
        expected
    }
}

#[test]
fn lanes_over_five_iterations_are_the_published_ones_with_their_gradients() {
    for set in ["init", "random"] {
        check(set, Rows, F64, 10.0 * F64);
        check(set, Beside, F64, 10.0 * F64);
    }
    // The kernels alone run through all iterations only with the initial weights. With the random
    // weights, the loop itself makes a rounding error 65 times larger, so `Beside` compares each of
    // those iterations by itself.
    check("init", Kernels, F32, F32);
}

#[test]
fn the_bits_of_the_sums_do_not_depend_on_the_threads() {
    let (tokens, node) = (
        4000,
        LaneMix {
            row: 1,
            lanes: 2,
            sums: 2,
        },
    );
    let numbers =
        |count: usize| -> Vec<f32> { (0..count).map(|i| (i as f32 * 0.7).sin()).collect() };
    let (lanes, fresh, d_out) = (
        numbers(tokens * 10),
        numbers(tokens * 5),
        numbers(tokens * 10),
    );
    let (weights, gains) = (numbers(8), numbers(4));
    let tensors = LaneMixTensors {
        lanes: Matrix::new(&lanes, tokens, 10),
        fresh: Some(Matrix::new(&fresh, tokens, 5)),
        weights: Matrix::new(&weights, 2, 4),
        gains: Some(Matrix::new(&gains, 2, 2)),
    };
    let run = || {
        let found = node.backward(&tensors, Matrix::new(&d_out, tokens, 10));
        let bits = |x: Vec<f32>| x.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        [
            node.forward(&tensors),
            found.lanes,
            found.weights,
            found.gains.unwrap_or_default(),
        ]
        .map(bits)
    };
    let [one, two] = one_and_two(run);
    assert_eq!(one, two);
    assert!(
        one[2][..4].iter().all(|bits| *bits == 0),
        "the other row has no gradient"
    );
}
