//! The metrics of a run: names, records, sinks and the terminal.
//!
//! A run reports in [`Record`]s,
//! `{"step":128,"tokens":1048576,"kind":"train","metrics":{"loss":3.4}}`. `metrics.jsonl` is the
//! source of truth; event files for `TensorBoard` and the terminal show the same numbers under the
//! same names.
//!
//! In reading order:
//!
//! * `metric`: a row of the table; [`typed`]: a metric as a constant with a type; [`names`]: the
//!   table of every metric; [`events`]: the table of every event
//! * [`value`], [`record`]: one record; a draft of it only accepts the metrics of its kind
//! * [`sample`]: text at several depths, as an event
//! * [`sinks`]: destinations of records; [`jsonl`]: the append-only file, its reader, and its
//!   shortening on resume; [`tensorboard`]: event files, whose failure does not stop a run;
//!   [`Background`]: a sink on its own thread
//! * [`history`]: a run read back, with each metric as a series
//! * `throughput`: the recent rate of anything; `time_left`: the time for the remaining steps of a
//!   run
//! * [`format`](mod@format), [`table`]: numbers and tables for people
//! * [`colour`], [`terminal`], `columns`, `lines`, [`progress`], [`work`]: the terminal output
//!   during a run
//!
//! The crate does not know models, tensors, configurations, or how any number was measured. Nothing here
//! decides when to log. Only the event files' time stamps and the pace of plain lines read a clock.
//! Nothing writes to standard output.

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
