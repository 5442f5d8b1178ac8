//! Compares twenty updates of two matrices with those of published optimizers. Also compares
//! Newton–Schulz alone with its published form.
//!
//! The expected values are in tests/golden/optimizers, with the formulas behind them.

use std::collections::BTreeMap;

use rondo_files::TensorFile;
use rondo_model::init::{Initializer, Part};

use super::super::{adamw::AdamW, muon, muon::Muon, raven_adam::RavenAdam};
use super::*;

/// The largest allowed difference of a weight or a loss in f32 from its golden value. The published
/// runs, repeated in f32, differ by at most 9e-7.
const TOLERANCE: f64 = 5e-6;

/// The largest allowed difference of a moment from its golden value. The published runs, repeated
/// in f32, differ by at most 4.2e-8.
const MOMENT_TOLERANCE: f64 = 2e-7;

/// The largest allowed difference of an element after Newton–Schulz alone from its golden value.
/// The published iteration, repeated in f32, differs by at most 4.4e-6.
const NEWTON_SCHULZ_TOLERANCE: f64 = 2e-5;

/// The numbers of rows and columns of W₁ and W₂.
const SHAPES: [[usize; 2]; 2] = [[24, 16], [8, 24]];

/// The number of columns of X and Y.
const SAMPLES: usize = 32;

/// η₀, the learning rate of the runs with Adam.
const ADAM_RATE: f64 = 1.0 / 128.0;

/// η and λ, the learning rate and weight decay of the runs with Muon.
const MUON_RATE: f64 = 0.02;
const MUON_DECAY: f64 = 0.1;

/// The golden tensors by name.
struct Golden(BTreeMap<String, Vec<f32>>);

