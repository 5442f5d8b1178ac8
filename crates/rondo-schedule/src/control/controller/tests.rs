use super::*;
use crate::control::target::{Absolute, Dense, DenseLoss, Margin, Percentile, Target, WarmUp};
use crate::control::update::{Clamped, Exponential, ProportionalIntegral, Scale, Update};

fn absolute(cross_entropy: f64) -> Target {
    Target::Absolute(Absolute { cross_entropy })
}

fn controller(config: ControlConfig) -> Controller {
    Controller::new(config, None).expect("a valid configuration")
}

/// Returns a configuration with τ = 2 for every rule.
fn all() -> [ControlConfig; 4] {
    let pi = |scale| {
        Update::Pi(ProportionalIntegral {
            scale,
            ..ProportionalIntegral::default()
        })
    };
    let updates = [
        Update::Exponential(Exponential::default()),
        Update::Clamped(Clamped::default()),
        pi(Scale::Log),
        pi(Scale::Linear),
    ];
    updates.map(|update| ControlConfig {
        update,
        target: absolute(2.0),
        initial_strength: 1.0,
        ..ControlConfig::default()
    })
}

/// Returns numbers in [0, 1) that look random.
pub(super) fn noise() -> impl Iterator<Item = f64> {
    let mut state = 1_u64;
    std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    })
}

#[test]
fn a_step_can_be_redone_by_hand() {
    let mut controller = controller(ControlConfig {
        smoothing: 0.5,
        ..all()[0].clone()
    });
    // C = −0.4, u = 0.4; then C = 0.5·(−0.4) + 0.5·0.8 = 0.2, u = 0.4 − 5·0.2 = −0.6.
    let first = controller.observe(1, 1.6);
    assert!((first.strength.ln() - 0.4).abs() < 1e-12);
    let second = controller.observe(2, 2.8);
    assert!((second.strength.ln() + 0.6).abs() < 1e-12);
    assert!(
        second
            .constraint_ema
            .is_some_and(|c| (c - 0.2).abs() < 1e-12)
    );
    assert_eq!(second.target, Some(2.0));
}

#[test]
fn the_strength_rises_below_the_target_and_falls_above_it() {
    for config in all() {
        for (cross_entropy, direction) in [(1.9, 1.0), (2.1, -1.0)] {
            let mut controller = controller(config.clone());
            let mut before = controller.strength(1);
            for step in 1..=10 {
                let after = controller.observe(step, cross_entropy).strength;
                assert!((after - before) * direction > 0.0, "{config:?} at {step}");
                before = after;
            }
        }
    }
}

#[test]
fn the_strength_hovers_where_cross_entropy_meets_the_target() {
    // The cross entropy rises with the logarithm of the strength and is 2 at R = 10.
    for mut config in all() {
        let mut above = 1e5;
        if let Update::Pi(pi) = &mut config.update
            && pi.scale == Scale::Linear
        {
            // The gain is in units of R. Near the target one step removes 20 · 0.05 / 10 of the
            // distance.
            (pi.integral, above) = (20.0, 30.0);
        }
        for initial_strength in [1e-3, above] {
            let mut controller = controller(ControlConfig {
                initial_strength,
                smoothing: 0.5,
                ..config.clone()
            });
            let mut strength = controller.strength(1);
            for step in 1..=3000 {
                strength = controller
                    .observe(step, 2.0 + 0.05 * (strength / 10.0).ln())
                    .strength;
            }
            assert!((strength - 10.0).abs() < 1e-3, "{strength}");
        }
    }
}

