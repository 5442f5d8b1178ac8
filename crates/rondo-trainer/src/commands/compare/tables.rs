//! The tables of a comparison.

use std::collections::BTreeSet;

use rondo_diagnosis::Verdict;
use rondo_metrics::format::{MISSING, or_missing, significant};

use super::differences::Difference;
use super::grid::{Cell, Column, Grid, Over};
use super::groups::{Group, Subject};
use super::mean::Mean;
use super::row::Row;

/// The table of keys has a column for each of at most this number of subjects. If there are more
/// subjects, it has a row for each.
const MOST_COLUMNS: usize = 4;

const CORRELATION: Over = Over {
    long: "Correlation of hidden states",
    short: "corr",
};

fn number(value: Option<f64>, digits: usize) -> Cell {
    or_missing(value, |value| significant(value, digits)).into()
}

/// Returns the table with the verdict, the steps, the losses and the correlation of each run.
pub(super) fn overview(rows: &[Row]) -> Grid {
    let row = |row: &Row| {
        let two = |value: Option<f64>| or_missing(value, |value| format!("{value:.2}")).into();
        let corr = &row.hidden_state_corr;
        vec![
            row.run.clone().into(),
            Cell::Verdicts(vec![(row.verdict, 1)]),
            row.step.to_string().into(),
            number(row.final_loss, 4),
            number(row.val_loss, 4),
            two(corr.start),
            two(corr.peak),
            two(corr.end),
        ]
    };
    Grid {
        columns: vec![
            Column::words("run"),
            Column::words("verdict"),
            Column::numbers("step"),
            Column::numbers("loss"),
            Column::numbers("val loss"),
            Column::under(CORRELATION, "first"),
            Column::under(CORRELATION, "max"),
            Column::under(CORRELATION, "last"),
        ],
        rows: rows.iter().map(row).collect(),
    }
}

/// Returns the table with the device, the tokens per second and the seconds of each run.
pub(super) fn effort(rows: &[Row]) -> Grid {
    let row = |row: &Row| {
        let cells = row.effort.cells().map(Cell::from);
        std::iter::once(row.run.clone().into())
            .chain(cells)
            .collect()
    };
    Grid {
        columns: vec![
            Column::words("run"),
            Column::words("device"),
            Column::numbers("tokens/s"),
            Column::numbers("seconds"),
        ],
        rows: rows.iter().map(row).collect(),
    }
}

/// Returns the table with the perplexities of each run at its last evaluation.
pub(super) fn perplexities(rows: &[Row]) -> Grid {
    let depths = depths(rows.iter().flat_map(|row| row.perplexity.keys()));
    let row = |row: &Row| {
        let cells = depths
            .iter()
            .map(|depth| number(row.perplexity.get(depth).copied(), 4));
        std::iter::once(row.run.clone().into())
            .chain(cells)
            .collect()
    };
    Grid {
        columns: by_depth("run", &depths),
        rows: rows.iter().map(row).collect(),
    }
}

fn depths<'a>(depths: impl Iterator<Item = &'a usize>) -> BTreeSet<usize> {
    depths.copied().collect()
}

fn by_depth(first: &str, depths: &BTreeSet<usize>) -> Vec<Column> {
    let numbers = depths
        .iter()
        .map(|depth| Column::numbers(&depth.to_string()));
    std::iter::once(Column::words(first))
        .chain(numbers)
        .collect()
}

fn mean(value: Option<Mean>, runs: usize, digits: usize) -> Cell {
    value
        .map_or_else(|| MISSING.to_owned(), |mean| mean.text(runs, digits))
        .into()
}

