//! Joins the other processes of a run at the start, and leaves them at the end.
//!
//! Training and benchmarks can run in several processes; every other command runs in one. A rank
//! may end normally only if all ranks do: at the end of the work, or after an error that occurs on
//! all ranks. After any other error, this rank ends all ranks at once, because the others may be
//! waiting for it.

use std::io::Write;
use std::process::ExitCode;

use rondo_collective::start::{StartError, Started, start_within};
use rondo_collective::{Late, launch};
use rondo_metrics::Word;
use rondo_train::distributed::{DistributedConfig, World};
use rondo_train::error::{Error, Result};

use crate::cli::Command;

/// Connects the ranks that the launcher's environment variables describe. Without a launcher, this
/// process is the only rank. The configuration has not been read yet, so the default deadline for
/// the start applies.
///
/// # Errors
///
/// Returns an error if the launch is not valid, or MPI fails. MPI may have been started, so the
/// process must then end with an exit code other than 0.
fn start() -> Result<Started> {
    let patience = DistributedConfig::default().start_deadline();
    let tell = |late: &Late| report(&format!("start: {late}; all ranks end; start again"));
    start_within(patience, tell, variable).map_err(|error| match error {
        StartError::Refused(refusal) => Error::Usage(refusal.to_string()),
        StartError::Failed(failure) => Error::Other(failure.into()),
    })
}

/// Joins the processes that the launcher started together with this one.
///
/// # Errors
///
/// Those of [`start`]. Also returns an error if several processes were started for a command that
/// runs in one.
pub(crate) fn join(command: Option<&Command>) -> Result<World> {
    if !matches!(command, None | Some(Command::Train(_) | Command::Bench(_))) {
        let placement = launch::detect(variable).ok().flatten();
        return match placement {
            None => Ok(World::alone()),
            Some(placement) => Err(Error::Usage(format!(
                "{} has started {} processes, and this command is one process: only training and bench use several; start \
                 it without a launcher",
                placement.launcher, placement.size
            ))),
        };
    }
    let world = World::new(start()?.world);
    world.tell_with(report);
    Ok(world)
}

/// Ends this rank, normally or by ending all ranks, and returns the exit code.
pub(crate) fn leave(world: &World, result: Result<()>) -> ExitCode {
    let error = match result.and_then(|()| world.finish()) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(error) => error,
    };
    let code = error.exit_code();
    let is_in_order = world.is_alone() || error.is_of_all_ranks();
    let told = format!("{:#}", anyhow::Error::from(error));
    if !is_in_order {
        report(&match world.is_first() {
            true => told,
            false => format!("{}: {told}", world.me()),
        });
        world.abort(code);
    }
    if world.is_first() {
        report(&told);
    }
    // If a rank is missing now, an error has already been reported, and the exit code stays the
    // same.
    let _ = world.finish();
    ExitCode::from(code)
}

/// Whether a launcher has started this process as a rank other than 0. Until the ranks are
/// connected, only rank 0 prints messages.
pub(crate) fn is_another_rank() -> bool {
    let placement = launch::detect(variable).ok().flatten();
    placement.is_some_and(|placement| placement.rank > 0)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Prints an error.
pub(crate) fn report(error: &str) {
    // If standard error is closed, the message is lost.
    let _ = writeln!(std::io::stderr(), "{} {error}", Word::Error.for_stderr());
}