impl Golden {
    fn open() -> Self {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/golden/optimizers/optimizers.safetensors"
        );
        let bytes = std::fs::read(path).expect("the golden file is there");
        let file = TensorFile::parse(&bytes).expect("the golden file is whole");
        let tensors = file.tensors().iter();
        Self(
            tensors
                .map(|tensor| (tensor.name.clone(), tensor.f32_values().expect("f32")))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> &[f32] {
        &self.0[name]
    }

    /// Asserts that `found` differs from the golden tensor `name` by at most `tolerance`.
    fn check(&self, name: &str, found: &[f32], tolerance: f64) {
        let distance = distance(found, self.get(name));
        assert!(distance <= tolerance, "{name}: off by {distance:e}");
    }

    /// Returns the gradients of both matrices, and the loss `½‖W₂·tanh(W₁X) − Y‖²/32`.
    fn differentiate(&self, weights: [&[f32]; 2]) -> ([Vec<f32>; 2], f64) {
        let [w1, w2] = weights.map(wide);
        let [x, y] = ["X", "Y"].map(|name| wide(self.get(name)));
        let (features, hidden) = (SHAPES[0][1], SHAPES[0][0]);
        let samples = SAMPLES as f64;
        let h: Vec<f64> = product(&w1, &x, features)
            .iter()
            .map(|a| a.tanh())
            .collect();
        let out = product(&w2, &h, hidden);
        let error: Vec<f64> = out
            .iter()
            .zip(&y)
            .map(|(out, y)| (out - y) / samples)
            .collect();
        let loss = error.iter().map(|error| error * error).sum::<f64>() * samples / 2.0;
        let d_w2 = product(&error, &transposed(&h, SAMPLES), SAMPLES);
        let d_h = product(&transposed(&w2, hidden), &error, SHAPES[1][0]);
        let d_a: Vec<f64> = d_h.iter().zip(&h).map(|(d, h)| d * (1.0 - h * h)).collect();
        let d_w1 = product(&d_a, &transposed(&x, SAMPLES), SAMPLES);
        let narrow = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
        ([d_w1, d_w2].map(narrow), loss)
    }
}

/// Returns the largest difference between two slices of the same length.
fn distance(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    pairs
        .map(|(one, other)| f64::from((one - other).abs()))
        .fold(0.0, f64::max)
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// Returns the product of two row-major matrices. The left one has `inner` columns.
fn product(left: &[f64], right: &[f64], inner: usize) -> Vec<f64> {
    let cols = right.len() / inner;
    let row = |row: &[f64]| -> Vec<f64> {
        (0..cols)
            .map(|col| (0..inner).map(|i| row[i] * right[i * cols + col]).sum())
            .collect()
    };
    left.chunks(inner).flat_map(row).collect()
}

/// Returns the transpose of a row-major matrix with `cols` columns.
fn transposed(matrix: &[f64], cols: usize) -> Vec<f64> {
    (0..cols)
        .flat_map(|col| matrix.iter().skip(col).step_by(cols).copied())
        .collect()
}

/// A matrix, and the optimizer that updates it.
struct Trained {
    optimizer: Optimizer,
    value: Vec<f32>,
}

impl Trained {
    fn new(config: &OptimizerConfig, shape: [usize; 2], start: &[f32]) -> Self {
        let row = ParameterSpec {
            name: "matrix".to_owned(),
            shape: shape.to_vec(),
            part: Part::Core,
            role: Role::Matrix,
            init: Initializer::Zeros,
            gain: None,
        };
        Self {
            optimizer: Optimizer::new(config, vec![row], ADAM_RATE),
            value: start.to_vec(),
        }
    }

    fn update(&mut self, gradient: &[f32], backend: Backend, lr: f64) {
        let tensor = |values: &[f32]| Tensor::<1>::from_data(values, &Device::flex());
        let (value, gradient) = (tensor(&self.value), tensor(gradient));
        self.optimizer.updates += 1;
        let gate = Gate::Host(1.0);
        let mut step = self.optimizer.shared_step(&gate, lr);
        let after = self
            .optimizer
            .update(0, value, gradient, backend, &mut step);
        self.value = values(after);
    }

    fn moments(&self) -> [Option<Vec<f32>>; 2] {
        let Moments { first, second } = self.optimizer.moments[0].clone();
        [first, second].map(|moment| moment.map(values))
    }
}

/// Makes the updates up to the twentieth. Compares weights, losses and moments with those of the
/// run `tag`.
fn follow(
    golden: &Golden,
    tag: &str,
    trained: &mut [Trained; 2],
    backend: Backend,
    rate: impl Fn(u64, [usize; 2]) -> f64,
) {
    let begun = trained[0].optimizer.updates;
    for update in begun + 1..=20 {
        let weights = [&trained[0].value[..], &trained[1].value[..]];
        let (gradients, loss) = golden.differentiate(weights);
        let expected = f64::from(golden.get(&format!("{tag}.loss"))[update as usize - 1]);
        let off = (loss - expected).abs();
        assert!(off <= TOLERANCE, "{tag}: loss {update} is off by {off:e}");
        for (i, (one, gradient)) in trained.iter_mut().zip(&gradients).enumerate() {
            one.update(gradient, backend, rate(update, SHAPES[i]));
            let name = format!("{tag}.W{}.step_{update}", i + 1);
            if golden.0.contains_key(&name) {
                golden.check(&name, &one.value, TOLERANCE);
            }
        }
    }
    for (i, one) in trained.iter().enumerate() {
        for (part, found) in ["exp_avg", "exp_avg_sq"].into_iter().zip(one.moments()) {
            let name = format!("{tag}.{part}_W{}.step_20", i + 1);
            if golden.0.contains_key(&name) {
                let found = found.expect("the moments of Adam");
                golden.check(&name, &found, MOMENT_TOLERANCE);
            }
        }
    }
}

/// Compares all updates with those of the run `tag`, once in place and once composed. `rule` and
/// `rate` depend on the matrix's shape.
fn follow_from_the_start(
    tag: &str,
    rule: impl Fn([usize; 2]) -> OptimizerConfig,
    rate: impl Fn(u64, [usize; 2]) -> f64,
) {
    let golden = Golden::open();
    for backend in [Backend::Flex, Backend::Composed] {
        let new = |i: usize| {
            let start = golden.get(&format!("W{}_start", i + 1));
            Trained::new(&rule(SHAPES[i]), SHAPES[i], start)
        };
        follow(&golden, tag, &mut [new(0), new(1)], backend, &rate);
    }
}

#[test]
fn adamw_is_the_published_one() {
    let rule = AdamW {
        weight_decay: 0.125,
        ..AdamW::default()
    };
    follow_from_the_start("adamw", |_| OptimizerConfig::AdamW(rule), |_, _| ADAM_RATE);
}

#[test]
fn raven_adam_is_the_references() {
    let golden = Golden::open();
    let rule = RavenAdam {
        weight_decay: 1.0 / 128.0,
        ..RavenAdam::default()
    };
    let rates = golden.get("raven_adam.schedule");
    follow_from_the_start(
        "raven_adam",
        |_| OptimizerConfig::RavenAdam(rule),
        |update, _| f64::from(rates[update as usize - 1]),
    );
}

#[test]
fn of_the_two_forms_of_adam_with_atan2_ours_corrects_outside_the_arctangent() {
    let golden = Golden::open();
    // Here, decay is multiplied by η / η_peak. In the published forms it is multiplied by η.
    let rule = RavenAdam {
        weight_decay: 0.125 * ADAM_RATE,
        update_clipping: false,
        ..RavenAdam::default()
    };
    // Both published forms start with moments of zero, and the form here with the first gradient.
    // If the form here starts with the published moments, everything is equal from the second
    // update on.
    let starts = ["W1_start", "W2_start"].map(|name| golden.get(name));
    let (gradients, _) = golden.differentiate(starts);
    for backend in [Backend::Flex, Backend::Composed] {
        let mut trained = [0, 1].map(|i| {
            let start = golden.get(&format!("adam_atan2_outer.W{}.step_1", i + 1));
            let mut one = Trained::new(&OptimizerConfig::RavenAdam(rule), SHAPES[i], start);
            let moment = |of: &dyn Fn(f64) -> f64| {
                let moved = gradients[i].iter().map(|g| of(f64::from(*g)) as f32);
                let moved: Vec<f32> = moved.collect();
                Some(Tensor::<1>::from_data(moved.as_slice(), &Device::flex()))
            };
            one.optimizer.moments[0] = Moments {
                first: moment(&|g| 0.1 * g),
                second: moment(&|g| 0.05 * g * g),
            };
            one.optimizer.updates = 1;
            one
        });
        follow(
            &golden,
            "adam_atan2_outer",
            &mut trained,
            backend,
            |_, _| ADAM_RATE,
        );
        for (i, one) in trained.iter().enumerate() {
            let other = golden.get(&format!("adam_atan2_inner.W{}.step_20", i + 1));
            let apart = distance(&one.value, other);
            assert!(apart > 100.0 * TOLERANCE, "the forms are {apart:e} apart");
        }
    }
}

#[test]
fn muon_is_the_published_form_that_matches_the_size_of_an_adamw_update() {
    let rule = Muon {
        weight_decay: MUON_DECAY,
        ..Muon::default()
    };
    follow_from_the_start(
        "muon_torch_match_rms",
        |_| OptimizerConfig::Muon(rule),
        |_, _| MUON_RATE,
    );
}

#[test]
fn with_another_rate_for_each_shape_muon_is_the_two_forms_that_scale_tall_matrices() {
    // The published factor √max(1, r/c) replaces 0.2·√max(r, c). The product of rate and decay
    // stays the same.
    let factor = |[rows, cols]: [usize; 2]| {
        let [rows, cols] = [rows as f64, cols as f64];
        (rows / cols).max(1.0).sqrt() / (0.2 * rows.max(cols).sqrt())
    };
    for tag in ["muon_keller", "muon_torch_original"] {
        let rule = |shape| {
            OptimizerConfig::Muon(Muon {
                weight_decay: MUON_DECAY / factor(shape),
                ..Muon::default()
            })
        };
        follow_from_the_start(tag, rule, |_, shape| MUON_RATE * factor(shape));
    }
}

#[test]
fn five_newton_schulz_iterations_are_the_published_ones_for_matrices_of_every_form() {
    let golden = Golden::open();
    for (name, shape) in [
        ("tall", [24, 8]),
        ("wide", [8, 24]),
        ("square", [16, 16]),
        ("rank3", [16, 12]),
        ("zero", [6, 4]),
    ] {
        let name = format!("newton_schulz.{name}");
        let input = golden.get(&format!("{name}.input"));
        let matrix = Tensor::<1>::from_data(input, &Device::flex()).reshape(shape);
        let found = muon::orthogonalise(matrix, 5);
        let found: Vec<f32> = found.into_data().iter().collect();
        golden.check(&name, &found, NEWTON_SCHULZ_TOLERANCE);
    }
}
