//! Trains and examines recurrent-depth transformers.
//!
//! The only crate that meets the world. In reading order: `cli` (what was typed), `config` (what was
//! written), `assemble` (what it means), `plan` (what a step does), `train` (the loop), `step` (one
//! step), `optim` (its update), `evaluate`, `run_dir` and `weights` (what is kept), `device` (the
//! only place that knows Burn's backends), `commands` (everything but training), `error` (what can
//! go wrong, and its exit code).

mod assemble;
mod batches;
mod cli;
mod commands;
mod config;
mod device;
mod error;
mod evaluate;
mod interrupt;
mod optim;
mod plan;
mod progress;
mod record;
mod run_dir;
mod source;
mod step;
mod terminal;
mod train;
mod weights;

use std::error::Error as _;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::error::{Error, Result};

/// Keeps pages between steps instead of handing them back: a training step allocates the same
/// tensors again and again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; then there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {}", chain(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    match &cli.command {
        None => train::command(&cli.train),
        Some(Command::Eval(args)) => commands::eval::command(args),
        Some(Command::Prepare(args)) => commands::prepare::command(args),
        Some(Command::Bench(args)) => commands::bench::command(args),
        Some(Command::Devices(args)) => commands::devices::command(*args),
        Some(Command::Selftest(args)) => commands::selftest::command(args),
        Some(Command::Completions { shell }) => commands::completions::command(*shell),
    }
}

/// Returns an error and its sources, each once.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
