//! Threads that stay awake between the short parallel pieces of a training step.
//!
//! An idle thread of rayon's pool goes to sleep after some ten microseconds, and on a virtual
//! machine the system takes longer to wake it than one thread takes for a small product. So such a
//! product would gain nothing from a second core (configs/LOG.md).

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::Yield;

/// How often a thread looks for work in vain before it goes to sleep after all: for about 5 ms.
const PATIENCE: usize = 2500;

/// How often a thread pauses between two searches for work: one to two microseconds in all.
const PAUSES: usize = 32;

/// Whether a call of [`awake`] keeps the threads awake now.
static IS_AWAKE: AtomicBool = AtomicBool::new(false);

/// Runs `work` on a thread of rayon's pool and keeps the other threads awake meanwhile.
///
/// A thread sleeps again if it finds no work for about 5 ms, and when `work` returns. If two calls
/// run at the same time, only the first keeps the threads awake.
///
/// # Panics
///
/// Panics if `work` panics.
pub fn awake<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    if rayon::current_num_threads() == 1 || IS_AWAKE.swap(true, Ordering::AcqRel) {
        return rayon::scope(|_| work());
    }
    let is_done = &AtomicBool::new(false);
    rayon::scope(|scope| {
        let end = End(is_done);
        let own = rayon::current_thread_index();
        scope.spawn_broadcast(move |_, thread| {
            if Some(thread.index()) != own {
                look_for_work(is_done);
            }
        });
        let result = work();
        drop(end);
        result
    })
}

/// Runs both functions, in parallel if another thread is free, like [`rayon::join`]. The thread
/// that waits for the other does not go to sleep.
///
/// # Panics
///
/// Panics if one of the functions panics.
pub(crate) fn join<A, B: Send>(a: impl FnOnce() -> A, b: impl FnOnce() -> B + Send) -> (A, B) {
    let is_done = AtomicBool::new(false);
    let mut of_b = None;
    let of_a = rayon::in_place_scope(|scope| {
        let (is_done, of_b) = (&is_done, &mut of_b);
        scope.spawn(move |_| {
            let _done = Done(is_done);
            *of_b = Some(b());
        });
        let of_a = a();
        while !is_done.load(Ordering::Acquire) {
            if rayon::yield_now() != Some(Yield::Executed) {
                pause();
            }
        }
        of_a
    });
    (of_a, of_b.expect("a panic does not get here"))
}

/// Says that a function has ended when it is dropped, also after a panic.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Waits one to two microseconds, and lets other threads of the system run.
fn pause() {
    for _ in 0..PAUSES {
        std::hint::spin_loop();
    }
    std::thread::yield_now();
}

/// Sends the threads to sleep when it is dropped, also after a panic.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        IS_AWAKE.store(false, Ordering::Release);
    }
}

/// Executes pieces of work of the pool until `is_done`, or until there has been none for a while.
fn look_for_work(is_done: &AtomicBool) {
    let mut in_vain = 0;
    while in_vain < PATIENCE && !is_done.load(Ordering::Acquire) {
        if rayon::yield_now() == Some(Yield::Executed) {
            in_vain = 0;
        } else {
            in_vain += 1;
            pause();
        }
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    fn sum_in_parts() -> u64 {
        (0..1000_u64).into_par_iter().sum()
    }

    #[test]
    fn work_runs_on_a_thread_of_the_pool_and_returns_its_result() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build();
        let pool = pool.expect("threads");
        for _ in 0..20 {
            let found = pool.install(|| awake(|| (rayon::current_thread_index(), sum_in_parts())));
            assert!(found.0.is_some() && found.1 == 499_500, "{found:?}");
        }
    }

    #[test]
    fn calls_inside_and_beside_each_other_end() {
        let calls: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| awake(|| awake(sum_in_parts) + sum_in_parts())))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect()
        });
        assert_eq!(calls, [999_000; 4]);
    }

    /// The sum of the numbers from `first` up to `first + count`, by halves.
    fn sum_by_halves(first: u64, count: u64) -> u64 {
        if count == 1 {
            return first;
        }
        let half = count / 2;
        let (a, b) = join(
            || sum_by_halves(first, half),
            || sum_by_halves(first + half, count - half),
        );
        a + b
    }

    #[test]
    fn both_functions_of_a_join_return_their_results_inside_and_outside_the_pool() {
        assert_eq!(sum_by_halves(0, 1000), 499_500);
        assert_eq!(awake(|| sum_by_halves(0, 1000)), 499_500);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let alone = pool.expect("a thread").install(|| sum_by_halves(0, 1000));
        assert_eq!(alone, 499_500);
    }

    #[test]
    fn a_panic_in_either_function_of_a_join_reaches_the_caller() {
        let of_first = std::panic::catch_unwind(|| join(|| panic!("on purpose"), sum_in_parts));
        let of_second = std::panic::catch_unwind(|| {
            join(sum_in_parts, || -> u64 { panic!("on purpose") });
        });
        assert!(of_first.is_err() && of_second.is_err());
        assert_eq!(join(sum_in_parts, sum_in_parts), (499_500, 499_500));
    }

    #[test]
    fn after_a_panic_the_next_call_works() {
        let failed = std::panic::catch_unwind(|| awake(|| panic!("on purpose")));
        assert!(failed.is_err());
        assert_eq!(awake(sum_in_parts), 499_500);
    }
}
