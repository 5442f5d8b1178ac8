//! Tests of event files: each test writes a file and reads it back.

#![allow(clippy::unwrap_used, reason = "a failed write must fail the test")]

mod reader;

use std::fs::OpenOptions;

use tensorboard_rs::summary_writer::SummaryWriter;

use self::reader::{Field, Fields, Found, payloads, values};
use super::*;
use crate::names::{
    ITERATIONS_RESIDUAL, LOSS, SPARSITY, VAL_CROSS_ENTROPY, VAL_LOSS, VAL_PERPLEXITY, VAL_SPARSITY,
};

fn about() -> About {
    let parameter = |key: &str, value| (key.to_owned(), value);
    About {
        parameters: vec![
            parameter("schedule.peak", Parameter::Number(0.004)),
            parameter("optimizer.kind", Parameter::Words("muon".to_owned())),
            parameter("train.clip", Parameter::Switch(false)),
        ],
        configuration: "[schedule]\npeak = 4e-3\n".to_owned(),
        last_step: 8,
    }
}

fn open(directory: &Path, resumed_from: Option<u64>) -> TensorboardSink {
    TensorboardSink::open(directory, &about(), resumed_from)
}

/// Returns the only event file in a directory.
fn only_file(directory: &Path) -> PathBuf {
    let files = event_files(directory).unwrap();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

fn trained(step: u64) -> Record {
    let mut draft = Record::train(step, 8 * step);
    draft.set(LOSS, 2.5);
    draft.finish()
}

fn sample() -> Sample {
    Sample {
        prompt: "To be:\n".to_owned(),
        texts: vec![(1, "<b>\n\u{7}".to_owned()), (16, "or not".to_owned())],
    }
}

/// Returns the bytes of an event without its wall time.
fn timeless(event: &[u8]) -> &[u8] {
    &event[9..]
}

/// The number of events before the first record: version, charts, configuration, hyperparameters.
const BEFORE: usize = 4;

#[test]
fn a_scalar_is_encoded_as_tensorboard_rs_encodes_it() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut sink = open(ours.path(), None);
    for step in [299, 300] {
        sink.write(&trained(step)).unwrap();
    }
    let mut reference = SummaryWriter::new(theirs.path());
    reference.add_scalar("train/loss", 2.5, 300);
    drop(reference);
    let (ours, theirs) = (
        payloads(&only_file(ours.path())),
        payloads(&only_file(theirs.path())),
    );
    let (first, second) = (&ours[BEFORE], &ours[BEFORE + 1]);
    // The meaning of a tag is written with the first value of the tag.
    assert!(first.len() > second.len());
    assert_eq!(timeless(second), timeless(&theirs[1]));
    // Our version event writes step 0. The reference leaves it out, because 0 is the default.
    assert_eq!(
        timeless(&ours[0]),
        [&[0x10, 0], timeless(&theirs[0])].concat()
    );
    assert_eq!(sink.warning(), None);
}

#[test]
fn scalars_stand_under_grouped_tags_with_their_meaning_and_series_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = open(dir.path(), None);
    let mut evaluated = Record::eval(4, 32);
    evaluated
        .set(VAL_LOSS.at(16), 1.0)
        .set(VAL_CROSS_ENTROPY, None)
        .set(VAL_PERPLEXITY.at(16), f64::NAN)
        .set(VAL_SPARSITY, 0.5);
    sink.write(&evaluated.finish()).unwrap();
    let mut trained = Record::train(5, 40);
    trained
        .set(ITERATIONS_RESIDUAL, vec![Some(1.0)])
        .set(SPARSITY, 0.25);
    sink.write(&trained.finish()).unwrap();
    sink.finish().unwrap();
    let values = values(&only_file(dir.path()));
    let scalars: Vec<&Found> = values
        .iter()
        .filter(|found| found.scalar().is_some() && !found.tag.starts_with("hparam/"))
        .collect();
    let told: Vec<(u64, &str)> = scalars
        .iter()
        .map(|found| (found.step, found.tag.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (4, "val/loss@16"),
            (4, "val/perplexity@16"),
            (4, "sparsity/val_sparsity"),
            (5, "sparsity/sparsity"),
        ]
    );
    assert!(scalars[1].scalar().unwrap().is_nan());
    let meaning = scalars[0].value.message(9).text(3);
    assert!(
        meaning.starts_with("Mean next-token cross entropy"),
        "{meaning}"
    );
}

