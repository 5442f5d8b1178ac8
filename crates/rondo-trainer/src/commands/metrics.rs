//! `trainer metrics`: explains every name in `metrics.jsonl`, or prints the metrics of a run as a
//! table.

mod page;
mod table;

use rondo_metrics::names::{METRICS, pattern};
use rondo_metrics::{Event, Metric};
use rondo_train::error::Result;
use rondo_train::run_history::RunHistory;
use serde_json::{Value, json};

pub(super) use self::page::page;
use crate::cli::MetricsArgs;
use crate::terminal;

/// The width of a line, in columns.
const WIDTH: usize = 80;
const INDENT: &str = "    ";
/// The fields that every record has: name, unit and meaning.
const FIELDS: [(&str, &str, &str); 3] = [
    (
        "step",
        "step",
        "Optimizer updates made so far, this one included; 0 before the first.",
    ),
    ("tokens", "token", "Training tokens seen so far."),
    (
        "time",
        "s",
        "Seconds since the start of the run, over all of its launches.",
    ),
];

/// Prints the table of metrics and events, or the records of a run.
///
/// # Errors
///
/// Returns an error if the run has no metrics, or they are damaged.
pub(crate) fn command(args: &MetricsArgs) -> Result<()> {
    match (&args.run, args.json.json) {
        (None, true) => terminal::print_json(&object()),
        (None, false) => terminal::print(&text()),
        (Some(run), as_json) => {
            let runs = RunHistory::open_all(std::slice::from_ref(run), &mut terminal::note)?;
            let history = &runs[0].history;
            match as_json {
                true => terminal::print_json(&json!({ "records": history.records() })),
                false => terminal::print(table::text(history, args.format.delimiter())?.trim_end()),
            }
        }
    }
}

fn object() -> Value {
    let metric = |metric: &Metric| {
        json!({
            "name": pattern(metric),
            "kind": metric.kind.to_string(),
            "shape": metric.shape.to_string(),
            "unit": metric.unit,
            "written": metric.presence.to_string(),
            "meaning": metric.meaning,
        })
    };
    let event = |event: Event| json!({ "name": event.name(), "meaning": event.meaning() });
    let field = |(name, unit, meaning): (&str, &str, &str)| json!({"name": name, "unit": unit, "meaning": meaning});
    json!({
        "fields": FIELDS.map(field),
        "metrics": METRICS.iter().map(metric).collect::<Vec<_>>(),
        "events": Event::ALL.map(event),
    })
}

fn text() -> String {
    let mut lines = Vec::new();
    for (name, unit, meaning) in FIELDS {
        lines.push(format!("{name}  (every record, number, {unit})"));
        lines.extend(wrapped(meaning));
    }
    for metric in METRICS {
        let name = pattern(metric);
        let about = [
            metric.kind.to_string(),
            metric.shape.to_string(),
            metric.unit.to_owned(),
            metric.presence.to_string(),
        ];
        lines.push(format!("{name}  ({})", about.join(", ")));
        lines.extend(wrapped(metric.meaning));
    }
    for event in Event::ALL {
        lines.push(format!("{}  (event)", event.name()));
        lines.extend(wrapped(event.meaning()));
    }
    lines.join("\n")
}

/// Breaks a sentence into indented lines.
fn wrapped(sentence: &str) -> Vec<String> {
    let mut lines = vec![INDENT.to_owned()];
    for word in sentence.split(' ') {
        let line = lines.last_mut().expect("one line at least");
        let begins = line.len() == INDENT.len();
        if begins || line.chars().count() + 1 + word.chars().count() <= WIDTH {
            if !begins {
                line.push(' ');
            }
            line.push_str(word);
        } else {
            lines.push(format!("{INDENT}{word}"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        for line in text().lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }
}
