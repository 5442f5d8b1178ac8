//! Compares all rules with plain versions in f64 and with results computed by hand, also at the
//! boundaries of pieces.

use super::*;
use crate::threads::one_and_two;

const STEP: Step = Step {
    lr: 0.1,
    decay: 0.01,
    beta1: 0.9,
    beta2: 0.95,
    update: 1,
    gradient_scale: 1.0,
};

const EPS: f64 = 1e-8;

const ADAMW: Rule = Rule::AdamW { eps: EPS };
const CLIPPED: Rule = raven_adam(true);
const FREE: Rule = raven_adam(false);
const RULES: [Rule; 3] = [ADAMW, CLIPPED, FREE];

const fn raven_adam(update_clipping: bool) -> Rule {
    Rule::RavenAdam { update_clipping }
}

/// A parameter with its moments.
#[derive(Clone, Debug, PartialEq)]
struct State<T> {
    value: Vec<T>,
    first: Vec<T>,
    second: Vec<T>,
}

impl State<f32> {
    fn new(value: Vec<f32>) -> Self {
        let zeros = vec![0.0; value.len()];
        Self {
            value,
            first: zeros.clone(),
            second: zeros,
        }
    }

    fn update(&mut self, rule: Rule, gradient: &[f32], step: Step) {
        let parameter = Parameter {
            value: &mut self.value,
            first: &mut self.first,
            second: &mut self.second,
            gradient,
        };
        Update { rule, step }.apply(parameter);
    }

    fn wide(&self) -> State<f64> {
        let wide = |x: &[f32]| x.iter().map(|x| f64::from(*x)).collect();
        State {
            value: wide(&self.value),
            first: wide(&self.first),
            second: wide(&self.second),
        }
    }
}

impl State<f64> {
    /// Applies the published formulas.
    fn update(&mut self, rule: Rule, gradient: &[f32], step: Step) {
        let [c1, c2] = [step.beta1, step.beta2].map(|beta| 1.0 - beta.powi(step.update as i32));
        let scaled = |i: usize| f64::from(gradient[i]) * step.gradient_scale;
        let starts = step.update == 1 && matches!(rule, Rule::RavenAdam { .. });
        let blend = |old: f64, new: f64, beta: f64| match starts {
            true => new,
            false => beta * old + (1.0 - beta) * new,
        };
        let floor = match rule {
            Rule::RavenAdam {
                update_clipping: true,
            } => 1e-12,
            Rule::RavenAdam { .. } | Rule::AdamW { .. } => 0.0,
        };
        let mut ratios = 0.0;
        for i in 0..gradient.len() {
            let g = scaled(i);
            self.first[i] = blend(self.first[i], g, step.beta1);
            self.second[i] = blend(self.second[i], g * g, step.beta2).max(floor);
            ratios += g * g / self.second[i];
        }
        let clip = (ratios / gradient.len() as f64).sqrt().max(1.0);
        for i in 0..gradient.len() {
            let (m, v) = (self.first[i], self.second[i]);
            let delta = match rule {
                Rule::AdamW { eps } => step.lr * (m / c1) / ((v / c2).sqrt() + eps),
                Rule::RavenAdam { update_clipping } => {
                    let lr = if update_clipping {
                        step.lr / clip
                    } else {
                        step.lr
                    };
                    lr / c1 * m.atan2((v / c2).sqrt())
                }
            };
            self.value[i] = self.value[i] * (1.0 - step.decay) - delta;
        }
    }
}

fn wave(length: usize, step: f32) -> Vec<f32> {
    (0..length).map(|i| (i as f32 * step).sin()).collect()
}

/// The allowed relative error. Values are near 1, and f32 rounds each of a few operations on them
/// by 6e-8.
const ROUNDING: f64 = 1e-6;

#[track_caller]
fn assert_close(found: &[f32], expected: &[f64], what: &str) {
    assert_close_of(found, expected, 1.0, what);
}

/// Asserts that the numbers are close, relative to their own size or to `size`, whichever is
/// larger.
#[track_caller]
fn assert_close_of(found: &[f32], expected: &[f64], size: f64, what: &str) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        assert!(
            error <= ROUNDING * expected.abs().max(size),
            "{what} {i}: {found} is not {expected}"
        );
    }
}

#[test]
fn the_first_adamw_update_moves_by_the_rate_and_decays_by_its_share() {
    let mut state = State::new(vec![1.0, 2.0]);
    state.update(ADAMW, &[0.5, -3.0], STEP);
    assert_close(&state.value, &[0.99 - 0.1, 1.98 + 0.1], "value");
    assert_close(&state.first, &[0.05, -0.3], "first");
    assert_close(&state.second, &[0.0125, 0.45], "second");
}

#[test]
fn the_first_raven_update_starts_from_the_gradient() {
    // At the first update m = g and √v = |g|. With the corrections 0.1 and 0.05 the direction is
    // atan(√0.05) / 0.1.
    let mut state = State::new(vec![1.0, 2.0]);
    state.update(CLIPPED, &[0.5, -3.0], STEP);
    let move_by = 0.1 / 0.1 * 0.05_f64.sqrt().atan();
    assert_close(&state.value, &[0.99 - move_by, 1.98 + move_by], "value");
    assert_close(&state.first, &[0.5, -3.0], "first");
    assert_close(&state.second, &[0.25, 9.0], "second");
}