#[test]
fn the_configuration_is_text_and_its_keys_are_hyperparameters() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), None));
    let values = values(&only_file(dir.path()));
    let of_tag = |tag: &str| values.iter().find(|found| found.tag == tag).unwrap();
    let text = of_tag("configuration");
    assert_eq!(text.plugin().0, "text");
    assert_eq!(text.words(), "    [schedule]\n    peak = 4e-3\n");
    let (plugin, content) = of_tag("_hparams_/session_start_info").plugin();
    assert_eq!(plugin, "hparams");
    let info = content.message(3);
    let parameters: Vec<(String, Field)> = info
        .messages(1)
        .iter()
        .map(|entry| {
            let held = entry.message(2);
            let value = (2..=4).find_map(|kind| held.all(kind).next().cloned());
            (entry.text(1), value.unwrap())
        })
        .collect();
    let expected = [
        ("schedule.peak", Field::Double(0.004)),
        ("optimizer.kind", Field::Bytes(b"muon".to_vec())),
        ("train.clip", Field::Integer(0)),
    ];
    assert_eq!(
        parameters,
        expected.map(|(key, value)| (key.to_owned(), value))
    );
    assert!(matches!(info.all(5).next(), Some(Field::Double(x)) if *x > 1e9));
}

#[test]
fn a_run_is_finished_only_after_its_last_step() {
    for (step, ends) in [(7, 0), (8, 1)] {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = open(dir.path(), None);
        sink.write(&trained(step)).unwrap();
        sink.finish().unwrap();
        let values = values(&only_file(dir.path()));
        let ended = values
            .iter()
            .filter(|found| found.tag == "_hparams_/session_end_info");
        let statuses: Vec<u64> = ended
            .map(|found| found.plugin().1.message(4).integer(1))
            .collect();
        assert_eq!(statuses, vec![1; ends], "step {step}");
    }
}

#[test]
fn the_last_readings_stand_beside_the_hyperparameters_when_a_launch_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = open(dir.path(), None);
    for (step, loss) in [(2, 3.0), (4, 2.0)] {
        let mut evaluated = Record::eval(step, 8 * step);
        for depth in [1, 16, 4] {
            evaluated.set(VAL_PERPLEXITY.at(depth), loss + depth as f64);
        }
        evaluated.set(VAL_CROSS_ENTROPY, loss);
        sink.write(&evaluated.finish()).unwrap();
        sink.write(&trained(step)).unwrap();
    }
    sink.finish().unwrap();
    let values = values(&only_file(dir.path()));
    let outcome: Vec<(u64, &str, Option<f32>)> = values
        .iter()
        .filter(|found| found.tag.starts_with("hparam/"))
        .map(|found| (found.step, found.tag.as_str(), found.scalar()))
        .collect();
    assert_eq!(
        outcome,
        [
            (4, "hparam/loss", Some(2.5)),
            (4, "hparam/val_cross_entropy", Some(2.0)),
            (4, "hparam/val_perplexity@16", Some(18.0)),
        ]
    );
}

#[test]
fn a_sample_is_text_under_its_prompt() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = open(dir.path(), None);
    sink.write(&sample().record(4, 32).unwrap()).unwrap();
    let values = values(&only_file(dir.path()));
    let found = values.last().unwrap();
    assert_eq!((found.step, found.tag.as_str()), (4, r"samples/To be:\n"));
    assert_eq!(found.plugin().0, "text");
    assert_eq!(
        found.words(),
        "**recurrence 1**\n\n    To be:\n    <b>\n    \\u{7}\n\n**recurrence 16**\n\n    To be:\n    or not\n"
    );
}

