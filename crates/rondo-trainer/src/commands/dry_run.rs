//! `trainer --dry-run`: prints sizes and costs. If the run fits into memory, tries one step at the
//! largest depth and some steps at the mean depth.

use std::path::Path;

use rondo_metrics::format::{bytes, duration, significant, thousands};
use rondo_metrics::{Mode, Table};
use rondo_model::census::Census;
use rondo_model::init::Part;
use rondo_train::capacity::{Capacity, Room};
use rondo_train::config::{ResolvedConfig, RunConfig};
use rondo_train::costs::speed::expected;
use rondo_train::costs::{Costs, Work};
use rondo_train::device;
use rondo_train::distributed::{Share, bytes_per_step};
use rondo_train::error::Result;
use rondo_train::run_plan::resolve;
use serde_json::{Map, Value, json};

use super::trial::Trial;
use crate::terminal;

/// The parts of a model, each with its name in JSON and in the table.
const PARTS: [(Part, &str, &str); 12] = [
    (Part::Tokens, "tokens", "token embedding"),
    (Part::Prelude, "prelude", "prelude"),
    (Part::Adapter, "adapter", "adapter"),
    (Part::History, "history", "history"),
    (Part::Conditioning, "conditioning", "conditioning"),
    (Part::Lanes, "lanes", "lanes"),
    (Part::Residual, "residual", "loop residual"),
    (Part::Lora, "lora", "LoRA"),
    (Part::Core, "core", "core"),
    (Part::Coda, "coda", "coda"),
    (Part::Norm, "norm", "norm"),
    (Part::Head, "head", "head"),
];

/// The settings of a dry run.
pub(crate) struct DryRun<'a> {
    /// The directory that the run would write to.
    pub(crate) run: &'a Path,
    /// The number of ranks that would share the run.
    pub(crate) ranks: usize,
    /// Whether steps are tried even if the run does not seem to fit into memory.
    pub(crate) force: bool,
    /// Whether JSON is printed.
    pub(crate) as_json: bool,
}

/// The results that are known before a step is tried.
struct Found<'a> {
    config: &'a ResolvedConfig,
    costs: &'a Costs,
    device: String,
    why: &'a str,
    ranks: usize,
    share: Share,
    warnings: Vec<String>,
}

/// Prints the costs of a run. Then tries its most expensive step, and some steps at the mean depth.
///
/// Data is opened only if the vocabulary or the length of a row depends on it.
///
/// # Errors
///
/// Returns an error if the device or required data is missing, the run does not fit into memory, or
/// a step fails.
pub(crate) fn command(config: &RunConfig, dry_run: &DryRun<'_>) -> Result<()> {
    let (listed, why) = device::choose(config.device)?;
    let (config, source) = resolve(config, Mode::Auto)?;
    let ranks = dry_run.ranks;
    let share = Share::of(config.train.accumulation, 0, ranks)?;
    // The ranks may be on different hosts, so all the free memory of this host counts for one rank.
    let capacity = Capacity::of(&listed).among(ranks, 1);
    let costs = Costs::after(&config, 0, source.as_ref(), &capacity, dry_run.run);
    let mut warnings = config.recorded().warnings(config.extent());
    warnings.extend(costs.warning());
    let found = Found {
        config: &config,
        costs: &costs,
        device: listed.label(),
        why: &why,
        ranks,
        share,
        warnings,
    };
    let refused = match dry_run.force {
        true => Ok(()),
        false => capacity.refuse_beyond(&config),
    };
    if dry_run.as_json && refused.is_err() {
        terminal::print_json(&found.object())?;
    }
    if !dry_run.as_json {
        found.print()?;
        found.warnings.iter().for_each(|text| terminal::warn(text));
    }
    refused?;
    let mut trial = Trial::new(&config, share, &listed);
    let largest = config.model.recurrence.largest();
    let longest = trial.step(largest)?;
    let per_step = trial.seconds_per_step()?;
    // The memory is measured only after several steps: the first step has no optimizer moments yet,
    // and the memory pools of a GPU grow in the following steps.
    let held = listed.peak_memory_bytes();
    let evaluation = evaluation_seconds(&costs.work, per_step);
    if dry_run.as_json {
        let mut told = found.object();
        told["largest_step_seconds"] = longest.into();
        told["largest_step_memory_bytes"] = held.into();
        told["step_seconds"] = per_step.into();
        told["training_seconds"] = (costs.work.steps as f64 * per_step).into();
        told["evaluation_seconds"] = (costs.work.evaluations as f64 * evaluation).into();
        return terminal::print_json(&told);
    }
    terminal::print(&format!(
        "one step at recurrence {} (n = {}, k = {}) took {} and {} of memory",
        largest.total(),
        largest.no_grad,
        largest.with_grad,
        duration(longest),
        held.map_or_else(|| "an unknown amount".to_owned(), bytes)
    ))?;
    let why = "at the speed of 3 tried steps";
    let line = expected(&costs.work, per_step, Some(evaluation), why);
    let [data, work, memory, disk] = costs.lines();
    terminal::print(&format!("\n{data}\n{work}\n{line}\n{memory}\n{disk}"))
}

