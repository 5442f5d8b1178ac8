//! Formats training steps as rows of a table with named columns at fixed positions.

use crate::format::{self, MISSING, or_missing, significant};
use crate::names::{
    GRAD_NORM, HIDDEN_STATE_CORR, LOSS, LR, NUM_STEPS_NO_GRAD, NUM_STEPS_WITH_GRAD,
    REGULARISATION_STRENGTH, SPARSITY, TOKENS_PER_SECOND,
};
use crate::record::Record;

/// The text shown in place of the time left when no step is left.
const NONE_LEFT: &str = "-";

/// A column: its name, its width in characters, and the order of its removal from narrow terminals.
#[derive(Clone, Copy)]
struct Column {
    name: &'static str,
    width: usize,
    /// The order of removal: the column with the highest number is removed first, and a column with
    /// 0 is never removed.
    gives_way: u8,
}

const fn column(name: &'static str, width: usize, gives_way: u8) -> Column {
    Column {
        name,
        width,
        gives_way,
    }
}

/// Formats the names of the columns, aligned with the rows.
pub(crate) fn header(record: &Record, total_steps: u64, columns: usize) -> String {
    laid_out(record, total_steps, None, columns, |column, _| {
        column.name.to_owned()
    })
}

/// Formats a training step: step, loss, learning rate, gradient norm, depth as n+k, correlation of
/// hidden states, tokens per second, and the time left. If the layers have gates, the row also has
/// the share of edges that the gates keep and the strength of their penalty. If there is not enough
/// room, columns are removed in the order of [`Column::gives_way`]: learning rate and gradient norm
/// first.
pub(crate) fn row(record: &Record, total_steps: u64, eta: Option<f64>, columns: usize) -> String {
    laid_out(record, total_steps, eta, columns, |_, cell| cell)
}

fn laid_out(
    record: &Record,
    total_steps: u64,
    eta: Option<f64>,
    columns: usize,
    show: impl Fn(Column, String) -> String,
) -> String {
    let mut cells = cells(record, total_steps, eta);
    let wide = |cells: &[(Column, String)]| {
        let sum: usize = cells.iter().map(|(column, _)| column.width + 2).sum();
        sum - 2
    };
    while wide(&cells) > columns {
        let first = cells
            .iter()
            .enumerate()
            .max_by_key(|(_, (column, _))| column.gives_way);
        match first.map(|(index, (column, _))| (index, column.gives_way)) {
            None | Some((_, 0)) => break,
            Some((index, _)) => drop(cells.remove(index)),
        }
    }
    let shown = cells.into_iter().map(|(column, cell)| {
        let width = column.width;
        format!("{:>width$}", show(column, cell))
    });
    shown.collect::<Vec<_>>().join("  ")
}

fn cells(record: &Record, total_steps: u64, eta: Option<f64>) -> Vec<(Column, String)> {
    let digits = total_steps.to_string().len();
    let depth = match (
        record.get(NUM_STEPS_NO_GRAD),
        record.get(NUM_STEPS_WITH_GRAD),
    ) {
        (Some(n), Some(k)) => format!("{n}+{k}"),
        _ => MISSING.to_owned(),
    };
    let number = |value, digits| or_missing(value, |x| significant(x, digits));
    let mut cells = vec![
        (
            column("step", (2 * digits + 1).max(4), 0),
            format!("{}/{total_steps}", record.step),
        ),
        (column("loss", 6, 0), number(record.get(LOSS), 4)),
        (
            column("lr", 6, 6),
            or_missing(record.get(LR), format::learning_rate),
        ),
        (column("|g|", 5, 5), number(record.get(GRAD_NORM), 2)),
        (column("r", 5, 0), depth),
        (
            column("corr", 5, 1),
            or_missing(record.get(HIDDEN_STATE_CORR), |x| format!("{x:.2}")),
        ),
    ];
    if let Some(kept) = record.get(SPARSITY) {
        cells.push((column("edges", 6, 2), significant(kept, 2)));
    }
    if let Some(strength) = record.get(REGULARISATION_STRENGTH) {
        cells.push((column("R", 5, 3), significant(strength, 2)));
    }
    let left = match record.step >= total_steps {
        true => NONE_LEFT.to_owned(),
        false => or_missing(eta, format::duration),
    };
    cells.extend([
        (
            column("tok/s", 5, 4),
            or_missing(record.get(TOKENS_PER_SECOND), format::short),
        ),
        (column("eta", 6, 0), left),
    ]);
    cells
}

/// Explains the column names that are not obvious, and which steps have a row. A terminal shows the
/// newest step; any other output has at most one row per `pace` seconds. `metrics.jsonl` has a
/// record every `log_every` steps.
pub(crate) fn legend(is_live: bool, pace: u64, log_every: u64) -> [String; 3] {
    let logged = match log_every {
        1 => "every step is in metrics.jsonl".to_owned(),
        n => format!("every {n} steps one is in metrics.jsonl"),
    };
    let shown = match is_live {
        true => "the newest row stays".to_owned(),
        false => format!("a row every {pace} s at most"),
    };
    [
        "columns |g| norm of the gradient; r iterations without + with gradient;".to_owned(),
        "        corr correlation of the tokens' states (1: all are one);".to_owned(),
        format!("        {shown}, and {logged}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn rows_stand_under_the_names_of_their_columns() {
        let mut bare = Record::train(1, 8);
        bare.set(LOSS, f64::NAN);
        let lines = [
            header(&step(150), 200, 80),
            row(&step(150), 200, Some(9.0), 80),
            row(&step(200), 200, Some(0.0), 80),
            row(&bare.finish(), 200, None, 80),
        ];
        assert_eq!(
            lines,
            [
                "   step    loss      lr    |g|      r   corr  tok/s     eta",
                "150/200   3.412  4.0e-5   0.98   24+8   0.23  12.3k    9.0s",
                "200/200   3.412  4.0e-5   0.98   24+8   0.23  12.3k       -",
                "  1/200     NaN     n/a    n/a    n/a    n/a    n/a     n/a",
            ]
        );
    }

    #[test]
    fn a_long_run_with_gates_fits_eighty_columns() {
        let mut draft = Record::train(128_000, 8);
        draft.set(LOSS, 3.4).set(SPARSITY, 0.001_25);
        draft.set(REGULARISATION_STRENGTH, 445.0);
        let record = draft.finish();
        let line = row(&record, 200_000, Some(3725.0), 80);
        assert_eq!(
            line,
            "128000/200000   3.400     n/a    n/a    n/a    n/a  0.0013    445    n/a  1h 02m"
        );
        assert_eq!(line.len(), 80);
        assert_eq!(header(&record, 200_000, 80).len(), 80);
    }

    #[test]
    fn forty_columns_have_step_loss_depth_correlation_and_time() {
        let (head, line) = (
            header(&step(150), 300, 40),
            row(&step(150), 300, Some(72.0), 40),
        );
        assert_eq!(head, "   step    loss      r   corr     eta");
        assert_eq!(line, "150/300   3.412   24+8   0.23  1m 12s");
    }

    #[test]
    fn the_legend_fits_eighty_columns() {
        for line in [legend(true, 2, 4), legend(false, 2, 100_000)].concat() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
