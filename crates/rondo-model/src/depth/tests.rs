//! The moments of the distributions, the split of a draw, and violations.

use rondo_schedule::{Length, Rise};

use super::*;

const RUN: Run = Run {
    steps: 1000,
    tokens_per_step: 1,
};

fn config(sampler: DepthSampler, mean: usize) -> RecurrenceConfig {
    RecurrenceConfig {
        mean,
        sampler,
        ..RecurrenceConfig::default()
    }
}

fn mean_of(sampler: DepthSampler, mean: usize) -> f64 {
    let draws = 20_000;
    let sum: usize = (1..=draws).map(|step| sampler.total(mean, 7, step)).sum();
    sum as f64 / draws as f64
}

#[test]
fn the_published_law_has_its_mean_median_and_tail() {
    let law = DepthSampler::PoissonLognormalFilling;
    let mut draws: Vec<usize> = (1..=100_000).map(|step| law.total(32, 0, step)).collect();
    draws.sort_unstable();
    let mean = draws.iter().sum::<usize>() as f64 / draws.len() as f64;
    assert!((mean - 33.0).abs() < 0.03 * 33.0, "{mean}");
    let at = |q: f64| draws[(q * draws.len() as f64) as usize] as f64;
    for (quantile, expected) in [(0.5, 29.0), (0.95, 67.0), (0.99, 94.0)] {
        assert!(
            (at(quantile) - expected).abs() <= 0.03 * expected,
            "{quantile}: {}",
            at(quantile)
        );
    }
}

#[test]
fn the_clamp_to_64_touches_5_8_percent_of_the_draws() {
    let law = config(DepthSampler::PoissonLognormalFilling, 32);
    let draws: Vec<Draw> = (1..=100_000).map(|step| law.draw(0, step, RUN)).collect();
    let clamped: Vec<&Draw> = draws.iter().filter(|d| d.clamped_from.is_some()).collect();
    let share = clamped.len() as f64 / draws.len() as f64;
    assert!((share - 0.058).abs() < 0.03 * 0.058, "{share}");
    for draw in clamped {
        assert_eq!(draw.unroll.total(), 64);
        assert!(draw.clamped_from > Some(64), "{draw:?}");
    }
    // The clamp reduces the mean from 33 to 31.99.
    let mean = draws.iter().map(|d| d.unroll.total()).sum::<usize>() as f64 / 100_000.0;
    assert!((mean - 31.99).abs() < 0.03 * 31.99, "{mean}");
}

#[test]
fn every_law_has_the_mean_it_is_asked_for() {
    assert!((mean_of(DepthSampler::PoissonTruncated, 9) - 9.0).abs() < 0.1);
    assert!((mean_of(DepthSampler::Uniform, 9) - 9.0).abs() < 0.2);
    assert!((mean_of(DepthSampler::Geometric, 9) - 9.0).abs() < 0.3);
    assert!((mean_of(DepthSampler::Fixed, 9) - 9.0).abs() < 1e-12);
    assert!((mean_of(DepthSampler::NonRecurrent, 9) - 1.0).abs() < 1e-12);
}

#[test]
fn the_clamp_comes_before_the_split_and_is_told() {
    let config = RecurrenceConfig {
        max: 4,
        ..config(DepthSampler::Fixed, 4)
    };
    let draw = RecurrenceConfig { mean: 9, ..config }.draw(0, 1, RUN);
    assert_eq!(draw.clamped_from, Some(9));
    assert_eq!(
        draw.unroll,
        Unroll {
            no_grad: 0,
            with_grad: 4
        }
    );
}

#[test]
fn a_draw_splits_into_iterations_without_and_with_gradient() {
    let draw = config(DepthSampler::Fixed, 20).draw(0, 1, RUN);
    assert_eq!(
        draw.unroll,
        Unroll {
            no_grad: 12,
            with_grad: 8
        }
    );
    let full = config(DepthSampler::Full, 20).draw(3, 5, RUN).unroll;
    let main = config(DepthSampler::PoissonLognormalFilling, 20)
        .draw(3, 5, RUN)
        .unroll;
    assert_eq!(
        full,
        Unroll {
            no_grad: 0,
            with_grad: main.total()
        }
    );
}

