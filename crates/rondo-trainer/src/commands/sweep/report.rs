//! Reports the results of a sweep: as tables, in results.csv and results.json, and in settings.csv
//! if there are several seeds.

mod settings;

use std::collections::BTreeMap;
use std::path::Path;

use rondo_files::atomic_write;
use rondo_laws::RankCorrelation;
use rondo_metrics::format::{or_missing, short, significant};
use rondo_metrics::names::{
    HIDDEN_STATE_CORR, LOSS, LR_SUM, VAL_ACCURACY, VAL_CROSS_ENTROPY, VAL_PERPLEXITY,
};
use rondo_metrics::typed::{Eval, Measured, Scalar};
use rondo_metrics::{History, Table};
use rondo_sweep::{Naming, Planned, Reached, Results, Row, Shard, Status, SweepDir};
use rondo_train::error::{Error, Result};
use rondo_train::run_dir::RunDir;
use serde_json::{Value, json};

use crate::pictures::sweeps::rate_correlation;

/// The final loss: the validation cross entropy at the mean depth.
const FINAL_LOSS: Scalar<Eval> = VAL_CROSS_ENTROPY;
/// How many runs of a shard a line lists by name.
const NAMED: usize = 2;
/// The assumed width of a terminal, in columns.
const WIDTH: usize = 80;

/// The results of a sweep.
pub(super) struct Report {
    results: Results,
    /// The correlation of the final loss with the summed learning rate. `None` unless at least
    /// three runs differ in both.
    correlation: Option<RankCorrelation>,
    /// The largest recurrence depth of an evaluation.
    deepest: Option<usize>,
    /// Whether the names of the runs contain the values that they set.
    tells_values: bool,
    /// The executed shard; `None` for the whole sweep.
    shard: Option<Shard>,
    /// Whether the sweep file defines a layout of the results.
    has_sheet: bool,
}

impl Report {
    /// Reads the metrics of every run that has ended.
    ///
    /// # Errors
    ///
    /// Returns an error if status files or metrics are damaged.
    pub(super) fn of(dir: &SweepDir, shard: Option<Shard>) -> Result<Self> {
        let mut deepest = None;
        let results = Results::collect(dir, |run, status| {
            let (reached, depth) = reached(dir, run, status)?;
            deepest = deepest.max(depth);
            Ok::<_, Error>(reached)
        })?;
        let pairs = results
            .rows
            .iter()
            .filter(|row| row.status == Status::Finished)
            .filter_map(|row| Some((row.number(LR_SUM.name())?, row.number(FINAL_LOSS.name())?)));
        let (sums, losses): (Vec<f64>, Vec<f64>) = pairs.unzip();
        Ok(Self {
            correlation: rate_correlation(&sums, &losses),
            deepest,
            tells_values: dir.naming() == Naming::Values,
            has_sheet: dir.sheet().is_some(),
            results,
            shard,
        })
    }

    /// Writes results.csv and results.json, and settings.csv if there are several seeds.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be written.
    pub(super) fn save(&self, dir: &Path) -> Result<()> {
        atomic_write(&dir.join("results.csv"), self.results.to_csv().as_bytes())?;
        if self.results.has_seeds() {
            let settings = self.results.settings_csv();
            atomic_write(&dir.join("settings.csv"), settings.as_bytes())?;
        }
        let json = format!("{:#}\n", self.to_json());
        atomic_write(&dir.join("results.json"), json.as_bytes())?;
        Ok(())
    }

    /// Returns the report as JSON: the rows, the settings with means over their seeds, the runs
    /// that have not ended by shard, and the correlation of the final loss with the summed learning
    /// rate.
    pub(super) fn to_json(&self) -> Value {
        let mut object = self.results.to_json();
        let missing = self.missing().map(|(shard, runs)| {
            let runs: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
            json!({"shard": shard.map(|shard| shard.to_string()), "runs": runs})
        });
        object["missing"] = missing.collect();
        object["spearman"] = json!(self.correlation.map(|found| {
            json!({
                "x": LR_SUM.name(),
                "y": FINAL_LOSS.name(),
                "rho": found.rho,
                "p_value": found.p_value,
                "method": found.method,
                "pairs": found.pairs,
            })
        }));
        object
    }

