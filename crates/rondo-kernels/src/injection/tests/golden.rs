//! Compares Parcae's diagonal injection and OrthoInj with values of their authors' code
//! ([tests/golden/injections]).
//!
//! The row functions run in f64, where they must agree with the golden values to the last digits.
//! The kernels run in f32.
//!
//! [tests/golden/injections]: ../../../../../tests/golden/injections

use crate::golden::Golden;
use crate::injection::channels::{self, Channels, ChannelsTensors, Coefficient};
use crate::injection::orthogonal::{self, EPS, Orthogonal, OrthogonalTensors, Row};
use crate::matrix::Matrix;
use crate::real::Real;

/// The tolerances: absolute for outputs, relative in norm for gradients.
const F64_OUTPUT: f64 = 1e-13;
const F64_GRADIENT: f64 = 1e-11;
const F32_OUTPUT: f64 = 2e-6;
const F32_GRADIENT: f64 = 1e-5;

const DIAGONAL: &[u8] =
    include_bytes!("../../../../../tests/golden/injections/diagonal.safetensors");
const ORTHOGONAL: &[u8] =
    include_bytes!("../../../../../tests/golden/injections/orthogonal.safetensors");

/// Converts the golden f64 values to a float type and back.
trait Float: Real {
    fn of(x: f64) -> Self;
    fn back(self) -> f64;
}

impl Float for f64 {
    fn of(x: f64) -> Self {
        x
    }

    fn back(self) -> f64 {
        self
    }
}

impl Float for f32 {
    fn of(x: f64) -> Self {
        x as f32
    }

    fn back(self) -> f64 {
        f64::from(self)
    }
}

/// The parameters and the embedding of a loop that applies only one of the injections.
struct Arm<T> {
    a_log: Vec<T>,
    dt_bias: Vec<T>,
    /// The matrix that multiplies the embedding, `[d_state, d_input]`: B of the diagonal injection,
    /// W of OrthoInj.
    matrix: Vec<T>,
    embedding: Vec<T>,
}

/// The gradients of an [`Arm`] and of its initial state.
struct Gradients<T> {
    state: Vec<T>,
    input: Vec<T>,
    a_log: Vec<T>,
    dt_bias: Vec<T>,
    matrix: Vec<T>,
}

/// The update and an iteration of an injection, and their gradients, in one float type.
trait Rows<T> {
    fn update(arm: &Arm<T>, be: &[T]) -> Vec<T>;
    fn update_backward(arm: &Arm<T>, be: &[T], d_u: &[T]) -> ChannelsTensors<Vec<T>>;
    fn iterate(&self, arm: &Arm<T>, x: &[T], u: &[T]) -> Vec<T>;
    fn backward(&self, arm: &Arm<T>, x: &[T], u: &[T], d_y: &[T]) -> OrthogonalTensors<Vec<T>>;
}

/// The injection under test.
#[derive(Clone, Copy)]
enum Kind {
    Diagonal,
    Orthogonal,
}

impl Rows<f64> for Kind {
    fn update(arm: &Arm<f64>, be: &[f64]) -> Vec<f64> {
        let c = Coefficient::Step.values(&arm.a_log, &arm.dt_bias);
        let mut u = vec![0.0; be.len()];
        for (u, be) in u.chunks_mut(c.len()).zip(be.chunks(c.len())) {
            channels::forward_row(&c, be, None, u);
        }
        u
    }

    fn update_backward(arm: &Arm<f64>, be: &[f64], d_u: &[f64]) -> ChannelsTensors<Vec<f64>> {
        let c = Coefficient::Step.values(&arm.a_log, &arm.dt_bias);
        let (mut x, mut d_c) = (vec![0.0; be.len()], vec![0.0; c.len()]);
        let width = c.len();
        for ((d_be, be), d_u) in x
            .chunks_mut(width)
            .zip(be.chunks(width))
            .zip(d_u.chunks(width))
        {
            channels::backward_row(&c, be, d_u, d_be, &mut d_c);
        }
        let [a_log, dt_bias] = Coefficient::Step.backward(&arm.a_log, &arm.dt_bias, &d_c);
        let base = None;
        ChannelsTensors {
            x,
            base,
            a_log,
            dt_bias,
        }
    }

