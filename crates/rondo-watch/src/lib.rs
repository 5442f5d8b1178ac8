//! A live view of runs in a terminal, from only `metrics.jsonl` and `config.toml`.
//!
//! Only these two files of a run directory are read, so a training run, a finished run and a run in
//! a mounted folder of another machine are treated alike. The metrics file is polled, and only
//! appended records are read.
//!
//! In reading order:
//!
//! * `tail`: the records that were appended to a file since it was last read; `plan`: a run's
//!   length and thresholds, from its configuration; `source`: both, for a run directory; `reader`:
//!   a thread per run that polls it
//! * [`run`]: the state of a run, from its records; `series`: a metric over steps
//! * [`view`]: the part of the runs that is shown; keys change it
//! * [`palette`]: colours, or letters if there are no colours
//! * [`draw`](mod@draw): draws runs into the cells of a terminal, according to a view
//! * [`table`](mod@table): one table, for output that is not a terminal
//! * `cells`: converts cells to bytes; `screen`: takes over the terminal and restores it;
//!   [`live`](mod@live): the loop of keys, records and drawing
//! * [`error`]: what can go wrong
//!
//! Absences: Burn, models, weights, and every file except those two. The state of a run, the view
//! and the drawing are functions of records, keys and the given time, so that tests can draw them
//! on a screen in memory. While a terminal is in use, only the readers' threads access files, so
//! that a mount that hangs delays no key. Nothing is written except to the terminal.

mod cells;
pub mod draw;
pub mod error;
pub mod live;
pub mod palette;
mod plan;
mod reader;
pub mod run;
mod screen;
mod series;
mod source;
pub mod table;
mod tail;
pub mod view;

pub use error::WatchError;
pub use live::{End, live};
pub use palette::Palette;
pub use run::Run;
pub use screen::give_back_terminal;
pub use table::table;
pub use view::View;