#[test]
fn no_finite_input_leaves_the_bounds_or_makes_a_nan() {
    let extremes = [
        0.0,
        -0.0,
        1e-300,
        2.0,
        1e300,
        f64::MAX,
        -f64::MAX,
        f64::MIN_POSITIVE,
    ];
    let targets = [
        absolute(2.0),
        absolute(f64::MAX),
        Target::Dense(Dense {
            margin: Margin::Relative { share: 1e300 },
            loss: DenseLoss::WarmUp(WarmUp { observations: 2 }),
        }),
        Target::Percentile(Percentile {
            percentile: 100.0,
            observations: 3,
        }),
    ];
    for target in targets {
        for mut config in all() {
            config.target = target.clone();
            config.update = match config.update {
                Update::Exponential(_) => Update::Exponential(Exponential {
                    rate_up: f64::MAX,
                    rate_down: f64::MAX,
                }),
                clamped @ Update::Clamped(_) => clamped,
                Update::Pi(pi) => Update::Pi(ProportionalIntegral {
                    integral: f64::MAX,
                    proportional: f64::MAX,
                    ..pi
                }),
            };
            let mut controller = controller(config.clone());
            for (step, x) in (1..2000).zip(noise()) {
                let reading = controller.observe(step, extremes[(x * 8.0) as usize]);
                let strength = reading.strength;
                let within = (config.min_strength..=config.max_strength).contains(&strength);
                assert!(
                    within || reading.target.is_none() && strength == 0.0,
                    "{strength}"
                );
                let numbers = [reading.constraint_ema, reading.target];
                assert!(numbers.into_iter().flatten().all(f64::is_finite));
                assert!(!reading.ignored);
            }
        }
    }
}

#[test]
fn what_is_no_number_is_reported_and_changes_nothing() {
    for config in all() {
        let mut controller = controller(config);
        controller.observe(1, 2.5);
        let before = controller.state().clone();
        for stranger in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(controller.observe(2, stranger).ignored);
            assert_eq!(controller.state(), &before);
        }
    }
}

#[test]
fn nothing_acts_before_the_start_and_the_warm_up() {
    let mut config = all()[0].clone();
    config.start_step = 5;
    config.target = Target::Percentile(Percentile {
        percentile: 50.0,
        observations: 3,
    });
    let mut controller = controller(config);
    let readings: Vec<ControllerReading> = [3.0, 1.0, 2.0, 1.5, 1.5]
        .into_iter()
        .zip(1..)
        .map(|(cross_entropy, step)| controller.observe(step, cross_entropy))
        .collect();
    let targets = readings.iter().map(|reading| reading.target);
    let expected = [None, None, Some(2.0), Some(2.0), Some(2.0)];
    assert!(targets.eq(expected));
    // Step 4 is before the start. Its reading has the strength of step 5, the initial strength.
    let strengths: Vec<f64> = readings.iter().map(|reading| reading.strength).collect();
    assert_eq!(strengths[..3], [0.0; 3]);
    assert!((strengths[3] - 1.0).abs() < 1e-12);
    assert!((strengths[4].ln() - 0.5).abs() < 1e-12);
}

#[test]
fn a_target_out_of_reach_is_told_by_the_time_at_the_lower_bound() {
    for config in all() {
        let mut controller = controller(config.clone());
        let mut strength = 0.0;
        for step in 1..=1000 {
            strength = controller.observe(step, 2.5).strength;
        }
        assert!((strength - config.min_strength).abs() < 1e-15);
        let told = controller.state().at_lower_bound;
        assert!(told > 800 && told < 1000, "{told}");
        // One loss far below the target brings the average below the target at once.
        controller.observe(1001, -100.0);
        assert_eq!(controller.state().at_lower_bound, 0);
    }
}

#[test]
fn a_resumed_controller_goes_on_with_the_same_bits() {
    let warm_up = Target::Dense(Dense {
        margin: Margin::Relative { share: 0.01 },
        loss: DenseLoss::WarmUp(WarmUp { observations: 7 }),
    });
    for mut config in all() {
        config.target = warm_up.clone();
        for stop in [0, 3, 7, 8, 40, 500] {
            let losses: Vec<f64> = noise().map(|x| 1.8 + 0.4 * x).take(stop + 200).collect();
            let mut whole = controller(config.clone());
            let mut part = controller(config.clone());
            for (&loss, step) in losses[..stop].iter().zip(1..) {
                whole.observe(step, loss);
                part.observe(step, loss);
            }
            let saved = serde_json::to_string(part.state()).expect("text");
            let state = serde_json::from_str(&saved).expect("a state");
            let mut resumed = Controller::resume(config.clone(), state).expect("a controller");
            for (&loss, step) in losses[stop..].iter().zip(stop as u64 + 1..) {
                let [a, b] = [&mut whole, &mut resumed].map(|c| c.observe(step, loss));
                assert_eq!(a.strength.to_bits(), b.strength.to_bits());
                let bits = |x: Option<f64>| x.map(f64::to_bits);
                assert_eq!(bits(a.constraint_ema), bits(b.constraint_ema));
                assert_eq!(bits(a.target), bits(b.target));
            }
        }
    }
}

