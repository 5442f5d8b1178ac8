//! One row per run; summaries over seeds are in [`seeds`](crate::seeds).

use std::collections::BTreeMap;

use serde_json::json;

use crate::dir::SweepDir;
use crate::error::SweepError;
use crate::outcome::Status;
use crate::plan::Planned;

/// The results of a sweep's runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// The keys that runs set, in order of first occurrence.
    pub keys: Vec<String>,
    /// The names of the runs' numbers, in order of first occurrence.
    pub numbers: Vec<String>,
    /// A row per run, in order.
    pub rows: Vec<Row>,
}

/// The results of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The run.
    pub run: Planned,
    /// The status of the run.
    pub status: Status,
    /// The verdict of the run's diagnosis, if there is one. A run may finish although it has
    /// diverged.
    pub verdict: Option<String>,
    /// The numbers of the run, by name.
    pub numbers: BTreeMap<String, f64>,
}

/// The results in a run's own records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reached {
    /// The verdict of the run's diagnosis; `None` if the run has none.
    pub verdict: Option<String>,
    /// The numbers of the run with their names, in the order of their columns.
    pub numbers: Vec<(String, f64)>,
}

impl Results {
    /// Collects the rows. `reached` is called for every run and returns its results.
    ///
    /// # Errors
    ///
    /// Returns an error if the status or the records of a run cannot be read.
    pub fn collect<E: From<SweepError>>(
        dir: &SweepDir,
        mut reached: impl FnMut(&Planned, &Status) -> Result<Reached, E>,
    ) -> Result<Self, E> {
        let mut results = Self {
            keys: Vec::new(),
            numbers: Vec::new(),
            rows: Vec::new(),
        };
        for run in dir.plan() {
            let status = dir.status(run)?;
            let Reached { verdict, numbers } = reached(run, &status)?;
            add_missing(&mut results.keys, run.sets.iter().map(|(key, _)| key));
            add_missing(&mut results.numbers, numbers.iter().map(|(name, _)| name));
            results.rows.push(Row {
                run: run.clone(),
                status,
                verdict,
                numbers: numbers.into_iter().collect(),
            });
        }
        Ok(results)
    }

    /// Returns the names of the columns: run, status, verdict, seed, the keys, the numbers.
    pub fn header(&self) -> Vec<&str> {
        let columns = self.keys.iter().chain(&self.numbers).map(String::as_str);
        ["run", "status", "verdict", "seed"]
            .into_iter()
            .chain(columns)
            .collect()
    }

    /// Returns the cells of a row: strings unquoted, other values in TOML, and an empty cell for a
    /// missing value or a number that is not finite.
    pub fn cells(&self, row: &Row) -> Vec<String> {
        let mut cells = vec![
            row.run.name.clone(),
            row.status.word().to_owned(),
            row.verdict.clone().unwrap_or_default(),
            row.run.seed.to_string(),
        ];
        cells.extend(
            self.keys
                .iter()
                .map(|key| row.set(key).map_or_else(String::new, plain)),
        );
        cells.extend(self.numbers.iter().map(|name| {
            row.number(name)
                .map_or_else(String::new, |number| number.to_string())
        }));
        cells
    }

    /// Returns the table as comma-separated values according to RFC 4180, with a header.
    pub fn to_csv(&self) -> String {
        let line = |cells: Vec<String>| cells.join(",") + "\n";
        let header = self.header().into_iter().map(quoted).collect();
        let rows = self.rows.iter().map(|row| {
            let cells = self.cells(row);
            line(cells.iter().map(|cell| quoted(cell)).collect())
        });
        std::iter::once(line(header)).chain(rows).collect()
    }

    /// Returns an object with `runs` and with `settings` as in [`Results::settings`]. A run has
    /// `run`, `status`, `verdict`, `seed`, `sets`, `numbers` and `failure`. Missing values and
    /// numbers that are not finite are null.
    pub fn to_json(&self) -> serde_json::Value {
        let runs: Vec<serde_json::Value> = self.rows.iter().map(|row| self.row_json(row)).collect();
        json!({ "runs": runs, "settings": self.settings_json() })
    }

