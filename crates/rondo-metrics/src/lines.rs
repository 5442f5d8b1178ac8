//! Formats evaluations and events as lines of a given width, usually 80. This module has no access
//! to a terminal. Training steps are formatted as rows by [`columns`](crate::columns).

use crate::format::{self, MISSING, or_missing, significant};
use crate::names::{
    TARGET_CROSS_ENTROPY, VAL_ACCURACY, VAL_CROSS_ENTROPY, VAL_PERPLEXITY, VAL_SPARSITY,
};
use crate::record::Record;
use crate::typed::{Eval, PerDepth};
use crate::value::Value;

/// The name of an event's detail that is a size in bytes.
const BYTES: &str = "bytes";
/// The width of the prefix `warning: ` before some events.
const WARNING: usize = 9;

/// Formats an evaluation: step, loss at the mean depth, perplexity per depth. On tasks there is one
/// more line with the accuracy per depth; with gates there is one with the share of kept edges and
/// the target. Successive evaluations of a run are aligned.
pub(crate) fn eval(record: &Record, total_steps: u64, columns: usize) -> Vec<String> {
    let width = total_steps.to_string().len();
    let loss = or_missing(record.get(VAL_CROSS_ENTROPY), |x| significant(x, 4));
    let head = [
        format!("eval {:>width$}", record.step),
        format!("loss {loss:>5}"),
    ];
    let mut lines = per_depth(record, VAL_PERPLEXITY, &head, "ppl", columns);
    let blank = head.map(|part| " ".repeat(part.len()));
    if record.per_depth(VAL_ACCURACY).next().is_some() {
        lines.extend(per_depth(record, VAL_ACCURACY, &blank, "acc", columns));
    }
    if let Some(kept) = record.get(VAL_SPARSITY) {
        let indent = " ".repeat(blank[0].len());
        let target = record.get(TARGET_CROSS_ENTROPY);
        let target = target.map(|x| format!("  target {}", significant(x, 4)));
        lines.push(format!(
            "{indent}  edges kept {}{}",
            significant(kept, 3),
            target.unwrap_or_default()
        ));
    }
    lines
}

/// Lays out a head and one cell per depth. Tries to fit them on one line with narrower spacing.
fn per_depth(
    record: &Record,
    metric: PerDepth<Eval>,
    head: &[String; 2],
    label: &str,
    columns: usize,
) -> Vec<String> {
    let cells: Vec<(usize, String)> = record
        .per_depth(metric)
        .map(|(depth, value)| (depth, or_missing(value, |x| significant(x, 3))))
        .collect();
    let mut lines = Vec::new();
    for (outer, inner) in [("  ", "  "), (" ", "  "), (" ", " ")] {
        let mut line = format!("{}{outer}{}{outer}{label}", head[0], head[1]);
        let indent = line.len();
        lines.clear();
        for (depth, value) in &cells {
            let cell = format!("{inner}{depth}: {value:>4}");
            if line.len() + cell.len() > columns && line.len() > indent {
                lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            }
            line.push_str(&cell);
        }
        lines.push(line);
        if lines.len() == 1 {
            break;
        }
    }
    lines
}

/// Formats an event: step, name, details. Details that do not fit beside the name continue on
/// further lines. A size in bytes is printed with its unit.
pub(crate) fn event(record: &Record, columns: usize) -> String {
    let name = record.event_name().unwrap_or(MISSING);
    let mut line = format!("step {}  {name}", record.step);
    let mut text = String::new();
    for (name, value) in record.details() {
        let detail = match value {
            Value::Number(size) if name == BYTES => format!("  {}", format::bytes(*size as u64)),
            _ => format!("  {name} {}", format::value(value)),
        };
        if WARNING + line.len() + detail.len() > columns {
            text.push_str(&line);
            text.push('\n');
            line = " ".repeat(WARNING);
        }
        line.push_str(&detail);
    }
    text + &line
}

