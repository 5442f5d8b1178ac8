//! Which ranks have reached which operation.
//!
//! A rank that has waited for 0.2 s sends an announcement to ranks 0 and 1. The announcement names
//! the operation in which the rank waits. A shorter wait sends no message. When rank 0 or rank 1
//! reaches its own deadline, it reports as missing every rank whose announcement has not come.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Peer;

/// The number of ranks that receive announcements: rank 0, and rank 1 in case rank 0 itself is
/// missing.
pub(crate) const WITNESSES: usize = 2;

/// For each rank, the number of the last operation in which the rank announced that it waits.
/// Operations are counted from 1.
pub(crate) struct Arrivals(Vec<AtomicU64>);

impl Arrivals {
    /// Creates the list for a world in which no rank has waited yet.
    pub(crate) fn new(world_size: usize) -> Arrivals {
        Arrivals((0..world_size).map(|_| AtomicU64::new(0)).collect())
    }

    /// Returns the ranks to which `rank` sends its announcements.
    pub(crate) fn witnesses(&self, rank: usize) -> impl Iterator<Item = usize> {
        (0..WITNESSES.min(self.0.len())).filter(move |witness| *witness != rank)
    }

    /// Records that `rank` waits in operation `number`.
    pub(crate) fn note(&self, rank: usize, number: u64) {
        self.0[rank].fetch_max(number, Ordering::Relaxed);
    }

    /// Returns the ranks that have not reached operation `number`, according to the announcements
    /// that rank `by` received. `None` if `by` receives no announcements.
    pub(crate) fn missing(&self, peers: &[Peer], by: usize, number: u64) -> Option<Vec<Peer>> {
        let is_absent = |peer: &&Peer| self.0[peer.rank].load(Ordering::Relaxed) < number;
        (by < WITNESSES).then(|| peers.iter().filter(is_absent).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_not_announced_itself_is_missing() {
        let peer = |rank| Peer {
            rank,
            host: String::new(),
            pid: 1,
        };
        let peers: Vec<Peer> = (0..4).map(peer).collect();
        let arrivals = Arrivals::new(4);
        for (rank, number) in [(0, 7), (1, 7), (2, 6), (3, 9), (3, 8)] {
            arrivals.note(rank, number);
        }
        // Rank 3 has already completed operation 7.
        assert_eq!(arrivals.missing(&peers, 0, 7), Some(vec![peer(2)]));
        assert_eq!(arrivals.missing(&peers, 1, 6), Some(vec![]));
        assert_eq!(arrivals.missing(&peers, 2, 7), None);
    }

    #[test]
    fn nobody_announces_itself_to_itself() {
        let of = |size, rank| Arrivals::new(size).witnesses(rank).collect::<Vec<_>>();
        assert_eq!(
            (of(4, 3), of(4, 0), of(4, 1)),
            (vec![0, 1], vec![1], vec![0])
        );
        assert_eq!((of(2, 1), of(1, 0)), (vec![0], vec![]));
    }
}
