//! Counts kernel launches. CubeCL calls an observer before each launch of a kernel, also for Burn's
//! own kernels.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cubecl::logging::{LaunchObservation, LaunchObserver};

/// Allows one observation at a time, because CubeCL has one observer per process.
static ONE: Mutex<()> = Mutex::new(());

/// The launches during a piece of work, counted by kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launches {
    by_name: BTreeMap<&'static str, usize>,
}

impl Launches {
    /// Returns the number of launches.
    pub fn total(&self) -> usize {
        self.by_name.values().sum()
    }

    /// Returns the names of the launched kernels, which are Rust types with their paths.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.by_name.keys().copied()
    }

    /// Returns the short name of every launched kernel and the number of its launches, the most
    /// frequent kernel first.
    pub fn by_kernel(&self) -> Vec<(String, usize)> {
        let mut kernels: BTreeMap<String, usize> = BTreeMap::new();
        for (name, count) in &self.by_name {
            *kernels.entry(short(name)).or_default() += count;
        }
        let mut kernels: Vec<(String, usize)> = kernels.into_iter().collect();
        kernels.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        kernels
    }
}

/// Runs `work`; returns its result and the launches during its run.
///
/// Launches that are still in a queue at the end are not counted, so `work` should wait for the
/// device before it ends. Launches on other threads at the same time are counted too, because
/// CubeCL may launch on a thread of its own.
pub fn of<T>(work: impl FnOnce() -> T) -> (T, Launches) {
    let _one = locked(&ONE);
    let counter = Arc::new(Counter::default());
    let watching = LaunchObservation::new(counter.clone());
    let given = work();
    drop(watching);
    let launches = locked(&counter.0).clone();
    (given, launches)
}

#[derive(Default)]
struct Counter(Mutex<Launches>);

impl LaunchObserver for Counter {
    fn launched(&self, kernel: &'static str) {
        *locked(&self.0).by_name.entry(kernel).or_default() += 1;
    }
}

/// Locks a mutex, also after a panic on another thread. The value in the mutex is valid at every
/// moment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the name of a kernel's function with the two modules around it. CubeCL names a kernel by
/// a type. The type lies in a module with the name of the function, and its generic arguments
/// follow in angle brackets.
fn short(name: &str) -> String {
    let plain = name.split('<').next().unwrap_or(name);
    let mut parts: Vec<&str> = plain.rsplit("::").skip(1).take(3).collect();
    if parts.is_empty() {
        return plain.to_owned();
    }
    parts.reverse();
    parts.join("::")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::norm;
    use crate::testing::{alone, device, values};

    #[test]
    fn every_launch_is_counted_under_its_kernel() {
        let Some(device) = device() else { return };
        if !alone("launches::tests::every_launch_is_counted_under_its_kernel") {
            return;
        }
        let x = device.tensor(&[3.0, 4.0], [1, 2]);
        let run = || {
            let once = norm::forward(norm::Input::Alone(&x), None, 0.0);
            values(norm::forward(norm::Input::Alone(&once), None, 0.0))
        };
        let (normed, launches) = of(run);
        assert_eq!(normed.len(), 2);
        assert_eq!(launches.total(), 2);
        let kernels = launches.by_kernel();
        assert_eq!(kernels.len(), 1, "{kernels:?}");
        assert_eq!(kernels[0].1, 2);
        assert_eq!(of(|| ()).1, Launches::default());
    }

    #[test]
    fn a_kernel_is_named_by_its_function_and_two_modules() {
        for (name, expected) in [
            (
                "a::norm::kernels::forward::Forward",
                "norm::kernels::forward",
            ),
            ("a::b::c::entry::Entry<d::E<f::G>, h::I>", "b::c::entry"),
            ("a::add::Add", "a::add"),
            ("Alone", "Alone"),
        ] {
            assert_eq!(short(name), expected);
        }
    }
}
