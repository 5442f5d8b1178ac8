//! Generates the book's page on metrics and events.

use rondo_metrics::names::{METRICS, pattern};
use rondo_metrics::{Event, Kind, Metric};

use super::FIELDS;
use crate::commands::explain::markdown::escaped;

const HEAD: &str = "\
# Metrics

Every metric and event that a run writes into `metrics.jsonl`, as `trainer metrics` prints them. The page is written by
`trainer explain --markdown=metrics` from the table that the program writes with ([names.rs](../../../rondo-metrics/src/names.rs)); a test compares it with the program,
and another one proves that runs write exactly these.

A line of `metrics.jsonl` is a record: a training step (`train`), an evaluation (`eval`), or an event. In names r is a recurrence depth, `val_loss@16`; LAYER
is a layer, SOURCE a source of a mixture. A series has a value for each iteration. Symbols: `s_i` is the state after iteration i, `r = n + k` the recurrence depth with n iterations without and k with
gradient, `e` the prelude's output, `n_f` the final norm, `y` the coda's output, `S` the length of a row. `trainer metrics RUN --format csv` prints the records of a run as a table.
";

/// Returns the whole page.
pub(in crate::commands) fn page() -> String {
    let mut lines = vec![HEAD.to_owned(), "## Every record\n".to_owned()];
    for (name, unit, meaning) in FIELDS {
        lines.push(format!("* **`{name}`** ({unit}): {}", escaped(meaning)));
    }
    for (title, kind) in [("Training steps", Kind::Train), ("Evaluations", Kind::Eval)] {
        lines.push(format!("\n## {title}\n"));
        lines.extend(METRICS.iter().filter(|it| it.kind == kind).map(entry));
    }
    lines.push("\n## Events\n".to_owned());
    for event in Event::ALL {
        let (name, meaning) = (event.name(), escaped(event.meaning()));
        lines.push(format!("* **`{name}`**: {meaning}"));
    }
    lines.join("\n")
}

fn entry(metric: &Metric) -> String {
    format!(
        "* **`{}`** ({}, {}, {}): {}",
        pattern(metric),
        metric.shape,
        metric.unit,
        metric.presence,
        escaped(metric.meaning)
    )
}
