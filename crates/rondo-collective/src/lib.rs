//! Processes that train one model together: who they are, what they exchange, and sums with the bits of one process.
//!
//! Each process is a *rank* of a *world*. A collective is an operation that every rank calls, in the same order, and that
//! ends when all have. Sums are pairwise in the order of ranks, by the same binary tree as the sum of micro-batches in one
//! process:
//!
//! ```text
//! ((g_0 + g_1) + (g_2 + g_3)) + ((g_4 + g_5) + (g_6 + g_7))      8 micro-batches
//!  └ rank 0 ┘   └ rank 1 ┘     └ rank 2 ┘   └ rank 3 ┘           the same on 4 ranks
//! ```
//!
//! so a world in which each rank has a power of two of micro-batches computes the bits of a world of one.
//!
//! In reading order:
//!
//! * [`Collective`]: what a world offers, and [`typed`]: numbers and messages of any length over it
//! * [`peer`], [`failure`]: a rank as messages name it, and what can go wrong
//! * [`deadline`]: how long a rank waits, and who is late; `wait`: the wait itself; `arrivals`: who has come
//! * [`pairwise`]: the binary tree, for values of one process
//! * [`ordered`]: the same tree across ranks; [`owned`]: the same, where each rank owns a range
//! * [`reduce`]: one sum per step, ordered or in the engine's order
//! * [`one`], [`threads`], `mpi` (feature `mpi`): a process by itself, ranks as threads for tests, and MPI
//! * [`timing`]: how long a sum takes
//! * [`launch`]: what the launcher says about this process, and [`start`]: the world it is in
//!
//! The crate knows slices of bytes and of `f32`. It does not know tensors, gradients, steps or configurations, and reaches
//! no file and no environment variable.

#[cfg(any(feature = "mpi", test))]
mod arrivals;
pub mod deadline;
pub mod failure;
pub mod launch;
#[cfg(feature = "mpi")]
mod mpi;
pub mod one;
pub mod ordered;
pub mod owned;
pub mod pairwise;
pub mod peer;
pub mod reduce;
pub mod start;
pub mod threads;
pub mod timing;
pub mod typed;
#[cfg(any(feature = "mpi", test))]
mod wait;

use std::time::Duration;

pub use deadline::{LATE_CODE, Late};
pub use failure::Failure;
pub use launch::{Launcher, Placement, Refusal};
pub use one::One;
pub use ordered::OrderedSum;
pub use owned::OwnedSum;
pub use pairwise::PairwiseSum;
pub use peer::Peer;
pub use reduce::{Reduce, Reducer, Wire};

/// A world of ranks, seen from one of them.
///
/// Every rank calls the same operations in the same order, with lengths that agree, from the thread that started the
/// world. After an operation returns `Ok`, its result is the same on every rank that receives it.
///
/// # Errors
///
/// Every operation may return [`Failure::Engine`], [`Failure::Aborted`] or [`Failure::Late`]. The world is of no use
/// after an error; the caller prints it and calls [`abort`](Collective::abort).
///
/// # Panics
///
/// An operation panics where the lengths of its slices contradict the size of the world.
#[allow(
    clippy::missing_errors_doc,
    reason = "the errors of all operations are above"
)]
pub trait Collective: Send + Sync {
    /// Returns this process's number, from 0.
    fn rank(&self) -> usize;

    /// Returns all ranks in order, with host and process. Its length is the size of the world.
    fn peers(&self) -> &[Peer];

    /// Returns the name of the engine as messages print it, for example "Open MPI 4.1.4".
    fn engine(&self) -> &str;

    /// Sets how long an operation may wait for the other ranks from now on. `None` waits for ever, as at the start.
    fn set_timeout(&self, timeout: Option<Duration>);

    /// Sets what is called on a rank that gives up waiting, before [`Failure::Late`] is returned. MPI cannot give an
    /// operation up: there, all ranks end with [`LATE_CODE`] as soon as the report returns.
    fn set_late_report(&self, report: Box<dyn Fn(&Late) + Send + Sync>);

    /// Waits until every rank has come.
    fn barrier(&self) -> Result<(), Failure>;

    /// Copies `data` of rank `root` to every rank. All slices have the same length.
    fn broadcast(&self, root: usize, data: &mut [u8]) -> Result<(), Failure>;

    /// Fills `all` with `mine` of every rank, in the order of ranks: `all.len() == mine.len() * world_size`.
    fn all_gather(&self, mine: &[u8], all: &mut [u8]) -> Result<(), Failure>;

    /// Sends block `r` of `send` to rank `r`; block `r` of `receive` comes from rank `r`. Both have the same length,
    /// a multiple of the world's size.
    fn all_to_all(&self, send: &[u8], receive: &mut [u8]) -> Result<(), Failure>;

    /// Adds `data` of all ranks in the engine's own order, in place. All ranks receive the same bits; another world's
    /// size may give others.
    fn all_reduce(&self, data: &mut [f32]) -> Result<(), Failure>;

    /// Waits until every rank has come, and leaves the engine. Call it once, as the last operation,
    /// and only when the run ends normally: a rank that fails calls [`abort`](Collective::abort).
    fn finish(&self) -> Result<(), Failure>;

    /// Ends every rank of the world with `code`, wherever the others are.
    fn abort(&self, code: i32) -> !;

    /// Returns how many ranks there are.
    fn world_size(&self) -> usize {
        self.peers().len()
    }

    /// Returns whether this process is the world.
    fn is_alone(&self) -> bool {
        self.world_size() == 1
    }

    /// Returns this rank's name, host and process.
    fn me(&self) -> &Peer {
        &self.peers()[self.rank()]
    }
}