/// Returns the table with the verdicts and the last values of each subject. The values of a group
/// are means over its runs.
pub(super) fn group_overview(groups: &[Group], rows: &[Row]) -> Grid {
    let row = |group: &Group| {
        vec![
            group.name.clone().into(),
            Cell::Verdicts(verdicts(group, rows)),
            group.n.to_string().into(),
            mean(group.final_loss, group.n, 4),
            mean(group.val_loss, group.n, 4),
            mean(group.hidden_state_corr, group.n, 2),
        ]
    };
    Grid {
        columns: vec![
            Column::words("group"),
            Column::words("verdicts"),
            Column::numbers("n"),
            Column::numbers("loss"),
            Column::numbers("val loss"),
            Column::numbers("last corr"),
        ],
        rows: groups.iter().map(row).collect(),
    }
}

/// Counts the runs of a group for each verdict; the most frequent verdict is first.
fn verdicts(group: &Group, rows: &[Row]) -> Vec<(Verdict, usize)> {
    let mut counts: Vec<(Verdict, usize)> = Vec::new();
    for row in group.members.iter().map(|index| &rows[*index]) {
        match counts
            .iter_mut()
            .find(|(verdict, _)| *verdict == row.verdict)
        {
            Some((_, count)) => *count += 1,
            None => counts.push((row.verdict, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// Returns the table with the device, the tokens per second and the seconds of each subject.
pub(super) fn group_effort(groups: &[Group]) -> Grid {
    let row = |group: &Group| {
        vec![
            group.name.clone().into(),
            devices(group),
            mean(group.tokens_per_second, group.n, 3),
            mean(group.seconds, group.n, 3),
        ]
    };
    Grid {
        columns: vec![
            Column::words("group"),
            Column::words("device"),
            Column::numbers("tokens/s"),
            Column::numbers("seconds"),
        ],
        rows: groups.iter().map(row).collect(),
    }
}

fn devices(group: &Group) -> Cell {
    let devices: Vec<&str> = group.devices.iter().map(String::as_str).collect();
    match devices.is_empty() {
        true => MISSING.to_owned().into(),
        false => devices.join(", ").into(),
    }
}

/// Returns the table with the perplexities of each subject at the last evaluation.
pub(super) fn group_perplexities(groups: &[Group]) -> Grid {
    let depths = depths(groups.iter().flat_map(|group| group.perplexity.keys()));
    let row = |group: &Group| {
        let cells = depths
            .iter()
            .map(|depth| mean(group.perplexity.get(depth).copied(), group.n, 4));
        std::iter::once(group.name.clone().into())
            .chain(cells)
            .collect()
    };
    Grid {
        columns: by_depth("group", &depths),
        rows: groups.iter().map(row).collect(),
    }
}

/// Returns the table of the keys that differ. It has a column for each subject, or a row for each
/// subject if there are more than [`MOST_COLUMNS`].
pub(super) fn keys(subjects: &[Subject], differences: &[Difference]) -> Grid {
    let value = |difference: &Difference, subject: &Subject| -> Cell {
        let mut values: Vec<String> = Vec::new();
        for index in &subject.members {
            let value = difference.values[*index].clone();
            let value = value.unwrap_or_else(|| "not set".to_owned());
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values.join(", ").into()
    };
    if subjects.len() <= MOST_COLUMNS {
        let row = |difference: &Difference| {
            let values = subjects.iter().map(|subject| value(difference, subject));
            std::iter::once(difference.key.clone().into())
                .chain(values)
                .collect()
        };
        let names = subjects.iter().map(|subject| subject.name.as_str());
        return Grid {
            columns: std::iter::once("key")
                .chain(names)
                .map(Column::words)
                .collect(),
            rows: differences.iter().map(row).collect(),
        };
    }
    let row = |subject: &Subject| {
        let values = differences
            .iter()
            .map(|difference| value(difference, subject));
        std::iter::once(subject.name.clone().into())
            .chain(values)
            .collect()
    };
    let names = differences.iter().map(|difference| difference.key.as_str());
    Grid {
        columns: std::iter::once("run")
            .chain(names)
            .map(Column::words)
            .collect(),
        rows: subjects.iter().map(row).collect(),
    }
}
