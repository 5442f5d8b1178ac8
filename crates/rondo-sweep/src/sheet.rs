//! The runs of a sweep in rows and columns; the seeds of a setting share a cell.
//!
//! ```toml
//! [sheet]
//! rows = ["model.injection"]
//! columns = ["schedule.peak"]
//! ```
//!
//! Each row is a combination of values of the keys in `rows`, and each column a combination of
//! values of the keys in `columns`. Only combinations that occur in runs are listed, in the order
//! of the sweep.

use std::collections::{BTreeMap, BTreeSet};

use rondo_config::path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::name;
use crate::plan::Planned;
use crate::same::form;

/// `[sheet]`: the layout of the results. By default, the first key that varies makes the rows and
/// all others make the columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sheet {
    /// The dotted keys, or ends of them, whose values make the rows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
    /// The dotted keys, or ends of them, whose values make the columns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The metric: its name in the records, without the depth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Recurrence depths, for a metric that is measured at several depths. Each column is repeated
    /// for each depth.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depths: Vec<usize>,
    /// Names shown instead of values: `{ full = "random depth" }`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, String>,
}

/// Runs in rows and columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arranged {
    /// The names of the rows, from the top.
    pub rows: Vec<String>,
    /// The names of the columns, from the left; a single empty name if no key makes columns.
    pub columns: Vec<String>,
    /// The indices of the runs in the plan, by row and column. A cell is empty if no run belongs to
    /// both its row and its column.
    pub cells: Vec<Vec<Vec<usize>>>,
}

/// Why runs cannot be arranged as requested.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SheetError {
    /// No run sets the key.
    #[error("no run of the sweep sets `{key}`; runs set {known}")]
    Unknown {
        /// The requested key.
        key: String,
        /// The keys that runs set.
        known: String,
    },
    /// Several keys end with the requested text.
    #[error("`{key}` is ambiguous, it may be {keys}; write a longer end of the key")]
    Ambiguous {
        /// The requested end.
        key: String,
        /// The keys with this end.
        keys: String,
    },
    /// A key is requested twice.
    #[error("`{0}` is given twice; a key makes rows or columns, and only once")]
    Twice(String),
    /// Runs in one cell would differ in a key.
    #[error(
        "runs differ in `{0}`, but it makes neither rows nor columns, so a cell would mix its values; add it to one of the two"
    )]
    Mixed(String),
    /// A name is given for a value that does not occur.
    #[error("names: no value of a row or a column is called `{value}`; they are {known}")]
    Nameless {
        /// The value to be renamed.
        value: String,
        /// The words of the values that occur.
        known: String,
    },
}

impl Sheet {
    /// Arranges the runs of a sweep.
    ///
    /// # Errors
    ///
    /// Returns an error if a key is unknown, ambiguous or given twice, if a varying key makes
    /// neither rows nor columns, or if a name is given for a value that does not occur.
    pub fn arrange(&self, plan: &[Planned]) -> Result<Arranged, SheetError> {
        let keys = keys(plan);
        let varying: Vec<&String> = keys.iter().filter(|key| varies(plan, key)).collect();
        let mut rows = found(&self.rows, &keys)?;
        let mut columns = found(&self.columns, &keys)?;
        // If no keys are given for the rows, the first varying key that is not a column makes them.
        // If no keys are given for the columns, all other varying keys make them.
        let free = |taken: &[String]| -> Vec<String> {
            let free = varying.iter().filter(|key| !taken.contains(key));
            free.map(|key| (*key).clone()).collect()
        };
        if rows.is_empty() {
            rows = free(&columns).into_iter().take(1).collect();
        }
        if columns.is_empty() {
            columns = free(&rows);
        }
        let all: Vec<&String> = rows.iter().chain(&columns).collect();
        if let Some(twice) = (1..all.len()).find(|index| all[..*index].contains(&all[*index])) {
            return Err(SheetError::Twice(all[twice].clone()));
        }
        if let Some(left) = varying.iter().find(|key| !all.contains(key)) {
            return Err(SheetError::Mixed((*left).clone()));
        }
        let words = Words::of(plan, &keys);
        let mut used = BTreeSet::new();
        let (row_names, row_of) = groups(plan, &rows, &mut |key, run| {
            self.called(words.of_run(key, run), &mut used)
        });
        let (column_names, column_of) = groups(plan, &columns, &mut |key, run| {
            self.called(words.of_run(key, run), &mut used)
        });
        if let Some(value) = self.names.keys().find(|value| !used.contains(*value)) {
            return Err(SheetError::Nameless {
                value: value.clone(),
                known: listed(&used),
            });
        }
        let mut cells = vec![vec![Vec::new(); column_names.len()]; row_names.len()];
        for (run, (row, column)) in row_of.into_iter().zip(column_of).enumerate() {
            cells[row][column].push(run);
        }
        Ok(Arranged {
            rows: row_names,
            columns: column_names,
            cells,
        })
    }

