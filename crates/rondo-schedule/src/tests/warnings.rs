//! A run that is too short for its schedule gets one warning; other runs get none.

use super::*;
use crate::seam_warning;

fn warned(config: &ScheduleConfig, steps: u64) -> Vec<String> {
    let mut found = Vec::new();
    config.warnings(run(steps), &mut |key, message| {
        found.push(format!("{key}: {message}"));
    });
    found
}

/// Checks that there is exactly one warning and that it contains all these parts; with no parts,
/// that there is none.
fn check(config: &ScheduleConfig, steps: u64, parts: &[&str]) {
    let found = warned(config, steps);
    assert_eq!(found.len(), usize::from(!parts.is_empty()), "{found:?}");
    for warning in found {
        assert!(parts.iter().all(|part| warning.contains(part)), "{warning}");
    }
}

#[test]
fn a_warm_up_as_long_as_the_run_or_longer_is_told_in_every_unit() {
    let with = |warmup| ScheduleConfig {
        warmup,
        ..config(Shape::Cosine {})
    };
    check(&with(Length::Steps(19)), 20, &[]);
    check(
        &with(Length::Steps(20)),
        20,
        &["warmup: ", "with the last one; try 1"],
    );
    check(
        &with(Length::Steps(1000)),
        100,
        &["warmup: ", "never reaches the peak; try 5"],
    );
    check(
        &with(Length::Fraction(1.0)),
        20,
        &["warmup: ", "with the last one"],
    );
    check(
        &with(Length::Tokens(21_000)),
        20,
        &["warmup: ", "of 21 steps in a run of 20"],
    );
    check(&with(Length::Steps(5)), 0, &[]);
    // There is no warning about the shape, because no step follows the warm-up.
    let both = ScheduleConfig {
        warmup: Length::Steps(30),
        ..config(trapezoid(500, Decay::Linear))
    };
    check(&both, 20, &["warmup: ", "never"]);
}

#[test]
fn a_cooldown_longer_than_what_follows_the_warm_up_is_told() {
    check(&config(trapezoid(90, Decay::Linear)), 100, &[]);
    check(&config(trapezoid(0, Decay::Linear)), 100, &[]);
    for steps in [91, 100, 500] {
        check(
            &config(trapezoid(steps, Decay::Cosine)),
            100,
            &["shape.cooldown: ", "the 90 that follow"],
        );
    }
    let tokens = Shape::Trapezoid {
        cooldown: Length::Tokens(1_000_000),
        decay: Decay::Linear,
    };
    check(&config(tokens), 100, &["shape.cooldown: ", "of 1000 steps"]);
}

#[test]
fn a_fall_that_comes_with_the_end_or_later_is_told() {
    let multi_step = |at: &[u64]| {
        config(Shape::MultiStep {
            at: at.iter().map(|at| Length::Steps(*at)).collect(),
            factor: 0.5,
        })
    };
    check(&multi_step(&[50, 99]), 100, &[]);
    check(
        &multi_step(&[50, 100]),
        100,
        &["shape.at.1: ", "after step 100"],
    );
    assert_eq!(warned(&multi_step(&[50, 100, 500]), 100).len(), 2);
    let step = |every| {
        config(Shape::Step {
            every: Length::Steps(every),
            factor: 0.5,
        })
    };
    check(&step(89), 100, &[]);
    check(&step(90), 100, &["shape.every: ", "never falls"]);
    let piecewise = |at| {
        config(Shape::Piecewise {
            points: vec![Point(Length::Steps(50), 0.5), Point(Length::Steps(at), 0.1)],
        })
    };
    check(&piecewise(100), 100, &[]);
    check(
        &piecewise(101),
        100,
        &["shape.points.1: ", "step 101 is not reached"],
    );
}

/// Checks that a warning agrees with the rates: if it says that a fall never comes, the last rate
/// is the peak.
#[test]
fn a_warning_is_true_of_the_rates() {
    for every in [80, 89, 90, 91, 200] {
        let config = config(Shape::Step {
            every: Length::Steps(every),
            factor: 0.5,
        });
        let falls = Schedule::new(&config, run(100)).rate(100) < 0.5;
        assert_eq!(falls, warned(&config, 100).is_empty(), "{every}");
    }
}

#[test]
fn shapes_that_fit_their_run_are_passed_in_silence() {
    for shape in all() {
        check(&config(shape), 100, &[]);
    }
}

#[test]
fn a_rate_that_more_than_doubles_at_a_seam_is_told_with_both_rates() {
    let cosine = ScheduleConfig {
        floor: 0.0,
        ..config(Shape::Cosine {})
    };
    let rate = |steps, step| Schedule::new(&cosine, run(steps)).rate(step);
    let told = seam_warning(100, rate(100, 100), rate(200, 101)).expect("a warning");
    for part in ["0.000e0 at step 100", "2.665e-1 at step 101"] {
        assert!(told.contains(part), "{told}");
    }
    // The schedule continues without a change, or a run is extended from its middle.
    assert_eq!(seam_warning(60, rate(100, 60), rate(100, 61)), None);
    assert_eq!(seam_warning(60, rate(100, 60), rate(120, 61)), None);
    assert_eq!(seam_warning(9, 0.25, 0.5), None);
    assert!(seam_warning(9, 0.25, 0.51).is_some());
    assert_eq!(seam_warning(9, 0.0, 0.0), None);
}