#[test]
fn a_state_is_the_same_five_numbers_under_every_rule() {
    // A checkpoint written under one rule, or by an older version, can be opened under any other
    // rule.
    let old = r#"{"log_strength":0.0,"constraint_ema":null,"target":2.0,"warm_up":[],"at_lower_bound":0}"#;
    for config in all() {
        let controller = controller(config.clone());
        let text = serde_json::to_string(controller.state()).expect("text");
        assert_eq!(text, old);
        let state = serde_json::from_str(old).expect("a state");
        assert!(Controller::resume(config, state).is_ok());
    }
}

#[test]
fn the_multiplier_form_and_the_strength_form_are_one() {
    // Tests all rules except the linear one, which adds to R instead of ln R.
    for config in all().into_iter().take(3) {
        let mut controller = controller(ControlConfig {
            min_strength: 1e-100,
            max_strength: 1e100,
            ..config.clone()
        });
        let (target, alpha) = (2.0, config.smoothing);
        let (mut multiplier, mut average) = (1.0_f64, None);
        for (step, x) in (1..=200).zip(noise()) {
            let (cross_entropy, density) = (1.9 + 0.2 * x, 0.1 + x);
            let of_multiplier = (cross_entropy - target) + density / multiplier;
            let of_strength = cross_entropy + controller.strength(step) * density;
            let off = of_strength - of_multiplier - target;
            assert!(off.abs() < 1e-9 * of_strength.abs(), "{off} at {step}");
            controller.observe(step, cross_entropy);
            // λ grows by exp(κ·C). In GECO's form this factor is clamped, and in νPI it is
            // exp(κ_i·e + κ_p·ΔC).
            let error = cross_entropy - target;
            let first = if matches!(config.update, Update::Pi(_)) {
                0.0
            } else {
                error
            };
            let before = average.unwrap_or(first);
            let c = average.map_or(first, |c| alpha * c + (1.0 - alpha) * error);
            average = Some(c);
            multiplier *= match &config.update {
                Update::Exponential(rates) if c < 0.0 => (rates.rate_up * c).exp(),
                Update::Exponential(rates) => (rates.rate_down * c).exp(),
                Update::Clamped(bounds) => c.exp().clamp(bounds.min_factor, bounds.max_factor),
                Update::Pi(gains) => {
                    (gains.integral * error + gains.proportional * (c - before)).exp()
                }
            };
        }
    }
}

#[test]
fn what_cannot_be_a_controller_is_refused() {
    let given = ControlConfig {
        target: Target::Dense(Dense {
            margin: Margin::Absolute { nats: 0.5 },
            loss: DenseLoss::Run {
                run: "runs/main".to_owned(),
            },
        }),
        ..ControlConfig::default()
    };
    let refused = |config: &ControlConfig, loss| Controller::new(config.clone(), loss).err();
    assert_eq!(refused(&given, None), Some(ControlError::DenseLossMissing));
    assert!(matches!(
        refused(&given, Some(f64::NAN)),
        Some(ControlError::DenseLoss(_))
    ));
    let mut made = Controller::new(given.clone(), Some(2.0)).expect("a controller");
    assert_eq!(made.observe(1, 2.0).target, Some(2.5));
    let wrong = ControlConfig {
        smoothing: 2.0,
        ..given.clone()
    };
    let error = refused(&wrong, Some(2.0)).map(|error| error.to_string());
    let expected = "smoothing: must be at least 0 and below 1, found 2";
    assert_eq!(error.as_deref(), Some(expected));
    let damaged = ControllerState {
        log_strength: f64::NAN,
        ..made.state().clone()
    };
    let error = Controller::resume(given, damaged).err();
    assert!(matches!(
        error,
        Some(ControlError::State {
            field: "log_strength",
            ..
        })
    ));
}
