//! The event files of a run for TensorBoard. They contain facts about the run in addition to its
//! records. Files that earlier versions have written are converted.

use rondo_metrics::tensorboard::{About, Parameter};
use rondo_metrics::{Background, Record, TensorboardSink};

use crate::config::ResolvedConfig;
use crate::error::Result;
use crate::run_dir::RunDir;

/// What a resumed run has recorded before.
#[derive(Clone, Copy)]
pub(super) struct Before<'a> {
    /// The step after which the run resumes.
    pub(super) step: u64,
    /// The records of the run up to that step.
    pub(super) records: &'a [Record],
}

/// Opens a new event file in the run directory. If an earlier version has written event files to
/// the folder `tensorboard/`, these are replaced by new files in the run directory, which contain
/// the run's records. In this way each curve is complete, and the run appears only once.
///
/// # Errors
///
/// Never: a configuration can be written.
pub(super) fn open(
    config: &ResolvedConfig,
    run_dir: &RunDir,
    before: Option<Before<'_>>,
) -> Result<Background> {
    let step = before.map(|before| before.step);
    let mut sink = TensorboardSink::open(run_dir.path(), &about(config)?, step);
    if let Some(before) = before {
        sink.take_over(&run_dir.earlier_event_files(), before.records);
    }
    Ok(Background::new(sink))
}

fn about(config: &ResolvedConfig) -> Result<About> {
    let recorded = config.recorded();
    let leaves = rondo_config::flatten(recorded).map_err(anyhow::Error::from)?;
    Ok(About {
        parameters: leaves
            .into_iter()
            .map(|(key, printed)| (key, parameter(printed)))
            .collect(),
        configuration: recorded.to_toml()?,
        last_step: config.train.steps,
    })
}

/// Parses a value in the form of TOML. A list is returned as text.
fn parameter(printed: String) -> Parameter {
    let read: Option<toml::Table> = format!("value = {printed}").parse().ok();
    match read.as_ref().and_then(|table| table.get("value")) {
        Some(toml::Value::Integer(x)) => Parameter::Number(*x as f64),
        Some(toml::Value::Float(x)) => Parameter::Number(*x),
        Some(toml::Value::Boolean(on)) => Parameter::Switch(*on),
        Some(toml::Value::String(text)) => Parameter::Words(text.clone()),
        _ => Parameter::Words(printed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    #[test]
    fn every_key_is_a_number_a_switch_or_words() {
        let text = "[train]\nsteps = 3\nseq = 16\nclip = false\n[schedule]\npeak = 4e-3\n";
        let config = RunConfig::read("test.toml", text, &[]).expect("valid");
        let about = about(&config.resolve_for(257, 16)).expect("printable");
        let of = |key: &str| {
            let found = about.parameters.iter().find(|(known, _)| known == key);
            found.map(|(_, value)| value.clone())
        };
        assert_eq!(of("schedule.peak"), Some(Parameter::Number(4e-3)));
        assert_eq!(of("train.steps"), Some(Parameter::Number(3.0)));
        assert_eq!(of("train.clip"), Some(Parameter::Switch(false)));
        let kind = Parameter::Words("adamw".to_owned());
        assert_eq!(of("optimizer.kind"), Some(kind));
        let depths = Parameter::Words("[1, 4, 8, 16, 32, 64]".to_owned());
        assert_eq!(of("eval.recurrence"), Some(depths));
        assert_eq!(about.last_step, 3);
        let again = RunConfig::read("again.toml", &about.configuration, &[]).expect("valid");
        assert_eq!(again.schedule, config.schedule);
    }
}
