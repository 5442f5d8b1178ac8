//! Reads a run's length and thresholds from its `config.toml`. All other keys are ignored, so that
//! a configuration of any version can be read.

use rondo_diagnosis::DiagnosisConfig;
use serde::Deserialize;

/// The planned length of a run, and the thresholds of its diagnosis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The number of steps of the whole run; `None` if unknown.
    pub steps: Option<u64>,
    /// The thresholds at which a reading counts as a failure. The defaults if the thresholds of the
    /// run are unknown.
    pub thresholds: DiagnosisConfig,
    /// Why a part of the plan is unknown.
    pub note: Option<String>,
}

/// The parts of a configuration that are read.
#[derive(Deserialize)]
struct Written {
    train: Option<Train>,
    diagnosis: Option<toml::Value>,
}

#[derive(Deserialize)]
struct Train {
    steps: Option<u64>,
}

impl Plan {
    /// Reads the text of a `config.toml`.
    pub fn parse(text: &str) -> Self {
        let written: Written = match toml::from_str(text) {
            Ok(written) => written,
            Err(error) => {
                let reason = error.message();
                return Self::unknown(&format!("config.toml cannot be read ({reason})"));
            }
        };
        let (thresholds, note) = match written.diagnosis.map(toml::Value::try_into) {
            None => (DiagnosisConfig::default(), None),
            Some(Ok(thresholds)) => (thresholds, None),
            Some(Err(error)) => {
                let reason = error.to_string();
                let reason = reason.trim_end().replace('\n', " ");
                let note = format!(
                    "[diagnosis] of config.toml cannot be read: default thresholds ({reason})"
                );
                (DiagnosisConfig::default(), Some(note))
            }
        };
        Self {
            steps: written.train.and_then(|train| train.steps),
            thresholds,
            note,
        }
    }

    /// Returns a plan without a number of steps and with the default thresholds. The note of the
    /// plan begins with `reason`.
    pub(crate) fn unknown(reason: &str) -> Self {
        Self {
            note: Some(format!("{reason}: no number of steps, default thresholds")),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_thresholds_are_read_and_the_rest_is_passed_over() {
        let text = "[train]\nsteps = 300\nlater = 1\n[diagnosis.divergence]\nrise = 0.25\n[later]\nx = 1\n";
        let plan = Plan::parse(text);
        assert_eq!(plan.steps, Some(300));
        assert!((plan.thresholds.divergence.rise - 0.25).abs() < f64::EPSILON);
        assert_eq!(plan.note, None);
    }

    #[test]
    fn thresholds_of_another_version_leave_the_defaults_and_a_note() {
        let plan = Plan::parse("[train]\nsteps = 3\n[diagnosis.later]\nx = 1\n");
        assert_eq!(
            (plan.steps, plan.thresholds),
            (Some(3), DiagnosisConfig::default())
        );
        let note = plan.note.unwrap_or_default();
        assert!(
            note.contains("default thresholds") && note.contains("later"),
            "{note}"
        );
    }

    #[test]
    fn a_text_that_is_no_configuration_leaves_a_note() {
        let plan = Plan::parse("[train");
        assert_eq!(plan.steps, None);
        let note = plan.note.unwrap_or_default();
        assert!(note.starts_with("config.toml cannot be read"), "{note}");
    }
}
