//! Many runs from one file.
//!
//! ```text
//! runs = (every combination of the grid) × (every entry of the list) × (draws) × (seeds)
//! ```
//!
//! A sweep file names a run configuration and what is set in it. It expands to the same runs in the
//! same order on every machine. They are executed in a directory in which every run is an ordinary
//! run directory; what has ended is marked there by one small file per run, so that a sweep killed at
//! any moment goes on and ends with what it would have had.
//!
//! In reading order:
//!
//! * [`file`](mod@file): what is written: base, seeds, axes; `check`: what makes it wrong; `same`: when two
//!   values are the same
//! * [`draw`]: random values, pure in (seed, draw, key)
//! * [`plan`]: the runs of a file with their assignments; `name`: what their settings are called
//! * [`outcome`]: how a run has ended, and how far it is
//! * [`dir`]: the directory of a sweep; `untrained`: whether it may be begun anew with another file
//! * [`shard`]: a part of the runs, for one of several processes; `writer`: the right to execute a sweep or a shard
//! * [`launch`]: what the sweep asks of whoever starts a run
//! * [`execute`](mod@execute): starts runs, waits, marks, stops
//! * [`results`]: a row per run, as CSV and JSON; [`seeds`]: means and deviations of each setting over its seeds
//! * [`sheet`]: the runs in rows and columns
//! * [`error`]: what can go wrong
//!
//! The crate knows neither models nor the keys of a run's configuration, but for the seed's. It starts
//! no process itself, reads no clock, and its only randomness is the hash in [`draw`].

mod check;
pub mod dir;
pub mod draw;
pub mod error;
pub mod execute;
pub mod file;
pub mod launch;
mod name;
pub mod outcome;
pub mod plan;
pub mod results;
mod same;
pub mod seeds;
pub mod shard;
pub mod sheet;
mod untrained;
mod writer;

pub use dir::SweepDir;
pub use error::SweepError;
pub use execute::{Counts, End, Event, Workers, execute};
pub use file::{Distribution, Grid, Random, SweepFile};
pub use launch::{Exit, Launch, Launcher, Process};
pub use outcome::{Failure, Status};
pub use plan::{Naming, Planned};
pub use results::{Reached, Results, Row};
pub use seeds::{Setting, Spread};
pub use shard::Shard;
pub use sheet::{Arranged, Sheet, SheetError};
pub use writer::SweepWriter;

/// The key of a run's configuration that the seeds are given to.
pub(crate) const SEED_KEY: &str = "run.seed";
