//! The configuration of a controller.

use rondo_config::Report;
use rondo_config::report::{fraction, positive, section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::control::target::Target;
use crate::control::update::Update;

/// The controller of a penalty's strength.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ControlConfig {
    /// Which cross entropy is kept at the target.
    pub constraint: Constraint,
    /// The first step, counted from 1, at which the strength is above 0. If the target is not yet
    /// known at this step, the strength stays 0 until the target is known.
    pub start_step: u64,
    /// R at the first step whose strength is above 0.
    pub initial_strength: f64,
    /// The lower bound of R. From a very small bound, R takes many steps to rise again.
    pub min_strength: f64,
    /// The upper bound of R.
    pub max_strength: f64,
    /// α, the weight of the old value in the moving average of CE − τ (ν of νPI).
    pub smoothing: f64,
    /// How R follows the moving average.
    pub update: Update,
    /// How τ is determined.
    pub target: Target,
    /// The controller gives up after this number of consecutive observations with R at its lower
    /// bound and the average of CE still above the target.
    pub patience: u64,
}

/// Which cross entropy is kept at the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Constraint {
    /// The cross entropy of the training batches, with drawn gates.
    #[default]
    Training,
    /// The cross entropy of the validation set, with hard gates.
    Validation,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self {
            constraint: Constraint::default(),
            start_step: 1,
            initial_strength: 1e-2,
            min_strength: 1e-3,
            max_strength: 1e5,
            smoothing: 0.9,
            update: Update::default(),
            target: Target::default(),
            patience: 300,
        }
    }
}

impl ControlConfig {
    /// Reports every violation, each with its key path below the controller's section.
    pub fn validate(&self, report: Report<'_>) {
        let (low, high) = (self.min_strength, self.max_strength);
        positive("min_strength", low, report);
        if !(high.is_finite() && high >= low) {
            report(
                "max_strength",
                format!("must be a number of at least min_strength = {low}, found {high}"),
            );
        }
        let initial = self.initial_strength;
        if !(initial >= low && initial <= high) {
            report(
                "initial_strength",
                format!(
                    "must be from min_strength = {low} to max_strength = {high}, found {initial}"
                ),
            );
        }
        fraction("smoothing", self.smoothing, report);
        self.update.validate(&mut section("update", report));
        self.target.validate(&mut section("target", report));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::target::{Absolute, Dense, DenseLoss, Margin, Percentile, WarmUp};
    use crate::control::update::{Clamped, Exponential, ProportionalIntegral, Scale};

    fn keys(config: &ControlConfig) -> Vec<String> {
        let mut keys = Vec::new();
        config.validate(&mut |key, _| keys.push(key.to_owned()));
        keys
    }

    #[test]
    fn the_default_is_valid() {
        assert!(keys(&ControlConfig::default()).is_empty());
    }

    #[test]
    fn numbers_out_of_range_are_reported_by_their_keys() {
        let mut config = ControlConfig {
            constraint: Constraint::Validation,
            start_step: 1,
            initial_strength: 2.0,
            min_strength: 0.0,
            max_strength: 1.0,
            smoothing: 1.0,
            update: Update::Exponential(Exponential {
                rate_up: -1.0,
                rate_down: f64::NAN,
            }),
            target: Target::Absolute(Absolute {
                cross_entropy: f64::INFINITY,
            }),
            patience: 1,
        };
        let expected = [
            "min_strength",
            "initial_strength",
            "smoothing",
            "update.rate_up",
            "update.rate_down",
            "target.cross_entropy",
        ];
        assert_eq!(keys(&config), expected);
        config = ControlConfig {
            update: Update::Clamped(Clamped {
                min_factor: 1.01,
                max_factor: 0.5,
                ..Clamped::default()
            }),
            target: Target::Percentile(Percentile {
                percentile: 101.0,
                observations: 0,
            }),
            ..ControlConfig::default()
        };
        let expected = [
            "update.min_factor",
            "update.max_factor",
            "target.percentile",
            "target.observations",
        ];
        assert_eq!(keys(&config), expected);
        config = ControlConfig {
            max_strength: f64::NAN,
            target: Target::Dense(Dense {
                margin: Margin::Relative { share: f64::NAN },
                loss: DenseLoss::WarmUp(WarmUp { observations: 0 }),
            }),
            ..ControlConfig::default()
        };
        let expected = [
            "max_strength",
            "initial_strength",
            "target.margin.share",
            "target.loss.observations",
        ];
        assert_eq!(keys(&config), expected);
        for (integral, proportional, expected) in [
            (0.0, -1.0, &["update.integral", "update.proportional"][..]),
            (
                f64::INFINITY,
                f64::NAN,
                &["update.integral", "update.proportional"],
            ),
            (1e-3, f64::INFINITY, &["update.proportional"]),
            (1e-3, 0.0, &[]),
        ] {
            config.update = Update::Pi(ProportionalIntegral {
                integral,
                proportional,
                scale: Scale::Linear,
            });
            config.max_strength = 1e5;
            config.target = Target::default();
            assert_eq!(keys(&config), expected);
        }
    }

    #[test]
    fn kinds_are_kebab_case_and_strangers_are_refused() {
        let read = |text: &str| serde_json::from_str::<ControlConfig>(text);
        let config = read(
            r#"{"start_step": 10, "update": {"kind": "clamped"}, "target": {"kind": "dense",
                "margin": {"kind": "absolute", "nats": 0.02}, "loss": {"kind": "run", "run": "runs/main"}}}"#,
        );
        let config = config.expect("a configuration");
        assert_eq!(config.update, Update::Clamped(Clamped::default()));
        let dense = Dense {
            margin: Margin::Absolute { nats: 0.02 },
            loss: DenseLoss::Run {
                run: "runs/main".to_owned(),
            },
        };
        assert_eq!(config.target, Target::Dense(dense));
        let again = serde_json::to_string(&config).expect("text");
        assert_eq!(read(&again).expect("a configuration"), config);
        let config = read(r#"{"update": {"kind": "pi", "integral": 3, "scale": "linear"}}"#);
        let pi = Update::Pi(ProportionalIntegral {
            integral: 3.0,
            scale: Scale::Linear,
            ..ProportionalIntegral::default()
        });
        assert_eq!(config.expect("a configuration").update, pi);
        for strange in [
            r#"{"strength": 1}"#,
            r#"{"update": {"kind": "clamped", "rate": 1}}"#,
            r#"{"update": {"kind": "pi", "rate_up": 1}}"#,
            r#"{"update": {"kind": "pi", "scale": "Log"}}"#,
            r#"{"target": {"kind": "absolute", "cross_entropy": 2, "margin": 1}}"#,
            r#"{"target": {"kind": "dense", "loss": {"kind": "warm-up", "steps": 3}}}"#,
            r#"{"target": {"kind": "Percentile"}}"#,
        ] {
            assert!(read(strange).is_err(), "{strange}");
        }
    }
}
