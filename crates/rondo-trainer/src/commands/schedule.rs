//! `trainer schedule`: shows learning rates, their sums, and curricula, without training.

use rondo_figures::{PlannedStep, schedule};
use rondo_metrics::Table;
use rondo_metrics::format::{learning_rate, significant, thousands};
use rondo_metrics::names::{LR, LR_SUM};
use rondo_schedule::{RateSum, Run};
use rondo_train::config::RunConfig;
use rondo_train::error::{Error, Result};
use rondo_train::run_plan::{PlannedRun, extent, runs_of};
use serde_json::{Value, json};

use crate::cli::ScheduleArgs;
use crate::terminal;

/// The width of a line, in columns.
const WIDTH: usize = 80;

/// The default number of rows for a run; the first row is not counted.
const ROWS: u64 = 10;
/// The maximum length, in steps, of a run in a picture.
const DRAWN: u64 = 100_000;

/// Shows the schedules of configurations.
///
/// # Errors
///
/// Returns an error if a configuration is not valid or has nothing to train on, or a file cannot be
/// written.
pub(crate) fn command(args: &ScheduleArgs) -> Result<()> {
    let mut runs = Vec::new();
    for path in &args.configs {
        for run in runs_of(path, &args.overrides)? {
            let extent = extent(&run.config)?;
            if extent.steps == 0 {
                return Err(Error::Usage(format!(
                    "{}: there is nothing to train on; give train.steps or train.tokens",
                    path.display()
                )));
            }
            for text in run.config.warnings(extent) {
                terminal::warn(&format!("{}: {text}", run.name));
            }
            runs.push((run, extent));
        }
    }
    if args.json.json {
        let objects = runs
            .iter()
            .map(|(run, extent)| object(run, *extent, args.every));
        terminal::print_json(&json!({"configs": objects.collect::<Vec<_>>()}))?;
    } else {
        let texts = runs
            .iter()
            .map(|(run, extent)| text(run, *extent, args.every));
        terminal::print(&texts.collect::<Vec<_>>().join("\n\n"))?;
    }
    if !args.plot {
        return Ok(());
    }
    let drawn: Vec<rondo_figures::PlannedRun> = runs
        .iter()
        .map(|(run, extent)| rondo_figures::PlannedRun {
            name: run.name.clone(),
            steps: steps(&run.config, *extent, extent.steps.div_ceil(DRAWN)),
        })
        .collect();
    for file in schedule(&drawn)?.save(&args.out)? {
        terminal::note(&file.display().to_string());
    }
    Ok(())
}

/// Returns the first step, every step that is a multiple of `every`, and the last step.
fn steps(config: &RunConfig, run: Run, every: u64) -> Vec<PlannedStep> {
    let rate = config.rates(run);
    let mut sum = RateSum::default();
    let mut steps = Vec::new();
    for step in 1..=run.steps {
        let rate = rate(step);
        sum.add(rate);
        if step == 1 || step == run.steps || step.is_multiple_of(every) {
            let (mean_recurrence, backprop_depth) = config.model.recurrence.at(step, run);
            steps.push(PlannedStep {
                step,
                rate,
                rate_sum: sum.value(),
                mean_recurrence,
                backprop_depth,
            });
        }
    }
    steps
}

fn rows(run: &PlannedRun, extent: Run, every: Option<u64>) -> Vec<PlannedStep> {
    steps(
        &run.config,
        extent,
        every.unwrap_or(extent.steps.div_ceil(ROWS)),
    )
}

fn object(run: &PlannedRun, extent: Run, every: Option<u64>) -> Value {
    let rows = rows(run, extent, every);
    let points = rows.iter().map(|row| {
        json!({
            "step": row.step,
            LR.name(): row.rate,
            LR_SUM.name(): row.rate_sum,
            "mean_recurrence": row.mean_recurrence,
            "backprop_depth": row.backprop_depth,
        })
    });
    let schedule = &run.config.schedule;
    json!({
        "config": run.name,
        "steps": extent.steps,
        "tokens_per_step": extent.tokens_per_step,
        "peak": schedule.peak,
        "floor": schedule.floor,
        "warmup_steps": schedule.warmup.steps(extent),
        "warnings": run.config.warnings(extent),
        LR_SUM.name(): rows.last().map(|row| row.rate_sum),
        "points": points.collect::<Vec<_>>(),
    })
}

fn text(run: &PlannedRun, extent: Run, every: Option<u64>) -> String {
    let rows = rows(run, extent, every);
    let schedule = &run.config.schedule;
    let curriculum = &run.config.model.recurrence.curriculum;
    let mut header = vec!["step", "lr", "lr sum"];
    if !curriculum.is_empty() {
        header.extend(["mean recurrence", "backprop depth"]);
    }
    let mut table = Table::new(&header);
    for row in &rows {
        table.row([
            thousands(row.step),
            format!("{:.3e}", row.rate),
            significant(row.rate_sum, 5),
            row.mean_recurrence.to_string(),
            row.backprop_depth.to_string(),
        ]);
    }
    let told = format!(
        "{} steps, peak {}, floor {}, warm-up {}",
        thousands(extent.steps),
        learning_rate(schedule.peak),
        learning_rate(schedule.floor),
        thousands(schedule.warmup.steps(extent)),
    );
    let name = &run.name;
    // A run of a sweep may have a name that is as long as a line.
    match name.chars().count() + told.len() + 2 <= WIDTH {
        true => format!("{name}: {told}\n{table}"),
        false => format!("{name}:\n{told}\n{table}"),
    }
}
