//! Starts the world that this process belongs to.

use std::sync::Arc;
use std::time::Duration;

use crate::deadline::{Late, Report};
use crate::{Collective, Failure, One, Placement, Refusal, launch, peer};

/// Why a world cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The launch itself is wrong: bad usage.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The engine fails.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A started world, and this process's place on its host.
#[derive(Clone)]
pub struct Started {
    /// The world.
    pub world: Arc<dyn Collective>,
    /// Who started it. `None`: this process is alone.
    pub placement: Option<Placement>,
    /// This rank's number among those of its host.
    pub local_rank: usize,
    /// How many ranks its host has.
    pub local_size: usize,
}

impl Started {
    /// Creates the world of a single process.
    pub fn alone() -> Started {
        Started {
            world: Arc::new(One::new()),
            placement: None,
            local_rank: 0,
            local_size: 1,
        }
    }

    /// Returns how many hosts the ranks are on.
    pub fn hosts(&self) -> usize {
        peer::hosts(self.world.peers())
    }
}

/// Starts the world that the launcher's variables describe; `look` returns a variable by its name.
/// A single process starts no engine. Call it once, in the thread that uses the world afterwards.
///
/// Waits for the other ranks for at most `timeout`, now and until [`Collective::set_timeout`]
/// changes it. If they do not come, `report` is called, see [`Collective::set_late_report`]; then
/// this process ends with [`LATE_CODE`](crate::LATE_CODE).
///
/// # Errors
///
/// Where the launch is refused, see [`Refusal`], or the engine fails. On an error after MPI was started, the caller ends
/// the process with a code that is not 0, and the launcher ends the others.
pub fn start_within(
    timeout: Option<Duration>,
    report: impl Fn(&Late) + Send + Sync + 'static,
    look: impl Fn(&str) -> Option<String>,
) -> Result<Started, StartError> {
    match launch::detect(look)? {
        None => Ok(Started::alone()),
        Some(placement) => engine(placement, timeout, Box::new(report)),
    }
}

/// Like [`start_within`], without a limit to the wait.
///
/// # Errors
///
/// As [`start_within`].
pub fn start(look: impl Fn(&str) -> Option<String>) -> Result<Started, StartError> {
    start_within(None, |_| {}, look)
}

#[cfg(feature = "mpi")]
fn engine(
    placement: Placement,
    timeout: Option<Duration>,
    report: Report,
) -> Result<Started, StartError> {
    let world = crate::mpi::Mpi::start(placement.rank, timeout, report)?;
    let (mpi_rank, mpi_size) = (world.rank(), world.world_size());
    let Placement {
        launcher,
        rank,
        size,
        local_rank,
        local_size,
    } = placement;
    if (rank, size) != (mpi_rank, mpi_size) {
        let engine = world.engine().to_owned();
        return Err(Refusal::Disagreement {
            launcher,
            rank,
            size,
            engine,
            mpi_rank,
            mpi_size,
        }
        .into());
    }
    let (place, places) = peer::local(world.peers(), rank);
    let (local_rank, local_size) = (local_rank.unwrap_or(place), local_size.unwrap_or(places));
    Ok(Started {
        world: Arc::new(world),
        placement: Some(placement),
        local_rank,
        local_size,
    })
}

#[cfg(not(feature = "mpi"))]
fn engine(
    placement: Placement,
    _timeout: Option<Duration>,
    _report: Report,
) -> Result<Started, StartError> {
    Err(Refusal::NoEngine {
        launcher: placement.launcher,
        size: placement.size,
    }
    .into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails must fail the test")]

    use super::*;

    #[test]
    fn a_process_by_itself_starts_no_engine() {
        let started = start(|_| None).unwrap();
        assert_eq!((started.world.rank(), started.world.world_size()), (0, 1));
        assert_eq!(
            (started.local_rank, started.local_size, started.hosts()),
            (0, 1, 1)
        );
        assert_eq!(started.world.engine(), "one process");
    }

    #[cfg(not(feature = "mpi"))]
    #[test]
    fn several_processes_without_an_engine_are_refused() {
        let refused = start(|name| match name {
            "SLURM_PROCID" => Some(String::from("1")),
            "SLURM_STEP_NUM_TASKS" => Some(String::from("4")),
            _ => None,
        });
        let text = refused.err().unwrap().to_string();
        assert!(
            text.starts_with("srun started 4 processes, and this build knows one: build with"),
            "{text}"
        );
    }
}
