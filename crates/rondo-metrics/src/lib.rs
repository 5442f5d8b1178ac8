//! The metrics of a run: names, records, sinks and the terminal.
//!
//! A run writes [`Record`]s like
//! `{"step":128,"tokens":1048576,"kind":"train","metrics":{"loss":3.4}}`. `metrics.jsonl` is the
//! source of truth. The terminal and the event files for `TensorBoard` show the same numbers under
//! the same names.
//!
//! Reading order:
//!
//! * `metric`: a row of the table of metrics; [`typed`]: a metric as a constant with a type;
//!   [`names`]: the table of every metric; [`events`]: the table of every event
//! * [`value`], [`record`]: one record; a draft of a record only accepts the metrics of the
//!   record's kind
//! * [`sample`]: texts at several depths, written as an event
//! * [`sinks`]: destinations of records; [`jsonl`]: the file to which records are appended, its
//!   reader, and its shortening on resume; [`tensorboard`]: event files, whose failure does not
//!   stop a run; [`Background`]: a sink on its own thread
//! * [`history`]: the records of a run read back, with each metric as a series
//! * `throughput`: a recent rate per second; `time_left`: the time for the remaining steps of a
//!   run
//! * [`format`](mod@format), [`table`]: numbers and tables for people
//! * [`colour`], [`terminal`], `columns`, `lines`, [`progress`], [`work`]: the terminal output
//!   during a run
//!
//! # Limits
//!
//! The crate does not depend on models, tensors or configurations, nor on how a number was
//! measured. It does not decide when to log. Only the time stamps of event files and the pace of
//! plain lines read a clock. Nothing writes to standard output.

mod background;
pub mod colour;
mod columns;
pub mod events;
pub mod format;
pub mod history;
pub mod jsonl;
mod lines;
mod metric;
pub mod names;
pub mod progress;
pub mod record;
pub mod sample;
pub mod sinks;
pub mod table;
pub mod tensorboard;
pub mod terminal;
mod throughput;
mod time_left;
pub mod typed;
pub mod value;
pub mod work;

pub use background::Background;
pub use colour::Word;
pub use events::{Event, Severity};
pub use history::{History, Reading};
pub use jsonl::{Evaluation, JsonlError, JsonlSink};
pub use metric::{Kind, Metric};
pub use progress::Progress;
pub use record::{Draft, Metrics, Record, RecordError};
pub use sample::Sample;
pub use sinks::{Fanout, Sink, SinkError};
pub use table::Table;
pub use tensorboard::TensorboardSink;
pub use terminal::Mode;
pub use time_left::TimeLeft;
pub use value::Value;
pub use work::WorkBar;
