//! Makes a table of all runs, for output that is not a terminal.

use std::collections::BTreeSet;
use std::time::SystemTime;

use rondo_metrics::Table;
use rondo_metrics::format::{MISSING, duration, learning_rate, or_missing, rate, significant};

use crate::run::{Run, Stage};
use crate::series::Series;

/// Returns a table with one row for each run. The columns are the verdict, step, loss, perplexity
/// by depth, correlation, learning rate, iterations of the last step, speed, time left and last
/// event. [`MISSING`] stands for a missing number.
pub fn table(runs: &[Run], now: SystemTime) -> Table {
    let depths: BTreeSet<usize> = runs
        .iter()
        .flat_map(|run| run.perplexity().keys().copied())
        .collect();
    let mut header = vec![
        "run".to_owned(),
        "verdict".to_owned(),
        "step".to_owned(),
        "loss".to_owned(),
    ];
    header.extend(depths.iter().map(|depth| format!("ppl@{depth}")));
    header.extend(["corr", "lr", "r", "speed", "time", "last event"].map(str::to_owned));
    let names: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = Table::new(&names).left(0).left(1).left(names.len() - 1);
    for run in runs {
        table.row(row(run, &depths, now));
    }
    table
}

fn row(run: &Run, depths: &BTreeSet<usize>, now: SystemTime) -> Vec<String> {
    if !run.has_records() {
        return vec![run.name().to_owned(), "no records yet".to_owned()];
    }
    let step = match run.plan().steps {
        Some(steps) => format!("{}/{steps}", run.step()),
        None => run.step().to_string(),
    };
    let perplexity = |depth: &usize| {
        let last = run.perplexity().get(depth).and_then(Series::last);
        or_missing(last, |x| significant(x, 4))
    };
    let time = match (run.stage(), run.silence(now)) {
        (Stage::Finished, _) => "finished".to_owned(),
        (Stage::Stopped, _) => "stopped".to_owned(),
        (Stage::Training, Some(silence)) => format!("silent for {}", duration(silence)),
        (Stage::Training, None) => {
            or_missing(run.seconds_left(), |x| format!("{} left", duration(x)))
        }
    };
    let mut row = vec![
        run.name().to_owned(),
        run.verdict().name().to_owned(),
        step,
        or_missing(run.loss().last(), |x| significant(x, 4)),
    ];
    row.extend(depths.iter().map(perplexity));
    row.extend([
        or_missing(run.correlation().last(), |x| format!("{x:.2}")),
        or_missing(run.rate().last(), learning_rate),
        run.drawn()
            .map_or_else(|| MISSING.to_owned(), |(n, k)| format!("{n}+{k}")),
        or_missing(run.speed().last(), |x| rate(x, "tok")),
        time,
        run.happenings().next().map_or_else(
            || MISSING.to_owned(),
            |last| {
                format!(
                    "{} {}",
                    last.step,
                    last.text.split("  ").next().unwrap_or_default()
                )
            },
        ),
    ]);
    row
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::run::tests::run;

    #[test]
    fn each_run_has_a_row_and_missing_numbers_are_said_to_be() {
        let runs = [
            run("main", 0.3),
            run("bad", 0.99),
            Run::new("new", Path::new("runs/new")),
        ];
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1010);
        let golden = "\
run   verdict                   step   loss  ppl@1  ppl@4  ppl@16  corr      lr    r        speed         time  last event
──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
main  healthy                100/300  4.000  13.00  11.80   11.80  0.30  2.0e-3  8+4  2.22k tok/s  6m 40s left  100 checkpoint
bad   hidden-state-collapse  100/300  4.000  13.00  11.80   11.80  0.99  2.0e-3  8+4  2.22k tok/s  6m 40s left  100 checkpoint
new   no records yet             n/a    n/a    n/a    n/a     n/a   n/a     n/a  n/a          n/a          n/a  n/a";
        assert_eq!(table(&runs, now).to_string(), golden);
    }
}
