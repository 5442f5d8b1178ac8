//! The commands, one file or folder each.

pub(crate) mod bench;
pub(crate) mod checkpoints;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod devices;
pub(crate) mod dry_run;
pub(crate) mod eval;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod figure;
pub(crate) mod fit_law;
pub(crate) mod generate;
pub(crate) mod import;
pub(crate) mod man;
pub(crate) mod metrics;
pub(crate) mod new;
pub(crate) mod prepare;
mod progress_writer;
pub(crate) mod schedule;
pub(crate) mod schema;
pub(crate) mod selftest;
pub(crate) mod sweep;
mod target;
pub(crate) mod trace;
pub(crate) mod train;
mod trial;
pub(crate) mod watch;
