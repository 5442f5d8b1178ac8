//! Some arms start as another model: with initial weights, their results are bitwise those of the
//! other model.

use super::arms::{bits, values};
use super::*;
use crate::config::{HistoryForm, LoraConfig};
use crate::pass::Pass;
use crate::seed::Normals;

/// Returns the head's input and all gradients of the cross entropy, for a pass with initial
/// weights.
fn run_at_the_start(config: &ModelConfig, device: &Device) -> (Vec<f32>, Vec<Vec<f32>>) {
    let model = LoopedTransformer::new(config, 3, device);
    let pass = Pass::new(config, SEQ, device);
    let unroll = Unroll {
        no_grad: 1,
        with_grad: 4,
    };
    let (ids, start) = (tokens(None, device), state(config, device));
    let loss = |readout: &Readout| {
        let targets = tokens(Some(0), device);
        head_cross_entropy(readout.hidden.clone(), model.head(), targets, None, false).loss
    };
    let seen = model.differentiate(ids, start, &pass, unroll, None, loss);
    let gradients = seen.gradients.into_tensors().into_iter().map(values);
    let hidden = values(seen.forward.readout.hidden);
    (hidden, gradients.collect())
}

/// Asserts that a pass with initial weights equals a pass of the plain loop. Returns the gradients
/// of the arm's own parameters, which are last in the table.
fn starts_as_the_plain_loop(name: &str, with: &ModelConfig) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let (hidden, gradients) = run_at_the_start(&config(), &device);
    let (found, mut of_all) = run_at_the_start(with, &device);
    assert_eq!(bits(&found), bits(&hidden), "{name}");
    let own = of_all.split_off(gradients.len());
    for (found, expected) in of_all.iter().zip(&gradients) {
        assert_eq!(bits(found), bits(expected), "{name}");
    }
    own
}

#[test]
fn a_history_starts_as_the_loop_without_one_to_the_bit() {
    for form in [
        HistoryForm::Scalar,
        HistoryForm::Channel,
        HistoryForm::Dense,
    ] {
        let history = HistoryInjection {
            form,
            window: 2,
            ..HistoryInjection::default()
        };
        let with = ModelConfig {
            injection: InjectionKind::History(history),
            ..config()
        };
        let own = starts_as_the_plain_loop(&format!("{form:?}"), &with);
        assert!(own.iter().flatten().any(|g| g.abs() > 1e-6), "{form:?}");
    }
}

#[test]
fn conditioning_starts_as_the_loop_without_it_to_the_bit() {
    for conditioning in [
        ConditioningKind::Embedding,
        ConditioningKind::LoopGate,
        ConditioningKind::Adaln,
        ConditioningKind::BranchGate,
    ] {
        let with = ModelConfig {
            conditioning,
            ..config()
        };
        let own = starts_as_the_plain_loop(conditioning.name(), &with);
        let moved = own.iter().flatten().any(|g| g.abs() > 1e-6);
        assert!(moved, "{conditioning:?}");
    }
}

#[test]
fn pairs_of_low_rank_start_as_the_loop_without_them_to_the_bit() {
    let with = ModelConfig {
        lora: Some(LoraConfig {
            rank: 2,
            iterations: Some(5),
            ..LoraConfig::default()
        }),
        ..config()
    };
    let own = starts_as_the_plain_loop("lora", &with);
    let all = table(&with);
    let names = &all[all.len() - own.len()..];
    for (row, gradient) in names.iter().zip(own) {
        // The gradient of A is zero because B is zero; the gradient of B is not zero.
        let largest = gradient.iter().fold(0.0_f32, |most, g| most.max(g.abs()));
        match row.name.rsplit('.').next() {
            Some("a") => assert!(largest == 0.0, "{}", row.name),
            _ => assert!(largest > 1e-6, "{}: {largest}", row.name),
        }
    }
}

#[test]
fn a_scalar_of_one_that_keeps_the_state_is_the_sum() {
    let sum = ModelConfig {
        injection: InjectionKind::Add,
        ..config()
    };
    let scalar = ModelConfig {
        injection: InjectionKind::Scalar(ScalarInjection {
            form: ScalarForm::Sum,
            start: 1.0,
        }),
        ..config()
    };
    let device = Device::flex();
    let model = LoopedTransformer::new(&scalar, 3, &device);
    let plain = LoopedTransformer::new(&sum, 3, &device);
    let [s, e] = [2, 7].map(|seed| Normals::new(seed, 1.0).tensor::<3>([2, 3, 8]));
    let of = |model: &LoopedTransformer| {
        let prepared = model.injection.prepare(e.clone());
        values(model.injection.forward(s.clone(), &prepared))
    };
    assert_eq!(bits(&of(&model)), bits(&of(&plain)));
}
