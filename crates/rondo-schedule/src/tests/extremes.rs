//! Runs and lengths at the limits of a configuration.

use super::*;

#[test]
fn every_rate_of_every_run_is_a_number_from_0_to_the_peak() {
    let lengths = [
        Length::Steps(0),
        Length::Steps(1),
        Length::Steps(2),
        Length::Steps(u64::MAX),
        Length::Tokens(1),
        Length::Tokens(u64::MAX),
        Length::Fraction(1e-12),
        Length::Fraction(1.0),
    ];
    for shape in all() {
        for warmup in lengths {
            for steps in [0, 1, 2, 3, u64::MAX - 1, u64::MAX] {
                let config = ScheduleConfig {
                    warmup,
                    ..config(shape.clone())
                };
                let schedule = Schedule::new(&config, run(steps));
                let around = [steps.saturating_sub(1), steps, steps.saturating_add(1)];
                for step in [0, 1, 2, 3, 100, 1 << 53, u64::MAX]
                    .into_iter()
                    .chain(around)
                {
                    let rate = schedule.rate(step);
                    let known = (0.0..=0.5 + 1e-12).contains(&rate);
                    assert!(known, "{config:?} at {step} of {steps}: {rate}");
                }
            }
        }
    }
}

#[test]
fn a_warm_up_that_is_the_whole_run_ends_at_the_peak_and_a_longer_one_below() {
    for shape in falling() {
        for (warmup, last) in [(Length::Fraction(1.0), 0.5), (Length::Steps(16), 0.25)] {
            let config = ScheduleConfig {
                warmup,
                ..config(shape.clone())
            };
            let found = rates(&config, run(8), 20);
            assert_close(&found[7..], &[last; 13]);
            assert!(found[..8].is_sorted(), "{config:?}");
        }
    }
}

#[test]
fn with_the_floor_at_the_peak_nothing_changes_after_the_warm_up() {
    for shape in all() {
        let config = ScheduleConfig {
            floor: 0.5,
            ..config(shape)
        };
        for rate in &rates(&config, run(100), 200)[9..] {
            assert_eq!(rate.to_bits(), 0.5_f64.to_bits(), "{config:?}");
        }
    }
}

#[test]
fn a_run_of_one_step_takes_it_at_the_floor_or_at_the_end_of_its_warm_up() {
    for shape in falling() {
        for (warmup, rate) in [(0, 0.1), (1, 0.5), (2, 0.25)] {
            let config = ScheduleConfig {
                warmup: Length::Steps(warmup),
                ..config(shape.clone())
            };
            assert_close(&rates(&config, run(1), 3), &[rate; 3]);
        }
    }
}

#[test]
fn without_a_cooldown_a_trapezoid_is_a_constant() {
    for decay in DECAYS {
        let config = config(trapezoid(0, decay));
        let constant = rates(&super::config(Shape::Constant {}), run(100), 200);
        assert_close(&rates(&config, run(100), 200), &constant);
    }
}

#[test]
fn a_cooldown_longer_than_the_run_falls_from_the_end_of_the_warm_up() {
    for cooldown in [4, 5, 6, u64::MAX] {
        let config = ScheduleConfig {
            peak: 1.0,
            floor: 0.0,
            warmup: Length::Steps(2),
            shape: trapezoid(cooldown, Decay::Linear),
        };
        assert_close(
            &rates(&config, run(6), 7),
            &[0.5, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0],
        );
    }
}

#[test]
fn in_the_longest_run_the_last_step_is_still_at_the_floor() {
    for shape in falling() {
        let config = ScheduleConfig {
            warmup: Length::Fraction(0.25),
            ..config(shape)
        };
        let rate = Schedule::new(&config, run(u64::MAX)).rate(u64::MAX);
        assert_eq!(rate.to_bits(), 0.1_f64.to_bits(), "{config:?}");
    }
}