    fn row_json(&self, row: &Row) -> serde_json::Value {
        let sets = self
            .keys
            .iter()
            .map(|key| (key.clone(), json!(row.set(key))));
        let numbers = self
            .numbers
            .iter()
            .map(|name| (name.clone(), json!(row.number(name))));
        let failure = match &row.status {
            Status::Failed(failure) => json!(failure),
            _ => serde_json::Value::Null,
        };
        json!({
            "run": row.run.name,
            "status": row.status.word(),
            "verdict": row.verdict,
            "seed": row.run.seed,
            "sets": sets.collect::<serde_json::Map<_, _>>(),
            "numbers": numbers.collect::<serde_json::Map<_, _>>(),
            "failure": failure,
        })
    }
}

impl Row {
    /// Returns the value that the run sets for a key.
    pub fn set(&self, key: &str) -> Option<&toml::Value> {
        let mut sets = self.run.sets.iter();
        sets.find(|(set, _)| set == key).map(|(_, value)| value)
    }

    /// Returns a number if it exists and is finite.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.numbers
            .get(name)
            .copied()
            .filter(|number| number.is_finite())
    }
}

fn add_missing<'a>(columns: &mut Vec<String>, names: impl Iterator<Item = &'a String>) {
    for name in names {
        if !columns.contains(name) {
            columns.push(name.clone());
        }
    }
}

pub(crate) fn plain(value: &toml::Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

pub(crate) fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::SweepFile;
    use crate::outcome::Failure;
    use crate::writer::SweepWriter;

    const FILE: &str = "base = 'x.toml'\nseeds = [7]\n\
                        [[grid]]\nkey = 'model.init'\nvalues = ['small', 'a \"b\"']\n\
                        [[list]]\nshape = { kind = 'step', every = 5 }\n\
                        [[list]]\nwarmup = 3\n";

    fn results() -> Results {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = SweepFile::parse("sweep.toml", FILE).expect("a valid file");
        let sweep = SweepWriter::open(&folder.path().join("s"), &file, "", None).expect("a sweep");
        let failure = Failure {
            exit_code: None,
            message: "error: no".to_owned(),
        };
        sweep
            .failed(&sweep.dir().plan()[1], failure)
            .expect("a mark");
        let reached = |run: &Planned, _: &Status| {
            let named = |name: &str, number| (name.to_owned(), number);
            let (verdict, numbers) = match run.index {
                0 => (
                    Some("divergence"),
                    vec![named("val_loss@4", 2.5), named("val_loss@16", f64::NAN)],
                ),
                3 => (Some("healthy"), vec![named("lr_sum", 0.25)]),
                _ => (None, Vec::new()),
            };
            let verdict = verdict.map(str::to_owned);
            Ok::<_, SweepError>(Reached { verdict, numbers })
        };
        Results::collect(sweep.dir(), reached).expect("results")
    }

    #[test]
    fn the_csv_has_every_column_in_order_and_nothing_where_nothing_is() {
        let expected = "\
run,status,verdict,seed,model.init,shape,warmup,val_loss@4,val_loss@16,lr_sum
\"init=small,shape=step_5,seed=7\",pending,divergence,7,small,\"{ every = 5, kind = \"\"step\"\" }\",,2.5,,
\"init=small,warmup=3,seed=7\",failed,,7,small,,3,,,
\"init=a_b_-33050cd4,shape=step_5,seed=7\",pending,,7,\"a \"\"b\"\"\",\"{ every = 5, kind = \"\"step\"\" }\",,,,
\"init=a_b_-33050cd4,warmup=3,seed=7\",pending,healthy,7,\"a \"\"b\"\"\",,3,,,0.25
";
        assert_eq!(results().to_csv(), expected);
    }

    #[test]
    fn the_json_has_the_same_with_null_for_nothing() {
        let json = results().to_json();
        let expected = json!({
            "run": "init=small,warmup=3,seed=7",
            "status": "failed",
            "verdict": null,
            "seed": 7,
            "sets": { "model.init": "small", "shape": null, "warmup": 3 },
            "numbers": { "val_loss@4": null, "val_loss@16": null, "lr_sum": null },
            "failure": { "exit_code": null, "message": "error: no" },
        });
        assert_eq!(json["runs"][1], expected);
        assert_eq!(
            json["runs"][0]["sets"]["shape"],
            json!({ "kind": "step", "every": 5 })
        );
        assert_eq!(json["runs"][0]["verdict"], json!("divergence"));
        assert_eq!(json["runs"][0]["numbers"]["val_loss@16"], json!(null));
        assert_eq!(json["runs"].as_array().map(Vec::len), Some(4));
    }
}
