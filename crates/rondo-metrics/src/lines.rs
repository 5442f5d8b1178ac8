//! Records as lines of at most 80 columns: pure text, no terminal.

use crate::format::{self, MISSING, or_missing, significant};
use crate::names::{
    GRAD_NORM, HIDDEN_STATE_CORR, LOSS, LR, NUM_STEPS_NO_GRAD, NUM_STEPS_WITH_GRAD,
    REGULARISATION_STRENGTH, SPARSITY, TARGET_CROSS_ENTROPY, TOKENS_PER_SECOND, VAL_ACCURACY,
    VAL_CROSS_ENTROPY, VAL_PERPLEXITY, VAL_SPARSITY,
};
use crate::record::Record;
use crate::typed::{Eval, PerDepth};

/// The widest line of numbers.
const COLUMNS: usize = 80;
/// Columns of what may stand before an event: `warning: `.
const WARNING: usize = 9;

/// Tells a training step: step, loss, learning rate, gradient norm, depth as n+k, correlation, the edges
/// that gates keep and the strength of their penalty where there are any, rate, and the time left. Where
/// that is too wide the spaces shrink, then the learning rate goes, then the norm.
pub(crate) fn train(record: &Record, total_steps: u64, eta: Option<f64>) -> String {
    let depth = match (
        record.get(NUM_STEPS_NO_GRAD),
        record.get(NUM_STEPS_WITH_GRAD),
    ) {
        (Some(n), Some(k)) => format!("{n}+{k}"),
        _ => MISSING.to_owned(),
    };
    let mut fields = vec![
        format!("{}/{total_steps}", record.step),
        format!(
            "loss {}",
            or_missing(record.get(LOSS), |x| significant(x, 4))
        ),
        format!("lr {}", or_missing(record.get(LR), format::learning_rate)),
        format!(
            "|g| {}",
            or_missing(record.get(GRAD_NORM), |x| significant(x, 2))
        ),
        format!("r {depth}"),
        format!(
            "corr {}",
            or_missing(record.get(HIDDEN_STATE_CORR), |x| format!("{x:.2}"))
        ),
    ];
    if let Some(kept) = record.get(SPARSITY) {
        fields.push(format!("edges {}", significant(kept, 2)));
    }
    if let Some(strength) = record.get(REGULARISATION_STRENGTH) {
        fields.push(format!("R {}", significant(strength, 2)));
    }
    fields.extend([
        or_missing(record.get(TOKENS_PER_SECOND), |x| format::rate(x, "tok")),
        format!("eta {}", or_missing(eta, format::duration)),
    ]);
    // All but the learning rate and the norm stay.
    let least = fields.len() - 2;
    let wide = fields.join("  ");
    if wide.len() <= COLUMNS {
        return wide;
    }
    let mut narrow = fields.join(" ");
    while narrow.len() > COLUMNS && fields.len() > least {
        fields.remove(2);
        narrow = fields.join(" ");
    }
    narrow
}