/// Returns the seconds of an evaluation. They follow from the FLOPs of the evaluation, and from the
/// speed of a step that takes `per_step` seconds.
fn evaluation_seconds(work: &Work, per_step: f64) -> f64 {
    let flops_per_step = work.flops / work.steps.max(1) as f64;
    work.evaluation_flops / flops_per_step.max(1.0) * per_step
}

impl Found<'_> {
    /// Returns the results that are known without a step, as JSON.
    fn object(&self) -> Value {
        let (config, costs, ranks) = (self.config, self.costs, self.ranks);
        let census = Census::new(&config.model);
        let planned = config.model.recurrence.planned();
        let mut parameters = Map::new();
        parameters.insert("total".to_owned(), census.total().into());
        for (part, name, _) in PARTS {
            parameters.insert(name.to_owned(), census.part(part).into());
        }
        let mut told = json!({
            "device": self.device,
            "parameters": Value::Object(parameters),
            "effective_depth": config.model.effective_depth(planned.total()),
            "flops_per_token": config.flops_per_token(planned),
            "memory_bytes": costs.memory,
            "free_memory_bytes": match costs.room {
                Room::Free(free) => Some(free),
                Room::Whole(_) | Room::Unknown => None,
            },
            "device_memory_bytes": match costs.room {
                Room::Whole(whole) => Some(whole),
                Room::Free(_) | Room::Unknown => None,
            },
            "tokens_per_step": config.tokens_per_step(),
            "steps": costs.work.steps,
            "tokens": costs.work.tokens,
            "corpus_tokens": costs.corpus_tokens,
            "corpus_passes": costs.passes(),
            "flops": costs.work.flops,
            "evaluations": costs.work.evaluations,
            "evaluation_flops": costs.work.all_evaluation_flops(),
            "checkpoint_bytes": costs.checkpoint,
            "checkpoints_kept": costs.checkpoints,
            "disk_bytes": costs.disk(),
            "free_disk_bytes": costs.free_disk,
            "warnings": self.warnings,
        });
        if ranks > 1 {
            told["ranks"] = ranks.into();
            told["micro_batches_per_rank"] = self.share.count.into();
            told["bytes_per_step"] = bytes_per_step(config, ranks).into();
        }
        told
    }

    /// Prints these results as tables.
    fn print(&self) -> Result<()> {
        let (config, costs, ranks) = (self.config, self.costs, self.ranks);
        let census = Census::new(&config.model);
        let planned = config.model.recurrence.planned();
        let depth = config.model.effective_depth(planned.total());
        let flops = config.flops_per_token(planned);
        terminal::print(&parameters(&census).to_string())?;
        let mut table = Table::new(&["cost", "value"]).left(0);
        table.row(["effective depth", &depth.to_string()]);
        table.row(["FLOPs per token", &significant(flops, 4)]);
        table.row(["tokens per step", &thousands(config.tokens_per_step())]);
        table.row(["steps", &thousands(config.train.steps)]);
        if ranks > 1 {
            table.row(["ranks", &ranks.to_string()]);
            table.row(["micro-batches per rank", &self.share.count.to_string()]);
            let sent = bytes(bytes_per_step(config, ranks));
            table.row(["sent by each rank in a step", &sent]);
        }
        let memory = match ranks {
            1 => "memory (estimate, largest depth)",
            _ => "memory per rank (estimate, largest depth)",
        };
        table.row([memory, &bytes(costs.memory)]);
        let (called, there) = match costs.room {
            Room::Free(free) => ("memory that is free", bytes(free)),
            Room::Whole(whole) => ("memory of the device", bytes(whole)),
            Room::Unknown => ("memory that is free", "unknown".to_owned()),
        };
        table.row([called, &there]);
        let (device, why) = (&self.device, self.why);
        terminal::print(&format!("\n{table}\n\ndevice  {device} ({why})"))
    }
}

fn parameters(census: &Census) -> Table {
    let mut table = Table::new(&["parameters", "count"]).left(0);
    for (part, _, name) in PARTS {
        table.row([name.to_owned(), thousands(census.part(part) as u64)]);
    }
    table.row(["total".to_owned(), thousands(census.total() as u64)]);
    table
}
