//! Every criterion, computed by hand.

use super::*;
use burn::tensor::{Device, TensorData};

fn values(criterion: ExitCriterion, states: &[[f32; 2]], logits: &[[f32; 2]]) -> Vec<f32> {
    let tensor = |row: &[f32; 2]| {
        Tensor::<3>::from_data(TensorData::new(row.to_vec(), [1, 1, 2]), &Device::flex())
    };
    let mut monitor = ExitMonitor::new(criterion, tensor(&states[0]));
    states[1..]
        .iter()
        .zip(logits)
        .map(|(state, logits)| {
            monitor
                .observe(&tensor(state), || tensor(logits))
                .into_scalar::<f32>()
        })
        .collect()
}

#[test]
fn states_are_compared_with_the_one_before() {
    let states = [[3.0, 4.0], [3.0, 0.0], [0.0, 2.0], [0.0, 4.0]];
    let none = [[0.0; 2]; 3];
    // The expected values are ‖(0, −4)‖ / 3, ‖(−3, 2)‖ / 2 and 2 / 4.
    let expected = [4.0 / 3.0, 13.0_f32.sqrt() / 2.0, 0.5];
    for (found, expected) in values(ExitCriterion::LatentDiff, &states, &none)
        .iter()
        .zip(expected)
    {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
    for (found, expected) in values(ExitCriterion::Cosine, &states, &none)
        .iter()
        .zip([0.4, 1.0, 0.0])
    {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}

#[test]
fn a_zero_state_has_no_cosine_and_does_not_exit() {
    let found = values(
        ExitCriterion::Cosine,
        &[[0.0, 0.0], [1.0, 0.0]],
        &[[0.0; 2]],
    );
    assert!(found[0].is_nan());
    assert!(!ExitCriterion::Cosine.exits(f64::from(found[0]), 1e-3));
}

#[test]
fn predictions_start_from_the_uniform_distribution_and_entropy_from_100() {
    let states = [[0.0; 2]; 3];
    // The predictions are (3/4, 1/4), then uniform.
    let logits = [[3.0_f32.ln(), 0.0], [0.0, 0.0]];
    let kl = |p: [f32; 2], q: [f32; 2]| -> f32 { (0..2).map(|i| p[i] * (p[i] / q[i]).ln()).sum() };
    let (half, uneven) = ([0.5, 0.5], [0.75, 0.25]);
    for (found, expected) in values(ExitCriterion::Kl, &states, &logits)
        .iter()
        .zip([kl(half, uneven), kl(uneven, half)])
    {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
    let entropy = -(0.75 * 0.75_f32.ln() + 0.25 * 0.25_f32.ln());
    for (found, expected) in values(ExitCriterion::EntropyDiff, &states, &logits)
        .iter()
        .zip([100.0 - entropy, 2.0_f32.ln() - entropy])
    {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

#[test]
fn minp_levels_the_tail_to_the_uniform_share() {
    // p is about (0.95, 0.05): the second probability is below a tenth of the first and becomes
    // 1/2.
    let found = values(ExitCriterion::MinpKl, &[[0.0; 2]; 2], &[[3.0, 0.0]]);
    let first = 1.0 / (1.0 + (-3.0_f32).exp());
    let q = [first / (first + 0.5), 0.5 / (first + 0.5)];
    let expected = 0.5 * ((0.5 / q[0]).ln() + (0.5 / q[1]).ln());
    assert!((found[0] - expected).abs() < 1e-6, "{found:?} {expected}");
}

#[test]
fn stability_counts_repeats_and_starts_over_at_a_change() {
    let (a, b) = ([1.0, 0.0], [0.0, 1.0]);
    let found = values(
        ExitCriterion::ArgmaxStability,
        &[[0.0; 2]; 7],
        &[a, a, a, b, b, b],
    );
    let counts: Vec<u32> = found.iter().map(|x| x.round() as u32).collect();
    assert_eq!(counts, [0, 1, 2, 0, 1, 2]);
    assert!(ExitCriterion::ArgmaxStability.exits(5.0, 5.0));
    assert!(!ExitCriterion::Kl.exits(1e-3, 1e-3));
}
