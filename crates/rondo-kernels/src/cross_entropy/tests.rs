//! Compares the loss and its gradients with a plain version in f64 and its central differences.

use super::*;
use crate::threads::one_and_two;

/// The sizes `[tokens, d_model, vocab]`.
type Shape = [usize; 3];

const UNTIED: Head = Head {
    tied: false,
    precision: Precision::F32,
};

/// Hidden states, the matrix of the head `[d_model, vocab]`, and targets.
struct Case {
    shape: Shape,
    hidden: Vec<f32>,
    head: Vec<f32>,
    targets: Vec<i32>,
}

impl Case {
    fn new([tokens, d_model, vocab]: Shape) -> Self {
        let wave = |n: usize, step: f32| (0..n).map(move |i| (i as f32 * step).sin());
        Self {
            shape: [tokens, d_model, vocab],
            hidden: wave(tokens * d_model, 0.7).collect(),
            head: wave(d_model * vocab, 1.3).collect(),
            targets: (0..tokens).map(|i| (i * 7 % vocab) as i32).collect(),
        }
    }

    fn transposed_head(&self) -> Vec<f32> {
        let [_, d_model, vocab] = self.shape;
        transposed(&self.head, d_model, vocab)
    }

    fn hidden(&self) -> Matrix<'_> {
        Matrix::new(&self.hidden, self.shape[0], self.shape[1])
    }

    fn losses(&self) -> Losses {
        let matrix = Matrix::new(&self.head, self.shape[1], self.shape[2]);
        losses(UNTIED, self.hidden(), matrix, &self.targets)
    }

    fn untied(&self, weights: Option<&[f32]>) -> LossWithGradients {
        let matrix = Matrix::new(&self.head, self.shape[1], self.shape[2]);
        loss_with_gradients(UNTIED, self.hidden(), matrix, &self.targets, weights)
    }

    fn tied(&self, weights: Option<&[f32]>) -> LossWithGradients {
        let table = self.transposed_head();
        let table = Matrix::new(&table, self.shape[2], self.shape[1]);
        let head = Head {
            tied: true,
            ..UNTIED
        };
        loss_with_gradients(head, self.hidden(), table, &self.targets, weights)
    }
}

/// Returns `x` in f64, where rounding does not disturb the differences.
fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

fn transposed(x: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    (0..rows * cols)
        .map(|i| x[i % rows * cols + i / rows])
        .collect()
}

/// Returns the loss of each token, computed directly from the formula.
fn reference(shape: Shape, hidden: &[f64], head: &[f64], targets: &[i32]) -> Vec<f64> {
    let [tokens, d_model, vocab] = shape;
    let nll = |token: usize| {
        let logit = |j: usize| -> f64 {
            (0..d_model)
                .map(|i| hidden[token * d_model + i] * head[i * vocab + j])
                .sum()
        };
        let largest = (0..vocab).map(logit).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = (0..vocab).map(|j| (logit(j) - largest).exp()).sum();
        largest + sum.ln() - logit(targets[token] as usize)
    };
    (0..tokens).map(nll).collect()
}

fn weighted_mean(losses: &[f64], weights: Option<&[f32]>) -> f64 {
    let weight = |i: usize| weights.map_or(1.0, |w| f64::from(w[i]));
    let sum: f64 = losses
        .iter()
        .enumerate()
        .map(|(i, loss)| weight(i) * loss)
        .sum();
    sum / (0..losses.len()).map(weight).sum::<f64>()
}

fn assert_close(found: f32, expected: f64, what: &str) {
    let error = (f64::from(found) - expected).abs();
    assert!(
        error <= 1e-5 * expected.abs().max(1.0),
        "{what}: {found} is not {expected}"
    );
}

