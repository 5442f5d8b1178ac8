//! Memory that every training step uses again: an option of the allocator, and working space.

#![allow(
    unsafe_code,
    reason = "an option of the allocator is set by its C interface"
)]

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use mimalloc::MiMalloc as Allocator;

/// The number of the option `purge_delay` in mimalloc's `mi_option_t`. The bindings do not name
/// this option. The workspace pins the version of the bindings, and a test checks the number by
/// setting the option by its name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Makes [`Allocator`] keep freed pages.
///
/// A step frees and allocates the same tensors again and again. Without this option, freed pages
/// return to the system, and each use of a page afterwards costs a page fault and zeroing. The
/// pages kept never exceed the memory of the largest step.
pub fn keep_pages() {
    // SAFETY: the call stores a number atomically in a table that belongs to the allocator.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}

/// The working space that is not in use.
static FREE: FreeList = FreeList(Mutex::new(Vec::new()));

/// Working space of one call. It may come from an earlier call and is not filled with zeros, so its
/// contents are arbitrary. Dropping it makes it available again.
///
/// The program keeps as many working spaces as were ever in use at the same time.
#[derive(Debug)]
pub(crate) struct Scratch {
    numbers: Vec<f32>,
    length: usize,
}

impl Scratch {
    /// Returns working space of `length` arbitrary numbers.
    pub(crate) fn of(length: usize) -> Self {
        let numbers = FREE.take(length);
        Self { numbers, length }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        FREE.give(std::mem::take(&mut self.numbers));
    }
}

/// Vectors that can be used again.
#[derive(Debug)]
struct FreeList(Mutex<Vec<Vec<f32>>>);

impl FreeList {
    /// Returns a vector of at least `length` numbers: the smallest vector in the list that is long
    /// enough. If there is none, a new vector replaces the longest one in the list.
    fn take(&self, length: usize) -> Vec<f32> {
        let found = {
            let mut free = self.lock();
            let fits = |numbers: &&Vec<f32>| numbers.len() >= length;
            let smallest = free.iter().filter(fits).map(Vec::len).min();
            let wanted = smallest.or_else(|| free.iter().map(Vec::len).max());
            let place = free
                .iter()
                .position(|numbers| Some(numbers.len()) == wanted);
            place.map(|place| free.swap_remove(place))
        };
        found
            .filter(|numbers| numbers.len() >= length)
            .unwrap_or_else(|| vec![0.0; length])
    }

    fn give(&self, numbers: Vec<f32>) {
        self.lock().push(numbers);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<f32>>> {
        // After a panic while the lock was held, the list is still a valid list of vectors.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.numbers[..self.length]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.numbers[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The environment variable that sets this option when a process starts.
    const VARIABLE: &str = "MIMALLOC_PURGE_DELAY";
    const MILLISECONDS: &str = "4321";

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the allocator reads its options from the environment of a process that starts"
    )]
    fn the_option_that_keeps_pages_is_purge_delay() {
        if std::env::var_os(VARIABLE).is_some_and(|value| value == MILLISECONDS) {
            // SAFETY: the call reads a number from a table that belongs to the allocator.
            let delay = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
            assert_eq!(delay.to_string(), MILLISECONDS);
            return;
        }
        // Runs the same test in a child process that has the variable from its start.
        let name = "memory::tests::the_option_that_keeps_pages_is_purge_delay";
        let child = std::process::Command::new(std::env::current_exe().expect("a test binary"))
            .args(["--exact", name])
            .env(VARIABLE, MILLISECONDS)
            .output()
            .expect("the test binary starts");
        let told = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success(), "{told}");
        assert!(told.contains("1 passed"), "{told}");
    }

    #[test]
    fn what_is_given_back_is_lent_again_where_it_is_long_enough() {
        let list = FreeList(Mutex::new(Vec::new()));
        let long = list.take(100);
        let place = long.as_ptr();
        list.give(long);
        let (again, new) = (list.take(80), list.take(80));
        assert_eq!((again.as_ptr(), again.len()), (place, 100));
        assert_eq!(new.len(), 80);
    }

    #[test]
    fn the_list_does_not_grow_where_ever_more_is_asked_for() {
        let list = FreeList(Mutex::new(Vec::new()));
        for length in 1..50 {
            list.give(list.take(length));
        }
        let lengths: Vec<usize> = list.lock().iter().map(Vec::len).collect();
        assert_eq!(lengths, [49]);
    }

    #[test]
    fn two_at_a_time_are_apart() {
        let (mut first, mut second) = (Scratch::of(80), Scratch::of(80));
        first.fill(1.0);
        second.fill(2.0);
        assert!(first.iter().all(|x| (x - 1.0).abs() < f32::EPSILON) && first.len() == 80);
    }
}
