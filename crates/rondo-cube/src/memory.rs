//! The memory of a device.

use crate::primitive::CubeDevice;

/// Returns the bytes of memory that a device has in all, as far as its driver tells: CUDA, Vulkan where kernels go there as
/// SPIR-V, and native Metal. WGSL has no question for it.
pub fn whole(device: &CubeDevice) -> Option<u64> {
    device.client().properties().memory.max_memory()
}
