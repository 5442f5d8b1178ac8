//! `trainer bench`: the speed of a training step, a forward pass, an evaluation or of generation.

mod decode;
mod peak;
mod subject;

use std::time::Instant;

use rondo_metrics::Table;
use rondo_metrics::format::{bytes, or_missing, significant};
use rondo_model::census::Census;
use serde_json::json;

use self::peak::matmul_peak;
use self::subject::{Subject, Work};
use crate::cli::{BenchArgs, BenchWhat};
use crate::config::RunConfig;
use crate::device::{self, Listed};
use crate::error::{Error, Result};
use crate::terminal;

/// The shape that is measured where no configuration is given.
const DEFAULT: &str = include_str!("../../../../../configs/bench.toml");
/// Tokens of the vocabulary where the configuration leaves it to the data.
const VOCABULARY: usize = 4096;
/// Times the configuration.
///
/// # Errors
///
/// Where the configuration is not valid, or the device is not there or fails.
pub(crate) fn command(args: &BenchArgs) -> Result<()> {
    let overrides = args.config.all_overrides();
    let (name, mut config) = match &args.config.config {
        Some(path) => (
            path.display().to_string(),
            RunConfig::load(path, &overrides)?,
        ),
        None => {
            let name = "configs/bench.toml";
            (name.to_owned(), RunConfig::read(name, DEFAULT, &overrides)?)
        }
    };
    config.model.vocab_size.get_or_insert(VOCABULARY);
    let Some(seq) = config.train.seq else {
        return Err(Error::Usage(
            "train.seq: a benchmark needs the tokens in a sequence".to_owned(),
        ));
    };
    let (listed, _) = device::choose(config.device)?;
    let work = match args.what {
        BenchWhat::Step => Work::Step,
        BenchWhat::Forward => Work::Forward,
        BenchWhat::Eval => Work::Eval,
        BenchWhat::Generate => return decode::command(&name, &config, &listed, args),
    };
    time(&name, &config, seq, work, &listed, args)
}

/// Times one kind of work on whole batches and reports it.
fn time(
    name: &str,
    config: &RunConfig,
    seq: usize,
    work: Work,
    listed: &Listed,
    args: &BenchArgs,
) -> Result<()> {
    let unroll = work.unroll(config);
    let mut subject = Subject::new(config, seq, work, listed);
    let mut seconds = Vec::new();
    for round in 0..args.warmup + usize::from(args.steps) {
        let started = Instant::now();
        subject.run(round as u64 + 1)?;
        listed.sync()?;
        if round >= args.warmup {
            seconds.push(started.elapsed().as_secs_f64());
        }
    }
    let peak_memory = listed.peak_memory_bytes();
    drop(subject);
    seconds.sort_by(f64::total_cmp);
    let tokens = (config.train.batch * seq) as f64
        * match work {
            Work::Step => config.train.accumulation as f64,
            Work::Forward | Work::Eval => 1.0,
        };
    let rate = |seconds: f64| tokens / seconds;
    let median = rate(seconds[seconds.len() / 2]);
    let spread = (rate(seconds[0]) - rate(seconds[seconds.len() - 1])) / median;
    let flops_per_token = match work {
        Work::Step => Some(Census::new(&config.model).flops_per_token(unroll, seq)),
        Work::Forward | Work::Eval => None,
    };
    let flops = flops_per_token.map(|flops| flops * median);
    let matmul_peak = matmul_peak(listed)?;
    if args.json.json {
        return terminal::print_json(&json!({
            "config": name,
            "device": listed.label(),
            "what": args.what.name(),
            "tokens_per_second": median,
            "spread": spread,
            "flops_per_second": flops,
            "matmul_peak_flops_per_second": matmul_peak,
            "peak_memory_bytes": peak_memory,
        }));
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
    table.row(["arithmetic".to_owned(), or_missing(flops, giga)]);
    table.row(["matrix product peak".to_owned(), giga(matmul_peak)]);
    let share = flops.map(|flops| 100.0 * flops / matmul_peak);
    table.row([
        "share of that peak".to_owned(),
        or_missing(share, |share| format!("{share:.0} %")),
    ]);
    table.row([
        "peak memory".to_owned(),
        peak_memory.map_or_else(|| "n/a".to_owned(), bytes),
    ]);
    terminal::print(&table.to_string())
}
