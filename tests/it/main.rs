//! Tests of the trainer from outside: every test runs the built program.

#![allow(missing_docs, reason = "a test binary has no readers of documentation")]

mod benchmarks;
mod book;
mod checkpoints;
mod cli;
mod comparison;
mod configs;
mod corpora;
mod devices;
mod distributed;
mod documents;
mod evaluation;
mod failures;
mod families;
mod field;
mod first_hour;
mod generation;
mod harness;
mod initialisation;
mod interchange;
mod launches;
mod laws;
mod memory;
mod messages;
mod metrics;
mod objectives;
mod old_run;
mod own_data;
mod parity;
mod reliability;
mod samples;
mod schedules;
mod schema;
mod serve;
mod sheets;
mod shipped;
#[cfg(unix)]
mod signals;
mod sources;
mod sparsity;
mod start;
mod sweeps;
mod tensorboard;
mod training;
mod watch;
