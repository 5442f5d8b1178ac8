//! Runs the same work on one thread and on two. The tests compare the bits of the results.

use rayon::ThreadPoolBuilder;

/// Returns the results of `work` on a pool of one thread and on a pool of two threads.
pub(crate) fn one_and_two<R: Send>(work: impl Fn() -> R + Sync) -> [R; 2] {
    [1, 2].map(|threads| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool of threads starts").install(&work)
    })
}
