//! The input of a sheet: arms, conditions and runs.

use std::collections::BTreeMap;

/// Which values are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Lower values are better.
    Lower,
    /// Higher values are better.
    Higher,
}

/// A run, drawn as a dot in its cell.
#[derive(Clone, Debug, PartialEq)]
pub struct SheetDot {
    /// The name of the run.
    pub run: String,
    /// The seed of the run.
    pub seed: u64,
    /// The final value of the run. A value that is not finite is drawn at the edge.
    pub value: f64,
    /// The failure of the run, as one word; `None` if the run has not failed.
    pub failure: Option<String>,
}

/// The runs of one arm under one condition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SheetCell {
    /// A dot for each seed.
    pub dots: Vec<SheetDot>,
    /// The mean over the runs with a finite value.
    pub mean: Option<f64>,
    /// The standard deviation over the same runs, if there are several.
    pub deviation: Option<f64>,
}

impl SheetCell {
    /// Counts the runs that have failed.
    pub fn failed(&self) -> usize {
        let dots = self.dots.iter();
        dots.filter(|dot| dot.failure.is_some()).count()
    }
}

/// An arm: the runs in one row of the sheet.
#[derive(Clone, Debug, PartialEq)]
pub struct SheetRow {
    /// The name of the arm.
    pub name: String,
    /// A cell for each column.
    pub cells: Vec<SheetCell>,
}

impl SheetRow {
    /// Returns the number of runs and the number of failed runs. A run that has a dot at each of
    /// several depths counts once.
    pub fn failed(&self) -> (usize, usize) {
        let runs = self.runs();
        let failed = runs.values().filter(|failure| failure.is_some());
        (runs.len(), failed.count())
    }

    /// Returns the runs by name, each with its failure if it has failed.
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

/// A sheet of arms, each measured under several conditions.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldSheet {
    /// The quantity that is shown, with its unit.
    pub quantity: String,
    /// Which values are better.
    pub better: Better,
    /// The names of the columns; if there is only one column, its name may be empty.
    pub columns: Vec<String>,
    /// The rows, from the top.
    pub rows: Vec<SheetRow>,
}

impl FieldSheet {
    pub(super) fn dots(&self) -> impl Iterator<Item = &SheetDot> {
        let cells = self.rows.iter().flat_map(|row| &row.cells);
        cells.flat_map(|cell| &cell.dots)
    }

    /// Returns all failures, each once, in alphabetical order.
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
