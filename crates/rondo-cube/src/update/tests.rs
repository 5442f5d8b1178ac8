use super::*;
use crate::testing::{Numbers, TestDevice, assert_close, device, values};

const STEP: Step = Step {
    lr: 3e-3,
    decay: 1e-3,
    beta1: 0.9,
    beta2: 0.95,
    update: 3,
    gradient_scale: 1.0,
};

/// A parameter, its moments and its gradient on the host.
#[derive(Clone)]
struct Vectors {
    value: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
    gradient: Vec<f32>,
}

impl Vectors {
    fn new(count: usize) -> Self {
        let mut numbers = Numbers::new(1.0);
        let mut gradient = numbers.vector(count);
        gradient[0] = 0.0;
        let second = numbers.vector(count).into_iter().map(|x| x * x * 1e-2);
        Self {
            value: numbers.vector(count),
            first: numbers.vector(count),
            second: second.collect(),
            gradient,
        }
    }

    /// Applies an update with the kernels; `gate` says where the factor of the gradients comes
    /// from.
    fn updated(
        &self,
        device: &TestDevice,
        started: bool,
        update: Update,
        gate: Gate<'_>,
    ) -> [Vec<f32>; 3] {
        let numbers = StepNumbers::new(update, &device.tensor(&[0.0], [1]));
        let made = super::update(update, &numbers, gate, self.on(device, started));
        [made.value, made.first, made.second].map(values)
    }

    fn on(&self, device: &TestDevice, started: bool) -> Parameter {
        let on = |x: &[f32]| device.tensor(x, [x.len()]);
        Parameter {
            value: on(&self.value),
            first: started.then(|| on(&self.first)),
            second: started.then(|| on(&self.second)),
            gradient: on(&self.gradient),
        }
    }
}

fn check_rule(rule: Rule) {
    let Some(device) = device() else { return };
    for count in [1, 20, 255, 257, 70_001] {
        for started in [false, true] {
            let mut before = Vectors::new(count);
            if !started {
                before.first.fill(0.0);
                before.second.fill(0.0);
            }
            let step = Step {
                update: if started { STEP.update } else { 1 },
                gradient_scale: 0.5,
                ..STEP
            };
            let update = Update { rule, step };
            let made = before.updated(&device, started, update, Gate::Host);
            let mut expected = before.clone();
            update.apply(rondo_kernels::update::Parameter {
                value: &mut expected.value,
                first: &mut expected.first,
                second: &mut expected.second,
                gradient: &before.gradient,
            });
            let expected = [expected.value, expected.first, expected.second];
            for (found, expected) in made.iter().zip(&expected) {
                for (found, expected) in found.iter().zip(expected) {
                    let expected = f64::from(*expected);
                    // The change is about as large as the rate. The error of the moments is
                    // relative to the terms of their sums.
                    assert_close(*found, expected, expected.abs() + 2e-2);
                }
            }
        }
    }
}

#[test]
fn adamw_is_that_of_the_kernels_for_a_cpu() {
    check_rule(Rule::AdamW { eps: 1e-8 });
}

#[test]
fn raven_adam_is_that_of_the_kernels_for_a_cpu() {
    for update_clipping in [false, true] {
        check_rule(Rule::RavenAdam { update_clipping });
    }
}

#[test]
fn a_parameter_that_does_not_decay_reads_the_same_numbers() {
    let Some(device) = device() else { return };
    let before = Vectors::new(300);
    let rule = Rule::AdamW { eps: 1e-8 };
    let step = Step { decay: 0.0, ..STEP };
    let [decaying, plain] = [STEP, step].map(|step| Update { rule, step });
    let parameter = before.on(&device, true);
    let numbers = StepNumbers::new(decaying, &parameter.gradient);
    let made = super::update(plain, &numbers, Gate::Host, parameter);
    let found = values(made.value);
    assert_eq!(found, before.updated(&device, true, plain, Gate::Host)[0]);
    assert_ne!(
        found,
        before.updated(&device, true, decaying, Gate::Host)[0]
    );
}

#[test]
fn an_update_that_does_not_count_changes_nothing_and_one_that_does_is_scaled_on_the_device() {
    let Some(device) = device() else { return };
    let before = Vectors::new(300);
    let run = |rule, gate: Gate<'_>| {
        let step = Step {
            gradient_scale: 0.5,
            ..STEP
        };
        before.updated(&device, true, Update { rule, step }, gate)
    };
    let [nan, half] = [f32::NAN, 0.5].map(|x| device.tensor(&[x], [1]));
    let [no, yes] = [0, 1].map(|x| device.ids(&[x]));
    let clipping = Rule::RavenAdam {
        update_clipping: true,
    };
    for rule in [Rule::AdamW { eps: 1e-8 }, clipping] {
        let stays = Gate::Device {
            scale: &nan,
            counts: &no,
        };
        let Vectors {
            value,
            first,
            second,
            ..
        } = before.clone();
        assert_eq!(run(rule, stays), [value, first, second]);
        let moves = Gate::Device {
            scale: &half,
            counts: &yes,
        };
        assert_eq!(run(rule, moves), run(rule, Gate::Host));
    }
}

#[test]
fn a_norm_has_every_number_of_every_tensor_once() {
    let Some(device) = device() else { return };
    let mut numbers = Numbers::new(2.0);
    let vectors = [1, 255, 70_001, 24].map(|count| numbers.vector(count));
    let square: f64 = vectors
        .iter()
        .flatten()
        .map(|x| f64::from(*x).powi(2))
        .sum();
    let tensors = vectors.map(|x| device.tensor(&x, [x.len()]));
    assert_close(values(norm(&tensors))[0], square.sqrt(), square.sqrt());
}

#[test]
fn a_parameter_that_someone_else_holds_keeps_its_memory() {
    let Some(device) = device() else { return };
    let before = Vectors::new(300);
    let parameter = before.on(&device, true);
    let held = parameter.value.clone();
    let rule = Rule::AdamW { eps: 1e-8 };
    let update = Update { rule, step: STEP };
    let numbers = StepNumbers::new(update, &held);
    let made = super::update(update, &numbers, Gate::Host, parameter);
    assert_eq!(values(held), before.value);
    assert_ne!(values(made.value), before.value);
}

#[test]
fn an_update_has_the_same_bits_each_time() {
    let Some(device) = device() else { return };
    let before = Vectors::new(70_001);
    let rule = Rule::RavenAdam {
        update_clipping: true,
    };
    let run = || {
        let update = Update { rule, step: STEP };
        let all = before.updated(&device, true, update, Gate::Host);
        all.concat()
            .into_iter()
            .map(f32::to_bits)
            .collect::<Vec<u32>>()
    };
    assert_eq!(run(), run());
}
