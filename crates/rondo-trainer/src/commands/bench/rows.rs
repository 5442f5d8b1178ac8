//! Prints the output of benchmarks that have several rows.

use rondo_metrics::Table;
use rondo_train::device::Listed;
use rondo_train::error::Result;
use serde_json::{Value, json};

use super::memory;
use super::peak::matmul_peak;
use crate::cli::BenchArgs;
use crate::terminal;

/// One row of a benchmark.
pub(super) trait BenchRow {
    /// The titles of the columns.
    const HEADER: &'static [&'static str];
    /// The key of the rows in JSON.
    const KEY: &'static str;

    fn cells(&self) -> Vec<String>;

    fn json(&self) -> Value;
}

/// Prints the rows below a line that describes them, or prints one JSON object.
///
/// # Errors
///
/// Returns an error if the device fails or standard output cannot be written.
pub(super) fn print<R: BenchRow>(
    name: &str,
    what: &str,
    rows: &[R],
    listed: &Listed,
    args: &BenchArgs,
) -> Result<()> {
    let peak_memory = listed.peak_memory_bytes();
    if args.json.json {
        return terminal::print_json(&json!({
            "config": name,
            "device": listed.label(),
            "what": args.what.name(),
            "tokens_per_second": null,
            "spread": null,
            "flops_per_second": null,
            "matmul_peak_flops_per_second": matmul_peak(listed)?,
            "peak_memory_bytes": peak_memory,
            R::KEY: rows.iter().map(R::json).collect::<Vec<_>>(),
        }));
    }
    let mut table = Table::new(R::HEADER).left(0);
    for row in rows {
        table.row(row.cells());
    }
    terminal::print(&format!(
        "{name} on {}: {what}\n{table}\npeak memory {}",
        listed.label(),
        memory(peak_memory)
    ))
}
