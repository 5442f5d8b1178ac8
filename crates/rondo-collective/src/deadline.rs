//! How long a rank waits, and the report about late ranks.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::Peer;

/// The exit code of a world that ended because a rank was late. The run can resume from its last
/// checkpoint.
pub const LATE_CODE: i32 = 7;

/// The report of a rank that gives up waiting.
#[derive(Clone, Debug, PartialEq)]
pub struct Late {
    /// The rank that waited.
    pub by: Peer,
    /// The name of the [`Collective`](crate::Collective) method or of the MPI function in which the
    /// rank waited.
    pub operation: &'static str,
    /// How long the rank was allowed to wait.
    pub timeout: Duration,
    /// The ranks that have not reached the operation. `None` if rank `by` has no list of these
    /// ranks; under MPI, only ranks 0 and 1 have one. Empty if all ranks have reached the operation
    /// but the engine does not finish it.
    pub missing: Option<Vec<Peer>>,
}

impl fmt::Display for Late {
    /// Writes the report, for example "300 s without rank 3 (node07, pid 4711)".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.timeout.as_secs_f64();
        let missing = match &self.missing {
            None => {
                return write!(
                    f,
                    "{} waited {seconds} s for others in {}",
                    self.by, self.operation
                );
            }
            Some(missing) if missing.is_empty() => {
                return write!(
                    f,
                    "{seconds} s in {} although every rank has come: the network is at fault",
                    self.operation
                );
            }
            Some(missing) => missing,
        };
        write!(f, "{seconds} s without ")?;
        for (place, peer) in missing.iter().take(8).enumerate() {
            write!(f, "{}{peer}", if place == 0 { "" } else { ", " })?;
        }
        match missing.len().checked_sub(8) {
            Some(more) if more > 0 => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}

/// The callback that a rank calls when it gives up waiting.
pub(crate) type Report = Box<dyn Fn(&Late) + Send + Sync>;

/// How long this rank waits for the others, and the callback for the report when it gives up.
pub(crate) struct Patience {
    /// The limit in nanoseconds. [`u64::MAX`] means no limit.
    timeout: AtomicU64,
    report: Mutex<Option<Report>>,
}

impl Patience {
    pub(crate) fn new() -> Patience {
        Patience {
            timeout: AtomicU64::new(u64::MAX),
            report: Mutex::new(None),
        }
    }

    pub(crate) fn set_timeout(&self, timeout: Option<Duration>) {
        let nanoseconds = timeout.and_then(|timeout| u64::try_from(timeout.as_nanos()).ok());
        self.timeout
            .store(nanoseconds.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn set_report(&self, report: Report) {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
    }

    pub(crate) fn report(&self, late: &Late) {
        if let Some(report) = &*self.report.lock().unwrap_or_else(PoisonError::into_inner) {
            report(late);
        }
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        match self.timeout.load(Ordering::Relaxed) {
            u64::MAX => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(rank: usize) -> Peer {
        Peer {
            rank,
            host: format!("node{rank}"),
            pid: 4000 + rank as u32,
        }
    }

    #[test]
    fn the_missing_are_named() {
        let late = |missing| Late {
            by: peer(0),
            operation: "barrier",
            timeout: Duration::from_mins(5),
            missing,
        };
        let text = |missing| late(missing).to_string();
        assert_eq!(
            text(Some(vec![peer(3)])),
            "300 s without rank 3 (node3, pid 4003)"
        );
        assert_eq!(
            text(Some(vec![peer(1), peer(2)])),
            "300 s without rank 1 (node1, pid 4001), rank 2 (node2, pid 4002)"
        );
        assert!(
            text(Some((1..12).map(peer).collect()))
                .ends_with("rank 8 (node8, pid 4008) and 3 more")
        );
        assert_eq!(
            text(Some(vec![])),
            "300 s in barrier although every rank has come: the network is at fault"
        );
        assert_eq!(
            text(None),
            "rank 0 (node0, pid 4000) waited 300 s for others in barrier"
        );
    }

    #[test]
    fn for_ever_is_the_default() {
        let patience = Patience::new();
        assert_eq!(patience.timeout(), None);
        patience.set_timeout(Some(Duration::from_secs(2)));
        assert_eq!(patience.timeout(), Some(Duration::from_secs(2)));
        patience.set_timeout(None);
        assert_eq!(patience.timeout(), None);
    }
}