#[test]
fn a_resume_starts_a_session_after_the_last_step_that_counts() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), Some(4)));
    let file = only_file(dir.path());
    assert_eq!(timeless(&payloads(&file)[1]), [0x10, 5, 0x3a, 2, 0x08, 1]);
    assert!(values(&file).iter().all(|found| found.step == 5));
}

#[test]
fn files_of_an_earlier_version_are_written_anew_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("tensorboard");
    fs::create_dir(&old).unwrap();
    fs::write(old.join("events.out.tfevents.1700000000.rondo.1.0"), "").unwrap();
    fs::write(old.join("events.out.tfevents.1700000600.rondo.2.0"), "").unwrap();
    let mut sink = open(dir.path(), Some(2));
    let records = [trained(1).at_time(3.0), trained(2).at_time(605.5)];
    sink.take_over(&old, &records);
    let warning = sink.warning().unwrap();
    assert!(warning.contains("written anew"), "{warning}");
    assert!(!old.exists());
    sink.write(&trained(3)).unwrap();
    let file = only_file(dir.path());
    let scalars: Vec<(u64, Option<f32>)> = values(&file)
        .iter()
        .filter(|found| found.tag == "train/loss")
        .map(|found| (found.step, found.scalar()))
        .collect();
    assert_eq!(scalars, [1, 2, 3].map(|step| (step, Some(2.5))));
    let times: Vec<Field> = payloads(&file)[BEFORE + 1..]
        .iter()
        .map(|payload| Fields::of(payload).all(1).next().unwrap().clone())
        .collect();
    let expected = [1_700_000_003.0, 1_700_000_605.5].map(Field::Double);
    assert_eq!(times[..2], expected);
    // A second launch finds no old files.
    let mut sink = open(dir.path(), Some(3));
    sink.take_over(&old, &records);
    assert_eq!(sink.warning(), None);
}

#[test]
fn what_else_is_in_the_folder_of_an_earlier_version_stays() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("tensorboard");
    fs::create_dir(&old).unwrap();
    fs::write(old.join("events.out.tfevents.1700000000.rondo.1.0"), "").unwrap();
    fs::write(old.join("notes.txt"), "mine").unwrap();
    open(dir.path(), Some(2)).take_over(&old, &[]);
    assert_eq!(fs::read_dir(&old).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(old.join("notes.txt")).unwrap(), "mine");
}

#[test]
fn a_file_sorts_after_those_of_a_clock_that_was_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let earlier = [
        "events.out.tfevents.4102444800.rondo.9.0",
        "notes.9999999999.txt",
    ];
    for name in earlier {
        fs::write(dir.path().join(name), "").unwrap();
    }
    for _ in 0..2 {
        drop(open(dir.path(), None));
    }
    let numbers = event_files(dir.path()).unwrap();
    let numbers: Vec<u64> = numbers.iter().filter_map(|path| number_of(path)).collect();
    assert_eq!(numbers, [4_102_444_800, 4_102_444_801, 4_102_444_802]);
}

#[test]
fn two_sinks_of_one_process_never_share_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path(), None);
    let _second = open(dir.path(), None);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn a_directory_that_cannot_be_written_costs_one_warning() {
    let dir = tempfile::tempdir().unwrap();
    let taken = dir.path().join("run");
    fs::write(&taken, "a file, not a directory").unwrap();
    let mut sink = open(&taken, None);
    assert!(sink.warning().unwrap().contains("the run goes on"));
    sink.write(&Record::train(1, 8).finish()).unwrap();
    sink.finish().unwrap();
    assert_eq!(sink.warning(), None);
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_costs_one_warning() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let writer = Some(RecordWriter::new(BufWriter::new(full)));
    let mut sink = TensorboardSink {
        directory: "plots".into(),
        writer,
        described: BTreeSet::new(),
        warning: None,
        last_step: 0,
        step: 0,
        outcome: Outcome::default(),
    };
    for step in 0..3 {
        sink.write(&Record::train(step, 0).finish()).unwrap();
    }
    assert!(sink.warning().unwrap().starts_with("plots: "));
    assert_eq!(sink.warning(), None);
}
