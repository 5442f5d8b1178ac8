//! Conversion between Burn's tensors and the tensors that kernels read. Without fusion both are the
//! same. With fusion, Burn's tensors are entries in Burn's queue of fused operations.

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

/// Returns the first wgpu device; `None` if the build has no wgpu or the machine has no such
/// device.
pub fn wgpu() -> Option<CubeDevice> {
    // A failing driver panics instead of returning an error.
    let found = std::panic::catch_unwind(|| CubeDevice::wgpu(WgpuDeviceKind::default()));
    found.ok()?.ok()
}
