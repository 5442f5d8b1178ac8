//! Differences between runs: the keys of their configurations, their devices and their speed.

use std::collections::BTreeSet;

use rondo_config::flatten;
use rondo_metrics::format::significant;
use rondo_metrics::names::TOKENS_PER_SECOND;
use rondo_train::run_dir::RunDir;
use rondo_train::run_history::RunHistory;
use serde::Serialize;

/// A key whose value differs between runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Difference {
    /// The dotted key.
    pub(super) key: String,
    /// The value of the key in each run, as TOML. `None` if the run does not set the key, or if its
    /// configuration cannot be read.
    pub(super) values: Vec<Option<String>>,
}

/// The device, the speed and the duration of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Effort {
    /// The device that the newest launch used.
    pub(super) device: Option<String>,
    /// The median of the tokens per second over the logged steps.
    pub(super) tokens_per_second: Option<f64>,
    /// The seconds of all launches together.
    pub(super) seconds: f64,
}

/// Returns the keys in which the configurations of runs differ, sorted.
pub(super) fn differences(runs: &[RunHistory]) -> Vec<Difference> {
    let flat = |run: &RunHistory| run.config.as_ref().and_then(|config| flatten(config).ok());
    let configs: Vec<_> = runs.iter().map(flat).collect();
    if configs.iter().flatten().count() < 2 {
        return Vec::new();
    }
    let keys: BTreeSet<&String> = configs
        .iter()
        .flatten()
        .flat_map(|config| config.keys())
        .collect();
    let values = |key: &String| -> Vec<Option<String>> {
        let value = |config: &Option<std::collections::BTreeMap<String, String>>| {
            config.as_ref()?.get(key).cloned()
        };
        configs.iter().map(value).collect()
    };
    let known = |values: &[Option<String>]| -> BTreeSet<Option<String>> {
        let read = configs
            .iter()
            .zip(values)
            .filter(|(config, _)| config.is_some());
        read.map(|(_, value)| value.clone()).collect()
    };
    keys.into_iter()
        .map(|key| Difference {
            key: key.clone(),
            values: values(key),
        })
        .filter(|difference| known(&difference.values).len() > 1)
        .collect()
}

impl Effort {
    pub(super) fn of(run: &RunHistory) -> Self {
        let readings = run.history.series(TOKENS_PER_SECOND);
        let mut rates: Vec<f64> = readings.iter().map(|reading| reading.value).collect();
        rates.sort_by(f64::total_cmp);
        Self {
            device: RunDir::new(&run.path).device(),
            tokens_per_second: rates.get(rates.len() / 2).copied(),
            seconds: run.history.seconds(),
        }
    }

    /// Returns the cells of a table: device, tokens/s, seconds.
    pub(super) fn cells(&self) -> [String; 3] {
        let missing = || "n/a".to_owned();
        [
            self.device.clone().unwrap_or_else(missing),
            self.tokens_per_second
                .map_or_else(missing, |rate| significant(rate, 3)),
            match self.seconds > 0.0 {
                true => format!("{:.1}", self.seconds),
                false => missing(),
            },
        ]
    }
}