    /// Returns the name that is shown for a value's word, and adds the word to the known ones.
    fn called(&self, word: String, known: &mut BTreeSet<String>) -> String {
        let name = self.names.get(&word).cloned();
        known.insert(word.clone());
        name.unwrap_or(word)
    }
}

/// Returns every key that runs set, in order of first occurrence.
fn keys(plan: &[Planned]) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for (key, _) in plan.iter().flat_map(|run| &run.sets) {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    keys
}

fn value<'a>(run: &'a Planned, key: &str) -> Option<&'a toml::Value> {
    let mut sets = run.sets.iter();
    sets.find(|(set, _)| set == key).map(|(_, value)| value)
}

/// Returns whether runs have different values of a key. A missing value counts as a value.
fn varies(plan: &[Planned], key: &str) -> bool {
    let forms = plan.iter().map(|run| value(run, key).map(form));
    forms.collect::<BTreeSet<_>>().len() > 1
}

/// Returns the requested keys. Each may be given as a whole or by its end.
fn found(asked: &[String], keys: &[String]) -> Result<Vec<String>, SheetError> {
    asked.iter().map(|asked| one_of(asked, keys)).collect()
}

fn one_of(asked: &str, keys: &[String]) -> Result<String, SheetError> {
    let parts = path::parse(asked).unwrap_or_default();
    let ends_so = |key: &&String| {
        let key = path::parse(key).unwrap_or_default();
        !parts.is_empty() && key.ends_with(&parts)
    };
    let found: Vec<&String> = keys.iter().filter(ends_so).collect();
    let whole = found
        .iter()
        .find(|key| path::parse(key).as_ref() == Some(&parts));
    match (whole, found.as_slice()) {
        (Some(key), _) | (None, [key]) => Ok((*key).clone()),
        (None, []) => Err(SheetError::Unknown {
            key: asked.to_owned(),
            known: listed(keys),
        }),
        (None, several) => Err(SheetError::Ambiguous {
            key: asked.to_owned(),
            keys: listed(several),
        }),
    }
}

fn listed<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    let quoted = |word: T| format!("`{}`", word.as_ref());
    let words: Vec<String> = words.into_iter().map(quoted).collect();
    match words.is_empty() {
        true => "nothing".to_owned(),
        false => words.join(", "),
    }
}

/// The words for values in names of rows and columns.
struct Words {
    /// The short name of each key.
    keys: BTreeMap<String, String>,
    /// Keys for which two different values would be shown as the same word.
    alike: BTreeSet<String>,
}

impl Words {
    fn of(plan: &[Planned], keys: &[String]) -> Self {
        let are_alike = |key: &&String| {
            let values = plan.iter().filter_map(|run| value(run, key));
            let mut forms: BTreeMap<String, String> = BTreeMap::new();
            for value in values {
                forms.insert(form(value), name::of_value(value));
            }
            let words: BTreeSet<&String> = forms.values().collect();
            words.len() < forms.len()
        };
        Self {
            alike: keys.iter().filter(are_alike).cloned().collect(),
            keys: keys
                .iter()
                .map(|key| (key.clone(), name::of_key(key, keys)))
                .collect(),
        }
    }

    /// Returns the word for a run's value of a key. A string or a table is written alone, any other
    /// value with its key.
    fn of_run(&self, key: &str, run: &Planned) -> String {
        let short = self.keys.get(key).map_or(key, String::as_str);
        match value(run, key) {
            None => format!("{short} of the base"),
            Some(value) if self.alike.contains(key) => format!("{short}={value}"),
            Some(value @ (toml::Value::String(_) | toml::Value::Table(_))) => name::of_value(value),
            Some(value) => format!("{short}={}", name::of_value(value)),
        }
    }
}

