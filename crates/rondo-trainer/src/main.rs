//! Trains and examines recurrent-depth transformers: the only crate that meets the world.
//!
//! A step takes the mean loss L of its micro-batches and makes one update of the weights θ:
//!
//! ```text
//! θ_{t+1} = U(θ_t, c·∇L, η_t),   c = min(1, clip / (‖∇L‖ + 1e-6))
//! ```
//!
//! U is the rule of `optim`, η_t the rate of `plan`, clip is `train.clip`; `guard` may leave the update out.
//!
//! In reading order:
//!
//! * what is asked for: `cli` (what was typed), `config` (what was written), `run_plan` (the runs of a file before
//!   they are trained), `capacity` (whether a run fits into memory), `assemble` (what a configuration means), `device` (the only place that knows Burn's
//!   backends), `rows` (of any data), `batches` (the same on a device)
//! * a run: `plan` (what a step does), `perturb` (what disturbs it), `train` (the loop), `step` (one step),
//!   `guard` (which updates are not made), `optim` (the update), `evaluate` (losses by depth), `record` (what
//!   metrics are made of)
//! * what is kept: `run_dir` (the files of a run), `run_name` (what it is called where nobody says), `own_tokenizer` (what
//!   its weights know and data must be encoded by), `progress` and `weights` (the contents of a checkpoint),
//!   `validation_losses` (which one is the best)
//! * what is read again: `open_run` (a run with its weights), `run_history` (a run by its metrics), `initial_states`
//!   (where s_0 comes from), `generate` (token after token), `pictures`
//! * `commands`: what each command does with them
//! * around it: `error` (what can go wrong, and its exit code), `crash` (a panic as one line), `interrupt`
//!   (signals), `allocator` (an end where memory runs out), `terminal` (standard output and error)
//!
//! Absences: the mathematics of the model, the formats of checkpoints, metrics and data, the drawing of pictures; each
//! is a crate of its own. Learning rate, depth, data order and initial states are pure functions of configuration, seed
//! and step, and clocks are read only to tell how fast something was.

mod allocator;
mod assemble;
mod batches;
mod capacity;
mod cli;
mod commands;
mod config;
mod crash;
mod device;
mod error;
mod evaluate;
mod generate;
mod guard;
mod initial_states;
mod interrupt;
mod open_run;
mod optim;
mod own_tokenizer;
mod perturb;
mod pictures;
mod plan;
mod progress;
mod prompting;
mod record;
mod rows;
mod run_dir;
mod run_history;
mod run_name;
mod run_plan;
mod step;
mod terminal;
mod train;
mod validation_losses;
mod weights;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use rondo_kernels::denormals::flush_to_zero;
use rondo_kernels::memory::keep_pages;

use crate::allocator::Allocator;
use crate::cli::{Cli, Command};
use crate::error::Result;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    keep_pages();
    flush_to_zero();
    #[cfg(unix)]
    interrupt::survive_file_limits();
    #[cfg(all(target_os = "linux", feature = "wgpu"))]
    device::start_with_a_runtime_dir();
    let cli = Cli::parse();
    match crash::contained(|| run(&cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.exit_code();
            let error = anyhow::Error::from(error);
            // Standard error may be closed; then there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(code)
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    match &cli.command {
        None => commands::train::command(&cli.train),
        Some(Command::Eval(args)) => commands::eval::command(args),
        Some(Command::Trace(args)) => commands::trace::command(args),
        Some(Command::Generate(args)) => commands::generate::command(args),
        Some(Command::Compare(args)) => commands::compare::command(args),
        Some(Command::Figure(args)) => commands::figure::command(args),
        Some(Command::Schedule(args)) => commands::schedule::command(args),
        Some(Command::Sweep(args)) => commands::sweep::command(args),
        Some(Command::FitLaw(args)) => commands::fit_law::command(args),
        Some(Command::Checkpoints(args)) => commands::checkpoints::command(args),
        Some(Command::Import(args)) => commands::import::command(args),
        Some(Command::Export(args)) => commands::export::command(args),
        Some(Command::Prepare(args)) => commands::prepare::command(args),
        Some(Command::Bench(args)) => commands::bench::command(args),
        Some(Command::Devices(args)) => commands::devices::command(*args),
        Some(Command::Selftest(args)) => commands::selftest::command(args),
        Some(Command::Metrics(args)) => commands::metrics::command(args.json),
        Some(Command::Completions { shell }) => commands::completions::command(*shell),
        Some(Command::Man { out }) => commands::man::command(out.as_deref()),
    }
}
