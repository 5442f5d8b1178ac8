//! `trainer bench --what reduce`: measures the cost of summing gradients across ranks.
//!
//! ```text
//! efficiency = m · t / (m · t + s)
//! ```
//!
//! Each rank computes m micro-batches of t seconds each; a sum takes s seconds.
//!
//! The measured sums add values in the host's memory. On a GPU, copying the gradients to the host
//! and back takes additional time.

use rondo_collective::timing::{Timed, time};
use rondo_collective::{Reduce, Wire};
use rondo_metrics::Table;
use rondo_metrics::format::significant;
use rondo_model::census::Census;
use rondo_train::config::ResolvedConfig;
use rondo_train::device::Listed;
use rondo_train::distributed::World;
use rondo_train::error::Result;
use serde_json::{Value, json};

use super::samples::Samples;
use super::subject::{Subject, Work, slowest};
use crate::cli::{BenchArgs, Rounds};
use crate::terminal;

/// The sizes of gradients, in bytes, that are measured in addition to the size of the
/// configuration's own gradient.
const SIZES: [usize; 3] = [1_000_000, 10_000_000, 100_000_000];
/// Numbers of micro-batches per rank for which an efficiency is shown.
const MICRO_BATCHES: [usize; 4] = [1, 2, 4, 8];
/// The number of bytes of an f32 value.
const F32: usize = size_of::<f32>();

/// The median seconds for one size of gradient, in the order of [`Timed::ALL`].
struct Size {
    bytes: usize,
    seconds: [f64; 4],
}

/// Times sums over all ranks, and one micro-batch of the configuration on each rank. Rank 0 prints
/// the times.
///
/// # Errors
///
/// Returns an error if the device fails or a rank is missing.
pub(super) fn command(
    name: &str,
    config: &ResolvedConfig,
    listed: &Listed,
    args: &BenchArgs,
    world: &World,
) -> Result<()> {
    let rounds = args.rounds();
    let micro_batch = micro_batch(config, listed, rounds, world)?;
    let gradient = F32 * Census::new(&config.model).total();
    let mut sizes = Vec::new();
    for bytes in SIZES.into_iter().chain([gradient]) {
        sizes.push(size(bytes, rounds, world)?);
    }
    if !world.is_first() {
        return Ok(());
    }
    if args.json.json {
        return terminal::print_json(&object(name, micro_batch, &sizes, world));
    }
    let label = world.label().unwrap_or_default();
    terminal::print(&format!(
        "ranks {label}\n\n{}\n\n{}",
        sums(&sizes),
        efficiencies(name, micro_batch, &sizes)
    ))
}

/// Returns the median seconds of a micro-batch with its update. All ranks run it at the same time.
fn micro_batch(
    config: &ResolvedConfig,
    listed: &Listed,
    rounds: Rounds,
    world: &World,
) -> Result<f64> {
    let mut config = config.clone();
    config.train.accumulation = 1;
    let unroll = Work::Step.unroll(&config);
    // The ranks do not share a step: each computes its own at the same time, so that the ranks of a
    // host compete for memory.
    let mut subject = Subject::new(&config, Work::Step, unroll, listed, &World::alone())?;
    let samples = subject.time(rounds)?;
    Ok(slowest(&[samples.median()], world)?[0])
}

fn size(bytes: usize, rounds: Rounds, world: &World) -> Result<Size> {
    let Rounds { warmup, counted } = rounds;
    let seconds = time(world.collective(), bytes / F32, warmup, counted);
    let seconds = world.told(seconds)?;
    let median = |seconds: Vec<f64>| Samples::new(seconds).median();
    Ok(Size {
        bytes,
        seconds: seconds.map(median),
    })
}

/// Returns the name of a measurement in the JSON.
fn key(timed: Timed) -> &'static str {
    match timed {
        Timed::Copy => "copy",
        Timed::Sum(Reduce::Ordered) => "ordered",
        Timed::Sum(Reduce::Fast(Wire::F32)) => "fast",
        Timed::Sum(Reduce::Fast(Wire::Bf16)) => "fast_bf16",
    }
}