    fn iterate(&self, arm: &Arm<f64>, x: &[f64], u: &[f64]) -> Vec<f64> {
        let decay = Coefficient::Decay.values(&arm.a_log, &arm.dt_bias);
        let width = decay.len();
        let mut y = vec![0.0; x.len()];
        for ((y, x), u) in y
            .chunks_mut(width)
            .zip(x.chunks(width))
            .zip(u.chunks(width))
        {
            match self {
                Self::Diagonal => channels::forward_row(&decay, x, Some(u), y),
                Self::Orthogonal => orthogonal::forward_row(&decay, x, u, 1e-6, y),
            }
        }
        y
    }

    fn backward(
        &self,
        arm: &Arm<f64>,
        x: &[f64],
        u: &[f64],
        d_y: &[f64],
    ) -> OrthogonalTensors<Vec<f64>> {
        let decay = Coefficient::Decay.values(&arm.a_log, &arm.dt_bias);
        let width = decay.len();
        let (mut d_x, mut d_u, mut d_decay) = (vec![0.0; x.len()], d_y.to_vec(), vec![0.0; width]);
        let mut scratch = vec![0.0; 2 * width];
        for at in (0..x.len()).step_by(width) {
            let row = at..at + width;
            let (x, update, d_y) = (&x[row.clone()], &u[row.clone()], &d_y[row.clone()]);
            let (d_x, d_u) = (&mut d_x[row.clone()], &mut d_u[row]);
            match self {
                Self::Diagonal => channels::backward_row(&decay, x, d_y, d_x, &mut d_decay),
                Self::Orthogonal => {
                    let decay = decay.as_slice();
                    let given = Row {
                        decay,
                        x,
                        update,
                        d_y,
                    };
                    given.backward(1e-6, d_x, d_u, &mut d_decay, &mut scratch);
                }
            }
        }
        let [a_log, dt_bias] = Coefficient::Decay.backward(&arm.a_log, &arm.dt_bias, &d_decay);
        OrthogonalTensors {
            x: d_x,
            update: d_u,
            a_log,
            dt_bias,
        }
    }
}

impl Rows<f32> for Kind {
    fn update(arm: &Arm<f32>, be: &[f32]) -> Vec<f32> {
        let coefficient = Coefficient::Step;
        Channels { coefficient }.forward(&arm.channels(be, None))
    }

    fn update_backward(arm: &Arm<f32>, be: &[f32], d_u: &[f32]) -> ChannelsTensors<Vec<f32>> {
        let coefficient = Coefficient::Step;
        Channels { coefficient }.backward(&arm.channels(be, None), arm.rows(d_u))
    }

    fn iterate(&self, arm: &Arm<f32>, x: &[f32], u: &[f32]) -> Vec<f32> {
        let coefficient = Coefficient::Decay;
        match self {
            Self::Diagonal => Channels { coefficient }.forward(&arm.channels(x, Some(u))),
            Self::Orthogonal => Orthogonal.forward(&arm.orthogonal(x, u)),
        }
    }

    fn backward(
        &self,
        arm: &Arm<f32>,
        x: &[f32],
        u: &[f32],
        d_y: &[f32],
    ) -> OrthogonalTensors<Vec<f32>> {
        assert!((EPS - 1e-6).abs() < 1e-12, "the golden values have this ε");
        let coefficient = Coefficient::Decay;
        match self {
            Self::Diagonal => {
                let found =
                    Channels { coefficient }.backward(&arm.channels(x, Some(u)), arm.rows(d_y));
                OrthogonalTensors {
                    x: found.x,
                    update: found.base.expect("there is a base"),
                    a_log: found.a_log,
                    dt_bias: found.dt_bias,
                }
            }
            Self::Orthogonal => Orthogonal.backward(&arm.orthogonal(x, u), arm.rows(d_y)),
        }
    }
}

impl Arm<f32> {
    fn rows<'a>(&self, x: &'a [f32]) -> Matrix<'a> {
        let width = self.a_log.len();
        Matrix::new(x, x.len() / width, width)
    }

    fn channels<'a>(
        &'a self,
        x: &'a [f32],
        base: Option<&'a [f32]>,
    ) -> ChannelsTensors<Matrix<'a>> {
        ChannelsTensors {
            x: self.rows(x),
            base: base.map(|base| self.rows(base)),
            a_log: self.rows(&self.a_log),
            dt_bias: self.rows(&self.dt_bias),
        }
    }

    fn orthogonal<'a>(&'a self, x: &'a [f32], u: &'a [f32]) -> OrthogonalTensors<Matrix<'a>> {
        OrthogonalTensors {
            x: self.rows(x),
            update: self.rows(u),
            a_log: self.rows(&self.a_log),
            dt_bias: self.rows(&self.dt_bias),
        }
    }
}

