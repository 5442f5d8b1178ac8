//! The boundaries between the parts of a schedule.

use std::f64::consts::{FRAC_PI_2, LN_10};

use super::*;

const STEPS: u64 = 100;

/// Returns the continuous shapes, each with the largest change of its rate in one step. The rates
/// go from 0.5 to 0.1 after 10 of 100 steps.
fn continuous() -> Vec<(Shape, f64)> {
    // The bounds are slopes of f, multiplied by the difference of peak and floor. For the
    // exponential, the slope of the rate itself at its start is η·ln(η/η_min).
    let (way, ratio) = (0.4, 0.5 * 5.0_f64.ln());
    let sqrt = |steps: f64| way / steps.sqrt();
    let mut shapes = vec![
        (Shape::Constant {}, 0.0),
        (Shape::Linear {}, way / 90.0),
        (Shape::Cosine {}, way * FRAC_PI_2 / 90.0),
        (Shape::Polynomial { power: 2.0 }, way * 2.0 / 90.0),
        (Shape::Polynomial { power: 0.5 }, sqrt(90.0)),
        (Shape::Exponential {}, ratio / 90.0),
        (Shape::InverseSqrt {}, 0.5 / 20.0),
        (
            Shape::Cyclic {
                wave: Wave::Triangular,
                period: Length::Steps(16),
                growth: 2,
            },
            way * 2.0 / 16.0,
        ),
        (
            Shape::Piecewise {
                points: vec![
                    Point(Length::Steps(30), 0.5),
                    Point(Length::Steps(60), 0.5),
                    Point(Length::Steps(70), 0.0),
                ],
            },
            way * 0.5 / 10.0,
        ),
    ];
    for (decay, steepest) in [
        (Decay::Linear, 0.5 / 30.0),
        (Decay::OneMinusSqrt, sqrt(30.0)),
        (Decay::Cosine, way * FRAC_PI_2 / 30.0),
        (Decay::Square, way * 2.0 / 30.0),
        (Decay::MirrorCosine, way * 2.0 / 30.0),
        (Decay::Exponential, ratio / 30.0),
    ] {
        shapes.push((trapezoid(30, decay), steepest));
    }
    shapes
}

#[test]
fn warm_up_rises_by_equal_parts_to_the_peak() {
    for shape in all() {
        let found = rates(&config(shape), run(STEPS), 10);
        let expected: Vec<f64> = (1..=10).map(|step| 0.05 * f64::from(step)).collect();
        assert_close(&found, &expected);
    }
}

#[test]
fn no_seam_is_steeper_than_the_steepest_slope() {
    for (shape, steepest) in continuous() {
        let found = rates(&config(shape.clone()), run(STEPS), 3 * STEPS);
        for (before, pair) in found.windows(2).enumerate().skip(9) {
            let change = (pair[1] - pair[0]).abs();
            assert!(
                change <= steepest + 1e-12,
                "{shape:?} after step {}: {change} above {steepest}",
                before + 1
            );
        }
    }
}

#[test]
fn falling_shapes_are_at_the_floor_on_the_last_step_and_past_it() {
    for shape in falling() {
        for (peak, floor) in [
            (0.5, 0.5),
            (0.5, 0.1),
            (0.07, 0.055),
            (0.3, 1e-9),
            (0.3, 0.0),
        ] {
            let config = ScheduleConfig {
                peak,
                floor,
                ..config(shape.clone())
            };
            let schedule = Schedule::new(&config, run(STEPS));
            for step in [STEPS, STEPS + 1, 10 * STEPS, u64::MAX] {
                let rate = schedule.rate(step);
                assert_eq!(rate.to_bits(), floor.to_bits(), "{config:?} at {step}");
            }
        }
    }
}

#[test]
fn falling_shapes_never_rise_and_never_leave_floor_and_peak() {
    for shape in falling() {
        let found = rates(&config(shape.clone()), run(STEPS), 2 * STEPS);
        let fall = &found[9..];
        assert!(fall.is_sorted_by(|one, two| one >= two), "{shape:?}");
        assert!(
            fall.iter().all(|rate| (0.1..=0.5).contains(rate)),
            "{shape:?}"
        );
    }
}

