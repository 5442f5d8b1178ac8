//! The tensors of launchers as Burn's backend has them: the same ones, or entries in the queue of its fused operations.

#[cfg(feature = "fusion")]
mod fused;
#[cfg(not(feature = "fusion"))]
mod plain;

use cubecl::device::WgpuDeviceKind;

#[cfg(feature = "fusion")]
pub use self::fused::{bool, float, int, made, readable};
#[cfg(not(feature = "fusion"))]
pub use self::plain::{bool, float, int, made, readable};
pub use burn_cubecl::{Cube, CubeDevice};

/// Returns the first device of wgpu; none where the build or the machine has none.
pub fn wgpu() -> Option<CubeDevice> {
    // A driver that fails does so by panicking.
    let found = std::panic::catch_unwind(|| CubeDevice::wgpu(WgpuDeviceKind::default()));
    found.ok()?.ok()
}
