//! `trainer bench`: measures the speed of a training step, a forward pass, an evaluation and
//! generation; of single operations; of matrix products by every routine; and of sums across ranks.
//! It also shows how the time of a step grows, and how many kernels a step launches.

mod decode;
mod growth;
mod launches;
mod nodes;
mod peak;
mod products;
mod reduce;
mod rows;
mod samples;
mod subject;

use rondo_metrics::Table;
use rondo_metrics::format::{MISSING, bytes, or_missing, significant};
use rondo_train::config::{ResolvedConfig, RunConfig};
use rondo_train::device::{self, Listed};
use rondo_train::distributed::World;
use rondo_train::error::{Error, Result};
use serde_json::json;

use self::peak::matmul_peak;
use self::subject::{Subject, Work};
use crate::cli::{BenchArgs, BenchWhat};
use crate::terminal;

/// The configuration that is measured if none is given.
const DEFAULT: &str = include_str!("../../../../configs/bench.toml");
/// The size of the vocabulary if the configuration takes it from the data.
const VOCABULARY: usize = 4096;

/// Times the configuration, on all ranks of `world` together.
///
/// # Errors
///
/// Returns an error if the configuration is not valid, or the device is missing or fails.
pub(crate) fn command(args: &BenchArgs, world: &World) -> Result<()> {
    let (name, config) = world.agree(configuration(args))?;
    world.agree(refuse_ranks(args.what, world))?;
    let (listed, _) = world.agree(device::choose_at(config.device, world.place()))?;
    let work = match args.what {
        BenchWhat::Step => Work::Step,
        BenchWhat::Forward => Work::Forward,
        BenchWhat::Eval => Work::Eval,
        BenchWhat::Generate => return decode::command(&name, &config, &listed, args),
        BenchWhat::Nodes => return nodes::command(&name, &config, &listed, args),
        BenchWhat::Growth => return growth::command(&name, &config, &listed, args),
        BenchWhat::Products => return products::command(&name, &config, &listed, args),
        BenchWhat::Launches => return launches::command(&name, &config, &listed, args),
        BenchWhat::Reduce => return reduce::command(&name, &config, &listed, args, world),
    };
    time(&name, &config, work, &listed, args, world)
}

/// Returns the configuration to measure, and its name.
fn configuration(args: &BenchArgs) -> Result<(String, ResolvedConfig)> {
    let overrides = args.config.all_overrides();
    let (name, written) = match &args.config.config {
        Some(path) => (
            path.display().to_string(),
            RunConfig::load(path, &overrides)?,
        ),
        None => {
            let name = "configs/bench.toml";
            (name.to_owned(), RunConfig::read(name, DEFAULT, &overrides)?)
        }
    };
    let Some(seq) = written.train.seq else {
        return Err(Error::Usage(
            "train.seq: a benchmark needs the tokens in a sequence".to_owned(),
        ));
    };
    let mut config = written.resolve_for(VOCABULARY, seq);
    // A benchmark may run any number of steps, so the planned number must not end it.
    config.train.steps = u64::MAX;
    for (flag, chooses, what, is_given) in [
        (
            "--grow",
            "what grows",
            BenchWhat::Growth,
            !args.grow.is_empty(),
        ),
        (
            "--node",
            "operations",
            BenchWhat::Nodes,
            !args.node.is_empty(),
        ),
    ] {
        if args.what != what && is_given {
            return Err(Error::Usage(format!(
                "{flag} chooses {chooses} with `--what {}`; this is `--what {}`",
                what.name(),
                args.what.name()
            )));
        }
    }
    Ok((name, config))
}

/// Returns an error if there are several ranks and the work is not shared among ranks, or if there
/// is one rank and sums across ranks are to be measured.
fn refuse_ranks(what: BenchWhat, world: &World) -> Result<()> {
    match (what, world.is_alone()) {
        (BenchWhat::Reduce, true) => Err(Error::Usage(
            "`--what reduce` times sums across ranks, and this is one process: build with `cargo build --release \
             --features mpi` and start `mpirun -n 2 --bind-to none trainer bench --what reduce`"
                .to_owned(),
        )),
        (BenchWhat::Step | BenchWhat::Reduce, _) | (_, true) => Ok(()),
        (_, false) => Err(Error::Usage(format!(
            "ranks share a training step: `--what {}` is of one process; start it without a launcher",
            what.name()
        ))),
    }
}

