//! Communication between processes that train one model together.
//!
//! Each process is a *rank* of a *world*. A collective is an operation that every rank calls, in
//! the same order. It ends when all ranks have called it. [`OrderedSum`] and [`OwnedSum`] add
//! pairwise, in the order of ranks. They use the same binary tree as the sum of micro-batches in
//! one process:
//!
//! ```text
//! ((g_0 + g_1) + (g_2 + g_3)) + ((g_4 + g_5) + (g_6 + g_7))      8 micro-batches
//!  └ rank 0 ┘   └ rank 1 ┘     └ rank 2 ┘   └ rank 3 ┘           the same on 4 ranks
//! ```
//!
//! If the number of micro-batches of each rank is a power of two, the sum has the same bits as the
//! sum in one process. [`Reduce::Fast`] and [`Collective::all_reduce`] do not use this tree.
//!
//! In reading order:
//!
//! * [`Collective`]: the operations of a world; [`typed`]: operations that send numbers or messages
//!   of any length
//! * [`peer`]: a rank's host and process, as error messages print them; [`failure`]: what can go
//!   wrong
//! * [`deadline`]: how long a rank waits, and the report about late ranks; `wait`: the wait itself;
//!   `arrivals`: which ranks have reached an operation
//! * [`pairwise`]: the binary tree, for the values of one process
//! * [`ordered`]: a sum over the same tree across ranks; [`owned`]: the same sum where each rank
//!   receives only the range that it owns
//! * [`reduce`]: one sum per step, with the tree or without it
//! * [`one`]: a world of a single process; [`threads`]: ranks as threads, for tests; `mpi` (feature
//!   `mpi`): ranks as processes connected by MPI
//! * [`timing`]: how long a sum takes
//! * [`launch`]: how the launcher describes this process; [`start`]: starts the world of this
//!   process
//!
//! # Limits
//!
//! The crate handles slices of bytes and of `f32`. It uses no tensors, gradients, steps or
//! configurations. It reads no file and no environment variable.

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
/// Every rank calls the same operations in the same order, from the thread that started the world.
/// The lengths of the slices must agree between ranks. After an operation returns `Ok`, its result
/// is the same on every rank that receives one.
///
/// # Errors
///
/// Every operation may return [`Failure::Engine`], [`Failure::Aborted`] or [`Failure::Late`]. The
/// world cannot be used after an error: the caller prints the error and calls
/// [`abort`](Collective::abort).
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

    /// Returns all ranks in order, each with its host and process. The list is as long as the
    /// world.
    fn peers(&self) -> &[Peer];

    /// Returns the name of the engine as the program prints it, for example "Open MPI 4.1.4".
    fn engine(&self) -> &str;

    /// Sets how long an operation may wait for the other ranks from now on. `None`, the initial
    /// value, sets no limit.
    fn set_timeout(&self, timeout: Option<Duration>);

    /// Sets the callback that a rank calls when it gives up waiting, before [`Failure::Late`] is
    /// returned. An operation of MPI cannot be given up: with MPI, all ranks end with [`LATE_CODE`]
    /// as soon as the callback returns.
    fn set_late_report(&self, report: Box<dyn Fn(&Late) + Send + Sync>);

    /// Waits until every rank has reached this call.
    fn barrier(&self) -> Result<(), Failure>;

    /// Copies `data` of rank `root` to every rank. All slices have the same length.
    fn broadcast(&self, root: usize, data: &mut [u8]) -> Result<(), Failure>;

    /// Fills `all` with the slices `mine` of all ranks, in the order of ranks: `all.len() ==
    /// mine.len() * world_size`.
    fn all_gather(&self, mine: &[u8], all: &mut [u8]) -> Result<(), Failure>;

    /// Sends block `r` of `send` to rank `r`, and receives block `r` of `receive` from rank `r`.
    /// `send` and `receive` have the same length, a multiple of the world's size.
    fn all_to_all(&self, send: &[u8], receive: &mut [u8]) -> Result<(), Failure>;

    /// Adds `data` of all ranks in the engine's own order, in place. All ranks receive the same
    /// bits. A world of another size may compute other bits.
    fn all_reduce(&self, data: &mut [f32]) -> Result<(), Failure>;

    /// Waits until every rank has reached this call, then leaves the engine. Call this function
    /// once, as the last operation, and only when the run ends normally. A rank that fails calls
    /// [`abort`](Collective::abort) instead.
    fn finish(&self) -> Result<(), Failure>;

    /// Ends every rank of the world with `code`, whatever the other ranks are doing.
    fn abort(&self, code: i32) -> !;

    /// Returns the number of ranks.
    fn world_size(&self) -> usize {
        self.peers().len()
    }

    /// Returns whether this process is the only rank of the world.
    fn is_alone(&self) -> bool {
        self.world_size() == 1
    }

    /// Returns this rank's own entry of [`peers`](Collective::peers).
    fn me(&self) -> &Peer {
        &self.peers()[self.rank()]
    }
}