/// Returns the names of the combinations of values that occur, in the order of the runs, and for
/// each run the index of its combination.
fn groups(
    plan: &[Planned],
    keys: &[String],
    called: &mut dyn FnMut(&str, &Planned) -> String,
) -> (Vec<String>, Vec<usize>) {
    let mut known: BTreeMap<Vec<Option<String>>, usize> = BTreeMap::new();
    let mut names = Vec::new();
    let mut places = Vec::new();
    for run in plan {
        let values: Vec<Option<String>> =
            keys.iter().map(|key| value(run, key).map(form)).collect();
        let next = known.len();
        places.push(*known.entry(values).or_insert_with(|| {
            let words: Vec<String> = keys.iter().map(|key| called(key, run)).collect();
            names.push(words.join(", "));
            next
        }));
    }
    (names, places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SweepFile;

    fn plan(axes: &str) -> Vec<Planned> {
        let text = format!("base = 'x.toml'\nseeds = [0, 1]\n{axes}");
        SweepFile::parse("sweep.toml", &text)
            .expect("a valid file")
            .runs()
    }

    /// Returns the plan of two blocks × (fixed depth, random depth) × two rates, with two seeds
    /// each.
    fn usual() -> Vec<Planned> {
        plan(
            "[[grid]]\nkey = 'model.block'\nvalues = ['sandwich', 'pre-norm']\n\
             [[grid]]\nkey = 'schedule.peak'\nvalues = [2e-3, 0.5]\n\
             [[list]]\nmodel.recurrence = { sampler = 'fixed', mean = 8 }\n\
             [[list]]\nmodel.recurrence = { sampler = 'full', mean = 8 }\n",
        )
    }

    fn sheet(text: &str) -> Sheet {
        toml::from_str(text).expect("a sheet")
    }

    #[test]
    fn rows_and_columns_are_combinations_of_values_and_seeds_share_a_cell() {
        let sheet = sheet(
            "rows = ['model.block', 'sampler']\ncolumns = ['schedule.peak']\n\
             names = { full = 'random depth' }",
        );
        let arranged = sheet.arrange(&usual()).expect("an arrangement");
        let rows = [
            "sandwich, fixed",
            "sandwich, random depth",
            "pre-norm, fixed",
            "pre-norm, random depth",
        ];
        assert_eq!(arranged.rows, rows);
        assert_eq!(arranged.columns, ["peak=2e-3", "peak=0.5"]);
        // In the plan, blocks change slowest, then peaks, then the list, then seeds.
        assert_eq!(arranged.cells[0], [vec![0, 1], vec![4, 5]]);
        assert_eq!(arranged.cells[3], [vec![10, 11], vec![14, 15]]);
    }

    #[test]
    fn what_is_not_asked_for_is_the_first_key_down_and_the_others_across() {
        let arranged = Sheet::default().arrange(&usual()).expect("an arrangement");
        assert_eq!(arranged.rows, ["sandwich", "pre-norm"]);
        assert_eq!(arranged.columns[0], "peak=2e-3, fixed");
        assert_eq!(arranged.columns.len(), 4);
        let one = plan("[[grid]]\nkey = 'a.b'\nvalues = [1, 2]\n");
        let arranged = Sheet::default().arrange(&one).expect("an arrangement");
        assert_eq!(
            (arranged.rows, arranged.columns),
            (
                vec!["b=1".to_owned(), "b=2".to_owned()],
                vec![String::new()]
            )
        );
        let alone = Sheet::default().arrange(&plan("")).expect("an arrangement");
        assert_eq!(alone.cells, [[vec![0, 1]]]);
        let across = sheet("columns = ['block']")
            .arrange(&usual())
            .map(|it| it.rows);
        assert_eq!(
            across,
            Err(SheetError::Mixed("model.recurrence.sampler".to_owned()))
        );
    }

    #[test]
    fn values_that_would_be_called_the_same_are_written_out() {
        let runs = plan(
            "[[list]]\nx = { kind = 'a', by = 1 }\n[[list]]\nx = { kind = 'a', at = 1 }\n[[list]]\ny = 2\n",
        );
        let sheet = sheet("rows = ['x', 'y']");
        let arranged = sheet.arrange(&runs).expect("an arrangement");
        let rows = [
            "x={ by = 1, kind = \"a\" }, y of the base",
            "x={ at = 1, kind = \"a\" }, y of the base",
            "x of the base, y=2",
        ];
        assert_eq!(arranged.rows, rows);
    }

    #[test]
    fn what_cannot_be_arranged_is_refused_by_key() {
        let refused = |text: &str, expected: &str| {
            let error = sheet(text).arrange(&usual()).expect_err("a refusal");
            assert!(error.to_string().contains(expected), "{error}");
        };
        refused(
            "rows = ['model.blok']",
            "no run of the sweep sets `model.blok`",
        );
        refused("rows = ['']", "no run of the sweep sets ``");
        refused(
            "rows = ['block']\ncolumns = ['peak']",
            "runs differ in `model.recurrence.sampler`",
        );
        refused(
            "rows = ['block']\ncolumns = ['model.block', 'peak', 'sampler']",
            "`model.block` is given twice",
        );
        refused(
            "names = { ful = 'x' }",
            "no value of a row or a column is called `ful`",
        );
        let two = plan(
            "[[grid]]\nkey = 'a.b'\nvalues = [1, 2]\n[[grid]]\nkey = 'c.b'\nvalues = [1, 2]\n",
        );
        let error = sheet("rows = ['b']").arrange(&two).expect_err("two keys");
        assert_eq!(
            error.to_string(),
            "`b` is ambiguous, it may be `a.b`, `c.b`; write a longer end of the key"
        );
    }
}
