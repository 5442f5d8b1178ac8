//! Event files for `TensorBoard`, with the scalars of the run under their own names.
//!
//! Series are left out: their axis is the iteration or the position, not the step, and `metrics.jsonl`
//! has them. Values are rounded to `f32`, the format's only scalar. Each name comes with what the table says
//! of it, and the page of custom scalars with the charts of `layout`.
//!
//! `tensorboard-rs` frames the records. Its `SummaryWriter` is not used: it panics in a thread of
//! its own when a write fails, then in its caller, then in its destructor, and two panics at once abort
//! the process. Here a failed write closes the file, leaves one [warning](Sink::warning), and the
//! run goes on. An event is `Event { wall_time = 1, step = 2, file_version = 3, summary = 5,
//! session_log = 7 }` of TensorFlow's `event.proto`; the few fields in use are encoded below.

mod layout;
mod message;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::process;

use tensorboard_rs::record_writer::RecordWriter;

use self::message::{Message, wall_time};
use crate::metric::Kind;
use crate::names::describe;
use crate::record::Record;
use crate::sinks::{Sink, SinkError};
use crate::value::Value;

/// What the name of an event file begins with; ten digits follow, seconds since 1970 or a larger number.
const PREFIX: &str = "events.out.tfevents.";

/// Writes scalars to an event file; never fails, see [`Sink::warning`].
pub struct TensorboardSink {
    directory: PathBuf,
    /// `None` once a write has failed.
    writer: Option<RecordWriter<BufWriter<File>>>,
    /// Names that this file has described.
    described: BTreeSet<String>,
    warning: Option<String>,
}

impl TensorboardSink {
    /// Starts a new event file in a directory, which is created where it is missing. After a resume,
    /// `resumed_from` is the last step that counts: `TensorBoard` then forgets later points of the
    /// interrupted run's files.
    pub fn open(directory: &Path, resumed_from: Option<u64>) -> Self {
        let mut sink = Self {
            directory: directory.to_owned(),
            writer: None,
            described: BTreeSet::new(),
            warning: None,
        };
        match create_file(directory) {
            Ok(file) => {
                sink.writer = Some(RecordWriter::new(BufWriter::new(file)));
                let mut version = Message::event(0);
                version.bytes(3, b"brain.Event:2");
                sink.append(&version);
                if let Some(step) = resumed_from {
                    let mut started = Message::default();
                    started.integer(1, 1);
                    let mut session = Message::event(step.saturating_add(1));
                    session.bytes(7, &started.0);
                    sink.append(&session);
                }
                let mut charts =
                    Message::event(resumed_from.map_or(0, |step| step.saturating_add(1)));
                charts.bytes(5, &layout::summary().0);
                sink.append(&charts);
            }
            Err(error) => sink.give_up(&error),
        }
        sink
    }

    fn append(&mut self, event: &Message) {
        let Some(writer) = &mut self.writer else {
            return;
        };
        if let Err(error) = writer.write(&event.0).and_then(|()| writer.flush()) {
            self.give_up(&error);
        }
    }

    fn give_up(&mut self, error: &io::Error) {
        self.writer = None;
        self.warning = Some(format!(
            "{}: cannot write event files for TensorBoard ({error}); the run goes on without them, \
             metrics.jsonl has every number",
            self.directory.display()
        ));
    }
}