fn check(shape: Shape, weights: Option<&[f32]>) {
    const STEP: f64 = 1e-5;
    let case = Case::new(shape);
    let (mut hidden, mut head) = (wide(&case.hidden), wide(&case.head));
    let losses = reference(shape, &hidden, &head, &case.targets);
    for (found, expected) in case.losses().nll.iter().zip(&losses) {
        assert_close(*found, *expected, "loss of a token");
    }
    let (untied, tied) = (case.untied(weights), case.tied(weights));
    for found in [&untied, &tied] {
        assert_close(found.loss, weighted_mean(&losses, weights), "loss");
        assert_eq!(found.hits, case.losses().hits);
    }

    let mean = |hidden: &[f64], head: &[f64]| {
        weighted_mean(&reference(shape, hidden, head, &case.targets), weights)
    };
    for i in 0..hidden.len() {
        let mut at = |x: f64| {
            hidden[i] = f64::from(case.hidden[i]) + x;
            mean(&hidden, &head)
        };
        let slope = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        at(0.0);
        assert_close(untied.d_hidden[i], slope, "hidden");
        assert_close(tied.d_hidden[i], slope, "hidden, tied");
    }
    let tied_d_head = transposed(&tied.d_head, shape[2], shape[1]);
    for i in 0..head.len() {
        let mut at = |x: f64| {
            head[i] = f64::from(case.head[i]) + x;
            mean(&hidden, &head)
        };
        let slope = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        at(0.0);
        assert_close(untied.d_head[i], slope, "head");
        assert_close(tied_d_head[i], slope, "head, tied");
    }
}

#[test]
fn loss_and_gradients_are_those_of_central_differences() {
    check([1, 1, 2], None);
    check([1, 5, 3], None);
    check([7, 3, 2], None);
    check([5, 4, 33], None);
    check([9, 6, 17], None);
}

#[test]
fn weights_count_and_tokens_of_weight_zero_have_no_gradient() {
    let weights = [0.0, 1.0, 0.5, 0.0, 2.0];
    check([5, 4, 19], Some(&weights));
    let found = Case::new([5, 4, 19]).untied(Some(&weights));
    assert!(found.d_hidden[..4].iter().all(|x| *x == 0.0));
    assert!(found.d_hidden[4..8].iter().all(|x| *x != 0.0));
}

#[test]
fn weights_that_sum_to_zero_leave_no_number() {
    assert!(Case::new([2, 3, 4]).untied(Some(&[0.0; 2])).loss.is_nan());
}

#[test]
fn a_head_of_zeros_costs_ln_vocab_and_only_the_first_token_hits() {
    let mut case = Case::new([8, 4, 8]);
    case.head.fill(0.0);
    let found = case.untied(None);
    assert_close(found.loss, 8.0_f64.ln(), "loss");
    let hits: Vec<f32> = case.targets.iter().map(|t| f32::from(*t == 0)).collect();
    assert_eq!(found.hits, hits);
}

#[test]
fn every_chunk_counts() {
    // All tokens are equal, so the mean loss and the gradient of the head are those of one token.
    let [tokens, d_model, vocab] = [2 * chunk_rows(4099) + 3, 3, 4099];
    let one = Case::new([1, d_model, vocab]);
    let many = Case {
        shape: [tokens, d_model, vocab],
        hidden: one.hidden.repeat(tokens),
        head: one.head.clone(),
        targets: one.targets.repeat(tokens),
    };
    for (one, many) in [
        (one.untied(None), many.untied(None)),
        (one.tied(None), many.tied(None)),
    ] {
        assert_close(many.loss, f64::from(one.loss), "loss");
        for (many, one) in many.d_head.iter().zip(&one.d_head) {
            assert_close(*many, f64::from(*one), "head");
        }
        for rows in many.d_hidden.chunks(d_model) {
            for (many, one) in rows.iter().zip(&one.d_hidden) {
                assert_close(many * tokens as f32, f64::from(*one), "hidden");
            }
        }
    }
}

