#![allow(
    clippy::unwrap_used,
    reason = "a record without its parts must fail the test"
)]

use std::time::Duration;

use rondo_metrics::names::{
    HIDDEN_STATE_CORR, LOSS, LR, NUM_STEPS_NO_GRAD, NUM_STEPS_WITH_GRAD, RECURRENCE, STEP_SECONDS,
    TOKENS_PER_SECOND, VAL_CROSS_ENTROPY, VAL_LOSS, VAL_PERPLEXITY,
};
use rondo_metrics::{Event, Record};

use super::seen::EVENTS;
use super::*;

/// Returns the record of a training step with a loss of `5 - step/100` and with `8 + step mod 5` +
/// 4 iterations. Each step takes two seconds.
pub(crate) fn step(step: u64, correlation: f64) -> Record {
    let mut draft = Record::train(step, 8 * step);
    let n = 8.0 + (step % 5) as f64;
    draft
        .set(LOSS, 5.0 - step as f64 / 100.0)
        .set(LR, 2e-3)
        .set(HIDDEN_STATE_CORR, correlation)
        .set(TOKENS_PER_SECOND, 2222.0)
        .set(STEP_SECONDS, 2.0)
        .set(NUM_STEPS_NO_GRAD, n)
        .set(NUM_STEPS_WITH_GRAD, 4.0)
        .set(RECURRENCE, n + 4.0);
    draft.finish().at_time(2.0 * step as f64)
}

/// Returns the record of an evaluation at depths 1, 4 and 16.
pub(crate) fn evaluation(step: u64, perplexities: [f64; 3]) -> Record {
    let mut draft = Record::eval(step, 8 * step);
    for (depth, perplexity) in [1, 4, 16].into_iter().zip(perplexities) {
        draft
            .set(VAL_LOSS.at(depth), perplexity.ln())
            .set(VAL_PERPLEXITY.at(depth), perplexity);
    }
    draft.set(VAL_CROSS_ENTROPY, perplexities[1].ln());
    draft.finish().at_time(2.0 * step as f64)
}

/// Returns an update with these records, for a run that has this number of steps.
pub(crate) fn update(steps: u64, records: Vec<Record>) -> Update {
    Update {
        plan: Some(Plan {
            steps: Some(steps),
            ..Plan::default()
        }),
        records,
        condition: Condition::Reading,
        modified: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1000)),
        ..Update::default()
    }
}

/// Returns a run of 300 steps after the first 100. Every step is logged, and there are evaluations
/// at steps 0 and 100.
pub(crate) fn run(name: &str, correlation: f64) -> Run {
    let mut run = Run::new(name, Path::new("runs").join(name).as_path());
    let mut records = vec![evaluation(0, [299.0, 287.0, 283.0])];
    records.extend((1..=100).map(|at| step(at, correlation)));
    records.push(evaluation(100, [13.0, 11.8, 11.8]));
    let mut saved = Record::event(100, 800, Event::Checkpoint);
    saved.push("path", "checkpoints/step-00000100").unwrap();
    records.push(saved);
    run.apply(update(300, records));
    run
}

#[test]
fn what_the_records_say_is_known() {
    let run = run("main", 0.3);
    assert_eq!((run.step(), run.stage()), (100, Stage::Training));
    assert_eq!(run.verdict(), Verdict::Healthy);
    assert_eq!(run.loss().last(), Some(4.0));
    assert_eq!(run.drawn(), Some((8.0, 4.0)));
    // 200 steps remain, of two seconds each.
    assert_eq!(run.seconds_left(), Some(400.0));
    let perplexities: Vec<_> = run
        .perplexity()
        .iter()
        .map(|(r, s)| (*r, s.last()))
        .collect();
    assert_eq!(
        perplexities,
        [(1, Some(13.0)), (4, Some(11.8)), (16, Some(11.8))]
    );
    let happening = run.happenings().next().unwrap();
    assert_eq!(happening.text, "checkpoint  path checkpoints/step-00000100");
    assert!(!happening.is_warning);
}

#[test]
fn a_collapse_is_found_in_the_records_and_has_a_cure() {
    let run = run("bad", 0.99);
    assert_eq!(run.verdict(), Verdict::HiddenStateCollapse);
    let finding = run.finding().unwrap();
    assert_eq!(finding.since, 1);
    assert!(finding.failure.cure().contains("schedule.peak"));
}

#[test]
fn a_run_ends_at_its_last_step_or_where_it_says_so_until_it_goes_on() {
    let mut run = run("main", 0.3);
    run.apply(update(300, vec![Record::event(100, 800, Event::Stopped)]));
    assert_eq!(run.stage(), Stage::Stopped);
    run.apply(update(
        300,
        vec![Record::event(100, 800, Event::Resume), step(101, 0.3)],
    ));
    assert_eq!(run.stage(), Stage::Training);
    run.apply(update(300, vec![step(300, 0.3)]));
    assert_eq!(
        (run.stage(), run.seconds_left()),
        (Stage::Finished, Some(0.0))
    );
}

#[test]
fn a_run_that_is_rewritten_is_known_by_its_new_records_alone() {
    let mut run = run("main", 0.99);
    run.apply(Update {
        restarted: true,
        ..update(300, vec![step(1, 0.1)])
    });
    assert_eq!((run.step(), run.verdict()), (1, Verdict::Healthy));
    assert_eq!(run.perplexity().len(), 0);
}

#[test]
fn silence_counts_from_a_minute_on_and_only_while_a_run_trains() {
    let mut run = run("main", 0.3);
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    // Each step takes two seconds, so twenty times the mean time between records is less than a
    // minute.
    assert_eq!(run.silence(at(1059)), None);
    assert_eq!(run.silence(at(1090)), Some(90.0));
    assert_eq!(
        run.silence(at(900)),
        None,
        "another machine's clock is ahead"
    );
    run.apply(update(300, vec![step(300, 0.3)]));
    assert_eq!(run.silence(at(9000)), None);
}

#[test]
fn runs_of_one_name_are_told_by_their_paths() {
    let dirs = ["a/main", "b/main", "b/other"].map(PathBuf::from);
    let names: Vec<String> = Run::all(&dirs)
        .iter()
        .map(|run| run.name().to_owned())
        .collect();
    assert_eq!(names, ["a/main", "b/main", "other"]);
}

#[test]
fn frequent_events_are_left_out_and_old_ones_make_room() {
    let mut run = Run::new("main", Path::new("main"));
    let mut records = vec![Record::event(1, 8, Event::DepthClamped)];
    records.extend((0..=EVENTS as u64).map(|step| Record::event(step, 8, Event::LossSpike)));
    run.apply(update(300, records));
    assert_eq!(run.happenings().count(), EVENTS);
    assert_eq!(run.happenings().last().unwrap().step, 1);
}
