//! Prints the metrics of a run as one table, for pandas and spreadsheets.
//!
//! Each row is a record, and each column is a metric. A cell is empty if the record lacks the
//! metric. A metric that is a series has a column for each of its values, counted from 1:
//! `iterations.residual[1]`. A text with line ends is quoted, so it stays in one cell. Values that
//! are not finite are written as `NaN`, `inf` and `-inf`, which pandas can read.

use std::collections::BTreeMap;

use anyhow::Context;
use rondo_metrics::{History, Record, Value};
use rondo_train::error::Result;

/// The columns that every record has.
const FIELDS: [&str; 4] = ["step", "tokens", "time", "kind"];

/// Returns the table as text, with `delimiter` between values.
///
/// # Errors
///
/// In practice none occurs, because the table is written to memory.
pub(super) fn text(history: &History, delimiter: u8) -> Result<String> {
    let columns = columns(history.records());
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .from_writer(Vec::new());
    let names = columns.iter().flat_map(|(name, width)| match width {
        None => vec![name.clone()],
        Some(width) => (1..=*width)
            .map(|place| format!("{name}[{place}]"))
            .collect(),
    });
    let header: Vec<String> = FIELDS.map(str::to_owned).into_iter().chain(names).collect();
    writer.write_record(&header).context("a table in memory")?;
    for record in history.records() {
        writer
            .write_record(row(record, &columns))
            .context("a table in memory")?;
    }
    let bytes = writer.into_inner().context("a table in memory")?;
    Ok(String::from_utf8(bytes).context("names are text")?)
}

/// Returns every metric, in the order of its first record. The metric of a series has the length of
/// its longest series.
fn columns(records: &[Record]) -> Vec<(String, Option<usize>)> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut columns: Vec<(String, Option<usize>)> = Vec::new();
    for (name, value) in records.iter().flat_map(|record| record.metrics.iter()) {
        let place = *places.entry(name).or_insert_with(|| {
            columns.push((name.to_owned(), None));
            columns.len() - 1
        });
        if let Value::Series(values) = value {
            let width = &mut columns[place].1;
            *width = Some(width.unwrap_or(1).max(values.len()));
        }
    }
    columns
}

fn row(record: &Record, columns: &[(String, Option<usize>)]) -> Vec<String> {
    let mut cells = vec![
        record.step.to_string(),
        record.tokens.to_string(),
        record.time.map(number).unwrap_or_default(),
        record.kind.to_string(),
    ];
    for (name, width) in columns {
        let width = width.unwrap_or(1);
        let mut own = match record
            .metrics
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value)
        {
            Some(Value::Number(value)) => vec![number(*value)],
            Some(Value::Text(text)) => vec![text.clone()],
            Some(Value::Series(values)) => {
                let cell = |value: &Option<f64>| value.map(number).unwrap_or_default();
                values.iter().map(cell).collect()
            }
            Some(Value::Null) | None => Vec::new(),
        };
        own.resize(width, String::new());
        cells.extend(own);
    }
    cells
}

fn number(value: f64) -> String {
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use rondo_metrics::names::{ITERATIONS_RESIDUAL, LOSS, VAL_LOSS};
    use rondo_metrics::{Event, Sample};

    use super::*;

    #[test]
    fn records_are_rows_and_metrics_are_columns() {
        let mut train = Record::train(1, 8);
        train
            .set(LOSS, 2.5)
            .set(ITERATIONS_RESIDUAL, vec![Some(1.0), None]);
        let mut eval = Record::eval(1, 8);
        eval.set(VAL_LOSS.at(4), f64::NAN);
        let mut event = Record::event(2, 16, Event::Checkpoint);
        event.push("path", "a, b").expect("a new name");
        let sample = Sample {
            prompt: "To be".to_owned(),
            texts: vec![(4, ",\n\"or\"".to_owned())],
        };
        let sample = sample.record(2, 16).expect("one depth");
        let history = History::new(vec![
            train.finish().at_time(0.5),
            eval.finish(),
            event,
            sample,
        ]);
        assert_eq!(
            text(&history, b',').expect("a table"),
            "step,tokens,time,kind,loss,iterations.residual[1],iterations.residual[2],val_loss@4,event,path,prompt,text@4\n\
             1,8,0.5,train,2.5,1,,,,,,\n\
             1,8,,eval,,,,NaN,,,,\n\
             2,16,,event,,,,,checkpoint,\"a, b\",,\n\
             2,16,,event,,,,,sample,,To be,\",\n\"\"or\"\"\"\n"
        );
    }
}
