//! Finds and reads loss curves for a law, and divides them into fitted curves and predicted curves.

use std::path::{Path, PathBuf};

use rondo_laws::{Curve, Point, table};
use rondo_metrics::names::{LOSS, LR};
use rondo_metrics::{History, Kind};
use rondo_train::error::{Error, Result};
use rondo_train::run_dir::RunDir;
use rondo_train::run_history::finished_runs;
use rondo_train::run_plan::warmup_steps;

use crate::cli::FitLawArgs;
use crate::terminal;

/// A curve, and whether the law is fitted to it.
pub(super) struct Given {
    pub(super) path: PathBuf,
    pub(super) curve: Curve,
    pub(super) fitted: bool,
}

/// The settings of the warm-up, which no law describes.
#[derive(Clone, Copy)]
struct Warmup {
    steps: Option<u64>,
    sum: Option<f64>,
}

/// Reads all curves that the arguments name.
///
/// # Errors
///
/// Returns an error if a file cannot be read, no curve is left to fit, or a curve is named both for
/// fitting and for prediction.
pub(super) fn given(args: &FitLawArgs) -> Result<Vec<Given>> {
    let warmup = Warmup {
        steps: args.warmup,
        sum: args.warmup_sum,
    };
    let mut curves = Vec::new();
    for path in &args.curves {
        curves.extend(open(path, warmup)?);
    }
    let fitted = chosen(&args.fit, &mut curves, warmup)?;
    let predicted = chosen(&args.predict, &mut curves, warmup)?;
    if let Some(both) = fitted.iter().find(|index| predicted.contains(index)) {
        return Err(Error::Usage(format!(
            "{}: is to be fitted and to be predicted; name it once",
            curves[*both].0.display()
        )));
    }
    let is_fitted = |index: &usize| match fitted.is_empty() {
        true => !predicted.contains(index),
        false => fitted.contains(index),
    };
    let is_asked_for =
        |index: &usize| is_fitted(index) || predicted.is_empty() || predicted.contains(index);
    let given: Vec<Given> = (0..)
        .zip(curves)
        .filter(|(index, _)| is_asked_for(index))
        .map(|(index, (path, curve))| Given {
            fitted: is_fitted(&index),
            path,
            curve,
        })
        .collect();
    match given.iter().any(|given| given.fitted) {
        true => Ok(given),
        false => Err(Error::Usage(
            "no curve to fit; name run directories, sweeps, metrics.jsonl or CSV files".to_owned(),
        )),
    }
}

/// Finds the named curves among `curves`, by path or by name. A curve that is not among them is
/// read and added to them.
fn chosen(
    named: &[PathBuf],
    curves: &mut Vec<(PathBuf, Curve)>,
    warmup: Warmup,
) -> Result<Vec<usize>> {
    let mut indices = Vec::new();
    for wanted in named {
        let is_it = |(path, curve): &(PathBuf, Curve)| {
            path == wanted
                || Path::new(curve.name()) == wanted
                || path.file_name() == Some(wanted.as_os_str())
        };
        let known: Vec<usize> = (0..curves.len()).filter(|i| is_it(&curves[*i])).collect();
        if known.is_empty() {
            let first = curves.len();
            curves.extend(open(wanted, warmup)?);
            indices.extend(first..curves.len());
        } else {
            indices.extend(known);
        }
    }
    Ok(indices)
}

/// Reads the curves at a path: a file, a run, the finished runs of a sweep, or a folder of tables.
fn open(path: &Path, warmup: Warmup) -> Result<Vec<(PathBuf, Curve)>> {
    let one = |curve: Curve| vec![(path.to_owned(), curve)];
    if path.is_dir() {
        if RunDir::new(path).metrics().is_file() {
            return of_run(path, warmup).map(one);
        }
        if let Some((runs, _)) = finished_runs(path)? {
            let read = |run: PathBuf| {
                let curve = of_run(&run, warmup)?;
                Ok((run, curve))
            };
            return runs.into_iter().map(read).collect();
        }
        return of_folder(path, warmup);
    }
    if path
        .extension()
        .is_some_and(|extension| extension == "jsonl")
    {
        return of_metrics(path, warmup).map(one);
    }
    of_table(path, warmup).map(one)
}

fn of_folder(path: &Path, warmup: Warmup) -> Result<Vec<(PathBuf, Curve)>> {
    let entries = std::fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
    let mut tables = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| unreadable(path, &error))?.path();
        if file.extension().is_some_and(|extension| extension == "csv") {
            tables.push(file);
        }
    }
    if tables.is_empty() {
        return Err(Error::Usage(format!(
            "{}: neither a run, nor a sweep, nor a folder with CSV tables",
            path.display()
        )));
    }
    tables.sort();
    let read = |file: PathBuf| {
        let curve = of_table(&file, warmup)?;
        Ok((file, curve))
    };
    tables.into_iter().map(read).collect()
}

fn of_table(path: &Path, warmup: Warmup) -> Result<Curve> {
    let text = rondo_files::read_text(path).map_err(|error| unreadable(path, &error))?;
    let name = name(path);
    let table = table::read(&path.display().to_string(), &text)?;
    if table.replaced > 0 {
        terminal::note(&format!(
            "{}: the run was resumed: {} rows are replaced by later ones of the same steps",
            path.display(),
            table.replaced
        ));
    }
    curve(&name, warmup.steps.unwrap_or(0), warmup.sum, &table.points)
}

fn of_run(path: &Path, warmup: Warmup) -> Result<Curve> {
    of_metrics(&RunDir::new(path).metrics(), warmup)
}

/// Reads the training loss of a run. The warm-up is taken from the configuration in the same
/// folder.
fn of_metrics(path: &Path, warmup: Warmup) -> Result<Curve> {
    let history = History::read(path)?;
    let points: Vec<Point> = history
        .of(Kind::Train)
        .filter_map(|record| {
            Some(Point {
                step: record.step,
                rate: record.get(LR)?,
                loss: record.get(LOSS).filter(|loss| loss.is_finite())?,
            })
        })
        .collect();
    let folder = path.parent().unwrap_or(Path::new("."));
    let named = match path.file_name().is_some_and(|name| name == "metrics.jsonl") {
        true => name(&folder.canonicalize().unwrap_or_else(|_| folder.to_owned())),
        false => name(path),
    };
    let steps = match warmup.steps {
        Some(steps) => steps,
        None => warmup_in(folder)?,
    };
    curve(&named, steps, warmup.sum, &points)
}

/// Returns the number of warm-up steps of the run in a folder; 0 if the folder contains no run.
pub(super) fn warmup_in(folder: &Path) -> Result<u64> {
    let run = RunDir::new(folder);
    match run.has_config() {
        true => warmup_steps(&run.config()?),
        false => Ok(0),
    }
}

fn curve(name: &str, warmup: u64, sum: Option<f64>, points: &[Point]) -> Result<Curve> {
    let Some(sum) = sum else {
        return Ok(Curve::new(name, warmup, points)?);
    };
    let ended = points.partition_point(|point| point.step < warmup);
    Ok(Curve::after(name, sum, &points[ended..])?)
}

fn name(path: &Path) -> String {
    let stem = match path.is_dir() {
        true => path.file_name(),
        false => path.file_stem(),
    };
    stem.unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::Usage(format!("cannot read {}: {error}", path.display()))
}
