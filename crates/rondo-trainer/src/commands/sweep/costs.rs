//! `trainer sweep --dry-run`: lists the runs of a sweep and their costs.

use rondo_metrics::format::{duration, significant, thousands};
use rondo_metrics::{Mode, Table};
use rondo_model::census::Census;
use rondo_sweep::{Planned, Shard};
use rondo_train::config::ResolvedConfig;
use rondo_train::costs::Work;
use rondo_train::device;
use rondo_train::error::Result;
use rondo_train::run_plan::PlannedSweep;
use serde_json::{Map, Value, json};

use crate::commands::trial::seconds_per_step;
use crate::terminal;

/// A run and its costs.
struct Cost<'a> {
    run: &'a Planned,
    config: ResolvedConfig,
    parameters: usize,
    work: Work,
}

impl Cost<'_> {
    fn flops_per_step(&self) -> f64 {
        self.work.flops / self.work.steps as f64
    }
}

/// Lists the runs of a sweep, or of a shard, with their costs. The most expensive run takes some
/// steps on the device; from their time, the times of the other runs are estimated by FLOPs. The
/// times do not include evaluations.
///
/// # Errors
///
/// Returns an error if the data or the device is missing, or the trial fails.
pub(super) fn command(
    sweep: &PlannedSweep,
    shard: Option<Shard>,
    parallel: usize,
    as_json: bool,
) -> Result<()> {
    let mut costs = Vec::new();
    sweep.with_data(Mode::Auto, &mut |run, config, source| {
        if shard.is_none_or(|shard| shard.has(run)) {
            costs.push(cost(run, config.resolve(source)?));
        }
        Ok(())
    })?;
    for cost in &costs {
        for text in cost.config.recorded().warnings(cost.config.extent()) {
            terminal::warn(&format!("{}: {text}", cost.run.name));
        }
    }
    let costliest = costs
        .iter()
        .max_by(|a, b| a.flops_per_step().total_cmp(&b.flops_per_step()));
    let flops: f64 = costs.iter().map(|cost| cost.work.flops).sum();
    let (trial, label) = match costliest {
        Some(cost) => tried(cost)?,
        None => (0.0, String::new()),
    };
    let speed = costliest.map(|cost| cost.flops_per_step() / trial);
    let seconds = speed.map_or(0.0, |speed| flops / speed);
    if as_json {
        let total = json!({
            "runs": costs.len(),
            "tokens": costs.iter().map(|cost| cost.work.tokens).sum::<u64>(),
            "flops": flops,
            "training_seconds": seconds,
        });
        let runs: Vec<Value> = costs.iter().map(object).collect();
        return terminal::print_json(&json!({"runs": runs, "total": total}));
    }
    let mut table = Table::new(&["run", "parameters", "steps", "tokens", "FLOPs"]).left(0);
    for cost in &costs {
        table.row([
            cost.run.name.clone(),
            thousands(cost.parameters as u64),
            thousands(cost.work.steps),
            thousands(cost.work.tokens),
            format!("{:.2e}", cost.work.flops),
        ]);
    }
    terminal::print(&format!(
        "{table}\n\n{} runs, {} FLOPs: about {} of training on {label}\n\
         (without evaluations and the start of a run{})",
        thousands(costs.len() as u64),
        significant(flops, 3),
        duration(seconds),
        match parallel {
            1 => String::new(),
            _ => format!("; {parallel} runs at a time share the cores"),
        },
    ))
}

fn cost(run: &Planned, config: ResolvedConfig) -> Cost<'_> {
    Cost {
        run,
        parameters: Census::new(&config.model).total(),
        work: Work::after(&config, 0),
        config,
    }
}

/// Returns the seconds of a step at the mean depth, and the name of the device.
fn tried(cost: &Cost<'_>) -> Result<(f64, String)> {
    let (listed, _) = device::choose(cost.config.device)?;
    Ok((seconds_per_step(&cost.config, &listed)?, listed.label()))
}

fn object(cost: &Cost<'_>) -> Value {
    let sets = cost.run.sets.iter();
    let sets: Map<String, Value> = sets
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    json!({
        "run": cost.run.name,
        "seed": cost.run.seed,
        "sets": sets,
        "parameters": cost.parameters,
        "steps": cost.work.steps,
        "tokens": cost.work.tokens,
        "flops": cost.work.flops,
    })
}
