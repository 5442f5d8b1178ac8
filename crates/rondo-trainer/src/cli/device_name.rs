//! Names of devices on the command line.

use clap::ValueEnum;
use rondo_train::device::DeviceKind;

/// A device that a user can name. The help and the completions list only the devices of this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceName {
    /// A real GPU if there is one, otherwise flex.
    Auto,
    /// The CPU, by Burn's flex kernels.
    Flex,
    /// The CPU, by burn-ndarray (cargo feature `ndarray`).
    #[cfg_attr(not(feature = "ndarray"), value(hide = true))]
    Ndarray,
    /// A GPU through wgpu: Vulkan, Metal or DX12 (cargo feature `wgpu`, on by default).
    #[cfg_attr(not(feature = "wgpu"), value(hide = true))]
    Wgpu,
    /// A GPU through Vulkan and SPIR-V (cargo feature `vulkan`).
    #[cfg_attr(not(feature = "vulkan"), value(hide = true))]
    Vulkan,
    /// A GPU through Metal (cargo feature `metal`).
    #[cfg_attr(not(feature = "metal"), value(hide = true))]
    Metal,
    /// An NVIDIA GPU through CUDA (cargo feature `cuda`).
    #[cfg_attr(not(feature = "cuda"), value(hide = true))]
    Cuda,
    /// An AMD GPU through its own runtime (cargo feature `rocm`).
    #[cfg_attr(not(feature = "rocm"), value(hide = true))]
    Rocm,
}

impl From<DeviceName> for DeviceKind {
    fn from(name: DeviceName) -> Self {
        match name {
            DeviceName::Auto => Self::Auto,
            DeviceName::Flex => Self::Flex,
            DeviceName::Ndarray => Self::Ndarray,
            DeviceName::Wgpu => Self::Wgpu,
            DeviceName::Vulkan => Self::Vulkan,
            DeviceName::Metal => Self::Metal,
            DeviceName::Cuda => Self::Cuda,
            DeviceName::Rocm => Self::Rocm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_device_is_typed_as_a_configuration_writes_it() {
        let typed = DeviceName::value_variants();
        assert_eq!(
            typed
                .iter()
                .map(|name| DeviceKind::from(*name))
                .collect::<Vec<_>>(),
            DeviceKind::ALL
        );
        for name in typed {
            let value = name.to_possible_value().expect("no name is skipped");
            assert_eq!(value.get_name(), DeviceKind::from(*name).name());
        }
    }
}