impl<T: Float> Arm<T>
where
    Kind: Rows<T>,
{
    fn new(golden: &Golden, names: [&str; 4]) -> Self {
        let [a_log, dt_bias, matrix, embedding] =
            names.map(|name| golden.get(name).iter().map(|x| T::of(*x)).collect());
        Self {
            a_log,
            dt_bias,
            matrix,
            embedding,
        }
    }

    /// Returns the product of the matrix and the embedding, for each token.
    fn product(&self) -> Vec<T> {
        let inputs = self.matrix.len() / self.a_log.len();
        let token = |e: &[T]| -> Vec<T> {
            self.matrix
                .chunks(inputs)
                .map(|row| T::dot(row, e))
                .collect()
        };
        self.embedding.chunks(inputs).flat_map(token).collect()
    }

    /// Returns the initial state and the state after each of the `iterations`.
    fn run(&self, kind: Kind, start: Vec<T>, iterations: usize) -> Vec<Vec<T>> {
        let u = Kind::update(self, &self.product());
        let mut states = vec![start];
        for i in 0..iterations {
            states.push(kind.iterate(self, &states[i], &u));
        }
        states
    }

    /// Returns the gradients of `⟨d_y, y⟩`; y is the last of `states`.
    fn differentiate(&self, kind: Kind, states: &[Vec<T>], d_y: Vec<T>) -> Gradients<T> {
        let be = self.product();
        let u = Kind::update(self, &be);
        let add = |sum: &mut Vec<T>, part: Vec<T>| {
            for (sum, part) in sum.iter_mut().zip(part) {
                *sum += part;
            }
        };
        let zero = || vec![T::ZERO; self.a_log.len()];
        let (mut d_x, mut d_u) = (d_y, vec![T::ZERO; u.len()]);
        let (mut a_log, mut dt_bias) = (zero(), zero());
        for x in states[..states.len() - 1].iter().rev() {
            let found = kind.backward(self, x, &u, &d_x);
            d_x = found.x;
            add(&mut d_u, found.update);
            add(&mut a_log, found.a_log);
            add(&mut dt_bias, found.dt_bias);
        }
        let found = Kind::update_backward(self, &be, &d_u);
        add(&mut a_log, found.a_log);
        add(&mut dt_bias, found.dt_bias);
        let (outputs, inputs) = (self.a_log.len(), self.matrix.len() / self.a_log.len());
        let mut matrix = vec![T::ZERO; self.matrix.len()];
        let mut input = vec![T::ZERO; self.embedding.len()];
        let tokens = found.x.chunks(outputs).zip(self.embedding.chunks(inputs));
        for ((d_be, e), d_e) in tokens.zip(input.chunks_mut(inputs)) {
            for o in 0..outputs {
                for i in 0..inputs {
                    matrix[o * inputs + i] += d_be[o] * e[i];
                    d_e[i] += d_be[o] * self.matrix[o * inputs + i];
                }
            }
        }
        Gradients {
            state: d_x,
            input,
            a_log,
            dt_bias,
            matrix,
        }
    }
}

/// A golden case: the prefixes of the names of its tensors in the golden file.
struct Case<'a> {
    golden: &'a Golden,
    kind: Kind,
    shared: &'a str,
    own: &'a str,
    parameters: &'a str,
    matrix: &'a str,
}

