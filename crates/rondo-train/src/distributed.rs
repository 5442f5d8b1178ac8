//! A run on several ranks. The ranks are processes that share the micro-batches of each step. All
//! ranks have the same weights.
//!
//! ```text
//! micro-batches of the step      0 1 2 3 4 5 6 7
//! on 4 ranks                     rank 0: 0 1   rank 1: 2 3   rank 2: 4 5   rank 3: 6 7
//! ∇L = ((g_0 + g_1) + (g_2 + g_3)) + ((g_4 + g_5) + (g_6 + g_7))
//! ```
//!
//! By default, gradients are summed pairwise in the order of micro-batches, on one rank or on many.
//! If the number of micro-batches of each rank is a power of two, the sum therefore has the same
//! bits for every number of ranks ([rondo_collective]). Only rank 0 uses the files, the lock and
//! the screen. Every decision (to skip, stop, save, evaluate or end) depends only on numbers that
//! all ranks have in common.
//!
//! In reading order:
//!
//! * `config`: `[distributed]`
//! * `share`: the micro-batches of a rank; `place`: the device and the threads of a rank
//! * `agree`: an error of one rank before the training loop becomes the error of all ranks
//! * `standing`: the message about a missing rank
//! * `replicas`: sends weights and moments from rank 0 to all ranks, and checks that the weights of
//!   all ranks stay equal
//! * `gradients`: sums the gradients of a step; `zero`: each rank updates some of the tensors
//! * `pace`: the step times of the ranks; `message`: numbers as bytes
//!
//! # Limits
//!
//! This module neither starts processes nor calls MPI. `rondo_collective` calls MPI.

mod agree;
mod config;
pub(crate) mod gradients;
pub(crate) mod message;
mod pace;
mod place;
pub(crate) mod replicas;
mod share;
mod standing;
mod zero;

use std::sync::Arc;
use std::time::Duration;

use rondo_collective::{Collective, Failure, One, peer};
use rondo_metrics::Mode;

pub use self::agree::Agreed;
pub use self::config::{DistributedConfig, GradientDtype, Reduce};
pub use self::gradients::bytes_per_step;
pub use self::pace::RankPace;
pub use self::place::Place;
pub(crate) use self::place::cores;
pub use self::share::Share;
use self::standing::Standing;
pub use self::zero::Owners;
use crate::error::{Error, Result};

/// The ranks of a run, as seen by one of them.
#[derive(Clone)]
pub struct World {
    collective: Arc<dyn Collective>,
    standing: Arc<Standing>,
}

impl World {
    /// Returns the world of a single process.
    pub fn alone() -> Self {
        Self::new(Arc::new(One::new()))
    }

    /// Returns the world of an engine that has been started.
    pub fn new(collective: Arc<dyn Collective>) -> Self {
        Self {
            collective,
            standing: Arc::default(),
        }
    }

    /// Sets the function that prints the message when this rank gives up waiting. After the
    /// message, all ranks end.
    pub fn tell_with(&self, tell: impl Fn(&str) + Send + Sync + 'static) {
        let standing = Arc::clone(&self.standing);
        self.collective
            .set_late_report(Box::new(move |late| tell(&standing.describe(late))));
    }

    /// Returns the number of this rank, from 0.
    pub fn rank(&self) -> usize {
        self.collective.rank()
    }

    /// Returns the number of ranks.
    pub fn world_size(&self) -> usize {
        self.collective.world_size()
    }

    /// Returns whether this process is the only rank.
    pub fn is_alone(&self) -> bool {
        self.collective.is_alone()
    }

    /// Returns whether this is rank 0, the only rank that uses the files, the lock and the screen.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Returns how much this rank prints. On rank 0 this is `mode`; other ranks print nothing.
    pub fn mode(&self, mode: Mode) -> Mode {
        match self.is_first() {
            true => mode,
            false => Mode::Silent,
        }
    }

    /// Returns the name of this rank, with its host and process id.
    pub fn me(&self) -> String {
        self.collective.me().to_string()
    }

