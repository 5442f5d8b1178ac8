//! The total memory of a device.

use crate::primitive::CubeDevice;

/// Returns the total bytes of memory of a device if its driver reports them: CUDA, native Metal,
/// and Vulkan if kernels are compiled to SPIR-V. WGSL cannot report them.
pub fn whole(device: &CubeDevice) -> Option<u64> {
    device.client().properties().memory.max_memory()
}
