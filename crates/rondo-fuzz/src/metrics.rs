//! Reads the metrics of a run.

use std::fs;

use rondo_diagnosis::{Diagnosis, DiagnosisConfig};
use rondo_laws::{Curve, Point};
use rondo_metrics::names::{
    HIDDEN_STATE_CORR, LOSS, LR, VAL_ACCURACY_BY_POSITION, VAL_CROSS_ENTROPY, VAL_LOSS,
};
use rondo_metrics::{Evaluation, History, JsonlSink, Kind, Record, Sink};

use crate::scratch;

/// Reads a `metrics.jsonl`, diagnoses its run, and builds a loss curve from it.
///
/// Accepted records, written as lines, must read back to the same text. A resume from the step in
/// the middle must keep exactly the records up to this step.
///
/// # Panics
///
/// Panics if one of these properties does not hold.
pub fn metrics(bytes: &[u8]) {
    let path = scratch::file("metrics.jsonl", bytes);
    let Ok(history) = History::read(&path) else {
        return;
    };
    let records = history.records();
    let again = rewritten(records);
    assert_eq!(lines(again.records()), lines(records));

    let verdict = Diagnosis::of(&DiagnosisConfig::default(), records).verdict();
    let reread = Diagnosis::of(&DiagnosisConfig::default(), again.records()).verdict();
    assert_eq!(verdict, reread);
    for metric in [LOSS, HIDDEN_STATE_CORR] {
        history.series(metric);
    }
    history.last(VAL_CROSS_ENTROPY);
    history.per_depth(VAL_LOSS);
    history.last_series_per_depth(VAL_ACCURACY_BY_POSITION);
    let points: Vec<Point> = history.of(Kind::Train).filter_map(point).collect();
    let _ = Curve::new("input", 0, &points);

    let middle = history.last_step() / 2;
    let (_, cut) = JsonlSink::open_for_resume(&path, middle, Evaluation::Stands)
        .expect("a file that was read");
    let kept = History::read(&path).expect("what a resume leaves");
    assert_eq!(kept.records().len(), cut.kept);
    assert_eq!(cut.kept + cut.dropped, records.len());
    assert!(cut.kept == 0 || kept.last_step() <= middle);
}

fn point(record: &Record) -> Option<Point> {
    Some(Point {
        step: record.step,
        rate: record.get(LR)?,
        loss: record.get(LOSS)?,
    })
}

/// Returns the records as text, because NaN values are equal as text.
fn lines(records: &[Record]) -> Vec<String> {
    let line = |record| serde_json::to_string(record).expect("a record has a form in JSON");
    records.iter().map(line).collect()
}

fn rewritten(records: &[Record]) -> History {
    let path = scratch::path("again.jsonl");
    // The sink refuses to replace a file, and the previous input has left one.
    let _ = fs::remove_file(&path);
    let mut sink = JsonlSink::create(&path).expect("a new file");
    for record in records {
        sink.write(record).expect("a temporary folder takes files");
    }
    History::read(&path).expect("what was written")
}
