//! The penalties of a core with 16 features, compared with published values
//! ([tests/golden/penalties]) in f64 and f32.
//!
//! [tests/golden/penalties]: ../../../../tests/golden/penalties

use burn::tensor::{DType, s};
use rondo_files::TensorFile;

use super::*;

const GOLDEN: &[u8] = include_bytes!("../../../../tests/golden/penalties/jacobian.safetensors");

/// The f64 tensors of the golden file.
struct Golden(TensorFile<'static>);

impl Golden {
    fn open() -> Self {
        Self(TensorFile::parse(GOLDEN).expect("the golden file is whole"))
    }

    fn get(&self, name: &str) -> (Vec<usize>, Vec<f64>) {
        let all = self.0.tensors().iter();
        let mut found = all.filter(|one| one.name == name);
        let one = found.next().unwrap_or_else(|| panic!("no {name}"));
        let (octets, _) = one.bytes.as_chunks();
        let values = octets.iter().map(|&octet| f64::from_le_bytes(octet));
        (one.shape.clone(), values.collect())
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        self.get(name).1
    }

    fn tensor<const D: usize>(&self, name: &str, dtype: DType) -> Tensor<D> {
        let (shape, values) = self.get(name);
        let device = Device::flex().autodiff();
        Tensor::from_data(TensorData::new(values, shape), (&device, dtype))
    }
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    let data = x.into_data().convert::<f64>();
    data.iter().collect()
}

/// The function f of one of the cores `a` and `b`, with its weights as leaves.
struct Arm {
    w1: Tensor<2>,
    b1: Tensor<1>,
    w2: Tensor<2>,
    mix: Option<Tensor<2>>,
    state: Tensor<3>,
    directions: Tensor<4>,
}

impl Arm {
    fn open(golden: &Golden, name: &str, dtype: DType) -> Self {
        Self {
            w1: golden.tensor("W1", dtype).require_grad(),
            b1: golden.tensor("b1", dtype),
            w2: golden.tensor("W2", dtype).require_grad(),
            mix: (name == "b").then(|| golden.tensor("M", dtype)),
            state: golden.tensor(&format!("{name}.state"), dtype),
            directions: golden.tensor(&format!("{name}.directions"), dtype),
        }
    }

    /// Computes one iteration of the core.
    fn f(&self, x: Tensor<3>) -> Tensor<3> {
        let x = match &self.mix {
            Some(mix) => mix.clone().unsqueeze::<3>().matmul(x),
            None => x,
        };
        let product =
            |x: Tensor<3>, w: &Tensor<2>| x.matmul(w.clone().transpose().unsqueeze::<3>());
        let inner = product(x.clone(), &self.w1) + self.b1.clone().unsqueeze::<3>();
        x * 0.5 + product(inner.tanh(), &self.w2)
    }

    fn direction(&self, index: usize) -> Tensor<3> {
        self.directions
            .clone()
            .slice(s![index..=index])
            .squeeze_dim(0)
    }

    fn penalty(&self, index: usize, epsilon: f64) -> Tensor<1> {
        forward_difference(|x| self.f(x), &self.state, self.direction(index), epsilon)
    }

    fn penalties(&self, epsilon: f64) -> Vec<f64> {
        let one = |index| values(self.penalty(index, epsilon))[0];
        (0..64).map(one).collect()
    }

    /// Returns the gradients of the penalty along the first direction with respect to W1 and W2.
    fn gradients(&self, epsilon: f64) -> [Vec<f64>; 2] {
        let gradients = self.penalty(0, epsilon).backward();
        [&self.w1, &self.w2].map(|w| values(w.grad(&gradients).expect("a gradient")))
    }
}

/// Returns the length of a − b divided by the length of b.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let length = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    let apart = length(&mut a.iter().zip(b).map(|(a, b)| a - b));
    apart / length(&mut b.iter().copied())
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

#[test]
fn differences_in_f64_are_the_published_ones() {
    let golden = Golden::open();
    for name in ["a", "b"] {
        let arm = Arm::open(&golden, name, DType::F64);
        let f = values(arm.f(arm.state.clone()));
        assert!(distance(&f, &golden.numbers(&format!("{name}.f"))) < 1e-14);
        for (epsilon, written) in [(0.1, "0.1"), (0.01, "0.01"), (0.001, "0.001")] {
            let expected = golden.numbers(&format!("{name}.forward_difference.{written}"));
            let found = arm.penalties(epsilon);
            let apart = distance(&found, &expected);
            assert!(apart < 1e-10, "{name}, {epsilon}: {apart}");
        }
    }
}

#[test]
fn gradients_in_f64_are_the_published_ones() {
    let golden = Golden::open();
    for name in ["a", "b"] {
        let found = Arm::open(&golden, name, DType::F64).gradients(0.001);
        for (found, w) in found.iter().zip(["W1", "W2"]) {
            let expected = golden.numbers(&format!("{name}.fd_grad.{w}"));
            let apart = distance(found, &expected);
            assert!(apart < 1e-10, "{name}, {w}: {apart}");
        }
    }
}

#[test]
fn in_f32_the_mean_over_directions_is_within_a_hundredth_of_the_exact_one() {
    let golden = Golden::open();
    for name in ["a", "b"] {
        let found = mean(&Arm::open(&golden, name, DType::F32).penalties(0.01));
        let exact = mean(&golden.numbers(&format!("{name}.exact.Jv_squared")));
        assert!(
            (found / exact - 1.0).abs() < 0.01,
            "{name}: {found} of {exact}"
        );
    }
}

/// The relative error of the gradient in f32 for ε = 1, which comes from the rounding of the
/// difference. This error grows as 1/ε in any implementation.
const DIFFERENCE: f64 = 3e-6;

#[test]
fn gradients_in_f32_are_those_of_f64_but_for_the_rounding_of_the_difference() {
    let golden = Golden::open();
    for name in ["a", "b"] {
        for epsilon in [1.0, 0.1, 0.01, 0.001] {
            let [single, double] = [DType::F32, DType::F64]
                .map(|dtype| Arm::open(&golden, name, dtype).gradients(epsilon));
            for (found, expected) in single.iter().zip(&double) {
                let apart = distance(found, expected);
                assert!(apart < DIFFERENCE / epsilon, "{name}, {epsilon}: {apart}");
            }
        }
    }
}

#[test]
fn the_loss_is_made_of_the_cross_entropy_and_the_penalty_by_the_weight() {
    let golden = Golden::open();
    let number = |name: &str| golden.numbers(name)[0];
    let weighted = Weighted {
        penalty: Penalty::Norm,
        weight: number("combined.weight"),
    };
    let (cross_entropy, penalty) = (number("combined.cross_entropy"), number("b.iters1.penalty"));
    let loss = weighted.kept() * cross_entropy + weighted.weight * penalty;
    assert!((loss - number("combined.loss")).abs() < 1e-12);
}

/// Compares with an independent reference in plain f64: the core, its difference, and the gradient
/// of the penalty with respect to W2.
#[test]
fn a_plain_reference_gives_the_same_penalty_and_gradient() {
    let golden = Golden::open();
    let (w1, b1, w2) = (
        golden.numbers("W1"),
        golden.numbers("b1"),
        golden.numbers("W2"),
    );
    let (x, v) = (golden.numbers("a.state"), golden.numbers("a.directions"));
    let hidden = |x: &[f64]| -> Vec<f64> {
        let row = |j: usize| (0..16).map(|i| w1[16 * j + i] * x[i]).sum::<f64>() + b1[j];
        (0..32).map(|j| row(j).tanh()).collect()
    };
    let f = |x: &[f64]| -> Vec<f64> {
        let t = hidden(x);
        let row = |i: usize| (0..32).map(|j| w2[32 * i + j] * t[j]).sum::<f64>();
        (0..16).map(|i| 0.5 * x[i] + row(i)).collect()
    };
    let epsilon = 0.01;
    let moved: Vec<f64> = (0..16).map(|i| x[i] + epsilon * v[i]).collect();
    let pairs = f(&moved).into_iter().zip(f(&x));
    let change: Vec<f64> = pairs.map(|(a, b)| (a - b) / epsilon).collect();
    let expected: f64 = change.iter().map(|c| c * c).sum();
    let pairs = hidden(&moved).into_iter().zip(hidden(&x));
    let of_hidden: Vec<f64> = pairs.map(|(a, b)| (a - b) / epsilon).collect();
    let gradient = |i: usize| of_hidden.iter().map(move |h| (i, h));
    let gradient = (0..16).flat_map(gradient);
    let gradient: Vec<f64> = gradient.map(|(i, h)| 2.0 * change[i] * h).collect();
    let arm = Arm::open(&golden, "a", DType::F64);
    let found = values(arm.penalty(0, epsilon))[0];
    assert!((found / expected - 1.0).abs() < 1e-10, "{found} {expected}");
    assert!(distance(&arm.gradients(epsilon)[1], &gradient) < 1e-10);
}

#[test]
fn the_mean_of_micro_batches_is_the_penalty_of_the_whole_batch() {
    let golden = Golden::open();
    let arm = Arm::open(&golden, "b", DType::F64);
    // Two micro-batches of one sequence, each with its own direction.
    let half = |x: &Tensor<3>, index: usize| x.clone().slice(s![index..=index]);
    let unit = |index: usize| {
        let v = half(&arm.direction(index), index);
        let length = v.clone().square().sum().sqrt();
        v / length.unsqueeze::<3>()
    };
    let epsilon = 0.05;
    let alone = |index: usize| {
        let x = half(&arm.state, index);
        values(forward_difference(|x| arm.f(x), &x, unit(index), epsilon))[0]
    };
    let whole = Tensor::cat(vec![unit(0), unit(1)], 0) * 0.5_f64.sqrt();
    let length = epsilon * 2.0_f64.sqrt();
    let found = values(forward_difference(|x| arm.f(x), &arm.state, whole, length))[0];
    let expected = f64::midpoint(alone(0), alone(1));
    assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
}

#[test]
fn means_are_over_every_number() {
    let x = Tensor::<3>::from_data([[[1.0, 2.0], [3.0, 4.0]]], &Device::flex());
    // The mean square of x is (1 + 4 + 9 + 16)/4. With f(x) = 2x, the residual f(x) − x is x and
    // has the same mean square.
    let expected = vec![7.5];
    assert_eq!(values(mean_square(x.clone())), expected);
    assert_eq!(values(residual(|x| x * 2.0, &x)), expected);
}

#[test]
fn a_direction_has_length_one_and_is_of_its_micro_batch_alone() {
    let draw = |seed, number, shape| values(direction(seed, number, shape, &Device::flex()));
    let here = draw(1, 5, [2, 3, 8]);
    let squares: f64 = here.iter().map(|x| x * x).sum();
    assert!((squares - 1.0).abs() < 1e-6, "{squares}");
    assert_eq!(here, draw(1, 5, [2, 3, 8]));
    assert_ne!(here, draw(1, 6, [2, 3, 8]));
    assert_ne!(here, draw(2, 5, [2, 3, 8]));
}
