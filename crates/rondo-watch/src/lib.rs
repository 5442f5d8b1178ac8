//! A live view of runs in a terminal, from `metrics.jsonl` and `config.toml` alone.
//!
//! Nothing but those two files of a run directory is read, so a run that trains, a run that has ended and a run on a mounted
//! folder of another machine look alike. The metrics file is polled, and of it only what was appended is read.
//!
//! In reading order:
//!
//! * `tail`: the records that were appended to a file since the last look; `plan`: what a run's configuration says of its budget
//!   and its thresholds; `source`: both, for a run directory; `reader`: a thread for each run, which polls it
//! * [`run`]: what is known of a run, as its records come in; `series`: a metric over steps
//! * [`view`]: which part of it is shown; keys change it
//! * [`palette`]: colours, or letters where there are none
//! * [`draw`](mod@draw): runs and a view in, cells of a terminal out
//! * [`table`](mod@table): one table, for where there is no terminal
//! * `cells`: cells as bytes; `screen`: the terminal, given back as it was; [`live`](mod@live): the loop of keys, records and drawing
//! * [`error`]: what can go wrong
//!
//! Absences: Burn, models, weights, and every file but those two. What is known of a run, the view and the drawing are
//! functions of records, keys and the time that they are given, so that tests draw them on a screen in memory. While a
//! terminal is drawn on, only the readers' threads touch files, so that a mount that hangs delays no key. Nothing is written
//! but the terminal.

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
