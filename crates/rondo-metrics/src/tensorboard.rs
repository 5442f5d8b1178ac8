//! Event files for `TensorBoard`. They contain the scalars of the run under grouped tags (`tags`),
//! the texts of samples, and the configuration, also as hyperparameters (`about`). `files` finds
//! the event files of a folder.
//!
//! Series are left out, because their axis is the iteration or the position, not the step;
//! `metrics.jsonl` contains them. Values are rounded to `f32`, the format's only scalar type. Each
//! name is written with its meaning from the table. `layout` defines the charts of the
//! custom-scalars page.
//!
//! The crate `tensorboard-rs` frames the records. Its `SummaryWriter` is not used: when a write
//! fails, it panics in a thread of its own, then in its caller, then in its destructor, and two
//! panics at once abort the process. Here a failed write closes the file and leaves one
//! [warning](Sink::warning), and the run continues. An event is `Event { wall_time = 1, step = 2,
//! file_version = 3, summary = 5, session_log = 7 }` of TensorFlow's `event.proto`. The few fields
//! in use are encoded below.

mod about;
mod files;
mod layout;
mod message;
mod outcome;
mod tags;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use tensorboard_rs::record_writer::RecordWriter;

pub use self::about::{About, Parameter};
pub use self::files::event_files;
use self::files::{create_file, number_of};
use self::message::{Message, wall_time};
use self::outcome::Outcome;
use self::tags::{SAMPLES, tag};
use crate::metric::Kind;
use crate::names::describe;
use crate::record::Record;
use crate::sample::{Sample, printable, visible};
use crate::sinks::{Sink, SinkError};
use crate::value::Value;

/// Writes scalars to an event file. A failed write is not an error; [`Sink::warning`] reports it.
pub struct TensorboardSink {
    directory: PathBuf,
    /// `None` after a failed write.
    writer: Option<RecordWriter<BufWriter<File>>>,
    /// The tags whose description this file already contains.
    described: BTreeSet<String>,
    warning: Option<String>,
    /// The last step of the run.
    last_step: u64,
    /// The step of the newest measurement.
    step: u64,
    outcome: Outcome,
}

impl TensorboardSink {
    /// Starts a new event file of a run in a directory, which is created if it is missing. After a
    /// resume, `resumed_from` is the last valid step: `TensorBoard` then drops the later points in
    /// the files of the interrupted run.
    pub fn open(directory: &Path, about: &About, resumed_from: Option<u64>) -> Self {
        let mut sink = Self {
            directory: directory.to_owned(),
            writer: None,
            described: BTreeSet::new(),
            warning: None,
            last_step: about.last_step,
            step: 0,
            outcome: Outcome::default(),
        };
        match create_file(directory) {
            Ok(file) => {
                sink.writer = Some(RecordWriter::new(BufWriter::new(file)));
                sink.begin(about, resumed_from);
            }
            Err(error) => sink.give_up(&error),
        }
        sink
    }

    /// Writes the events that precede the records of a launch.
    fn begin(&mut self, about: &About, resumed_from: Option<u64>) {
        let mut version = Message::event(0);
        version.bytes(3, b"brain.Event:2");
        self.append(&version);
        if let Some(step) = resumed_from {
            let mut started = Message::default();
            started.integer(1, 1);
            let mut session = Message::event(step.saturating_add(1));
            session.bytes(7, &started.0);
            self.append(&session);
        }
        let first = resumed_from.map_or(0, |step| step.saturating_add(1));
        for summary in [
            layout::charts(),
            about::configuration(about),
            about::started(about, wall_time()),
        ] {
            self.append_summary(Message::event(first), &summary);
        }
    }

    /// Moves a run from the event files of an earlier version, which lie in the folder `old` under
    /// other names: writes the run's records to the new file and removes the old files. On a
    /// failure the remaining files stay, and a [warning](Sink::warning) reports the failure.
    pub fn take_over(&mut self, old: &Path, records: &[Record]) {
        let files = match event_files(old) {
            Ok(files) if files.is_empty() => return,
            Ok(files) => files,
            Err(error) => return self.warn(old, &error),
        };
        let began = files.iter().filter_map(|path| number_of(path)).min();
        let began = began.map_or_else(wall_time, |seconds| seconds as f64);
        for record in records {
            self.append_record(record, began + record.time.unwrap_or(0.0));
        }
        if self.writer.is_none() {
            return;
        }
        for file in &files {
            if let Err(error) = fs::remove_file(file) {
                return self.warn(file, &error);
            }
        }
        // The folder stays if it contains other files.
        let _ = fs::remove_dir(old);
        self.warning = Some(format!(
            "{}: its event files are written anew in {}, where TensorBoard calls the run by its name",
            old.display(),
            self.directory.display()
        ));
    }

    fn append_record(&mut self, record: &Record, seconds: f64) {
        let event = Message::event_at(seconds, record.step);
        if record.kind == Kind::Event {
            if let Some(sample) = Sample::read(record) {
                let tag = format!("{SAMPLES}{}", visible(&sample.prompt));
                self.append_summary(event, &about::text(&tag, &markdown(&sample)));
            }
            return;
        }
        self.step = self.step.max(record.step);
        self.outcome.observe(record);
        let mut summary = Message::default();
        for (name, value) in record.metrics.iter() {
            if let Value::Number(x) = value {
                let tag = tag(record.kind, name);
                let mut scalar = Message::default();
                scalar.bytes(1, tag.as_bytes());
                scalar.float(2, *x as f32);
                if !self.described.contains(&tag) {
                    scalar.bytes(9, &layout::described(describe(record.kind, name)).0);
                    self.described.insert(tag);
                }
                summary.bytes(1, &scalar.0);
            }
        }
        self.append_summary(event, &summary);
    }

    fn append_summary(&mut self, mut event: Message, summary: &Message) {
        event.bytes(5, &summary.0);
        self.append(&event);
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

    /// Warns that event files of an earlier version could not be taken over.
    fn warn(&mut self, path: &Path, error: &io::Error) {
        self.warning = Some(format!(
            "{}: event files of an earlier version cannot be moved ({error}); TensorBoard may show them as another run, \
             remove them by hand",
            path.display()
        ));
    }
}

/// Returns the texts of a sample as Markdown. Each text is a code block with the prompt and its
/// continuation.
fn markdown(sample: &Sample) -> String {
    let text = |(depth, text): &(usize, String)| {
        let whole = printable(&format!("{}{text}", sample.prompt));
        format!("**recurrence {depth}**\n\n{}", about::block(&whole))
    };
    sample.texts.iter().map(text).collect::<Vec<_>>().join("\n")
}

impl Sink for TensorboardSink {
    fn write(&mut self, record: &Record) -> Result<(), SinkError> {
        self.append_record(record, wall_time());
        Ok(())
    }

    /// Writes the last readings. Marks the run as finished if it has reached its last step.
    fn finish(&mut self) -> Result<(), SinkError> {
        if let Some(summary) = self.outcome.summary() {
            self.append_summary(Message::event(self.step), &summary);
        }
        if self.step >= self.last_step {
            let ended = about::finished(wall_time());
            self.append_summary(Message::event(self.step), &ended);
        }
        self.writer = None;
        Ok(())
    }

    fn warning(&mut self) -> Option<String> {
        self.warning.take()
    }
}

#[cfg(test)]
mod tests;