#[test]
fn a_draw_depends_on_seed_and_step_only() {
    let law = config(DepthSampler::PoissonLognormalFilling, 16);
    assert_eq!(law.draw(1, 5, RUN), law.draw(1, 5, RUN));
    assert!((1..50).any(|step| law.draw(1, step, RUN) != law.draw(2, step, RUN)));
    assert!((1..50).any(|step| law.draw(1, step, RUN) != law.draw(1, step + 1, RUN)));
}

#[test]
fn no_draw_exceeds_the_largest_unroll() {
    for sampler in [
        DepthSampler::Uniform,
        DepthSampler::Fixed,
        DepthSampler::Full,
    ] {
        let law = config(sampler, 5);
        let most = (1..2000)
            .map(|step| law.draw(0, step, RUN).unroll.total())
            .max();
        assert!(most <= Some(law.largest().total()), "{sampler:?}");
    }
}

#[test]
fn a_curriculum_leads_to_the_configured_depths_and_the_largest_unroll_covers_it() {
    let ramp = |from| Ramp {
        from,
        over: Length::Steps(4),
        shape: Rise::Linear,
    };
    let mut law = config(DepthSampler::Fixed, 5);
    law.curriculum.mean = Some(ramp(1));
    law.curriculum.backprop_depth = Some(ramp(12));
    let unrolls: Vec<(usize, usize)> = (1..=6)
        .map(|step| law.draw(0, step, RUN).unroll)
        .map(|unroll| (unroll.total(), unroll.with_grad))
        .collect();
    assert_eq!(unrolls, [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (5, 5)]);
    assert_eq!(law.at(2, RUN), (2, 11));
    assert_eq!(law.planned().total(), 5);
    law.curriculum.mean = Some(ramp(20));
    let largest = law.largest();
    assert_eq!((largest.total(), largest.with_grad), (20, 12));
}

#[test]
fn a_curriculum_that_the_sampler_does_not_read_is_a_violation() {
    let ramp = Some(Ramp {
        from: 1,
        over: Length::Steps(4),
        shape: Rise::Linear,
    });
    for (sampler, expected) in [
        (DepthSampler::Fixed, vec![]),
        (DepthSampler::Full, vec!["curriculum.backprop_depth"]),
        (
            DepthSampler::NonRecurrent,
            vec!["curriculum.mean", "curriculum.backprop_depth"],
        ),
    ] {
        let mut law = config(sampler, 5);
        law.curriculum = CurriculumConfig {
            mean: ramp,
            backprop_depth: ramp,
        };
        let mut keys = Vec::new();
        law.validate(&mut |key, _| keys.push(key.to_owned()));
        assert_eq!(keys, expected);
    }
}

#[test]
fn a_backprop_depth_above_every_draw_and_a_curriculum_without_an_end_are_told() {
    let warned = |law: &RecurrenceConfig, steps| {
        let run = Run { steps, ..RUN };
        let mut keys = Vec::new();
        law.warnings(run, &mut |key, message| {
            keys.push(format!("{key}: {message}"));
        });
        keys
    };
    let mut law = config(DepthSampler::PoissonLognormalFilling, 4);
    (law.max, law.backprop_depth) = (16, 16);
    assert!(warned(&law, 100).is_empty());
    law.backprop_depth = 32;
    let told = warned(&law, 100);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("backprop_depth: 32") && told[0].ends_with("try 16"),
        "{told:?}"
    );
    // These samplers do not read the backprop depth.
    for sampler in [DepthSampler::Full, DepthSampler::NonRecurrent] {
        law.sampler = sampler;
        assert!(warned(&law, 100).is_empty(), "{sampler:?}");
    }
    let mut law = config(DepthSampler::Fixed, 8);
    law.curriculum.mean = Some(Ramp {
        from: 1,
        over: Length::Steps(40),
        shape: Rise::Linear,
    });
    assert!(warned(&law, 41).is_empty());
    let told = warned(&law, 20);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("curriculum.mean.over: ") && told[0].ends_with("ends at 4"),
        "{told:?}"
    );
    assert!(warned(&law, 0).is_empty());
}
