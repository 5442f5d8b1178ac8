//! Starts the world that this process belongs to.

use std::sync::Arc;
use std::time::Duration;

use crate::deadline::{Late, Report};
use crate::{Collective, Failure, One, Placement, Refusal, launch, peer};

/// Why a world cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program was launched in a wrong way.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The engine fails.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A started world, and the place of this process on its host.
#[derive(Clone)]
pub struct Started {
    /// The world.
    pub world: Arc<dyn Collective>,
    /// How the launcher started this process; `None` if the process is alone.
    pub placement: Option<Placement>,
    /// This rank's number among the ranks on its host.
    pub local_rank: usize,
    /// The number of ranks on this host.
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

    /// Returns the number of hosts that the ranks run on.
    pub fn hosts(&self) -> usize {
        peer::hosts(self.world.peers())
    }
}

/// Starts the world that the launcher's environment variables describe. `look` returns the value of
/// a variable. A single process starts no engine. Call this function once, in the thread that uses
/// the world afterwards.
///
/// Waits for the other ranks for at most `timeout`. This limit holds for every operation until
/// [`Collective::set_timeout`] changes it. If the other ranks do not come in time, `report` is
/// called as described at [`Collective::set_late_report`], and this process ends with
/// [`LATE_CODE`](crate::LATE_CODE).
///
/// # Errors
///
/// Where the launch is refused (see [`Refusal`]) or the engine fails. If MPI had already started,
/// the caller must end the process with a code other than 0, so that the launcher ends the other
/// ranks.
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

/// Starts the world like [`start_within`], but waits without a limit.
///
/// # Errors
///
/// The errors of [`start_within`].
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
