//! Ranks as threads of one process; for tests only.
//!
//! Every collective is one exchange: each rank stores its bytes. When the last rank has stored its
//! bytes, every rank reads the bytes of all.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::deadline::{Late, Patience};
use crate::{Collective, Failure, Peer};

/// The bytes of all ranks, in the order of ranks.
type Bytes = Arc<Vec<Vec<u8>>>;

/// A rank that is a thread.
pub struct Thread {
    rank: usize,
    peers: Vec<Peer>,
    table: Arc<Table>,
    patience: Patience,
}

struct Table {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The bytes that each rank has stored in the current exchange.
    laid: Vec<Option<Vec<u8>>>,
    /// The number of finished exchanges, and the result of the last one.
    over: u64,
    last: Bytes,
    /// The rank that ended the world, and its exit code.
    aborted: Option<(usize, i32)>,
}

/// Runs `rank` once for each rank of a world, each on its own thread. Returns the results in the
/// order of ranks.
///
/// # Panics
///
/// Panics where a rank panics. If that rank called [`Collective::abort`], the operations of the
/// other ranks return [`Failure::Aborted`].
pub fn run<R: Send>(world_size: usize, rank: impl Fn(&dyn Collective) -> R + Sync) -> Vec<R> {
    let world = world(world_size);
    std::thread::scope(|scope| {
        let start = |thread: &'_ Thread| -> R { rank(thread) };
        let threads: Vec<_> = world
            .iter()
            .map(|thread| scope.spawn(move || start(thread)))
            .collect();
        let end = |thread: std::thread::ScopedJoinHandle<'_, R>| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(end).collect()
    })
}

/// Returns the ranks of a world. The caller starts the threads.
pub fn world(world_size: usize) -> Vec<Thread> {
    let state = State {
        laid: vec![None; world_size],
        over: 0,
        last: Arc::default(),
        aborted: None,
    };
    let table = Arc::new(Table {
        state: Mutex::new(state),
        changed: Condvar::new(),
    });
    let peer = |rank| Peer {
        rank,
        host: format!("thread{rank}"),
        pid: std::process::id(),
    };
    let peers: Vec<Peer> = (0..world_size).map(peer).collect();
    let thread = |rank| Thread {
        rank,
        peers: peers.clone(),
        table: Arc::clone(&table),
        patience: Patience::new(),
    };
    (0..world_size).map(thread).collect()
}

impl Thread {
    fn state(&self) -> MutexGuard<'_, State> {
        self.table
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn exchange(&self, operation: &'static str, mine: Vec<u8>) -> Result<Bytes, Failure> {
        let mut state = self.state();
        let number = state.over;
        state.laid[self.rank] = Some(mine);
        if state.laid.iter().all(Option::is_some) {
            state.last = Arc::new(state.laid.iter_mut().filter_map(Option::take).collect());
            state.over += 1;
            self.table.changed.notify_all();
            return Ok(Arc::clone(&state.last));
        }
        let waiting = |state: &mut State| state.over == number && state.aborted.is_none();
        let timeout = self.patience.timeout();
        let state = match timeout {
            None => self
                .table
                .changed
                .wait_while(state, waiting)
                .unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                self.table
                    .changed
                    .wait_timeout_while(state, timeout, waiting)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        if state.over > number {
            return Ok(Arc::clone(&state.last));
        }
        if let Some((rank, code)) = state.aborted {
            return Err(Failure::Aborted { rank, code });
        }
        let absent = |peer: &&Peer| state.laid[peer.rank].is_none();
        let missing = self.peers.iter().filter(absent).cloned().collect();
        let late = Late {
            by: self.me().clone(),
            operation,
            timeout: timeout.unwrap_or(Duration::MAX),
            missing: Some(missing),
        };
        drop(state);
        self.patience.report(&late);
        Err(Failure::Late(late))
    }
}

impl Collective for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn peers(&self) -> &[Peer] {
        &self.peers
    }