impl Sink for TensorboardSink {
    fn write(&mut self, record: &Record) -> Result<(), SinkError> {
        if record.kind != Kind::Event {
            let mut summary = Message::default();
            for (name, value) in record.metrics.iter() {
                if let Value::Number(x) = value {
                    let mut scalar = Message::default();
                    scalar.bytes(1, name.as_bytes());
                    scalar.float(2, *x as f32);
                    if self.described.insert(name.to_owned()) {
                        scalar.bytes(9, &layout::described(describe(record.kind, name)).0);
                    }
                    summary.bytes(1, &scalar.0);
                }
            }
            let mut event = Message::event(record.step);
            event.bytes(5, &summary.0);
            self.append(&event);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.writer = None;
        Ok(())
    }

    fn warning(&mut self) -> Option<String> {
        self.warning.take()
    }
}

/// Creates an event file whose name sorts after those that are there: `TensorBoard` reads the files of a
/// directory in the order of their names, and a clock may have been set back.
fn create_file(directory: &Path) -> io::Result<File> {
    fs::create_dir_all(directory)?;
    let process = process::id();
    let mut number = wall_time() as u64;
    if let Some(newest) = newest_number(directory)? {
        number = number.max(newest.saturating_add(1));
    }
    for attempt in 0..100 {
        let name = format!("{PREFIX}{number:010}.rondo.{process}.{attempt}");
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(directory.join(name))
        {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result,
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Returns the largest number in the names of the event files in a directory.
fn newest_number(directory: &Path) -> io::Result<Option<u64>> {
    let mut newest = None;
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| {
            let (number, _) = name.strip_prefix(PREFIX)?.split_once('.')?;
            // More than ten digits would sort before fewer.
            number.parse::<u64>().ok().filter(|_| number.len() == 10)
        });
        newest = newest.max(number);
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed write must fail the test")]

    use tensorboard_rs::summary_writer::SummaryWriter;

    use super::*;
    use crate::names::{ITERATIONS_RESIDUAL, LOSS, VAL_CROSS_ENTROPY, VAL_LOSS, VAL_PERPLEXITY};

    /// The payloads of the only event file in a directory: `[length: 8, crc: 4, payload, crc: 4]…`
    fn payloads(directory: &Path) -> Vec<Vec<u8>> {
        let files: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|f| f.unwrap().path())
            .collect();
        assert_eq!(files.len(), 1);
        assert!(files[0].to_string_lossy().contains("tfevents"));
        let bytes = fs::read(&files[0]).unwrap();
        let mut rest = bytes.as_slice();
        let mut payloads = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            payloads.push(rest[12..12 + length].to_vec());
            rest = &rest[16 + length..];
        }
        payloads
    }

    /// An event's bytes after its wall time.
    fn timeless(event: &[u8]) -> &[u8] {
        &event[9..]
    }

    #[test]
    fn a_scalar_is_encoded_as_tensorboard_rs_encodes_it() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut sink = TensorboardSink::open(ours.path(), None);
        for step in [299, 300] {
            let mut draft = Record::train(step, 8 * step);
            draft.set(LOSS, 2.5);
            sink.write(&draft.finish()).unwrap();
        }
        let mut reference = SummaryWriter::new(theirs.path());
        reference.add_scalar("loss", 2.5, 300);
        drop(reference);
        let (ours, theirs) = (payloads(ours.path()), payloads(theirs.path()));
        // The first time a name is written, what it means comes with it.
        assert!(ours[2].len() > ours[3].len());
        assert_eq!(timeless(&ours[3]), timeless(&theirs[1]));
        // Ours spells out step 0 of the version event, which is the default theirs leaves out.
        assert_eq!(
            timeless(&ours[0]),
            [&[0x10, 0], timeless(&theirs[0])].concat()
        );
        assert_eq!(sink.warning(), None);
    }

    #[test]
    fn all_scalars_of_a_record_are_there_under_their_names_and_series_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = TensorboardSink::open(dir.path(), None);
        let mut evaluated = Record::eval(4, 32);
        evaluated
            .set(VAL_LOSS.at(16), 1.0)
            .set(VAL_CROSS_ENTROPY, None)
            .set(VAL_PERPLEXITY.at(16), f64::NAN);
        sink.write(&evaluated.finish()).unwrap();
        let mut trained = Record::train(5, 40);
        trained.set(ITERATIONS_RESIDUAL, vec![Some(1.0)]);
        sink.write(&trained.finish()).unwrap();
        sink.finish().unwrap();
        // After the version and the layout of the charts, which names everything.
        let text = payloads(dir.path())[2..].concat();
        let has = |name: &str| {
            text.windows(name.len())
                .any(|window| window == name.as_bytes())
        };
        assert!(has("val_loss@16") && has("val_perplexity@16"));
        assert!(!has("val_cross_entropy") && !has("iterations"));
    }

    #[test]
    fn a_resume_starts_a_session_after_the_last_step_that_counts() {
        let dir = tempfile::tempdir().unwrap();
        drop(TensorboardSink::open(dir.path(), Some(4)));
        assert_eq!(
            timeless(&payloads(dir.path())[1]),
            [0x10, 5, 0x3a, 2, 0x08, 1]
        );
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
            drop(TensorboardSink::open(dir.path(), None));
        }
        let mut names: Vec<String> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with(PREFIX))
            .collect();
        names.sort();
        let numbers: Vec<&str> = names.iter().map(|name| &name[20..30]).collect();
        assert_eq!(numbers, ["4102444800", "4102444801", "4102444802"]);
    }

    #[test]
    fn two_sinks_of_one_process_never_share_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let _first = TensorboardSink::open(dir.path(), None);
        let _second = TensorboardSink::open(dir.path(), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_directory_that_cannot_be_written_costs_one_warning() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("tensorboard");
        fs::write(&taken, "a file, not a directory").unwrap();
        let mut sink = TensorboardSink::open(&taken, None);
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
        };
        for step in 0..3 {
            sink.write(&Record::train(step, 0).finish()).unwrap();
        }
        assert!(sink.warning().unwrap().starts_with("plots: "));
        assert_eq!(sink.warning(), None);
    }
}