impl Case<'_> {
    fn check<T: Float>(&self, output: f64, gradient: f64)
    where
        Kind: Rows<T>,
    {
        let Self {
            golden,
            kind,
            shared,
            own,
            parameters,
            matrix,
        } = self;
        let name = |part: &str| format!("{parameters}.{part}");
        let arm = Arm::<T>::new(
            golden,
            [
                &name("A_log"),
                &name("dt_bias"),
                &name(matrix),
                &format!("{shared}.input"),
            ],
        );
        let take = |part: &str| -> Vec<T> {
            let values = golden.get(&format!("{shared}.{part}"));
            values.iter().map(|x| T::of(*x)).collect()
        };
        let (start, upstream) = (take("state"), take("upstream"));
        let states = arm.run(*kind, start, 8);
        for (iterations, suffix) in [(1, ""), (3, "_3"), (8, "_8")] {
            let expected = golden.get(&format!("{own}.y{suffix}"));
            let worst = states[iterations]
                .iter()
                .zip(expected)
                .map(|(a, b)| (a.back() - b).abs())
                .fold(0.0, f64::max);
            assert!(worst <= output, "{own}.y{suffix}: {worst:e}");
        }
        for (iterations, of) in [(1, "grad"), (8, "grad_8")] {
            let found = arm.differentiate(*kind, &states[..=iterations], upstream.clone());
            for (part, found) in [
                ("state", found.state),
                ("input", found.input),
                ("A_log", found.a_log),
                ("dt_bias", found.dt_bias),
                (*matrix, found.matrix),
            ] {
                let expected = golden.get(&format!("{own}.{of}.{part}"));
                let square = |x: f64| x * x;
                let norm = expected.iter().copied().map(square).sum::<f64>();
                let pairs = found.iter().zip(expected);
                let off = pairs.map(|(a, b)| square(a.back() - b)).sum::<f64>();
                let relative = (off / norm).sqrt();
                assert!(relative <= gradient, "{own}.{of}.{part}: {relative:e}");
            }
        }
    }
}

#[test]
fn the_diagonal_injection_is_parcaes_with_its_gradients() {
    let golden = Golden::open(DIAGONAL);
    for case in ["square", "wide_input"] {
        let case = Case {
            golden: &golden,
            kind: Kind::Diagonal,
            shared: case,
            own: case,
            parameters: case,
            matrix: "B",
        };
        case.check::<f64>(F64_OUTPUT, F64_GRADIENT);
        case.check::<f32>(F32_OUTPUT, F32_GRADIENT);
    }
}

#[test]
fn the_orthogonal_injection_is_the_published_one_with_its_gradients() {
    let golden = Golden::open(ORTHOGONAL);
    for (own, parameters) in [("at_init", "init"), ("random", "random")] {
        let case = Case {
            golden: &golden,
            kind: Kind::Orthogonal,
            shared: "at_init",
            own,
            parameters,
            matrix: "W",
        };
        case.check::<f64>(F64_OUTPUT, F64_GRADIENT);
        case.check::<f32>(F32_OUTPUT, F32_GRADIENT);
    }
}

#[test]
fn what_the_orthogonal_injection_keeps_is_at_right_angles_to_the_update() {
    let golden = Golden::open(ORTHOGONAL);
    let names = [
        "random.A_log",
        "random.dt_bias",
        "random.W",
        "at_init.input",
    ];
    let arm = Arm::<f64>::new(&golden, names);
    let states = arm.run(Kind::Orthogonal, golden.get("at_init.state").to_vec(), 1);
    let u = <Kind as Rows<f64>>::update(&arm, &arm.product());
    let expected = golden.get("random.update");
    assert!(
        u.iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < F64_OUTPUT)
    );
    let width = golden.shape("init.A_log")[0];
    let mut ordinary = 0;
    for (y, u) in states[1].chunks(width).zip(u.chunks(width)) {
        let square = f64::dot(u, u);
        let kept: Vec<f64> = y.iter().zip(u).map(|(y, u)| y - u).collect();
        if square > 0.0 {
            assert!(f64::dot(&kept, u).abs() <= 1e-5 * square);
            ordinary += 1;
        }
    }
    assert_eq!(ordinary, 9, "one token has the update 0");
}

#[test]
fn the_initial_values_of_both_give_the_decay_the_root_of_a_fifth() {
    let dt_bias = (5.0_f64.sqrt() - 1.0).ln();
    let decay = Coefficient::Decay.value(0.0, dt_bias);
    assert!((decay - 0.2_f64.sqrt()).abs() < 1e-15);
    let golden = Golden::open(DIAGONAL);
    assert!(
        golden
            .get("init.dt_bias")
            .iter()
            .all(|x| (x - dt_bias).abs() < 1e-15)
    );
    assert!(
        golden
            .get("init.decay")
            .iter()
            .all(|x| (x - decay).abs() < 1e-15)
    );
    assert!(golden.get("init.A_log").iter().all(|x| x.abs() < 1e-15));
}
