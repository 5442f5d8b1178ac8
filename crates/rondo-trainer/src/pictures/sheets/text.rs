//! Prints a sheet as text: its cells, and a summary of each arm.

use std::collections::BTreeMap;

use rondo_figures::{FieldSheet, SheetCell, SheetRow};
use rondo_metrics::Table;
use rondo_metrics::format::{MISSING, significant};

/// The assumed width of a terminal, in columns.
const WIDTH: usize = 80;

/// Returns the cells in rows and columns, or in a list if they are too wide. The failed runs and
/// the best mean of each arm follow.
pub(crate) fn text(sheet: &FieldSheet) -> String {
    let grid = grid(sheet).to_string();
    let cells = match grid.lines().all(|line| line.chars().count() <= WIDTH) {
        true => grid,
        false => list(sheet).to_string(),
    };
    let failed = sheet.rows.iter().any(|row| row.failed().1 > 0);
    let over = match failed {
        true => "mean ± standard deviation over seeds, failed ones too (failed/all)",
        false => "mean ± standard deviation over seeds",
    };
    format!(
        "{}\n{over}\n\n{cells}\n\n{}{}",
        sheet.quantity,
        arms(sheet),
        failures(sheet)
    )
}

fn grid(sheet: &FieldSheet) -> Table {
    let mut header = vec!["arm"];
    header.extend(sheet.columns.iter().map(|name| match name.as_str() {
        "" => "all",
        name => name,
    }));
    let mut table = Table::new(&header).left(0);
    for row in &sheet.rows {
        table.row(std::iter::once(row.name.clone()).chain(row.cells.iter().map(cell)));
    }
    table
}

fn list(sheet: &FieldSheet) -> Table {
    let mut table = Table::new(&["arm", "condition", "value"]).left(0).left(1);
    for row in &sheet.rows {
        for (column, one) in sheet.columns.iter().zip(&row.cells) {
            table.row([row.name.clone(), column.clone(), cell(one)]);
        }
    }
    table
}

/// Formats a cell, for example as `1.583 ± 0.012`. The number of failed runs is added if it is not
/// 0.
fn cell(cell: &SheetCell) -> String {
    let text = match (cell.mean, cell.deviation) {
        (None, _) => MISSING.to_owned(),
        (Some(mean), None) => significant(mean, 4),
        (Some(mean), Some(deviation)) => {
            format!("{} ± {}", significant(mean, 4), significant(deviation, 2))
        }
    };
    match cell.failed() {
        0 => text,
        failed => format!("{text} ({failed}/{})", cell.dots.len()),
    }
}

/// Returns a table with a row for each arm: the number of runs, the number of failed runs, and the
/// best mean.
fn arms(sheet: &FieldSheet) -> Table {
    let mut table = Table::new(&["arm", "runs", "failed", "best mean", "at"]);
    table = table.left(0).left(4);
    for row in &sheet.rows {
        let (runs, failed) = row.failed();
        let best = row.best(sheet.better);
        table.row([
            row.name.clone(),
            runs.to_string(),
            failed.to_string(),
            best.map_or_else(|| MISSING.to_owned(), |(_, mean)| significant(mean, 4)),
            best.map_or_else(String::new, |(column, _)| sheet.columns[column].clone()),
        ]);
    }
    table
}

/// Returns the failures of each arm that has failed runs, one line for each arm.
fn failures(sheet: &FieldSheet) -> String {
    let arms = sheet.rows.iter().filter(|row| row.failed().1 > 0);
    let lines = arms.map(|row| format!("\n{}: {}", row.name, words(row)));
    let lines: String = lines.collect();
    match lines.is_empty() {
        true => lines,
        false => format!("\n\nfailed, by the detector or by an error{lines}"),
    }
}

/// Counts the failures of an arm's runs in words: `2 divergence`.
fn words(row: &SheetRow) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for word in row.runs().into_values().flatten() {
        *counts.entry(word).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use rondo_figures::{Better, SheetDot};

    use super::*;

    fn row(name: &str, columns: usize) -> SheetRow {
        let dot = |seed: u64, failure: Option<&str>| SheetDot {
            run: format!("{failure:?},seed={seed}"),
            seed,
            value: 1.5,
            failure: failure.map(str::to_owned),
        };
        let sound = SheetCell {
            dots: vec![dot(0, None), dot(1, None)],
            mean: Some(1.5),
            deviation: Some(0.125),
        };
        let failing = SheetCell {
            dots: vec![dot(0, Some("divergence")), dot(2, None)],
            mean: Some(1.75),
            deviation: None,
        };
        let mut cells = vec![sound; columns - 1];
        cells.push(failing);
        SheetRow {
            name: name.to_owned(),
            cells,
        }
    }

    fn sheet(columns: usize) -> FieldSheet {
        FieldSheet {
            quantity: "val_loss (nat/token)".to_owned(),
            better: Better::Lower,
            columns: (0..columns)
                .map(|column| format!("peak=0.{column}"))
                .collect(),
            rows: vec![row("linear", columns), row("history", columns)],
        }
    }

    #[test]
    fn cells_stand_in_rows_and_columns_with_the_share_that_has_failed() {
        let shown = text(&sheet(2));
        let line = |start: &str| shown.lines().find(|line| line.starts_with(start));
        let words: Vec<&str> = line("linear").expect("a row").split_whitespace().collect();
        assert_eq!(words, ["linear", "1.500", "±", "0.12", "1.750", "(1/2)"]);
        let mut from_the_end = shown.lines().rev();
        let arm = from_the_end.find(|line| line.starts_with("linear "));
        let words: Vec<&str> = arm.expect("an arm").split_whitespace().collect();
        assert_eq!(words, ["linear", "4", "1", "1.500", "peak=0.0"]);
        assert!(
            shown.ends_with("linear: 1 divergence\nhistory: 1 divergence"),
            "{shown}"
        );
    }

    #[test]
    fn many_columns_are_listed_within_eighty() {
        for columns in [2, 3, 9] {
            let shown = text(&sheet(columns));
            let widest = shown.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(WIDTH), "{shown}");
        }
        assert!(text(&sheet(9)).contains("condition"));
    }
}