/// Tells an evaluation: step, loss at the mean depth, perplexity per depth. On tasks there is a line with
/// the accuracy per depth, with gates one with the edges they keep and the target. Successive
/// evaluations of a run align.
pub(crate) fn eval(record: &Record, total_steps: u64) -> Vec<String> {
    let width = total_steps.to_string().len();
    let loss = or_missing(record.get(VAL_CROSS_ENTROPY), |x| significant(x, 4));
    let head = [
        format!("eval {:>width$}", record.step),
        format!("loss {loss:>5}"),
    ];
    let mut lines = per_depth(record, VAL_PERPLEXITY, &head, "ppl");
    let blank = head.map(|part| " ".repeat(part.len()));
    if record.per_depth(VAL_ACCURACY).next().is_some() {
        lines.extend(per_depth(record, VAL_ACCURACY, &blank, "acc"));
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

/// Lays out a head and one cell per depth, on one line if any spacing allows it.
fn per_depth(
    record: &Record,
    metric: PerDepth<Eval>,
    head: &[String; 2],
    label: &str,
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
            if line.len() + cell.len() > COLUMNS && line.len() > indent {
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

/// Tells an event: step, name, details; those that do not fit beside the name stand below it.
pub(crate) fn event(record: &Record) -> String {
    let name = record.event_name().unwrap_or(MISSING);
    let mut line = format!("step {}  {name}", record.step);
    let mut text = String::new();
    for (name, value) in record.details() {
        let detail = format!("  {name} {}", format::value(value));
        if WARNING + line.len() + detail.len() > COLUMNS {
            text.push_str(&line);
            text.push('\n');
            line = " ".repeat(WARNING);
        }
        line.push_str(&detail);
    }
    text + &line
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a refused push must fail the test")]

    use super::*;
    use crate::events::Event;
    use crate::record::Draft;

    fn step(step: u64) -> Record {
        let mut draft = Record::train(step, 8 * step);
        for (metric, value) in [
            (LOSS, 3.41159),
            (LR, 4e-5),
            (GRAD_NORM, 0.98),
            (NUM_STEPS_NO_GRAD, 24.0),
            (NUM_STEPS_WITH_GRAD, 8.0),
            (HIDDEN_STATE_CORR, 0.231),
            (TOKENS_PER_SECOND, 12_345.0),
        ] {
            draft.set(metric, value);
        }
        draft.finish()
    }

    fn evaluation(depths: &[usize]) -> Draft<Eval> {
        let mut draft = Record::eval(1280, 0);
        for &depth in depths {
            draft.set(VAL_PERPLEXITY.at(depth), 13.18);
        }
        draft.set(VAL_CROSS_ENTROPY, 2.34);
        draft
    }

    #[test]
    fn fields_stand_apart_where_there_is_room() {
        assert_eq!(
            train(&step(150), 200, Some(9.0)),
            "150/200 loss 3.412 lr 4.0e-5 |g| 0.98 r 24+8 corr 0.23 12.3k tok/s eta 9.0s"
        );
        let mut draft = Record::train(1, 8);
        draft.set(LOSS, f64::NAN);
        assert_eq!(
            train(&draft.finish(), 9, None),
            "1/9  loss NaN  lr n/a  |g| n/a  r n/a  corr n/a  n/a  eta n/a"
        );
    }

    #[test]
    fn a_long_run_keeps_every_field_in_eighty_columns() {
        let line = train(&step(1280), 20_000, Some(3725.0));
        assert_eq!(
            line,
            "1280/20000 loss 3.412 lr 4.0e-5 |g| 0.98 r 24+8 corr 0.23 12.3k tok/s eta 1h 02m"
        );
        assert_eq!(line.len(), 80);
    }

    #[test]
    fn a_longer_run_drops_the_rate_before_anything_else() {
        let line = train(&step(128_000), 200_000, Some(3725.0));
        assert_eq!(
            line,
            "128000/200000 loss 3.412 |g| 0.98 r 24+8 corr 0.23 12.3k tok/s eta 1h 02m"
        );
    }

    #[test]
    fn an_evaluation_is_one_line_at_the_published_depths() {
        let lines = eval(&evaluation(&[1, 4, 8, 16, 32, 64]).finish(), 20_000);
        assert_eq!(
            lines,
            ["eval  1280 loss 2.340 ppl 1: 13.2 4: 13.2 8: 13.2 16: 13.2 32: 13.2 64: 13.2"]
        );
        let lines = eval(&evaluation(&[1, 4]).finish(), 200);
        assert_eq!(lines, ["eval 1280  loss 2.340  ppl  1: 13.2  4: 13.2"]);
    }

    #[test]
    fn more_depths_than_fit_go_on_below() {
        let depths: Vec<usize> = (1..=12).collect();
        let lines = eval(&evaluation(&depths).finish(), 2000);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() <= COLUMNS), "{lines:?}");
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
            eval(&draft.finish(), 2000)[1],
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
            event(&record),
            "step 400  checkpoint  path checkpoints/step-00000400  loss 2.512\n           steps 400"
        );
    }
}