    /// Returns the runs that have not ended. If the sweep was divided into shards, they are grouped
    /// by shard; otherwise there is one group.
    fn missing(&self) -> impl Iterator<Item = (Option<Shard>, Vec<&Planned>)> {
        let mut missing: BTreeMap<Option<Shard>, Vec<&Planned>> = BTreeMap::new();
        for row in &self.results.rows {
            if matches!(row.status, Status::Pending | Status::Unfinished) {
                let shard = self.shard.map(|shard| Shard::of(&row.run, shard.count()));
                missing.entry(shard).or_default().push(&row.run);
            }
        }
        missing.into_iter()
    }

    /// Returns a line for each shard that has runs that have not ended. The line lists the first of
    /// these runs by name.
    fn missing_text(&self) -> String {
        let line = |(shard, runs): (Option<Shard>, Vec<&Planned>)| {
            let named: Vec<&str> = runs
                .iter()
                .take(NAMED)
                .map(|run| run.name.as_str())
                .collect();
            let more = match runs.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let of = shard.map_or_else(String::new, |shard| format!(" of shard {shard}"));
            format!("not ended: {}{more}{of}", named.join(", "))
        };
        self.missing().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Returns the report as text: a table with the best run first, a table of the settings if
    /// there are several seeds, and the failed and pending runs. No table is wider than a terminal.
    pub(super) fn text(&self, dir: &Path) -> String {
        let table = self.runs();
        let settings = match self.results.has_seeds() {
            true => settings::table(&self.results, self.deepest),
            false => String::new(),
        };
        let failed = self
            .results
            .rows
            .iter()
            .filter_map(|row| match &row.status {
                Status::Failed(failure) => Some(format!("{} failed: {failure}", row.run.name)),
                _ => None,
            });
        let failed = failed.collect::<Vec<_>>().join("\n");
        let correlation = self.correlation.map_or_else(String::new, |found| {
            format!(
                "final loss with summed learning rate: Spearman {:.3}, p {:.1e}, {} runs",
                found.rho, found.p_value, found.pairs
            )
        });
        let results = dir.join("results.csv");
        let mut files = vec![format!("every number: {}", results.display())];
        if self.has_sheet {
            let dir = dir.display();
            files.push(format!(
                "in rows and columns: trainer figure field-sheet {dir} --out figures"
            ));
        }
        let parts = [
            table,
            settings,
            failed,
            self.missing_text(),
            correlation,
            files.join("\n"),
        ];
        let said: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        said.join("\n\n")
    }

    /// Returns the table of runs. If it does not fit the terminal, some parts are left out: first
    /// the keys, if the names of the runs contain their values; then the summed rate; and last the
    /// middle of the names. The files contain everything.
    fn runs(&self) -> String {
        let keys = match self.tells_values {
            true => 0,
            false => self.results.keys.len(),
        };
        let whole = |name: &str| name.to_owned();
        let tables = (0..=keys)
            .rev()
            .map(|keys| self.table(keys, true, &whole).to_string())
            .chain([self.table(0, false, &whole).to_string()]);
        let mut widest = 0;
        for table in tables {
            widest = width(&table);
            if widest <= WIDTH {
                return table;
            }
        }
        let names = self.results.rows.iter().map(|row| row.run.name.len());
        let room = (names.max().unwrap_or(0) + WIDTH).saturating_sub(widest);
        self.table(0, false, &|name| shortened(name, room))
            .to_string()
    }

    fn table(&self, keys: usize, with_lr_sum: bool, name: &dyn Fn(&str) -> String) -> Table {
        let keys = &self.results.keys[..keys];
        let mut header = vec!["run"];
        header.extend(keys.iter().map(|key| key.rsplit('.').next().unwrap_or(key)));
        header.extend(["status", "verdict"]);
        header.extend(with_lr_sum.then_some("lr sum"));
        header.push("val loss");
        let mut table = Table::new(&header).left(0);
        let mut rows: Vec<&Row> = self.results.rows.iter().collect();
        let loss = |row: &Row| row.number(FINAL_LOSS.name());
        let order = |row: &Row| loss(row).unwrap_or(f64::INFINITY);
        rows.sort_by(|a, b| order(a).total_cmp(&order(b)));
        for row in rows {
            let mut cells = vec![name(&row.run.name)];
            cells.extend(
                keys.iter()
                    .map(|key| row.set(key).map_or(String::new(), word)),
            );
            cells.push(row.status.word().to_owned());
            cells.push(row.verdict.clone().unwrap_or_default());
            if with_lr_sum {
                let sum = row.number(LR_SUM.name());
                cells.push(or_missing(sum, |sum| significant(sum, 4)));
            }
            cells.push(or_missing(loss(row), |loss| significant(loss, 5)));
            table.row(cells);
        }
        table
    }
}

/// Returns the width of the widest line of a text, in columns.
fn width(text: &str) -> usize {
    let lines = text.lines().map(|line| line.chars().count());
    lines.max().unwrap_or(0)
}

/// Shortens a name to at most `room` characters by leaving out its middle.
fn shortened(name: &str, room: usize) -> String {
    if name.len() <= room {
        return name.to_owned();
    }
    // Names are ASCII. The end of a name is kept because it contains the seed.
    let kept = room.saturating_sub(1).max(2);
    let (start, end) = (kept.div_ceil(2), name.len() - kept / 2);
    format!("{}…{}", &name[..start], &name[end..])
}

/// Returns a value as one word. A table is represented by its kind.
fn word(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Float(number) => short(*number),
        toml::Value::Table(table) => match table.get(rondo_config::TAG) {
            Some(toml::Value::String(kind)) => kind.clone(),
            _ => value.to_string(),
        },
        _ => value.to_string(),
    }
}