    /// Returns the collective operations of the engine.
    pub fn collective(&self) -> &dyn Collective {
        &*self.collective
    }

    /// Returns the place of this rank on its host.
    pub fn place(&self) -> Place {
        let (local_rank, local_size) = peer::local(self.collective.peers(), self.rank());
        Place {
            local_rank,
            local_size,
        }
    }

    /// Describes the ranks and hosts, for example `4 on 2 hosts (Open MPI 4.1.4)`. `None` for a
    /// single process.
    pub fn label(&self) -> Option<String> {
        if self.is_alone() {
            return None;
        }
        let hosts = match self.hosts() {
            1 => "1 host".to_owned(),
            hosts => format!("{hosts} hosts"),
        };
        let (ranks, engine) = (self.world_size(), self.collective.engine());
        Some(format!("{ranks} on {hosts} ({engine})"))
    }

    /// Returns the number of hosts that the ranks run on.
    pub fn hosts(&self) -> usize {
        peer::hosts(self.collective.peers())
    }

    /// Returns the name of the engine that connects the ranks.
    pub fn engine(&self) -> &str {
        self.collective.engine()
    }

    /// Returns the name of a rank, with its host.
    pub(crate) fn name(&self, rank: usize) -> String {
        format!("rank {rank} on {}", self.collective.peers()[rank].host)
    }

    /// Sets how long this rank waits for the other ranks in each operation from now on. `None`
    /// waits forever.
    pub fn wait_at_most(&self, limit: Option<Duration>) {
        self.collective.set_timeout(limit);
    }

    /// Records that step `step` has been taken, for the message about a missing rank.
    pub(crate) fn stands_at(&self, step: u64) {
        self.standing.stands_at(step);
    }

    /// Records that the run can resume from `step`, for the message about a missing rank.
    pub(crate) fn has_saved(&self, step: u64) {
        self.standing.has_saved(step);
    }

    /// Waits until every rank has reached this call.
    ///
    /// # Errors
    ///
    /// When a rank is missing.
    pub fn barrier(&self) -> Result<()> {
        self.told(self.collective.barrier())
    }

    /// Waits until every rank has come to its end, then leaves the engine.
    ///
    /// # Errors
    ///
    /// When a rank is missing.
    pub fn finish(&self) -> Result<()> {
        self.told(self.collective.finish())
    }

    /// Ends all ranks with the exit code `code`, whatever they are doing.
    pub fn abort(&self, code: u8) -> ! {
        self.collective.abort(code.into())
    }

    /// Returns the `bytes` of rank `root` on every rank. The `bytes` of other ranks are ignored.
    pub(crate) fn broadcast_bytes(&self, root: usize, bytes: Vec<u8>) -> Result<Vec<u8>> {
        self.told(self.collective.broadcast_message(root, bytes))
    }

    /// Returns the bytes of all ranks, in the order of ranks.
    pub(crate) fn all_gather_bytes(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.told(self.collective.all_gather_messages(mine))
    }

    /// Converts the failure of a collective operation into an error.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`], whose message says how to resume the run.
    pub fn told<T>(&self, result: Result<T, Failure>) -> Result<T> {
        result.map_err(|failure| {
            Error::Missing(match failure {
                Failure::Late(late) => self.standing.describe(&late),
                other => self.standing.end(&other.to_string()),
            })
        })
    }
}

/// Worlds whose ranks are threads, for tests.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Runs `work` on each rank of a world. Returns the results in the order of ranks.
    pub(crate) fn on_ranks<R: Send>(ranks: usize, work: impl Fn(World) -> R + Sync) -> Vec<R> {
        let worlds = rondo_collective::threads::world(ranks).into_iter();
        let worlds = worlds.map(|thread| World::new(Arc::new(thread)));
        std::thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> = worlds
                .map(|world| scope.spawn(move || work(world)))
                .collect();
            let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined
                .map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }
}