/// Times one kind of work on whole batches, and prints the result.
fn time(
    name: &str,
    config: &ResolvedConfig,
    work: Work,
    listed: &Listed,
    args: &BenchArgs,
    world: &World,
) -> Result<()> {
    let unroll = work.unroll(config);
    let idle_memory = listed.peak_memory_bytes();
    let subject = Subject::new(config, work, unroll, listed, world);
    let mut subject = world.agree(subject)?;
    let samples = subject.time(args.rounds())?;
    let ranks = subject.ranks()?;
    let peak_memory = listed.peak_memory_bytes();
    drop(subject);
    let tokens = (config.train.batch * config.train.seq) as f64
        * match work {
            Work::Step | Work::LoggedStep => config.train.accumulation as f64,
            Work::Forward | Work::Eval => 1.0,
        };
    let (median, spread) = (tokens / samples.median(), samples.spread());
    let flops_per_token = match work {
        Work::Step | Work::LoggedStep => Some(config.flops_per_token(unroll)),
        Work::Forward | Work::Eval => None,
    };
    let flops = flops_per_token.map(|flops| flops * median);
    // The ranks measure their peaks at the same time; the peaks are summed.
    let peaks = world
        .collective()
        .all_gather_numbers(&[matmul_peak(listed)?]);
    let matmul_peak: f64 = world.told(peaks)?.into_iter().sum();
    if !world.is_first() {
        return Ok(());
    }
    if args.json.json {
        let mut object = json!({
            "config": name,
            "device": listed.label(),
            "what": args.what.name(),
            "tokens_per_second": median,
            "spread": spread,
            "flops_per_second": flops,
            "matmul_peak_flops_per_second": matmul_peak,
            "peak_memory_bytes": peak_memory,
            "idle_memory_bytes": idle_memory,
        });
        if let Some(pace) = ranks {
            object["world_size"] = world.world_size().into();
            object["step_seconds"] = samples.median().into();
            object["reduce_seconds"] = pace.reduce_seconds.into();
            object["wait_seconds"] = pace.wait_seconds.into();
        }
        return terminal::print_json(&object);
    }
    let giga = |x: f64| format!("{} GFLOP/s", significant(x / 1e9, 4));
    let mut table = Table::new(&["bench", name]).left(0);
    table.row(["device".to_owned(), listed.label()]);
    table.row(["what".to_owned(), args.what.name().to_owned()]);
    table.row([
        "iterations (n, k)".to_owned(),
        format!("{}, {}", unroll.no_grad, unroll.with_grad),
    ]);
    table.row(["tokens/s (median)".to_owned(), significant(median, 4)]);
    table.row([
        "spread (max − min) / median".to_owned(),
        format!("{:.1} %", 100.0 * spread),
    ]);
    if let (Some(pace), Some(label)) = (ranks, world.label()) {
        let of_step = |seconds: f64| {
            let share = 100.0 * seconds / samples.median();
            format!(
                "{} ms, {share:.1} % of a step",
                significant(1e3 * seconds, 3)
            )
        };
        table.row(["ranks".to_owned(), label]);
        table.row(["reduction".to_owned(), of_step(pace.reduce_seconds)]);
        table.row([
            "slowest rank after median".to_owned(),
            of_step(pace.wait_seconds),
        ]);
    }
    table.row(["arithmetic".to_owned(), or_missing(flops, giga)]);
    table.row(["matrix product peak".to_owned(), giga(matmul_peak)]);
    let share = flops.map(|flops| 100.0 * flops / matmul_peak);
    table.row([
        "share of that peak".to_owned(),
        or_missing(share, |share| format!("{share:.0} %")),
    ]);
    let of_rank = if world.is_alone() { "" } else { " of rank 0" };
    table.row([format!("peak memory{of_rank}"), memory(peak_memory)]);
    table.row(["of that before the model".to_owned(), memory(idle_memory)]);
    terminal::print(&table.to_string())
}

/// Formats a number of bytes, or a placeholder if it is unknown.
fn memory(count: Option<u64>) -> String {
    count.map_or_else(|| MISSING.to_owned(), bytes)
}
