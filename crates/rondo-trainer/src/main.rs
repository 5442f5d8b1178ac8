//! The program: a command line for the library rondo-train.
//!
//! In reading order: `cli`, the arguments; `commands`, one module for each command; `pictures`, the
//! conversion of runs and evaluations to the types of rondo-figures; `shipped`, the configurations
//! inside the program; `terminal`, standard output and standard error; `signals`, signals that
//! request the end of a run; `distributed`, the other processes of a run; `instructions`, which
//! limits the kernels to AVX2 on request, for comparisons with processors that lack AVX-512 and
//! AMX; `crash`, which reports a panic in one line; `allocator`, which ends the program if memory
//! is exhausted; `runtime_dir`, a folder that GPU drivers look for.
//!
//! # Limits
//!
//! This crate implements no training, evaluation or generation, and it does not write the files of
//! a run: rondo-train does this. Only this crate reads a command line, handles signals, prints
//! results and ends the process.

mod allocator;
mod cli;
mod commands;
mod crash;
mod distributed;
mod instructions;
mod pictures;
#[cfg(all(target_os = "linux", feature = "wgpu"))]
mod runtime_dir;
mod shipped;
mod signals;
mod terminal;

use std::process::ExitCode;

use rondo_kernels::denormals::flush_to_zero;
use rondo_kernels::memory::keep_pages;
use rondo_train::distributed::World;
use rondo_train::error::Result;
use rondo_train::interrupt;

use crate::allocator::Allocator;
use crate::cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    keep_pages();
    flush_to_zero();
    #[cfg(unix)]
    signals::survive_file_limits();
    #[cfg(all(target_os = "linux", feature = "wgpu"))]
    runtime_dir::start_with_a_runtime_dir();
    interrupt::listen_with(signals::listen);
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) if distributed::is_another_rank() => {
            return ExitCode::from(error.exit_code() as u8);
        }
        Err(error) => error.exit(),
    };
    let world = match distributed::join(cli.command.as_ref()) {
        Ok(world) => world,
        Err(error) => {
            let code = error.exit_code();
            if !distributed::is_another_rank() {
                distributed::report(&format!("{:#}", anyhow::Error::from(error)));
            }
            return ExitCode::from(code);
        }
    };
    let result = crash::contained(|| run(&cli, &world));
    distributed::leave(&world, result)
}

fn run(cli: &Cli, world: &World) -> Result<()> {
    instructions::limit()?;
    match &cli.command {
        None => commands::train::command(&cli.train, world),
        Some(Command::Train(args)) => commands::train::command(args, world),
        Some(Command::New(args)) => commands::new::command(args),
        Some(Command::Configs(args)) => commands::configs::command(args),
        Some(Command::Eval(args)) => commands::eval::command(args),
        Some(Command::Trace(args)) => commands::trace::command(args),
        Some(Command::Generate(args)) => commands::generate::command(args),
        Some(Command::Serve(args)) => commands::serve::command(args),
        Some(Command::Compare(args)) => commands::compare::command(args),
        Some(Command::Watch(args)) => commands::watch::command(args),
        Some(Command::Figure(args)) => commands::figure::command(args),
        Some(Command::Schedule(args)) => commands::schedule::command(args),
        Some(Command::Sweep(args)) => commands::sweep::command(args),
        Some(Command::FitLaw(args)) => commands::fit_law::command(args),
        Some(Command::Checkpoints(args)) => commands::checkpoints::command(args),
        Some(Command::Import(args)) => commands::import::command(args),
        Some(Command::Export(args)) => commands::export::command(args),
        Some(Command::Prepare(args)) => commands::prepare::command(args),
        Some(Command::Bench(args)) => commands::bench::command(args, world),
        Some(Command::Devices(args)) => commands::devices::command(*args),
        Some(Command::Selftest(args)) => commands::selftest::command(args),
        Some(Command::Explain(args)) => commands::explain::command(args),
        Some(Command::Metrics(args)) => commands::metrics::command(args),
        Some(Command::Schema { sweep }) => commands::schema::command(*sweep),
        Some(Command::Completions { shell }) => commands::completions::command(*shell),
        Some(Command::Man { out }) => commands::man::command(out.as_deref()),
    }
}