    fn engine(&self) -> &'static str {
        "threads"
    }

    fn set_timeout(&self, timeout: Option<Duration>) {
        self.patience.set_timeout(timeout);
    }

    fn set_late_report(&self, report: Box<dyn Fn(&Late) + Send + Sync>) {
        self.patience.set_report(report);
    }

    fn barrier(&self) -> Result<(), Failure> {
        self.exchange("barrier", Vec::new()).map(drop)
    }

    fn broadcast(&self, root: usize, data: &mut [u8]) -> Result<(), Failure> {
        let mine = if root == self.rank {
            data.to_vec()
        } else {
            Vec::new()
        };
        let all = self.exchange("broadcast", mine)?;
        data.copy_from_slice(&all[root]);
        Ok(())
    }

    fn all_gather(&self, mine: &[u8], all: &mut [u8]) -> Result<(), Failure> {
        let bytes = self.exchange("all_gather", mine.to_vec())?;
        all.copy_from_slice(&bytes.concat());
        Ok(())
    }

    fn all_to_all(&self, send: &[u8], receive: &mut [u8]) -> Result<(), Failure> {
        let length = send.len() / self.peers.len();
        let all = self.exchange("all_to_all", send.to_vec())?;
        for (rank, bytes) in all.iter().enumerate() {
            receive[rank * length..][..length]
                .copy_from_slice(&bytes[self.rank * length..][..length]);
        }
        Ok(())
    }

    /// Adds the numbers one rank after another, in the order of ranks. This order differs from that
    /// of the pairwise sum.
    fn all_reduce(&self, data: &mut [f32]) -> Result<(), Failure> {
        let all = self.exchange("all_reduce", bytemuck::cast_slice(data).to_vec())?;
        data.fill(0.0);
        for bytes in all.iter() {
            let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(bytes.as_slice());
            data.iter_mut()
                .zip(&numbers)
                .for_each(|(sum, number)| *sum += number);
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), Failure> {
        self.barrier()
    }

    /// Ends this thread with a panic; the waiting calls of the other ranks return
    /// [`Failure::Aborted`].
    fn abort(&self, code: i32) -> ! {
        let mut state = self.state();
        state.aborted.get_or_insert((self.rank, code));
        self.table.changed.notify_all();
        drop(state);
        panic!("rank {} ends all ranks with code {code}", self.rank)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails must fail the test")]

    use super::*;

    #[test]
    fn blocks_go_to_their_ranks() {
        let seen = run(3, |world| {
            let send: Vec<u8> = (0..6)
                .map(|block| 10 * world.rank() as u8 + block)
                .collect();
            let mut receive = [0; 6];
            world.all_to_all(&send, &mut receive).unwrap();
            receive
        });
        assert_eq!(
            seen,
            [
                [0, 1, 10, 11, 20, 21],
                [2, 3, 12, 13, 22, 23],
                [4, 5, 14, 15, 24, 25]
            ]
        );
    }

    #[test]
    fn operations_in_a_row_do_not_mix() {
        let seen = run(4, |world| {
            (0..200u32).all(|round| {
                let all = world
                    .all_gather_numbers(&[round * 4 + world.rank() as u32])
                    .unwrap();
                world.barrier().unwrap();
                all == [0, 1, 2, 3].map(|rank| round * 4 + rank)
            })
        });
        assert_eq!(seen, [true; 4]);
    }

    #[test]
    fn a_rank_that_does_not_come_is_named() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let seen = run(3, |world| {
            world.barrier().unwrap();
            if world.rank() == 1 {
                return None;
            }
            let told = Arc::clone(&told);
            world.set_timeout(Some(Duration::from_millis(20)));
            world.set_late_report(Box::new(move |late| {
                told.lock().unwrap().push(late.to_string());
            }));
            match world.barrier() {
                Err(Failure::Late(late)) => late.missing,
                other => panic!("{other:?}"),
            }
        });
        // Each message names rank 1. The rank that gave up first may also name the other waiting
        // rank, if that rank had not come by then.
        assert!(
            seen.iter()
                .flatten()
                .all(|missing| missing.iter().any(|peer| peer.rank == 1))
        );
        assert_eq!(seen[1], None);
        assert_eq!(told.lock().unwrap().len(), 2);
    }

    #[test]
    fn an_abort_ends_the_waits_of_others() {
        let ranks = world(2);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| ranks[0].barrier());
            let aborts = scope.spawn(|| ranks[1].abort(13));
            assert!(matches!(
                waits.join().unwrap(),
                Err(Failure::Aborted { rank: 1, code: 13 })
            ));
            assert!(aborts.join().is_err());
        });
    }
}
