//! `trainer checkpoints`: lists the checkpoints of a run, and whether they are damaged.

use std::collections::BTreeMap;

use rondo_checkpoint::{State, Survey, Surveyed, survey};
use rondo_metrics::Table;
use rondo_metrics::format::{MISSING, bytes, or_missing, significant, thousands};
use rondo_metrics::names::VAL_CROSS_ENTROPY;
use rondo_train::error::{Error, Result};
use rondo_train::run_dir::RunDir;
use rondo_train::train::launch_times;
use rondo_train::validation_losses::ValidationLosses;
use serde_json::{Value, json};

use crate::cli::CheckpointsArgs;
use crate::terminal;

/// Lists the checkpoints of a run, and with `--verify` reads and hashes all of them.
///
/// # Errors
///
/// Returns an error if there is no run, its folder cannot be read, or a checkpoint is damaged.
/// Unreadable metrics are no error: a warning is printed and the losses are missing.
pub(crate) fn command(args: &CheckpointsArgs) -> Result<()> {
    let run = RunDir::new(&args.run);
    if !run.has_config() {
        run.config()?;
    }
    let found = survey(&args.run, args.verify)?;
    let losses = ValidationLosses::read(&run.metrics()).unwrap_or_else(|error| {
        terminal::note(&error.to_string());
        ValidationLosses::default()
    });
    let good = found.checkpoints.iter().filter(|it| !is_damaged(it));
    let best = losses.lowest(good.map(|it| it.step));
    let best = best.map(|(step, _)| step);
    let launches = launch_times(&run)?;
    match args.json.json {
        true => terminal::print_json(&object(&found, &losses, best, &launches))?,
        false => terminal::print(&text(&found, &losses, best, &launches))?,
    }
    let damaged = found.checkpoints.iter().filter(|it| is_damaged(it)).count();
    match damaged {
        0 => Ok(()),
        count => Err(Error::Foreign(format!(
            "{count} of {} checkpoints are damaged; a resume skips them",
            found.checkpoints.len()
        ))),
    }
}

fn is_damaged(checkpoint: &Surveyed) -> bool {
    matches!(checkpoint.state, State::Damaged(_))
}

fn word(state: &State) -> &'static str {
    match state {
        State::NotVerified => "not verified",
        State::Whole => "whole",
        State::Damaged(_) => "damaged",
    }
}

/// Returns the time of the launch that used the configuration of a checkpoint; `None` for imported
/// models and runs of older versions.
fn launch<'a>(checkpoint: &Surveyed, launches: &'a BTreeMap<String, String>) -> Option<&'a str> {
    let hash = checkpoint.config_hash.as_ref()?;
    launches.get(hash).map(String::as_str)
}

fn object(
    found: &Survey,
    losses: &ValidationLosses,
    best: Option<u64>,
    launches: &BTreeMap<String, String>,
) -> Value {
    let row = |checkpoint: &Surveyed| {
        json!({
            "step": checkpoint.step,
            "path": checkpoint.path,
            "bytes": checkpoint.size,
            "created_by": checkpoint.created_by,
            "config_hash": checkpoint.config_hash,
            "launch": launch(checkpoint, launches),
            VAL_CROSS_ENTROPY.name(): losses.after(checkpoint.step),
            "state": word(&checkpoint.state),
            "damage": match &checkpoint.state {
                State::Damaged(error) => Some(error.to_string()),
                _ => None,
            },
        })
    };
    json!({
        "checkpoints": found.checkpoints.iter().map(row).collect::<Vec<_>>(),
        "newest_good": found.newest_good,
        "best": best,
    })
}

fn text(
    found: &Survey,
    losses: &ValidationLosses,
    best: Option<u64>,
    launches: &BTreeMap<String, String>,
) -> String {
    if found.checkpoints.is_empty() {
        return "no checkpoint yet".to_owned();
    }
    let header = [
        "step",
        "size",
        "val loss",
        "state",
        "written by",
        "launched at",
    ];
    let mut table = Table::new(&header).left(3).left(4).left(5);
    for checkpoint in &found.checkpoints {
        table.row([
            thousands(checkpoint.step),
            bytes(checkpoint.size),
            or_missing(losses.after(checkpoint.step), |loss| significant(loss, 5)),
            word(&checkpoint.state).to_owned(),
            checkpoint.created_by.clone().unwrap_or_default(),
            launch(checkpoint, launches).unwrap_or(MISSING).to_owned(),
        ]);
    }
    let damage = found.checkpoints.iter().filter_map(|it| match &it.state {
        State::Damaged(error) => Some(format!("step {}: {error}", thousands(it.step))),
        _ => None,
    });
    let newest = found.newest_good.map_or_else(
        || "--verify checks whether they are whole".to_owned(),
        |step| format!("newest good: step {}", thousands(step)),
    );
    let best = best.map(|step| format!("best: step {}", thousands(step)));
    let mut lines = vec![table.to_string(), String::new()];
    lines.extend(damage);
    lines.push(newest);
    lines.extend(best);
    lines.join("\n")
}