/// Breaks text between words into lines of at most `columns` characters. Continuation lines are
/// indented by 8, the width of the labels printed at the start of a run. A word that is longer than
/// a line is not broken.
pub(crate) fn folded(text: &str, columns: usize) -> String {
    const INDENT: usize = 8;
    let fold = |line: &str| {
        if line.chars().count() <= columns || columns < 2 * INDENT {
            return line.to_owned();
        }
        let mut folded = String::new();
        let mut room = columns;
        // The spaces between words do not change.
        for word in line.split_inclusive(' ') {
            let length = word.trim_end().chars().count();
            if length > room && !folded.trim_start().is_empty() {
                let kept = folded.trim_end_matches(' ').len();
                folded.truncate(kept);
                folded.push('\n');
                folded.push_str(&" ".repeat(INDENT));
                room = columns - INDENT;
            }
            folded.push_str(word);
            room = room.saturating_sub(word.chars().count());
        }
        folded
    };
    text.lines().map(fold).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a refused push must fail the test")]

    use super::*;
    use crate::events::Event;
    use crate::record::Draft;

    fn evaluation(depths: &[usize]) -> Draft<Eval> {
        let mut draft = Record::eval(1280, 0);
        for &depth in depths {
            draft.set(VAL_PERPLEXITY.at(depth), 13.18);
        }
        draft.set(VAL_CROSS_ENTROPY, 2.34);
        draft
    }

    #[test]
    fn an_evaluation_is_one_line_at_the_published_depths() {
        let lines = eval(&evaluation(&[1, 4, 8, 16, 32, 64]).finish(), 20_000, 80);
        assert_eq!(
            lines,
            ["eval  1280 loss 2.340 ppl 1: 13.2 4: 13.2 8: 13.2 16: 13.2 32: 13.2 64: 13.2"]
        );
        let lines = eval(&evaluation(&[1, 4]).finish(), 200, 80);
        assert_eq!(lines, ["eval 1280  loss 2.340  ppl  1: 13.2  4: 13.2"]);
    }

    #[test]
    fn more_depths_than_fit_go_on_below() {
        let depths: Vec<usize> = (1..=12).collect();
        let lines = eval(&evaluation(&depths).finish(), 2000, 80);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() <= 80), "{lines:?}");
        assert!(
            lines[1].starts_with(&" ".repeat("eval 1280 loss 2.340 ppl ".len())),
            "{lines:?}"
        );
    }

    #[test]
    fn accuracy_on_tasks_stands_under_perplexity() {
        let mut draft = evaluation(&[1, 4]);
        draft
            .set(VAL_ACCURACY.at(1), 0.125)
            .set(VAL_ACCURACY.at(4), 1.0);
        assert_eq!(
            eval(&draft.finish(), 2000, 80)[1],
            "                       acc  1: 0.125  4: 1.00"
        );
    }

    #[test]
    fn an_event_tells_its_details_in_lines_that_leave_room_for_a_warning() {
        let mut record = Record::event(400, 0, Event::Checkpoint);
        record.push("path", "checkpoints/step-00000400").unwrap();
        record.push("loss", 2.51234).unwrap();
        record.push("steps", 400_u64).unwrap();
        assert_eq!(
            event(&record, 80),
            "step 400  checkpoint  path checkpoints/step-00000400  loss 2.512\n           steps 400"
        );
    }

    #[test]
    fn a_size_says_its_unit() {
        let mut record = Record::event(150, 0, Event::Checkpoint);
        record.push("bytes", 3_953_334_u64).unwrap();
        assert_eq!(event(&record, 80), "step 150  checkpoint  3.77 MiB");
    }

    #[test]
    fn a_narrow_terminal_has_aligned_depths_and_whole_words() {
        let lines = eval(&evaluation(&[1, 4, 8, 16]).finish(), 300, 40);
        assert_eq!(
            lines,
            [
                "eval 1280 loss 2.340 ppl 1: 13.2 4: 13.2",
                "                         8: 13.2",
                "                         16: 13.2",
            ]
        );
        assert_eq!(
            folded("data    300 steps, 153,600 tokens: 2.1 % of the corpus", 40),
            "data    300 steps, 153,600 tokens: 2.1 %\n        of the corpus"
        );
        assert_eq!(folded("run     runs/main", 40), "run     runs/main");
    }
}
