//! The other processes of a run: how this process joins them, and how it leaves them.
//!
//! Training and benchmarks can run in several processes; every other command is one process. A rank
//! leaves in order only if all ranks do: at the end of the work, or after an error that all ranks
//! have. Any other error ends all ranks at once, because the others may be waiting for this rank.

use std::io::Write;
use std::process::ExitCode;

use rondo_collective::start::{StartError, Started, start_within};
use rondo_collective::{Late, launch};
use rondo_metrics::Word;
use rondo_train::distributed::{DistributedConfig, World};
use rondo_train::error::{Error, Result};

use crate::cli::Command;

/// Starts the world that the launcher's environment variables describe. Without a launcher, this
/// process is alone. The configuration is not read yet, so a rank waits for the others for its
/// default time.
///
/// # Errors
///
/// If the launch is wrong, or MPI fails. MPI may have been started, so the process must end with a
/// code other than 0.
fn start() -> Result<Started> {
    let patience = DistributedConfig::default().start_deadline();
    let tell = |late: &Late| report(&format!("start: {late}; all ranks end; start again"));
    start_within(patience, tell, variable).map_err(|error| match error {
        StartError::Refused(refusal) => Error::Usage(refusal.to_string()),
        StartError::Failed(failure) => Error::Other(failure.into()),
    })
}

/// Joins the processes that were started with this one.
///
/// # Errors
///
/// Those of [`start`], and if several processes were started for a command that is one process.
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

/// Leaves the processes of a run, in order or by ending them.
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
    // If a rank is missing now, this has been reported already, and the exit code stays the same.
    let _ = world.finish();
    ExitCode::from(code)
}

/// Returns whether a launcher has started this process as a rank other than 0. Messages before the
/// ranks are connected are printed by rank 0 only.
pub(crate) fn is_another_rank() -> bool {
    let placement = launch::detect(variable).ok().flatten();
    placement.is_some_and(|placement| placement.rank > 0)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Prints an error.
pub(crate) fn report(error: &str) {
    // Standard error may be closed, in which case the message is lost.
    let _ = writeln!(std::io::stderr(), "{} {error}", Word::Error.for_stderr());
}