/// Returns the share of the time that is used for computing, if each rank computes `micro_batches`
/// and then takes part in one sum.
fn efficiency(micro_batches: usize, micro_batch: f64, sum: f64) -> f64 {
    let computed = micro_batches as f64 * micro_batch;
    computed / (computed + sum)
}

/// Returns the table of the sums: milliseconds and bytes of data per second.
fn sums(sizes: &[Size]) -> Table {
    let mut header = vec!["MB".to_owned()];
    header.extend(Timed::ALL.map(|timed| format!("{} ms", key(timed).replace('_', " "))));
    header.extend(["ordered GB/s".to_owned(), "ordered / fast".to_owned()]);
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = Table::new(&header);
    for Size { bytes, seconds } in sizes {
        let [_, fast, ordered, _] = *seconds;
        let mut row = vec![significant(*bytes as f64 / 1e6, 3)];
        row.extend(seconds.map(|seconds| significant(1e3 * seconds, 3)));
        row.push(significant(*bytes as f64 / 1e9 / ordered, 3));
        row.push(format!("{:.2}", ordered / fast));
        table.row(row);
    }
    table
}

/// Returns the table of efficiencies for the size of the configuration's gradient.
fn efficiencies(name: &str, micro_batch: f64, sizes: &[Size]) -> String {
    let Some(Size { bytes, seconds }) = sizes.last() else {
        return String::new();
    };
    let [_, fast, ordered, bf16] = *seconds;
    let mut table = Table::new(&["micro-batches per rank", "ordered", "fast", "fast bf16"]);
    for count in MICRO_BATCHES {
        let percent = |sum| format!("{:.1} %", 100.0 * efficiency(count, micro_batch, sum));
        table.row([
            count.to_string(),
            percent(ordered),
            percent(fast),
            percent(bf16),
        ]);
    }
    format!(
        "efficiency of {name}, {} ms for a micro-batch and a gradient of {} MB\n{table}",
        significant(1e3 * micro_batch, 3),
        significant(*bytes as f64 / 1e6, 3)
    )
}

fn object(name: &str, micro_batch: f64, sizes: &[Size], world: &World) -> Value {
    let of = |values: [f64; 4]| -> Value {
        let named = Timed::ALL.iter().zip(values);
        named
            .map(|(timed, value)| (key(*timed).to_owned(), json!(value)))
            .collect()
    };
    let rows: Vec<Value> = sizes
        .iter()
        .map(|Size { bytes, seconds }| {
            json!({
                "bytes": bytes,
                "seconds": of(*seconds),
                "bytes_per_second": of(seconds.map(|seconds| *bytes as f64 / seconds)),
                "ordered_over_fast": seconds[2] / seconds[1],
            })
        })
        .collect();
    let at_shape = sizes.last().map_or([f64::NAN; 4], |size| size.seconds);
    let efficiencies: Vec<Value> = MICRO_BATCHES
        .iter()
        .map(|count| {
            json!({
                "micro_batches_per_rank": count,
                "ordered": efficiency(*count, micro_batch, at_shape[2]),
                "fast": efficiency(*count, micro_batch, at_shape[1]),
                "fast_bf16": efficiency(*count, micro_batch, at_shape[3]),
            })
        })
        .collect();
    json!({
        "config": name,
        "what": "reduce",
        "world_size": world.world_size(),
        "hosts": world.hosts(),
        "engine": world.engine(),
        "sizes": rows,
        "micro_batch_seconds": micro_batch,
        "efficiency": efficiencies,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_efficiency_by_hand() {
        // Three seconds of computing and one second for the sum.
        assert!((efficiency(3, 1.0, 1.0) - 0.75).abs() < 1e-12);
    }

    #[test]
    fn the_tables_show_what_was_measured() {
        let sizes = [Size {
            bytes: 10_000_000,
            seconds: [1e-3, 10e-3, 12e-3, 20e-3],
        }];
        let sums = sums(&sizes).to_string();
        assert!(sums.contains("1.20") && sums.contains("0.833"), "{sums}");
        let shown = efficiencies("x.toml", 0.1, &sizes);
        assert!(
            shown.contains("100 ms for a micro-batch and a gradient of 10"),
            "{shown}"
        );
        assert!(shown.contains("89.3 %"), "{shown}");
    }
}
