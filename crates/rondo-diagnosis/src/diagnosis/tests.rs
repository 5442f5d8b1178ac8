//! Tests that read whole runs record by record and check the findings.

#![allow(clippy::unwrap_used, reason = "a refused push must fail the test")]

use rondo_metrics::Value;

use super::*;

/// The losses at depths 1 and 16.
type AtDepths = [f64; 2];

fn train(step: u64, loss: f64, correlation: f64) -> Record {
    let mut draft = Record::train(step, 10 * step);
    draft
        .set(LOSS, loss)
        .set(RECURRENCE, 8.0)
        .set(HIDDEN_STATE_CORR, correlation);
    draft.finish()
}

fn eval(step: u64, [shallow, deep]: AtDepths) -> Record {
    let mut draft = Record::eval(step, 10 * step);
    draft
        .set(VAL_LOSS.at(1), shallow)
        .set(VAL_LOSS.at(16), deep);
    if step == 0 {
        draft.set(VAL_UNIGRAM_CROSS_ENTROPY, 5.9);
    }
    draft.finish()
}

/// Returns the records of a run of 100 steps with an evaluation every 25 steps.
fn run(
    loss: impl Fn(u64) -> f64,
    correlation: impl Fn(u64) -> f64,
    at_depths: impl Fn(f64) -> AtDepths,
) -> Vec<Record> {
    let mut records = vec![eval(0, at_depths(loss(0)))];
    for step in 1..=100 {
        records.push(train(step, loss(step), correlation(step)));
        if step % 25 == 0 {
            records.push(eval(step, at_depths(loss(step))));
        }
    }
    records
}

fn falling(step: u64) -> f64 {
    7.0 - 0.04 * step as f64
}

fn verdict(records: &[Record]) -> (Verdict, Vec<(Failure, u64)>) {
    let diagnosis = Diagnosis::of(&DiagnosisConfig::default(), records);
    let found = diagnosis.findings().iter();
    let found = found.map(|finding| (finding.failure, finding.step));
    (diagnosis.verdict(), found.collect())
}

#[test]
fn a_run_that_gains_from_depth_is_healthy_and_nothing_is_said() {
    let records = run(
        falling,
        |step| 0.9 / step as f64,
        |loss| [1.05 * loss, loss],
    );
    assert_eq!(verdict(&records), (Verdict::Healthy, vec![]));
}

#[test]
fn a_collapsed_run_is_not_one_that_ignores_its_state() {
    let records = run(|_| 6.0, |_| 1.0, |loss| [loss, loss]);
    let expected = vec![(Failure::HiddenStateCollapse, 31)];
    assert_eq!(verdict(&records), (Verdict::HiddenStateCollapse, expected));
}

#[test]
fn a_collapse_that_recovers_into_an_ignored_state_ends_as_the_latter() {
    let correlation = |step| if step <= 40 { 0.99 } else { 0.2 };
    let records = run(falling, correlation, |loss| [loss, loss]);
    let expected = vec![
        (Failure::HiddenStateCollapse, 31),
        (Failure::IgnoredState, 75),
    ];
    assert_eq!(verdict(&records), (Verdict::IgnoredState, expected));
}

#[test]
fn a_loss_that_rises_after_a_spike_is_both() {
    let loss = |step| if step < 40 { 3.0 } else { 5.0 };
    let records = run(loss, |_| 0.1, |loss| [1.05 * loss, loss]);
    let (verdict, found) = verdict(&records);
    assert_eq!(verdict, Verdict::Divergence);
    let failures: Vec<Failure> = found.into_iter().map(|(failure, _)| failure).collect();
    assert_eq!(failures, [Failure::LossSpike, Failure::Divergence]);
}

#[test]
fn the_losses_of_shallow_steps_are_no_rise() {
    let mut records = Vec::new();
    for step in 1..=100 {
        let mut draft = Record::train(step, 10 * step);
        let is_shallow = step > 60;
        let (loss, recurrence) = if is_shallow { (4.0, 1.0) } else { (2.0, 8.0) };
        draft.set(LOSS, loss).set(RECURRENCE, recurrence);
        records.push(draft.finish());
    }
    // The mean recurrence falls to 5.2 by the end, so a recurrence of 1 stays below half of the
    // mean.
    assert_eq!(verdict(&records), (Verdict::Healthy, vec![]));
}

#[test]
fn reading_on_from_any_record_finds_the_same() {
    let correlation = |step| if step <= 40 { 0.99 } else { 0.2 };
    let records = run(falling, correlation, |loss| [loss, loss]);
    let config = DiagnosisConfig::default();
    let whole = Diagnosis::of(&config, &records);
    for cut in 0..records.len() {
        let mut diagnosis = Diagnosis::of(&config, &records[..cut]);
        for record in &records[cut..] {
            diagnosis.observe(record);
        }
        assert_eq!(diagnosis.findings(), whole.findings(), "cut at {cut}");
    }
}

#[test]
fn rows_without_numbers_are_passed_over() {
    let mut null = Record::train(1, 10);
    null.set(LOSS, None).set(HIDDEN_STATE_CORR, None);
    let records = [null.finish(), Record::eval(1, 10).finish()];
    assert_eq!(verdict(&records), (Verdict::Healthy, vec![]));
}

#[test]
fn a_finding_is_told_with_its_evidence() {
    let records = run(|_| 6.0, |_| 1.0, |loss| [loss, loss]);
    let diagnosis = Diagnosis::of(&DiagnosisConfig::default(), &records);
    let record = diagnosis.findings()[0].record(310).unwrap();
    assert_eq!(record.which_event(), Some(Event::HiddenStateCollapse));
    assert_eq!(record.detail("since"), Some(&Value::Number(1.0)));
    let correlation = record.detail(HIDDEN_STATE_CORR.name());
    assert_eq!(correlation, Some(&Value::Number(1.0)));
}
