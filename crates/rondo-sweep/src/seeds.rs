//! Summaries of a sweep's settings over their seeds.
//!
//! ```text
//! mean = Σ x / n        sd = √(Σ (x − mean)² / (n − 1))        n finished seeds with a finite x
//! ```

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use crate::outcome::Status;
use crate::results::{Results, Row, plain, quoted};

/// A setting with the results of its seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting<'a> {
    /// The name of the setting; empty if the sweep has a single setting.
    pub name: &'a str,
    /// The runs of the setting, in the order of the seeds.
    pub rows: Vec<&'a Row>,
}

/// A number summarized over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation; `None` for a single seed.
    pub sd: Option<f64>,
    /// The number of seeds that have the number.
    pub seeds: usize,
}

impl Spread {
    /// Returns the mean and the standard deviation; `None` if there are no numbers.
    pub fn of(numbers: &[f64]) -> Option<Self> {
        let count = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / count;
        let squares = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        (!numbers.is_empty()).then(|| Self {
            mean,
            sd: (numbers.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
            seeds: numbers.len(),
        })
    }
}

impl Setting<'_> {
    /// Summarizes a number over the finished seeds for which it is finite.
    pub fn spread(&self, number: &str) -> Option<Spread> {
        let finished = self.rows.iter();
        let numbers: Vec<f64> = finished
            .filter(|row| row.status == Status::Finished)
            .filter_map(|row| row.number(number))
            .collect();
        Spread::of(&numbers)
    }

    /// Counts the verdicts, most frequent first. A run without a verdict counts under its status.
    pub fn verdicts(&self) -> Vec<(&str, usize)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for row in &self.rows {
            let word = match (&row.status, &row.verdict) {
                (Status::Finished, Some(verdict)) => verdict,
                (status, _) => status.word(),
            };
            *counts.entry(word).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }
}

impl Results {
    /// Returns the settings, in order.
    pub fn settings(&self) -> Vec<Setting<'_>> {
        let mut settings: Vec<Setting<'_>> = Vec::new();
        for row in &self.rows {
            match settings.last_mut() {
                Some(last) if last.name == row.run.setting => last.rows.push(row),
                _ => settings.push(Setting {
                    name: &row.run.setting,
                    rows: vec![row],
                }),
            }
        }
        settings
    }

    /// Returns whether any setting has more than one seed.
    pub fn has_seeds(&self) -> bool {
        self.settings().iter().any(|setting| setting.rows.len() > 1)
    }

    /// Returns the settings as comma-separated values: name, seeds, finished seeds, verdicts, the
    /// keys, and mean and standard deviation of each number.
    pub fn settings_csv(&self) -> String {
        let mut header = ["setting", "seeds", "finished", "verdicts"]
            .map(str::to_owned)
            .to_vec();
        header.extend(self.keys.iter().cloned());
        for number in &self.numbers {
            header.extend([format!("{number} mean"), format!("{number} sd")]);
        }
        let cells = |setting: &Setting<'_>| {
            let verdicts = setting.verdicts();
            let verdicts: Vec<String> = verdicts
                .iter()
                .map(|(verdict, count)| format!("{count} {verdict}"))
                .collect();
            let mut cells = vec![
                setting.name.to_owned(),
                setting.rows.len().to_string(),
                finished(setting).to_string(),
                verdicts.join(", "),
            ];
            let set = |key: &String| setting.rows[0].set(key).map_or_else(String::new, plain);
            cells.extend(self.keys.iter().map(set));
            for number in &self.numbers {
                let spread = setting.spread(number);
                let text = |x: Option<f64>| x.map_or_else(String::new, |x| x.to_string());
                cells.push(text(spread.map(|spread| spread.mean)));
                cells.push(text(spread.and_then(|spread| spread.sd)));
            }
            cells
        };
        let line = |cells: Vec<String>| {
            let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
            cells.join(",") + "\n"
        };
        let settings = self.settings();
        let rows = settings.iter().map(|setting| line(cells(setting)));
        std::iter::once(line(header)).chain(rows).collect()
    }

    /// Returns the settings as a list of objects with `setting`, `sets`, `seeds`, `finished`,
    /// `verdicts` and `numbers`; each of the numbers has `mean`, `sd` and `seeds`.
    pub(crate) fn settings_json(&self) -> serde_json::Value {
        let object = |setting: &Setting<'_>| {
            let set = |key: &String| (key.clone(), json!(setting.rows[0].set(key)));
            let number = |name: &String| (name.clone(), json!(setting.spread(name)));
            let verdicts = setting.verdicts().into_iter();
            let verdict = |(name, count): (&str, usize)| (name.to_owned(), json!(count));
            let seeds: Vec<u64> = setting.rows.iter().map(|row| row.run.seed).collect();
            json!({
                "setting": setting.name,
                "sets": self.keys.iter().map(set).collect::<serde_json::Map<_, _>>(),
                "seeds": seeds,
                "finished": finished(setting),
                "verdicts": verdicts.map(verdict).collect::<serde_json::Map<_, _>>(),
                "numbers": self.numbers.iter().map(number).collect::<serde_json::Map<_, _>>(),
            })
        };
        self.settings().iter().map(object).collect()
    }
}

