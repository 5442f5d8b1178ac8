//! `trainer --dry-run`: sizes and costs, then one step at the largest depth if it fits.

use std::time::Instant;

use rondo_data::Batch;
use rondo_metrics::format::{bytes, duration, significant, thousands};
use rondo_metrics::{Mode, Table};
use rondo_model::census::Census;
use rondo_model::depth::Draw;
use rondo_model::init::Part;
use rondo_train::capacity::Capacity;
use rondo_train::config::{ResolvedConfig, RunConfig};
use rondo_train::device::{self, Listed};
use rondo_train::distributed::{Share, bytes_per_step};
use rondo_train::error::Result;
use rondo_train::plan::StepPlan;
use rondo_train::run_plan::resolve;
use rondo_train::step::Learner;
use serde_json::{Map, Value, json};

use crate::terminal;

const PARTS: [(Part, &str); 7] = [
    (Part::Tokens, "tokens"),
    (Part::Prelude, "prelude"),
    (Part::Adapter, "adapter"),
    (Part::Core, "core"),
    (Part::Coda, "coda"),
    (Part::Norm, "norm"),
    (Part::Head, "head"),
];

/// Prints what a run would cost on `ranks` and tries its most expensive step; with `force` even where it does not seem to fit.
///
/// Data is opened only where the vocabulary or the length of a row depends on it.
///
/// # Errors
///
/// Where the device or needed data is not there, the run does not fit into memory, or the step fails.
pub(crate) fn command(config: &RunConfig, ranks: usize, force: bool, as_json: bool) -> Result<()> {
    let (listed, why) = device::choose(config.device)?;
    let mut config = resolve(config, Mode::Auto)?;
    let share = Share::of(config.train.accumulation, 0, ranks)?;
    let seq = config.train.seq;
    let census = Census::new(&config.model);
    let recurrence = &config.model.recurrence;
    let planned = recurrence.planned();
    let largest = recurrence.largest();
    // The ranks may be on hosts of their own: what is free here is for one.
    let capacity = Capacity::of(&listed).among(ranks, 1);
    let (needed, free) = (capacity.needed(&config), capacity.free());
    let flops = census.flops_per_token(planned, seq);
    let depth = config.model.effective_depth(planned.total());
    let warnings = config.recorded().warnings(config.extent());
    if as_json {
        let mut parameters = Map::new();
        parameters.insert("total".to_owned(), census.total().into());
        for (part, name) in PARTS {
            parameters.insert(name.to_owned(), census.part(part).into());
        }
        let mut told = json!({
            "device": listed.label(),
            "parameters": Value::Object(parameters),
            "effective_depth": depth,
            "flops_per_token": flops,
            "memory_bytes": needed,
            "free_memory_bytes": free,
            "tokens_per_step": config.tokens_per_step(),
            "warnings": warnings,
        });
        if ranks > 1 {
            told["ranks"] = ranks.into();
            told["micro_batches_per_rank"] = share.count.into();
            told["bytes_per_step"] = bytes_per_step(&config, ranks).into();
        }
        terminal::print_json(&told)?;
    } else {
        terminal::print(&parameters(&census).to_string())?;
        let mut costs = Table::new(&["cost", "value"]).left(0);
        costs.row(["effective depth", &depth.to_string()]);
        costs.row(["FLOPs per token", &significant(flops, 4)]);
        costs.row(["tokens per step", &thousands(config.tokens_per_step())]);
        costs.row(["steps", &thousands(config.train.steps)]);
        if ranks > 1 {
            costs.row(["ranks", &ranks.to_string()]);
            costs.row(["micro-batches per rank", &share.count.to_string()]);
            let sent = bytes(bytes_per_step(&config, ranks));
            costs.row(["sent by each rank in a step", &sent]);
        }
        let memory = match ranks {
            1 => "memory (estimate, largest depth)",
            _ => "memory per rank (estimate, largest depth)",
        };
        costs.row([memory, &bytes(needed)]);
        costs.row(["memory that is free", &free.map_or("unknown".into(), bytes)]);
        terminal::print(&format!("\n{costs}\n\ndevice  {} ({why})", listed.label()))?;
    }
    if !as_json {
        warnings.iter().for_each(|text| terminal::warn(text));
    }
    if !force {
        capacity.refuse_beyond(&config)?;
    }
    let draw = Draw {
        unroll: largest,
        clamped_from: None,
    };
    config.train.steps = 1;
    let seconds = try_step(&config, share, draw, &listed)?;
    if as_json {
        return Ok(());
    }
    terminal::print(&format!(
        "one step at recurrence {} (n = {}, k = {}) took {}",
        largest.total(),
        largest.no_grad,
        largest.with_grad,
        duration(seconds)
    ))
}

fn parameters(census: &Census) -> Table {
    let mut table = Table::new(&["parameters", "count"]).left(0);
    for (part, name) in PARTS {
        table.row([name.to_owned(), thousands(census.part(part) as u64)]);
    }
    table.row(["total".to_owned(), thousands(census.total() as u64)]);
    table
}

/// Takes the first step of a run, of several ranks the micro-batches of one, on tokens in counting order and returns its
/// seconds.
fn try_step(config: &ResolvedConfig, share: Share, draw: Draw, listed: &Listed) -> Result<f64> {
    let mut learner = Learner::fresh(config, listed);
    let plan = StepPlan {
        draw,
        logged: true,
        ..StepPlan::new(config, 1)
    };
    let batch = counting_batch(config);
    let started = Instant::now();
    learner.step(&plan, &vec![batch; share.count])?;
    Ok(started.elapsed().as_secs_f64())
}

/// Returns a batch whose tokens count through the vocabulary: for costs, where content is nothing. Where attention stays
/// within documents, the last token of the vocabulary ends one.
pub(crate) fn counting_batch(config: &ResolvedConfig) -> Batch {
    let (batch, seq, vocab) = (
        config.train.batch,
        config.train.seq,
        config.model.vocab_size,
    );
    let token = |i: usize| (i % vocab) as u32;
    let counting = Batch {
        inputs: (0..batch * seq).map(token).collect(),
        targets: (1..=batch * seq).map(token).collect(),
        batch,
        seq,
        document_end: None,
    };
    match config.data.document_mask() {
        true => counting.within_documents(token(vocab - 1)),
        false => counting,
    }
}
