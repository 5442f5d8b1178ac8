//! A live view of runs in a terminal.
//!
//! Only `metrics.jsonl` and `config.toml` of a run directory are read. A training run, a finished
//! run, and a run in a mounted folder of another machine are thus treated alike. The metrics file
//! is polled, and only appended records are read.
//!
//! In reading order:
//!
//! * `tail`: reads the records that were appended to a file; `plan`: reads a run's length and
//!   thresholds from its configuration; `source`: uses these two to read a run directory; `reader`:
//!   polls each run directory on a thread of its own
//! * [`run`]: the state of a run, updated from its records; `series`: a metric over steps
//! * [`view`]: the part of the runs that is shown; keys change it
//! * [`palette`]: colours, or letters if there are no colours
//! * [`draw`](mod@draw): draws runs into the cells of a terminal, according to a view
//! * [`table`](mod@table): makes one table, for output that is not a terminal
//! * `cells`: converts cells to bytes; `screen`: takes over the terminal and restores it;
//!   [`live`](mod@live): the loop of keys, records and drawing
//! * [`error`]: the errors of this crate
//!
//! # Limits
//!
//! This crate does not depend on Burn, models or weights, and it reads no other files of a run. The
//! state of a run, the view and the drawing are functions of records, keys and the given time, so
//! that tests can draw them on a screen in memory. While a terminal is in use, only the readers'
//! threads access files, so that a mount that hangs does not delay the handling of keys. The
//! terminal is the only output.

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