fn finished(setting: &Setting<'_>) -> usize {
    let ended = setting.rows.iter();
    ended.filter(|row| row.status == Status::Finished).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Failure;

    /// Returns two settings of three seeds each. In the second, one seed has failed and one is
    /// pending.
    fn results() -> Results {
        let text =
            "base = 'x.toml'\nseeds = [0, 1, 2]\n[[grid]]\nkey = 'a.peak'\nvalues = [0.001, 0.5]";
        let file = crate::SweepFile::parse("sweep.toml", text).expect("a valid file");
        let failure = Failure {
            exit_code: Some(5),
            message: "no".to_owned(),
        };
        let loss = [1.0, 2.0, 6.0, 4.0, 9.0, 8.0];
        let verdict = ["healthy", "collapse", "collapse", "healthy", "", ""];
        let row = |run: crate::Planned| Row {
            status: match run.index {
                4 => Status::Failed(failure.clone()),
                5 => Status::Pending,
                _ => Status::Finished,
            },
            verdict: Some(verdict[run.index].to_owned()).filter(|word| !word.is_empty()),
            numbers: [("loss".to_owned(), loss[run.index])].into(),
            run,
        };
        Results {
            keys: vec!["a.peak".to_owned()],
            numbers: vec!["loss".to_owned()],
            rows: file.runs().into_iter().map(row).collect(),
        }
    }

    #[test]
    fn mean_and_deviation_are_over_the_seeds_that_have_finished() {
        let results = results();
        let settings = results.settings();
        let names: Vec<&str> = settings.iter().map(|setting| setting.name).collect();
        assert_eq!(names, ["peak=1e-3", "peak=0.5"]);
        // The deviations from the mean 3 are −2, −1 and 3, so sd = √(14 / 2).
        let first = settings[0].spread("loss").expect("numbers");
        assert!((first.mean - 3.0).abs() < 1e-12, "{first:?}");
        assert!((first.sd.expect("three seeds") - 7.0_f64.sqrt()).abs() < 1e-12);
        let second = settings[1].spread("loss").expect("a number");
        assert_eq!((second.mean, second.sd, second.seeds), (4.0, None, 1));
        assert_eq!(settings[0].spread("other"), None);
        assert!(results.has_seeds());
    }

    #[test]
    fn verdicts_are_counted_and_what_has_none_counts_as_what_it_is() {
        let results = results();
        let settings = results.settings();
        assert_eq!(settings[0].verdicts(), [("collapse", 2), ("healthy", 1)]);
        let expected = [("failed", 1), ("healthy", 1), ("pending", 1)];
        assert_eq!(settings[1].verdicts(), expected);
    }

    #[test]
    fn the_tables_for_programs_have_the_same() {
        let expected = "\
setting,seeds,finished,verdicts,a.peak,loss mean,loss sd
peak=1e-3,3,3,\"2 collapse, 1 healthy\",0.001,3,2.6457513110645907
peak=0.5,3,1,\"1 failed, 1 healthy, 1 pending\",0.5,4,
";
        assert_eq!(results().settings_csv(), expected);
        let json = results().to_json();
        let expected = json!({
            "setting": "peak=0.5",
            "sets": { "a.peak": 0.5 },
            "seeds": [0, 1, 2],
            "finished": 1,
            "verdicts": { "failed": 1, "healthy": 1, "pending": 1 },
            "numbers": { "loss": { "mean": 4.0, "sd": null, "seeds": 1 } },
        });
        assert_eq!(json["settings"][1], expected);
    }
}
