//! Waits with a deadline.
//!
//! A wait tests its operation in a loop: for 0.2 s without a pause, then with pauses that grow to 1
//! ms. After 0.2 s the rank announces that it waits (`arrivals`). Ranks whose deadline is over
//! report one after another: rank 0 after 0.3 s; rank 1 after 0.6 s, in case rank 0 is missing or
//! came late itself; all others after 0.9 s.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::Peer;
use crate::arrivals::WITNESSES;
use crate::deadline::{LATE_CODE, Late, Patience};

/// How long a wait keeps the core. Most operations are done by then, and another process that gets
/// the core keeps it for milliseconds.
const KEEP: Duration = Duration::from_micros(200);
/// How long a wait tests without pauses. A wait of up to this length is not announced.
const SPIN: Duration = Duration::from_millis(200);
/// The longest pause between two tests.
const PAUSE: Duration = Duration::from_millis(1);
/// The time from the deadline to the report of rank 0, which still receives announcements in this
/// time. Rank 1 reports this much later than rank 0, and all other ranks this much later than rank
/// 1.
const GRACE: Duration = Duration::from_millis(300);

impl Patience {
    /// Runs `blocking`, in which the engine itself waits for the other ranks. If `blocking` takes
    /// longer than this rank's time limit, another thread reports the delay and ends the process.
    pub(crate) fn watch<R>(
        self: &Arc<Self>,
        operation: &'static str,
        by: Peer,
        blocking: impl FnOnce() -> R,
    ) -> R {
        let Some(timeout) = self.timeout() else {
            return blocking();
        };
        let (done, over) = channel();
        let patience = Arc::clone(self);
        let watch = std::thread::spawn(move || {
            if over.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout) {
                patience.report(&Late {
                    by,
                    operation,
                    timeout,
                    missing: None,
                });
                std::process::exit(LATE_CODE);
            }
        });
        let result = blocking();
        drop::<Sender<()>>(done);
        // The thread returns no result and ends at once.
        let _ = watch.join();
        result
    }
}

/// How a wait ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    Done,
    TooLong,
}

/// Tests `done` until it returns true or `limit` is over. Calls `slow` once, when the wait has
/// lasted as long as `SPIN`.
pub(crate) fn wait<E>(
    limit: Option<Duration>,
    mut done: impl FnMut() -> Result<bool, E>,
    slow: impl FnOnce() -> Result<(), E>,
) -> Result<Waited, E> {
    if done()? {
        return Ok(Waited::Done);
    }
    let start = Instant::now();
    loop {
        if done()? {
            return Ok(Waited::Done);
        }
        match start.elapsed() {
            elapsed if elapsed < KEEP => std::hint::spin_loop(),
            // There may be more ranks than cores: the rank that this one waits for may need the
            // core.
            elapsed if elapsed < SPIN => std::thread::yield_now(),
            _ => break,
        }
    }
    slow()?;
    loop {
        if done()? {
            return Ok(Waited::Done);
        }
        let elapsed = start.elapsed();
        if limit.is_some_and(|limit| elapsed >= limit) {
            return Ok(Waited::TooLong);
        }
        // On a slow network, an operation makes progress only when it is tested. The pause is
        // therefore at most a thousandth of the time waited so far.
        std::thread::sleep((elapsed / 1000).min(PAUSE));
    }
}

/// Returns how long rank `rank` waits before it reports, if its deadline is `timeout`. Ranks 0 and
/// 1, which receive the announcements, report first.
pub(crate) fn with_grace(timeout: Duration, rank: usize) -> Duration {
    timeout + GRACE * (1 + rank.min(WITNESSES)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn what_is_done_is_not_waited_for() {
        let waited = wait::<Infallible>(Some(Duration::ZERO), || Ok(true), || panic!("not slow"));
        assert_eq!(waited, Ok(Waited::Done));
    }

    #[test]
    fn a_wait_beyond_its_limit_ends() {
        let mut announced = 0;
        let never = wait::<Infallible>(
            Some(Duration::from_millis(250)),
            || Ok(false),
            || {
                announced += 1;
                Ok(())
            },
        );
        assert_eq!((never, announced), (Ok(Waited::TooLong), 1));
    }

    #[test]
    fn an_error_ends_the_wait() {
        let mut tests = 0;
        let failed = wait(
            None,
            || {
                if tests == 3 {
                    Err("broken")
                } else {
                    tests += 1;
                    Ok(false)
                }
            },
            || Ok(()),
        );
        assert_eq!(failed, Err("broken"));
    }

    #[test]
    fn what_is_watched_returns_its_result() {
        let patience = Arc::new(Patience::new());
        let me = Peer {
            rank: 0,
            host: String::new(),
            pid: 1,
        };
        assert_eq!(patience.watch("MPI_Init", me.clone(), || 7), 7);
        patience.set_timeout(Some(Duration::from_mins(1)));
        assert_eq!(patience.watch("MPI_Init", me, || 8), 8);
    }

    #[test]
    fn witnesses_report_first() {
        let waits = [0, 1, 2, 7].map(|rank| with_grace(Duration::from_secs(5), rank).as_millis());
        assert_eq!(waits, [5300, 5600, 5900, 5900]);
    }
}
