//! Shared parts of the kernels' tests: a device, numbers, and a comparison with f64.

use std::io::Write as _;

use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::tensor::TensorData;
use burn_cubecl::ops::into_data_sync;
use burn_cubecl::{CubeBackend, CubeDevice};

use crate::primitive;
use crate::tensor::CubeTensor;

/// A wgpu device on which tests run.
pub(crate) struct TestDevice(CubeDevice);

/// Returns the first wgpu device. If the build or the machine has none, prints that the test is
/// skipped and returns `None`.
pub(crate) fn device() -> Option<TestDevice> {
    if let Some(device) = primitive::wgpu() {
        return Some(TestDevice(device));
    }
    // The message goes to stderr directly, since the test harness hides the output of passing
    // tests.
    let _ = writeln!(
        std::io::stderr(),
        "skipped: this build or machine has no wgpu device"
    );
    None
}

/// Returns true in a process that runs only this test. In any other process, runs the test in a
/// process of its own, asserts that it passes, and returns false. Launches are counted per process,
/// so other tests would disturb the count.
pub(crate) fn alone(test: &str) -> bool {
    const ALONE: &str = "RONDO_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let program = std::env::current_exe().expect("a test knows its program");
    let ended = std::process::Command::new(program)
        .args(["--exact", test])
        .env(ALONE, "1")
        .output()
        .expect("a test program starts");
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{told}");
    assert!(told.contains("1 passed"), "{told}");
    false
}

impl TestDevice {
    pub(crate) fn tensor<const D: usize>(&self, values: &[f32], shape: [usize; D]) -> CubeTensor {
        let data = TensorData::new(values.to_vec(), shape);
        crate::tensor::contiguous(CubeBackend::float_from_data(data, &self.0))
    }

    pub(crate) fn ids(&self, values: &[i32]) -> CubeTensor {
        let data = TensorData::new(values.to_vec(), [values.len()]);
        CubeBackend::int_from_data(data, &self.0)
    }
}

pub(crate) fn values(x: CubeTensor) -> Vec<f32> {
    into_data_sync(x).iter().collect()
}

/// A source of numbers around zero, the same in every run.
pub(crate) struct Numbers {
    state: u64,
    size: f32,
}

impl Numbers {
    /// Starts a sequence of numbers between `-size` and `size`.
    pub(crate) fn new(size: f32) -> Self {
        let state = 0x9e37_79b9_7f4a_7c15;
        Self { state, size }
    }

    pub(crate) fn vector(&mut self, count: usize) -> Vec<f32> {
        let mut next = || {
            // This generator is xorshift (Marsaglia 2003).
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            let share = (self.state >> 40) as f32 / (1u64 << 23) as f32;
            (share - 1.0) * self.size
        };
        (0..count).map(|_| next()).collect()
    }
}

/// Asserts that a kernel's number differs from the number in f64 by at most eight roundings of the
/// added terms. A number too small for f32 may be zero.
#[track_caller]
pub(crate) fn assert_close(found: f32, expected: f64, terms: f64) {
    let bound = 8.0 * f64::from(f32::EPSILON) / 2.0 * terms + 2.0 * f64::from(f32::MIN_POSITIVE);
    let difference = (f64::from(found) - expected).abs();
    assert!(
        difference <= bound,
        "{found} is not {expected}: {:.1} roundings of {terms}",
        difference / terms * 2.0 / f64::from(f32::EPSILON)
    );
}
