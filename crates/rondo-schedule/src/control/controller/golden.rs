//! Compares the νPI rule with the code of its authors. tests/golden/controller describes where the
//! values come from.

use serde::Deserialize;

use super::*;
use crate::control::target::{Absolute, Target};
use crate::control::update::{ProportionalIntegral, Scale, Update};

/// The tolerance: relative for R, and absolute for ξ, which can be near 0. Both codes add the same
/// numbers, but in a different order.
const TOLERANCE: f64 = 1e-12;

/// The target; it can be added to the golden errors and subtracted from them without rounding.
const TARGET: f64 = 2.0;

#[derive(Deserialize)]
struct Golden {
    errors: Vec<f64>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    scale: Scale,
    nu: f64,
    integral: f64,
    proportional: f64,
    initial: f64,
    min: f64,
    max: f64,
    strength: Vec<f64>,
    average: Vec<f64>,
}

#[test]
fn strengths_are_those_of_the_authors_code() {
    let text = include_str!("../../../../../tests/golden/controller/nupi.json");
    let golden: Golden = serde_json::from_str(text).expect("golden values");
    let mut at_bounds = [0, 0];
    for case in golden.cases {
        let config = ControlConfig {
            initial_strength: case.initial,
            min_strength: case.min,
            max_strength: case.max,
            smoothing: case.nu,
            update: Update::Pi(ProportionalIntegral {
                integral: case.integral,
                proportional: case.proportional,
                scale: case.scale,
            }),
            target: Target::Absolute(Absolute {
                cross_entropy: TARGET,
            }),
            ..ControlConfig::default()
        };
        let mut controller = Controller::new(config, None).expect("a valid configuration");
        assert_eq!(case.strength.len(), golden.errors.len());
        for (step, &error) in golden.errors.iter().enumerate() {
            let found = controller.observe(step as u64 + 1, TARGET + error);
            let (strength, average) = (case.strength[step], case.average[step]);
            let off = (found.strength / strength - 1.0).abs();
            assert!(off <= TOLERANCE, "R off by {off} at {step}");
            let off = found.constraint_ema.map(|found| (found - average).abs());
            assert!(
                off.is_some_and(|off| off <= TOLERANCE),
                "ξ off by {off:?} at {step}"
            );
            let bounds = [found.strength <= case.min, found.strength >= case.max];
            (0..2).for_each(|side| at_bounds[side] += u32::from(bounds[side]));
        }
    }
    // Over all cases, R is at each of its two bounds for more than 20 steps.
    assert!(at_bounds.iter().all(|&steps| steps > 20), "{at_bounds:?}");
}
