//! Draws the outcomes of benchmark items that `trainer eval --tasks` has written.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use rondo_figures::Picture;
use rondo_tasks::report::TaskReport;
use rondo_train::error::{Error, Result};
use rondo_train::run_dir::outcomes::Kept;
use rondo_train::tasks::controls::Fitted;

use super::tasks::{benchmarks, depth_controls};
use crate::terminal;

/// The pictures that can be drawn from stored outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutcomesFigure {
    /// Accuracy of tasks by depth, from `eval --tasks`.
    Benchmarks,
    /// Loss by depth, plain and with a readout fitted per depth.
    DepthControls,
}

/// Draws the outcomes of runs, for the given tasks or for all. If `by` names a field of the items,
/// there is a panel for each value of this field.
///
/// # Errors
///
/// Returns an error if a run has no outcomes, the outcomes lack the data of the picture, or the
/// runs were scored on different items.
pub(crate) fn draw(
    figure: OutcomesFigure,
    runs: &[PathBuf],
    tasks: &[String],
    by: Option<&str>,
) -> Result<Picture> {
    let kept: Vec<Vec<Kept>> = runs
        .iter()
        .map(|run| of_run(run, tasks))
        .collect::<Result<_>>()?;
    match figure {
        OutcomesFigure::Benchmarks => of_tasks(&kept, by),
        OutcomesFigure::DepthControls => of_controls(runs, &kept),
    }
}

/// Returns the outcomes of a run, for the given tasks or for all.
fn of_run(run: &Path, tasks: &[String]) -> Result<Vec<Kept>> {
    let path = run.display();
    if !run.is_dir() {
        return Err(Error::Usage(format!(
            "{path} is not a run directory: there is no such folder"
        )));
    }
    let mut kept = Kept::read_all(run)?;
    if kept.is_empty() {
        return Err(Error::Usage(format!(
            "{path} has no outcomes of benchmarks: run `trainer eval {path} --tasks FILE.jsonl` first"
        )));
    }
    let known: Vec<&str> = kept.iter().map(|one| one.task.as_str()).collect();
    if let Some(task) = tasks.iter().find(|task| !known.contains(&task.as_str())) {
        return Err(Error::Usage(format!(
            "{path} has no outcomes of the task {task} (it has those of {}): run `trainer eval {path} --tasks \
             {task}.jsonl` first",
            known.join(", ")
        )));
    }
    kept.retain(|one| tasks.is_empty() || tasks.contains(&one.task));
    Ok(kept)
}

/// Draws accuracy against depth, with all runs in the same panels.
fn of_tasks(kept: &[Vec<Kept>], by: Option<&str>) -> Result<Picture> {
    let mut names: Vec<&str> = Vec::new();
    for one in kept.iter().flatten() {
        if !names.contains(&one.task.as_str()) {
            names.push(&one.task);
        }
    }
    let report = |name: &&str| report(kept, name, by);
    let reports: Vec<TaskReport> = names.iter().map(report).collect::<Result<_>>()?;
    benchmarks(&reports)?.ok_or_else(|| {
        Error::Usage(format!(
            "{}: no accuracy to draw: a text is scored by bits per byte alone",
            names.join(", ")
        ))
    })
}

/// Summarizes the outcomes of one task for every run that has them.
fn report(kept: &[Vec<Kept>], name: &str, by: Option<&str>) -> Result<TaskReport> {
    let of = |run: &Vec<Kept>| run.iter().position(|one| one.task == name);
    let asked: Vec<&Kept> = kept.iter().filter_map(|run| Some(&run[of(run)?])).collect();
    for run in kept.iter().filter(|run| of(run).is_none()) {
        let path = &run[0].outcomes.run;
        terminal::note(&format!("{path} has no outcomes of the task {name}"));
    }
    let first = asked[0];
    for other in &asked[1..] {
        if let Some(what) = first.differs(other) {
            let (a, b) = (&first.outcomes.run, &other.outcomes.run);
            return Err(Error::Usage(format!(
                "{name} was scored differently in {a} and {b} ({what}), so their scores do not belong in one picture: run \
                 `trainer eval {a} {b} --tasks {name}.jsonl` first"
            )));
        }
    }
    let outcomes: Vec<_> = asked.iter().map(|one| one.outcomes.clone()).collect();
    Ok(TaskReport::new(&first.items(), by, &outcomes)?)
}

/// Draws the loss of each run against depth, with and without the controls.
fn of_controls(runs: &[PathBuf], kept: &[Vec<Kept>]) -> Result<Picture> {
    let mut panels: Vec<(String, &[Fitted])> = Vec::new();
    for (run, kept) in runs.iter().zip(kept) {
        let path = run.display();
        // All tasks of one evaluation have the same controls.
        let mut different: Vec<&Kept> = Vec::new();
        for one in kept.iter().filter(|one| !one.controls.is_empty()) {
            if different.iter().all(|other| other.controls != one.controls) {
                different.push(one);
            }
        }
        if different.is_empty() {
            return Err(Error::Usage(format!(
                "{path} has outcomes without controls: run `trainer eval {path} --tasks FILE.jsonl --controls` first"
            )));
        }
        let several = different.len() > 1;
        panels.extend(different.into_iter().map(|one| {
            let name = match several {
                true => format!("{path}: {}", one.task),
                false => path.to_string(),
            };
            (name, one.controls.as_slice())
        }));
    }
    depth_controls(&panels)?.ok_or_else(|| Error::Usage("no controls to draw".to_owned()))
}
