//! Draws the sheet of a sweep: arms, conditions and seeds, from the records of its runs.

mod metric;
mod text;

use std::collections::BTreeSet;
use std::path::Path;

use clap::ValueEnum;
use rondo_figures::{FieldSheet, SheetCell, SheetDot, SheetRow};
use rondo_sweep::{Arranged, Planned, Sheet, Spread, Status, SweepDir};
use rondo_train::error::{Error, Result};
use rondo_train::run_history::RunHistory;

pub(crate) use self::metric::SheetMetric;
use self::metric::Source;
pub(crate) use self::text::text;
use crate::terminal;

/// The failure that is shown for a run that ended with an error and whose records show no failure.
const ENDED: &str = "failed";

/// The pictures that can be drawn of a whole sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SheetFigure {
    /// A sweep in rows and columns, a dot for each seed.
    FieldSheet,
}

/// Settings from the command line that replace settings in the `[sheet]` section of the sweep file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The keys of the rows.
    pub(crate) rows: &'a [String],
    /// The keys of the columns.
    pub(crate) columns: &'a [String],
    /// The metric to show.
    pub(crate) metric: Option<SheetMetric>,
    /// The recurrence depths to show.
    pub(crate) depths: &'a [usize],
}

impl Asked<'_> {
    /// Returns the layout of the sweep file with the settings of the command line. Keys replace all
    /// keys of the file. A metric replaces both the metric and the depths of the file.
    fn over(self, file: Option<&Sheet>) -> Sheet {
        let mut sheet = file.cloned().unwrap_or_default();
        if !(self.rows.is_empty() && self.columns.is_empty()) {
            sheet.rows = self.rows.to_vec();
            sheet.columns = self.columns.to_vec();
        }
        if let Some(metric) = self.metric {
            sheet.metric = Some(metric.name().to_owned());
            sheet.depths.clear();
        }
        if !self.depths.is_empty() {
            sheet.depths = self.depths.to_vec();
        }
        sheet
    }
}

/// Checks that the runs of a sweep can be arranged as the sweep file describes. It is called before
/// any run is trained.
///
/// # Errors
///
/// Returns an error if a key or a name is not in the sweep, or the metric is unknown.
pub(crate) fn check(sheet: &Sheet, plan: &[Planned]) -> Result<()> {
    sheet.arrange(plan).map_err(rondo_sweep::SweepError::from)?;
    SheetMetric::of(sheet).map(|_| ())
}

/// Reads the sheet of the sweep at `path`.
///
/// # Errors
///
/// Returns an error if there is no sweep at `path`, none of its runs has ended, or the layout is
/// not possible.
pub(crate) fn read(path: &Path, asked: Asked<'_>) -> Result<FieldSheet> {
    let dir = SweepDir::load(path)?;
    let sheet = asked.over(dir.sheet());
    let arranged = sheet
        .arrange(dir.plan())
        .map_err(rondo_sweep::SweepError::from)?;
    let metric = SheetMetric::of(&sheet)?;
    let ended = ended_runs(&dir)?;
    let runs = ended.iter().flatten().count();
    let name = path.display();
    if runs == 0 {
        return Err(Error::Usage(format!(
            "{name}: no run has ended yet; execute it with `trainer sweep`"
        )));
    }
    if runs < ended.len() {
        terminal::note(&format!(
            "{name}: {runs} of {} runs have ended; the others are left out",
            ended.len()
        ));
    }
    let histories = ended
        .iter()
        .flatten()
        .filter_map(|run| run.history.as_ref());
    let sources = metric.sources(&sheet.depths, &depths(metric, histories))?;
    Ok(laid_out(&arranged, metric, &sources, &ended))
}

/// A run that has ended, with or without an error.
struct Ended {
    name: String,
    seed: u64,
    /// The records of the run; `None` if the run left no records.
    history: Option<RunHistory>,
    failed: bool,
}

impl Ended {
    fn dot(&self, source: Source) -> SheetDot {
        let verdict = self.history.as_ref().map(|run| run.diagnosis.verdict());
        let found = verdict.filter(|verdict| verdict.failure().is_some());
        let failure = found.map(|verdict| verdict.name().to_owned());
        let value = self
            .history
            .as_ref()
            .and_then(|run| source.last(&run.history));
        SheetDot {
            run: self.name.clone(),
            seed: self.seed,
            value: value.unwrap_or(f64::NAN),
            failure: failure.or_else(|| self.failed.then(|| ENDED.to_owned())),
        }
    }
}

/// Reads the runs of a sweep, in the order of its plan. The entry of a run that has not ended is
/// `None`.
fn ended_runs(dir: &SweepDir) -> Result<Vec<Option<Ended>>> {
    let read = |run: &Planned| {
        let failed = match dir.status(run)? {
            Status::Pending | Status::Unfinished => return Ok(None),
            Status::Finished => false,
            Status::Failed(_) => true,
        };
        let path = dir.run_dir(run);
        let history = match path.is_dir() {
            true => RunHistory::open(&path, &mut terminal::note)?,
            false => None,
        };
        Ok(Some(Ended {
            name: run.name.clone(),
            seed: run.seed,
            history,
            failed,
        }))
    };
    dir.plan().iter().map(read).collect()
}

/// Returns the depths at which any of the runs measured a metric.
fn depths<'a>(metric: SheetMetric, runs: impl Iterator<Item = &'a RunHistory>) -> BTreeSet<usize> {
    runs.flat_map(|run| metric.depths(&run.history)).collect()
}

fn laid_out(
    arranged: &Arranged,
    metric: SheetMetric,
    sources: &[Source],
    ended: &[Option<Ended>],
) -> FieldSheet {
    let column = |name: &String, source: &Source| match (name.as_str(), source.depth()) {
        (name, None) => name.to_owned(),
        ("", Some(depth)) => format!("depth {depth}"),
        (name, Some(depth)) => format!("{name}, depth {depth}"),
    };
    let columns = arranged.columns.iter();
    let cell = |places: &Vec<usize>, source: Source| {
        let runs = places.iter().filter_map(|place| ended[*place].as_ref());
        let dots: Vec<SheetDot> = runs.map(|run| run.dot(source)).collect();
        let values = dots.iter().map(|dot| dot.value);
        let spread = Spread::of(&values.filter(|value| value.is_finite()).collect::<Vec<_>>());
        SheetCell {
            mean: spread.map(|spread| spread.mean),
            deviation: spread.and_then(|spread| spread.sd),
            dots,
        }
    };
    let rows = arranged.rows.iter().zip(&arranged.cells);
    FieldSheet {
        quantity: metric.quantity(),
        better: metric.better(),
        columns: columns
            .flat_map(|name| sources.iter().map(move |source| column(name, source)))
            .collect(),
        rows: rows
            .map(|(name, cells)| SheetRow {
                name: name.clone(),
                cells: cells
                    .iter()
                    .flat_map(|places| sources.iter().map(move |source| cell(places, *source)))
                    .collect(),
            })
            .collect(),
    }
}