#[test]
fn shapes_have_the_rates_that_their_formulas_say() {
    let over = |shape, warmup| ScheduleConfig {
        peak: 8.0,
        floor: 0.0,
        warmup: Length::Steps(warmup),
        shape,
    };
    let of = |shape, warmup| rates(&over(shape, warmup), run(4), 6);
    let power = Shape::Polynomial { power: 2.0 };
    assert_close(&of(power, 0), &[4.5, 2.0, 0.5, 0.0, 0.0, 0.0]);
    let (half, third) = (8.0 * 0.5_f64.sqrt(), 8.0 * (1.0_f64 / 3.0).sqrt());
    let found = of(Shape::InverseSqrt {}, 1);
    assert_close(&found[..4], &[8.0, half, third, 4.0]);
    let exponential = ScheduleConfig {
        floor: 0.08,
        ..over(Shape::Exponential {}, 2)
    };
    let tenth = 8.0 * (-LN_10).exp();
    assert_close(
        &rates(&exponential, run(4), 5),
        &[4.0, 8.0, tenth, 0.08, 0.08],
    );
}

#[test]
fn a_trapezoid_with_a_floor_cools_down_as_the_reference_does() {
    let (peak, floor, steps, cooldown) = (2e-3, 2e-4, 100_u32, 40_u32);
    let config = ScheduleConfig {
        peak,
        floor,
        ..config(trapezoid(u64::from(cooldown), Decay::Linear))
    };
    let found = rates(&config, run(STEPS), STEPS);
    let expected = (1..=steps).map(|step| match step {
        ..=10 => peak * f64::from(step) / 10.0,
        11..=60 => peak,
        _ => (peak * f64::from(steps - step) / f64::from(cooldown)).max(floor),
    });
    assert_close(&found, &expected.collect::<Vec<f64>>());
    // The line to zero reaches the floor four steps before the end, and the rate stays there.
    assert!(
        found[94] > floor
            && found[95..]
                .iter()
                .all(|rate| rate.to_bits() == floor.to_bits())
    );
}

#[test]
fn levels_last_as_long_as_they_are_told_and_jump_nowhere_else() {
    let step = Shape::Step {
        every: Length::Steps(2),
        factor: 0.5,
    };
    let multi = Shape::MultiStep {
        at: vec![Length::Steps(3), Length::Steps(4)],
        factor: 0.5,
    };
    let over = |shape| ScheduleConfig {
        peak: 1.0,
        floor: 0.0,
        warmup: Length::Steps(1),
        shape,
    };
    assert_close(
        &rates(&over(step), run(6), 6),
        &[1.0, 1.0, 1.0, 0.5, 0.5, 0.25],
    );
    assert_close(
        &rates(&over(multi), run(6), 6),
        &[1.0, 1.0, 1.0, 0.5, 0.25, 0.25],
    );
}

#[test]
fn a_cosine_with_restarts_jumps_behind_each_floor_and_nowhere_else() {
    let shape = Shape::Cyclic {
        wave: Wave::Cosine,
        period: Length::Steps(10),
        growth: 2,
    };
    let found = rates(&config(shape), run(80), 80);
    let rises: Vec<usize> = (10..80).filter(|i| found[*i] > found[i - 1]).collect();
    // Cycles of 10, 20 and 40 steps after a warm-up of 10 steps.
    assert_eq!(rises, [20, 40]);
    assert_close(&[found[19], found[39], found[79]], &[0.1; 3]);
}

#[test]
fn a_list_of_points_can_leave_the_warm_up_with_a_jump() {
    let shape = Shape::Piecewise {
        points: vec![Point(Length::Steps(0), 0.5), Point(Length::Steps(4), 0.0)],
    };
    let jump = ScheduleConfig {
        floor: 0.0,
        peak: 1.0,
        warmup: Length::Steps(2),
        shape,
    };
    assert_close(&rates(&jump, run(4), 5), &[0.5, 1.0, 0.125, 0.0, 0.0]);
}

#[test]
fn a_length_means_the_same_in_every_unit() {
    for (steps, tokens, fraction) in [(10, 10_000, 0.1), (50, 50_000, 0.5)] {
        let [steps, tokens, fraction] = [
            Length::Steps(steps),
            Length::Tokens(tokens),
            Length::Fraction(fraction),
        ]
        .map(|length| ScheduleConfig {
            warmup: length,
            ..config(Shape::Trapezoid {
                cooldown: length,
                decay: Decay::Linear,
            })
        })
        .map(|config| rates(&config, run(STEPS), STEPS));
        assert_eq!(steps, tokens);
        assert_eq!(steps, fraction);
    }
}
