//! What a sheet holds: arms, conditions and runs.

use std::collections::BTreeMap;

/// Which values are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The low ones.
    Lower,
    /// The high ones.
    Higher,
}

/// A run in its cell.
#[derive(Clone, Debug, PartialEq)]
pub struct SheetDot {
    /// What the run is called.
    pub run: String,
    /// Its seed.
    pub seed: u64,
    /// What it has reached; one that is not finite is drawn at the edge.
    pub value: f64,
    /// How it has failed, in a word; none where it has not.
    pub failure: Option<String>,
}

/// The runs of an arm under a condition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SheetCell {
    /// A dot for each seed.
    pub dots: Vec<SheetDot>,
    /// The mean over the runs with a finite value.
    pub mean: Option<f64>,
    /// Their standard deviation, where they are several.
    pub deviation: Option<f64>,
}

impl SheetCell {
    /// Counts the runs that have failed.
    pub fn failed(&self) -> usize {
        let dots = self.dots.iter();
        dots.filter(|dot| dot.failure.is_some()).count()
    }
}

/// An arm.
#[derive(Clone, Debug, PartialEq)]
pub struct SheetRow {
    /// What it is called.
    pub name: String,
    /// A cell for each column.
    pub cells: Vec<SheetCell>,
}

impl SheetRow {
    /// Counts the runs, and those that have failed. A run with a dot at each of several depths counts once.
    pub fn failed(&self) -> (usize, usize) {
        let runs = self.runs();
        let failed = runs.values().filter(|failure| failure.is_some());
        (runs.len(), failed.count())
    }

    /// Returns the runs by their names, each with how it has failed.
    pub fn runs(&self) -> BTreeMap<&str, Option<&str>> {
        let dots = self.cells.iter().flat_map(|cell| &cell.dots);
        dots.map(|dot| (dot.run.as_str(), dot.failure.as_deref()))
            .collect()
    }

    /// Returns the column with the best mean, and that mean.
    pub fn best(&self, better: Better) -> Option<(usize, f64)> {
        let means = self.cells.iter().enumerate();
        let means = means.filter_map(|(column, cell)| Some((column, cell.mean?)));
        means.min_by(|(_, a), (_, b)| match better {
            Better::Lower => a.total_cmp(b),
            Better::Higher => b.total_cmp(a),
        })
    }
}

/// Arms under conditions.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldSheet {
    /// What is shown, with its unit.
    pub quantity: String,
    /// Which values are good.
    pub better: Better,
    /// What the columns are called; the name of a column that is alone may be empty.
    pub columns: Vec<String>,
    /// The rows, from the top.
    pub rows: Vec<SheetRow>,
}

impl FieldSheet {
    pub(super) fn dots(&self) -> impl Iterator<Item = &SheetDot> {
        let cells = self.rows.iter().flat_map(|row| &row.cells);
        cells.flat_map(|cell| &cell.dots)
    }

    /// Returns the words of all failures, each once, in alphabetical order.
    pub(super) fn failures(&self) -> Vec<&str> {
        let mut words: Vec<&str> = self
            .dots()
            .filter_map(|dot| dot.failure.as_deref())
            .collect();
        words.sort_unstable();
        words.dedup();
        words
    }
}
