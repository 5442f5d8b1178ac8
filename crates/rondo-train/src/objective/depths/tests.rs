//! Tests with hand-computed numbers which iterations count, and which choices are refused.

use super::*;
use crate::config::RunConfig;

fn loss(toml: &str) -> DepthLoss {
    let set = [format!("train.loss={toml}")];
    let document = RunConfig::document("a.toml", "", &set).expect("TOML");
    document.read::<RunConfig>().expect("readable").train.loss
}

fn terms(toml: &str, no_grad: usize, with_grad: usize) -> Vec<(usize, f64)> {
    let unroll = Unroll { no_grad, with_grad };
    let terms = loss(toml).terms(unroll).into_iter();
    terms.map(|term| (term.iteration, term.weight)).collect()
}

#[test]
fn the_last_iteration_counts_in_every_step_and_alone_by_default() {
    assert_eq!(terms("\"last\"", 3, 2), [(5, 1.0)]);
    assert_eq!(
        terms("{ kind = \"mean\", iterations = [1, 2] }", 3, 2),
        [(5, 1.0)]
    );
}

#[test]
fn a_mean_has_the_chosen_iterations_with_gradient() {
    assert_eq!(terms("\"mean\"", 2, 2), [(3, 0.5), (4, 0.5)]);
    let every = "{ kind = \"mean\", iterations = { every = 3 } }";
    // Iterations 8, 5 and 2 are chosen. Of these, 8 and 5 carry gradient.
    assert_eq!(terms(every, 4, 4), [(5, 0.5), (8, 0.5)]);
    let rising = "{ kind = \"mean\", weights = \"rising\" }";
    assert_eq!(terms(rising, 2, 2), [(3, 3.0 / 7.0), (4, 4.0 / 7.0)]);
}

#[test]
fn the_weight_of_the_last_iteration_is_that_of_the_first_number_that_is_not_less() {
    let listed = "{ kind = \"mean\", iterations = [2, 4, 8], weights = [1, 2, 5] }";
    let eighths = |terms: &[(usize, f64)]| {
        let eighths = terms.iter().map(|(i, weight)| (*i, 8.0 * weight));
        eighths.collect::<Vec<_>>()
    };
    assert_eq!(
        eighths(&terms(listed, 0, 8)),
        [(2, 1.0), (4, 2.0), (8, 5.0)]
    );
    // If 3 is the last iteration, it has the weight of 4. If 12 is the last iteration, it has the
    // weight of 8: then 2, 4, 8 and 12 have the weights 1, 2, 5 and 5.
    let thirds = terms(listed, 0, 3);
    assert_eq!(thirds, [(2, 1.0 / 3.0), (3, 2.0 / 3.0)]);
    let beyond = terms(listed, 0, 12);
    let expected = [(2, 1.0), (4, 2.0), (8, 5.0), (12, 5.0)];
    assert_eq!(beyond, expected.map(|(i, weight)| (i, weight / 13.0)));
    assert_eq!(terms(listed, 0, 1), [(1, 1.0)]);
}

#[test]
fn choices_that_add_nothing_to_the_last_iteration_are_refused() {
    let refused = |toml: &str, recurrence: &RecurrenceConfig| {
        let mut found = Vec::new();
        loss(toml).validate(recurrence, &mut |key, message| {
            found.push(format!("{key}: {message}"));
        });
        found
    };
    let fixed = RecurrenceConfig {
        sampler: DepthSampler::Fixed,
        mean: 8,
        backprop_depth: 4,
        ..RecurrenceConfig::default()
    };
    let one = RecurrenceConfig {
        backprop_depth: 1,
        ..fixed.clone()
    };
    let random = RecurrenceConfig {
        sampler: DepthSampler::PoissonLognormalFilling,
        ..fixed.clone()
    };
    for (toml, recurrence, key) in [
        ("\"mean\"", &one, "kind: "),
        (
            "{ kind = \"mean\", iterations = [] }",
            &fixed,
            "iterations: ",
        ),
        (
            "{ kind = \"mean\", iterations = [6, 5] }",
            &fixed,
            "iterations: ",
        ),
        (
            "{ kind = \"mean\", iterations = [0, 8] }",
            &fixed,
            "iterations: ",
        ),
        (
            "{ kind = \"mean\", iterations = [6, 9] }",
            &fixed,
            "iterations: ",
        ),
        (
            "{ kind = \"mean\", iterations = [4, 8] }",
            &fixed,
            "iterations: ",
        ),
        (
            "{ kind = \"mean\", iterations = [8] }",
            &fixed,
            "iterations: ",
        ),
        (
            "{ kind = \"mean\", iterations = { every = 4 } }",
            &fixed,
            "iterations.every: ",
        ),
        (
            "{ kind = \"mean\", iterations = { every = 0 } }",
            &fixed,
            "iterations.every: ",
        ),
        ("{ kind = \"mean\", weights = [1, 2] }", &fixed, "weights: "),
        (
            "{ kind = \"mean\", iterations = [6, 8], weights = [1] }",
            &fixed,
            "weights: ",
        ),
        (
            "{ kind = \"mean\", iterations = [6, 8], weights = [0, 1] }",
            &fixed,
            "weights: ",
        ),
    ] {
        let found = refused(toml, recurrence);
        assert!(
            found.len() == 1 && found[0].starts_with(key),
            "{toml}: {found:?}"
        );
    }
    for (toml, recurrence) in [
        ("\"last\"", &one),
        ("\"mean\"", &fixed),
        ("{ kind = \"mean\", iterations = [5, 8] }", &fixed),
        ("{ kind = \"mean\", iterations = [4, 8] }", &random),
        ("{ kind = \"mean\", iterations = { every = 3 } }", &fixed),
    ] {
        assert_eq!(refused(toml, recurrence), [""; 0], "{toml}");
    }
}
