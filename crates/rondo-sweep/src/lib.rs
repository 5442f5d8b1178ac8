//! Many runs from one sweep file.
//!
//! ```text
//! runs = (every combination of the grid) × (every entry of the list) × (draws) × (seeds)
//! ```
//!
//! A sweep file names a run configuration and the keys to set in it. It expands to the same runs in
//! the same order on every machine. The sweep's directory contains an ordinary run directory for
//! each run and one small file for each run that has ended. A sweep that was killed at any moment
//! can therefore resume, and ends with the same results as a sweep that was never killed.
//!
//! In reading order:
//!
//! * [`file`](mod@file): the contents of a sweep file: base, seeds, axes; `check`: the rules for
//!   sweep files; `same`: equality of values
//! * [`draw`]: random values, pure in (seed, draw, key)
//! * [`plan`]: the runs of a file with their assignments; `name`: the names of their settings
//! * [`outcome`]: how a run has ended, and its status
//! * [`dir`]: the directory of a sweep; `untrained`: whether it may be restarted with another file
//! * [`shard`]: a part of the runs, for one of several processes; `writer`: the locks for executing
//!   a sweep or a shard
//! * [`launch`]: the interface of the process launcher
//! * [`execute`](mod@execute): starts runs, waits for them, marks their ends, stops them
//! * [`results`]: one row per run, as CSV and JSON; [`seeds`]: means and deviations of each setting
//!   over its seeds
//! * [`sheet`]: the runs in rows and columns
//! * [`error`]: what can go wrong
//!
//! The crate does not contain models or keys of a run's configuration, except the seed's. It starts
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

/// The key of a run's configuration that receives the seed.
pub(crate) const SEED_KEY: &str = "run.seed";