#[test]
fn a_second_moment_below_the_floor_is_kept_at_it_and_its_element_hardly_moves() {
    let mut state = State::new(vec![0.0; 3]);
    state.update(CLIPPED, &[1e-8, -1e-8, 0.0], STEP);
    // √v / √0.05 = 4.47e-6. With m = 1e-8 the angle is 0.0022, and the correction of m is 0.1.
    let move_by = 0.1 / 0.1 * 1e-8_f64.atan2(1e-6 / 0.05_f64.sqrt());
    assert_close_of(&state.value, &[-move_by, move_by, 0.0], 1e-3, "value");
    assert!(
        state
            .second
            .iter()
            .all(|v| v.to_bits() == 1e-12_f32.to_bits())
    );
    assert_close_of(&state.first, &[1e-8, -1e-8, 0.0], 1e-8, "first");

    // The next update starts at the lower bound: v = 0.95 · 1e-12 + 0.05 · 1e-8.
    let second = Step { update: 2, ..STEP };
    state.update(CLIPPED, &[1e-4, 0.0, 0.0], second);
    let lifted = 0.95e-12 + 0.05e-8;
    assert_close_of(&state.second, &[lifted, 1e-12, 1e-12], 1e-12, "second");

    let mut free = State::new(vec![0.0; 2]);
    free.update(FREE, &[1e-8, 0.0], STEP);
    let full = 0.05_f64.sqrt().atan();
    assert_close(&free.value, &[-full, 0.0], "without clipping, value");
    assert_close_of(
        &free.second,
        &[1e-16, 0.0],
        1e-16,
        "without clipping, second",
    );
}

#[test]
fn a_gradient_that_grows_tenfold_is_clipped_by_its_own_mean() {
    // v = 0.95 · 1 + 0.05 · 100 = 5.95, so mean(g² / v) = 100 / 5.95.
    let second = Step { update: 2, ..STEP };
    let run = |clipped: bool| {
        let mut state = State::new(vec![0.0; 3]);
        state.update(raven_adam(clipped), &[1.0; 3], STEP);
        state.value.fill(0.0);
        state.update(raven_adam(clipped), &[10.0; 3], second);
        f64::from(state.value[0])
    };
    assert!((run(false) / run(true) - (100.0_f64 / 5.95).sqrt()).abs() < 1e-5);
}

#[test]
fn several_updates_of_every_length_follow_the_formulas() {
    for rule in RULES {
        for length in [1, 15, 16, 17, 100_000] {
            for (decay, size) in [
                (0.0, 1.0),
                (0.01, 1.0),
                (0.01, 2e-6),
                (0.01, 1e-8),
                (0.01, 1e-12),
                (0.01, 1e12),
            ] {
                let mut found = State::new(wave(length, 0.3));
                let mut expected = found.wide();
                for update in 1..=4 {
                    let gradient: Vec<f32> = wave(length, 0.9 + update as f32)
                        .iter()
                        .map(|x| x * size)
                        .collect();
                    let step = Step {
                        update,
                        decay,
                        gradient_scale: 0.5,
                        ..STEP
                    };
                    found.update(rule, &gradient, step);
                    expected.update(rule, &gradient, step);
                }
                let what = format!("{rule:?}, {length} numbers, decay {decay}, gradient {size}");
                assert_close(&found.value, &expected.value, &what);
                assert_close_of(&found.first, &expected.first, f64::from(size), &what);
                let square = f64::from(size).powi(2);
                assert_close_of(&found.second, &expected.second, square, &what);
            }
        }
    }
}

#[test]
fn nothing_to_update_is_no_trouble() {
    for rule in RULES {
        let mut state = State::new(Vec::new());
        state.update(rule, &[], STEP);
        assert_eq!(state, State::new(Vec::new()));
    }
}

#[test]
fn a_gradient_of_zero_leaves_only_the_decay() {
    for rule in RULES {
        let mut state = State::new(vec![2.0; 20]);
        state.update(rule, &[0.0; 20], STEP);
        assert_close(&state.value, &[1.98; 20], "value");
        state.value.fill(2.0);
        state.update(
            rule,
            &[0.0; 20],
            Step {
                decay: 0.0,
                update: 2,
                ..STEP
            },
        );
        assert!(state.value.iter().all(|p| (p - 2.0).abs() < f32::EPSILON));
    }
}

#[test]
fn what_is_not_a_number_is_not_hidden() {
    for rule in RULES {
        let mut state = State::new(vec![2.0; 3]);
        state.update(rule, &[1.0, f32::NAN, 1.0], STEP);
        assert!(state.value[1].is_nan() && state.second[1].is_nan());
    }
}

#[test]
fn one_thread_and_two_give_the_same_bits() {
    let gradient = wave(100_003, 1.7);
    for rule in RULES {
        let [one, two] = one_and_two(|| {
            let mut state = State::new(wave(100_003, 0.3));
            for update in 1..=3 {
                state.update(rule, &gradient, Step { update, ..STEP });
            }
            state
        });
        assert_eq!(one, two, "{rule:?}");
    }
}

#[test]
#[should_panic(expected = "moments and gradient of a parameter of 2 numbers")]
fn a_gradient_of_another_length_is_refused() {
    State::new(vec![0.0; 2]).update(ADAMW, &[1.0], STEP);
}
