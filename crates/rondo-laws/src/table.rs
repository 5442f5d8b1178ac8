//! Reads the points of a curve from a table `step,lr,loss`.
//!
//! The table is CSV as in RFC 4180: cells may be quoted. Three variations that other programs write
//! are accepted: lines may end in CR LF, LF or CR; columns may be separated by commas, semicolons
//! or tabs; and the names of the columns may be in capitals.

use csv::{ReaderBuilder, StringRecord};

use crate::curve::Point;
use crate::error::LawError;

const COLUMNS: [&str; 3] = ["step", "lr", "loss"];
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
/// The maximum number of characters of a table that a message quotes.
const SHOWN: usize = 60;
/// Floating-point numbers represent every whole number below this limit, 2⁵³, exactly.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// The points of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The points, with ascending steps.
    pub points: Vec<Point>,
    /// The number of rows that later rows replaced, because the run was resumed at an earlier step.
    pub replaced: usize,
}

/// Reads a table with the columns `step`, `lr` and `loss`, in any order; other columns and empty
/// lines are ignored. `name` is the curve's name, for errors.
///
/// If a row's step is not above the step of the row before, the run was resumed at that step. Such
/// a row replaces all earlier rows from that step on.
///
/// # Errors
/// [`LawError::Table`] for a missing header or column, for a cell that is not a finite number, for
/// an unclosed quote, and for a step that is not a whole number or goes back to the first one.
pub fn read(name: &str, text: &str) -> Result<Table, LawError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let wrong = |offset: usize, problem: String| LawError::Table {
        curve: name.to_owned(),
        line: line(&text, offset),
        problem,
    };
    let (separator, columns) = header(&text).map_err(|(offset, problem)| wrong(offset, problem))?;

    let mut kept: Vec<(usize, Point)> = Vec::new();
    let mut replaced = 0;
    let mut rows = rows(&text, separator).skip(1).peekable();
    while let Some((offset, record)) = rows.next() {
        if rows.peek().is_none() && is_open(&text[offset..], &record) {
            return Err(wrong(offset, "a quote is not closed".to_owned()));
        }
        let point = point(&record, columns).map_err(|problem| wrong(offset, problem))?;
        if let Some((_, first)) = kept.first()
            && point.step <= first.step
        {
            let (step, first) = (point.step, first.step);
            return Err(wrong(
                offset,
                format!(
                    "step {step} goes back to the first, {first}: a table holds one run, in the order of its steps"
                ),
            ));
        }
        while kept.last().is_some_and(|(_, last)| last.step >= point.step) {
            kept.pop();
            replaced += 1;
        }
        kept.push((offset, point));
    }
    for (offset, point) in &kept {
        for (name, value) in [("lr", point.rate), ("loss", point.loss)] {
            if !value.is_finite() {
                let problem = format!("{name}: {value} is not a finite number; remove the line");
                return Err(wrong(*offset, problem));
            }
        }
    }
    Ok(Table {
        points: kept.into_iter().map(|(_, point)| point).collect(),
        replaced,
    })
}

/// Finds the separator, and the column indices of step, lr and loss. As an error, returns the
/// offset of the faulty row in the text, and what is wrong.
fn header(text: &str) -> Result<(u8, [usize; 3]), (usize, String)> {
    let mut wrong = (0, "expected the header step,lr,loss".to_owned());
    for separator in SEPARATORS {
        let Some((offset, record)) = rows(text, separator).next() else {
            break;
        };
        match columns(&record) {
            Ok(columns) => return Ok((separator, columns)),
            // If no separator works, the reported error is the one for the separator that divides
            // the header into columns.
            Err(problem) if separator == SEPARATORS[0] || record.len() > 1 => {
                wrong = (offset, problem);
            }
            Err(_) => {}
        }
    }
    Err(wrong)
}

/// Returns the rows that are not empty, each with its offset in the text.
fn rows(text: &str, separator: u8) -> impl Iterator<Item = (usize, StringRecord)> {
    let reader = ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    // Reading UTF-8 text in memory, with rows of any length, cannot fail.
    reader.into_records().filter_map(|record| {
        let record = record.ok()?;
        let offset = record.position().map_or(0, csv::Position::byte);
        (!record.iter().all(|cell| plain(cell).is_empty())).then_some((offset as usize, record))
    })
}

/// Returns the number of the line on which the row at `offset` begins. Empty lines between the
/// offset and the row are skipped.
fn line(text: &str, offset: usize) -> usize {
    let (before, rest) = text.split_at_checked(offset).unwrap_or((text, ""));
    let row = rest.trim_start_matches('\n');
    let empty = match row.is_empty() {
        true => 0,
        false => rest.len() - row.len(),
    };
    1 + empty + before.matches('\n').count()
}

/// Returns whether the last row extends to the end of the text because a quote is not closed.
fn is_open(rest: &str, record: &StringRecord) -> bool {
    record.iter().any(|cell| cell.contains('\n')) && rest.matches('"').count() % 2 == 1
}

/// Returns a cell without the spaces around it, and without quotes around the rest.
fn plain(cell: &str) -> &str {
    let cell = cell.trim();
    let inner = cell
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.map_or(cell, str::trim)
}

/// Returns the column indices of step, lr and loss in a header.
fn columns(header: &StringRecord) -> Result<[usize; 3], String> {
    let mut places = [0; 3];
    for (place, wanted) in places.iter_mut().zip(COLUMNS) {
        let named = |is: &dyn Fn(&str) -> bool| -> Vec<usize> {
            let names = header.iter().enumerate();
            let found = names.filter(|(_, name)| is(plain(name)));
            found.map(|(place, _)| place).collect()
        };
        let mut found = named(&|name| name == wanted);
        if found.is_empty() {
            found = named(&|name| name.eq_ignore_ascii_case(wanted));
        }
        *place = match found[..] {
            [place] => place,
            [] => {
                let shown: Vec<&str> = header.iter().map(plain).collect();
                let shown = piece(&shown.join(","));
                return Err(format!(
                    "no column `{wanted}` in `{shown}`: the header must name step, lr and loss"
                ));
            }
            _ => return Err(format!("two columns are called `{wanted}`")),
        };
    }
    Ok(places)
}

/// Reads the cells of a row.
fn point(record: &StringRecord, [step, rate, loss]: [usize; 3]) -> Result<Point, String> {
    let cell = |place: usize| plain(record.get(place).unwrap_or_default());
    let number = |place: usize, name: &str| {
        let text = cell(place);
        let number = text.parse::<f64>();
        number.map_err(|_| format!("{name}: expected a number, found `{}`", piece(text)))
    };
    Ok(Point {
        step: whole(cell(step))?,
        rate: number(rate, "lr")?,
        loss: number(loss, "loss")?,
    })
}

/// Reads a step, written as `20`, `20.0` or `2e1`.
fn whole(text: &str) -> Result<u64, String> {
    let exact = text.parse::<u64>().ok();
    let rounded = || {
        let number = text.parse::<f64>().ok()?;
        let is_whole = (0.0..WHOLE).contains(&number) && number.fract() <= 0.0;
        is_whole.then_some(number as u64)
    };
    exact
        .or_else(rounded)
        .ok_or_else(|| format!("step: expected a whole number, found `{}`", piece(text)))
}

/// Returns the beginning of a text, on one line, for a message.
fn piece(text: &str) -> String {
    let mut piece: String = text.chars().take(SHOWN).collect();
    if piece.len() < text.len() {
        piece.push('…');
    }
    piece.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests;
