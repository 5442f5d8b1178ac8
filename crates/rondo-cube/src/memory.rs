//! The total memory of a device.

use crate::primitive::CubeDevice;

/// Returns the total memory of a device in bytes, if its driver reports it. CUDA and native Metal
/// do, and so does Vulkan if kernels are compiled to SPIR-V. WGSL cannot report it.
pub fn whole(device: &CubeDevice) -> Option<u64> {
    device.client().properties().memory.max_memory()
}