/// Returns the verdict and the last values of a run that has ended, and the largest depth of its
/// evaluations.
fn reached(dir: &SweepDir, run: &Planned, status: &Status) -> Result<(Reached, Option<usize>)> {
    let has_ended = matches!(status, Status::Finished | Status::Failed(_));
    if !has_ended {
        return Ok((Reached::default(), None));
    }
    let run_dir = RunDir::new(&dir.run_dir(run));
    let (numbers, deepest) = match run_dir.metrics().is_file() {
        true => {
            let history = History::read(&run_dir.metrics())?;
            let depths = history.per_depth(VAL_PERPLEXITY).into_keys();
            (numbers(&history), depths.max())
        }
        false => (Vec::new(), None),
    };
    // A run that a signal ended has no summary.
    let verdict = match run_dir.has_summary() {
        true => run_dir.summary()?["verdict"].as_str().map(str::to_owned),
        false => None,
    };
    Ok((Reached { verdict, numbers }, deepest))
}

/// Returns the last values of a run.
fn numbers(history: &History) -> Vec<(String, f64)> {
    let mut numbers = vec![("step".to_owned(), history.last_step() as f64)];
    numbers.extend(last(history, LOSS));
    numbers.extend(last(history, FINAL_LOSS));
    numbers.extend(last(history, LR_SUM));
    numbers.extend(last(history, HIDDEN_STATE_CORR));
    for metric in [VAL_PERPLEXITY, VAL_ACCURACY] {
        for (depth, readings) in history.per_depth(metric) {
            let last = readings.last().map(|reading| reading.value);
            numbers.extend(last.map(|value| (metric.at(depth).into_name(), value)));
        }
    }
    numbers
}

/// Returns the name and the last value of a metric.
fn last<K: Measured>(history: &History, metric: Scalar<K>) -> Option<(String, f64)> {
    Some((metric.name().to_owned(), history.last(metric)?))
}
