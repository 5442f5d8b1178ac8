//! Draws learning-rate schedules and the final losses of the runs that used them.

use std::path::{Path, PathBuf};

use rondo_figures::{Correlation, LawLine, Picture, ScheduledRun, lr_schedules};
use rondo_files::{atomic_write, read_text};
use rondo_laws::{Law, LawKind, Point, RankCorrelation, rank_correlation};
use rondo_metrics::names::{LR, LR_SUM, VAL_CROSS_ENTROPY};
use rondo_train::error::{Error, Result};
use rondo_train::run_history::{RunHistory, finished_runs};
use rondo_train::run_plan::warmup_steps;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::terminal;

/// Two summed rates count as equal if they differ by at most this fraction of the largest sum.
const ROUNDING: f64 = 1e-9;

/// Replaces the directory of each sweep by the directories of its finished runs.
///
/// # Errors
///
/// Returns an error if a sweep cannot be read, or has no finished run.
pub(crate) fn runs_in(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut runs = Vec::new();
    for path in paths {
        let Some((finished, all)) = finished_runs(path)? else {
            runs.push(path.clone());
            continue;
        };
        if finished.is_empty() {
            return Err(Error::Usage(format!(
                "{}: no run has finished yet; execute it with `trainer sweep`",
                path.display()
            )));
        }
        if finished.len() < all {
            terminal::note(&format!(
                "{}: {} of {all} runs have finished; the others are left out",
                path.display(),
                finished.len()
            ));
        }
        runs.extend(finished);
    }
    Ok(runs)
}

/// Returns the rank correlation of summed learning rates and final losses; `None` if the sums
/// differ only by rounding, or if there are too few runs.
pub(crate) fn rate_correlation(sums: &[f64], losses: &[f64]) -> Option<RankCorrelation> {
    let least = sums.iter().copied().fold(f64::INFINITY, f64::min);
    let most = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match most - least > ROUNDING * most.abs() {
        true => rank_correlation(sums, losses).ok(),
        false => None,
    }
}

/// Draws the schedules and the final losses of runs. Returns the picture, and the drawn values with
/// their rank correlation.
///
/// # Errors
///
/// Returns an error if a run lacks the data of the picture, or the law cannot be read.
pub(crate) fn schedules(runs: &[RunHistory], law: Option<&Path>) -> Result<(Picture, Value)> {
    let scheduled: Vec<ScheduledRun> = runs.iter().map(scheduled).collect();
    let ended = scheduled
        .iter()
        .filter(|run| run.lr_sum.is_finite() && run.loss.is_finite());
    let (sums, losses): (Vec<f64>, Vec<f64>) = ended.map(|run| (run.lr_sum, run.loss)).unzip();
    let found = rate_correlation(&sums, &losses);
    let line = law.map(|path| predicted(path, runs)).transpose()?;
    let correlation = found.map(|found| Correlation {
        rho: found.rho,
        p_value: found.p_value,
    });
    let rows: Vec<Value> = scheduled
        .iter()
        .map(|run| json!({"run": run.name, LR_SUM.name(): run.lr_sum, "loss": run.loss}))
        .collect();
    Ok((
        lr_schedules(&scheduled, line.as_ref(), correlation)?,
        json!({"runs": rows, "spearman": found}),
    ))
}

/// Saves the picture of [`schedules`], and its values in lr-schedules.json.
///
/// # Errors
///
/// Those of [`schedules`]. Also returns an error if a file cannot be written.
pub(crate) fn save_schedules(
    runs: &[RunHistory],
    law: Option<&Path>,
    dir: &Path,
) -> Result<Vec<PathBuf>> {
    let (picture, numbers) = schedules(runs, law)?;
    let mut files = picture.save(dir)?;
    let path = dir.join("lr-schedules.json");
    atomic_write(&path, format!("{numbers:#}\n").as_bytes())?;
    files.push(path);
    Ok(files)
}

fn scheduled(run: &RunHistory) -> ScheduledRun {
    let history = &run.history;
    ScheduledRun {
        name: run.name.clone(),
        rates: history
            .series(LR)
            .iter()
            .map(|reading| (reading.step, reading.value))
            .collect(),
        lr_sum: history.last(LR_SUM).unwrap_or(f64::NAN),
        loss: history.last(VAL_CROSS_ENTROPY).unwrap_or(f64::NAN),
    }
}

/// A law in the form in which `trainer fit-law` writes it.
#[derive(Deserialize)]
struct Written {
    law: String,
    parameters: Map<String, Value>,
}

impl Written {
    fn read(path: &Path) -> Result<Law> {
        let wrong = |problem: String| Error::Usage(format!("{}: {problem}", path.display()));
        let text = read_text(path).map_err(|error| wrong(error.to_string()))?;
        let written: Self =
            serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let kind: LawKind = written.law.parse()?;
        let constant = |symbol: &&str| {
            let value = written.parameters.get(*symbol).and_then(Value::as_f64);
            value.ok_or_else(|| wrong(format!("parameters.{symbol}: expected a number")))
        };
        let constants = kind.symbols().iter().map(constant);
        Ok(Law::new(kind, constants.collect::<Result<_>>()?)?)
    }
}

/// Predicts the final loss of every run, sorted by the summed learning rate.
fn predicted(path: &Path, runs: &[RunHistory]) -> Result<LawLine> {
    let law = Written::read(path)?;
    let mut points = Vec::new();
    for run in runs {
        let warmup = match &run.config {
            Some(config) => warmup_steps(config)?,
            None => 0,
        };
        let rates = run.history.series(LR);
        let rates: Vec<Point> = rates
            .iter()
            .map(|reading| Point {
                step: reading.step,
                rate: reading.value,
                loss: 1.0,
            })
            .collect();
        let curve = rondo_laws::Curve::new(&run.name, warmup, &rates)?;
        let sums = curve.schedule().sums();
        let losses = law.predict(curve.schedule());
        points.extend(sums.last().copied().zip(losses.last().copied()));
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(LawLine {
        name: format!("{} law", law.kind()),
        points,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_that_are_the_same_but_for_rounding_have_no_correlation() {
        let losses = [3.0, 2.0, 1.0];
        assert_eq!(
            rate_correlation(&[0.1, 0.1 + 1e-15, 0.1 - 1e-15], &losses),
            None
        );
        assert_eq!(rate_correlation(&[0.1, 0.2], &losses[..2]), None);
        assert_eq!(rate_correlation(&[], &[]), None);
        let found = rate_correlation(&[0.1, 0.2, 0.3], &losses).expect("three runs");
        assert!((found.rho + 1.0).abs() < 1e-12);
    }
}