#[test]
fn logits_of_ten_thousand_are_finite_and_right() {
    let mut case = Case::new([4, 3, 11]);
    case.hidden.iter_mut().for_each(|x| *x *= 1e4);
    let expected = reference(
        case.shape,
        &wide(&case.hidden),
        &wide(&case.head),
        &case.targets,
    );
    for (found, expected) in case.losses().nll.iter().zip(&expected) {
        assert_close(*found, *expected, "loss of a token");
    }
    let found = case.untied(None);
    assert_close(found.loss, weighted_mean(&expected, None), "loss");
    assert!(
        found
            .d_head
            .iter()
            .chain(&found.d_hidden)
            .all(|x| x.is_finite())
    );
}

#[test]
fn one_hidden_state_that_is_not_a_number_spoils_the_loss_and_no_other_token() {
    let mut case = Case::new([3, 2, 5]);
    case.hidden[2] = f32::NAN;
    let spoilt: Vec<bool> = case.losses().nll.iter().map(|x| x.is_nan()).collect();
    assert_eq!(spoilt, [false, true, false]);
    assert!(case.untied(None).loss.is_nan());
    assert!(case.untied(Some(&[1.0, 0.0, 1.0])).loss.is_nan());
}

#[test]
fn training_and_evaluation_see_the_same_bits() {
    let case = Case::new([1, 9, 130]);
    let [nll, loss] = [case.losses().nll[0], case.untied(None).loss];
    assert_eq!(nll.to_bits(), loss.to_bits());
}

#[test]
fn one_thread_and_two_give_the_same_bits() {
    let case = Case::new([chunk_rows(4099) + 70, 24, 4099]);
    let [one, two] = one_and_two(|| {
        [case.untied(None), case.tied(None)]
            .into_iter()
            .flat_map(|found| [vec![found.loss], found.hits, found.d_hidden, found.d_head])
            .flatten()
            .chain(case.losses().nll)
            .map(f32::to_bits)
            .collect::<Vec<u32>>()
    });
    assert_eq!(one, two);
}

#[test]
fn gradients_of_rounded_numbers_are_near_those_of_the_numbers() {
    let case = Case::new([70, 48, 90]);
    let [_, d_model, vocab] = case.shape;
    let mut head = case.head.clone();
    // These weights give logits of about 1. There an error in a logit causes an error of the same
    // relative size in the softmax.
    head.iter_mut().for_each(|x| *x *= 0.2);
    let matrix = Matrix::new(&head, d_model, vocab);
    let rounding = Head {
        precision: Precision::Bf16,
        ..UNTIED
    };
    let run = |head| loss_with_gradients(head, case.hidden(), matrix, &case.targets, None);
    let (full, rounded) = (run(UNTIED), run(rounding));
    // A bf16 number has a relative error of at most 2⁻⁹. A logit is a sum of products of two
    // rounded numbers. A term of a gradient multiplies the rounded gradient of a logit with another
    // rounded number. At most four roundings act on a term.
    let bound = 4.0_f64 / 512.0;
    assert!(f64::from((full.loss - rounded.loss).abs() / full.loss) < bound);
    for (full, rounded) in [
        (&full.d_hidden, &rounded.d_hidden),
        (&full.d_head, &rounded.d_head),
    ] {
        let square = |x: f32| f64::from(x) * f64::from(x);
        let size: f64 = full.iter().map(|x| square(*x)).sum();
        let pairs = full.iter().zip(rounded);
        let error: f64 = pairs.map(|(full, rounded)| square(full - rounded)).sum();
        let share = (error / size).sqrt();
        assert!(share > 1e-4 && share < bound, "off by {share}");
    }
    let nll = losses(rounding, case.hidden(), matrix, &case.targets).nll;
    assert_eq!(mean(&nll, None).to_bits(), rounded.loss.to_bits());
}

#[test]
#[should_panic(expected = "target Some(5) of 5 tokens")]
fn a_target_beyond_the_vocabulary_is_refused() {
    let mut case = Case::new([2, 2, 5]);
    case.targets[1] = 5;
    case.losses();
}
