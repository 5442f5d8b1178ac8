//! Converts the results of tasks to the types of rondo-figures, and draws them.

use std::path::{Path, PathBuf};

use rondo_figures::{DepthScore, FigureError, Picture, ScoreLine, ScorePanel};
use rondo_tasks::outcome::Measure;
use rondo_tasks::report::{Control, RunReport, Stratum, TaskReport};
use rondo_train::error::Result;
use rondo_train::tasks::controls::Fitted;

use super::save;
use crate::terminal;

/// Draws accuracy against depth, in one panel for each task and stratum. If runs have controls,
/// also draws the losses of the controls.
///
/// # Errors
///
/// Returns an error if a file cannot be written.
pub(crate) fn of_tasks(
    reports: &[TaskReport],
    controls: &[(String, &[Fitted])],
    dir: &Path,
) -> Result<Vec<PathBuf>> {
    let accuracies = benchmarks(reports)?;
    if accuracies.is_none() {
        terminal::note("no picture of benchmarks: no task has an accuracy");
    }
    let pictures: Vec<Picture> = accuracies
        .into_iter()
        .chain(depth_controls(controls)?)
        .collect();
    save(&pictures, dir)
}

/// Draws accuracy against depth, in one panel for each task and stratum. Returns `None` if no task
/// has an accuracy.
///
/// # Errors
///
/// Returns an error if a value cannot be drawn.
pub(super) fn benchmarks(reports: &[TaskReport]) -> Result<Option<Picture>> {
    let panels: Vec<ScorePanel> = reports
        .iter()
        .flat_map(|report| report.strata.iter().map(|stratum| panel(report, stratum)))
        .filter(|panel| panel.lines.iter().any(|line| !line.scores.is_empty()))
        .collect();
    drawn(&panels, rondo_figures::benchmarks)
}

/// Draws the losses of the controls of each run. Returns `None` if no run has controls.
///
/// # Errors
///
/// Returns an error if a value cannot be drawn.
pub(super) fn depth_controls(controls: &[(String, &[Fitted])]) -> Result<Option<Picture>> {
    let panels: Vec<ScorePanel> = controls
        .iter()
        .filter(|(_, fitted)| !fitted.is_empty())
        .map(|(run, fitted)| of_controls(run, fitted))
        .collect();
    drawn(&panels, rondo_figures::depth_controls)
}

fn drawn(
    panels: &[ScorePanel],
    draw: fn(&[ScorePanel]) -> Result<Picture, FigureError>,
) -> Result<Option<Picture>> {
    match panels.is_empty() {
        true => Ok(None),
        false => Ok(Some(draw(panels)?)),
    }
}

fn panel(report: &TaskReport, stratum: &Stratum) -> ScorePanel {
    let several = stratum.runs.len() > 1;
    let lines = stratum.runs.iter().flat_map(|run| {
        let controls = [Control::None, Control::Temperature, Control::Affine];
        controls.map(|control| ScoreLine {
            name: match (control, several) {
                (Control::None, true) => run.run.clone(),
                (Control::None, false) => "as it is".to_owned(),
                (control, true) => format!("{}, {}", run.run, control.name()),
                (control, false) => control.name().to_owned(),
            },
            scores: scores(run, control),
        })
    });
    ScorePanel {
        name: match &stratum.stratum {
            None => report.task.clone(),
            Some(name) => format!("{}: {name}", report.task),
        },
        lines: lines.filter(|line| !line.scores.is_empty()).collect(),
    }
}

/// Returns the accuracies at fixed depths with one control.
fn scores(run: &RunReport, control: Control) -> Vec<DepthScore> {
    let conditions = run.conditions.iter();
    conditions
        .filter(|scored| scored.condition.control == control && scored.condition.exit.is_none())
        .filter_map(|scored| {
            let score = scored.scores.get(&Measure::Acc)?;
            Some(DepthScore {
                depth: scored.condition.recurrence,
                value: score.value,
                interval: score.interval.map(|interval| (interval.low, interval.high)),
            })
        })
        .collect()
}

fn of_controls(run: &str, fitted: &[Fitted]) -> ScorePanel {
    let line = |name: &str, loss: fn(&Fitted) -> f64| ScoreLine {
        name: name.to_owned(),
        scores: fitted
            .iter()
            .map(|one| DepthScore {
                depth: one.recurrence,
                value: loss(one),
                interval: None,
            })
            .collect(),
    };
    ScorePanel {
        name: run.to_owned(),
        lines: vec![
            line("as it is", |one| one.loss),
            line("temperature", |one| one.loss_temperature),
            line("affine", |one| one.loss_affine),
        ],
    }
}
