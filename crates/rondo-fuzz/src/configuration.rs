//! Reads a configuration: a TOML file, with overrides on top.

use rondo_config::report::section;
use rondo_config::{Document, Report, to_toml};
use rondo_data::DataConfig;
use rondo_diagnosis::DiagnosisConfig;
use rondo_schedule::{Run, Schedule, ScheduleConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The prefix of a line that holds an override. All other lines are part of the TOML file.
const SET: &str = "--set ";

/// All configuration sections whose crates build without Burn.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Sections {
    data: DataConfig,
    schedule: ScheduleConfig,
    diagnosis: DiagnosisConfig,
}

impl Sections {
    fn validate(&self, report: Report<'_>) {
        self.data.validate(&mut section("data", report));
        self.schedule.validate(&mut section("schedule", report));
        self.diagnosis.validate(&mut section("diagnosis", report));
    }
}

/// Reads a run's configuration as the trainer does. Lines that begin with `--set ` are overrides;
/// the other lines are the TOML file.
///
/// If the configuration is accepted, its printed text must read back as an equal configuration, the
/// learning rate must be at least 0 at every step, and the chance accuracy, if it has one, must be
/// above 0 and at most 1. If it is refused, the error must have a message.
///
/// # Panics
///
/// Panics if one of these properties does not hold.
pub fn configuration(bytes: &[u8]) {
    let Ok(input) = str::from_utf8(bytes) else {
        return;
    };
    let (overrides, lines): (Vec<&str>, Vec<&str>) =
        input.split('\n').partition(|line| line.starts_with(SET));
    let Ok(mut document) = Document::parse("run.toml", &lines.join("\n")) else {
        return;
    };
    for line in overrides {
        document.set(&line[SET.len()..]);
    }
    match document.read_checked(&Sections::validate) {
        Ok(sections) => accepted(&sections),
        Err(violations) => assert!(
            violations.iter().all(|found| !found.message.is_empty()) && !violations.is_empty(),
            "refused without a reason: {violations}"
        ),
    }
}

fn accepted(sections: &Sections) {
    let text = to_toml(sections).expect("what was read has a form in TOML");
    let again = Document::parse("printed.toml", &text).and_then(|document| document.read());
    assert_eq!(again.as_ref(), Ok(sections), "{text}");
    for steps in [1, 100, u64::MAX] {
        let run = Run {
            steps,
            tokens_per_step: 4096,
        };
        let schedule = Schedule::new(&sections.schedule, run);
        for step in [0, 1, 2, 50, 100, 101, u64::MAX] {
            let rate = schedule.rate(step);
            assert!(
                rate >= 0.0,
                "{text}: step {step} of {steps} has rate {rate}"
            );
        }
    }
    let odds = sections.data.chance_accuracy();
    assert!(odds.is_none_or(|odds| odds > 0.0 && odds <= 1.0), "{text}");
}
