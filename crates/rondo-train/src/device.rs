//! Devices, chosen at run time. Only this module uses Burn's backend features.

mod choice;
mod launches;
mod memory;
mod precision;
mod products;

use burn::tensor::Device;
#[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm"))]
use burn::tensor::DeviceType;
use rondo_kernels::awake::awake;
use rondo_kernels::instructions::{Instructions, has_fast_bf16};
use rondo_model::ops::Precision;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::choice::{choose, choose_at, choose_kind};
pub use self::launches::Launches;
pub use self::precision::PrecisionKind;
#[cfg(feature = "cube")]
use self::precision::has_tf32;
pub use self::products::{ProductRoutine, ProductShape, Turned};
use crate::error::{Error, Result};

/// Kind of device to compute on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// A real GPU if there is one, else flex.
    #[default]
    Auto,
    /// The CPU, by Burn's flex kernels.
    Flex,
    /// The CPU, by burn-ndarray (cargo feature `ndarray`).
    Ndarray,
    /// A GPU through wgpu: Vulkan, Metal or DX12 (cargo feature `wgpu`, on by default).
    Wgpu,
    /// A GPU through Vulkan and SPIR-V (cargo feature `vulkan`).
    Vulkan,
    /// A GPU through Metal (cargo feature `metal`).
    Metal,
    /// An NVIDIA GPU through CUDA (cargo feature `cuda`).
    Cuda,
    /// An AMD GPU through its own runtime (cargo feature `rocm`).
    Rocm,
}

/// `[device]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceConfig {
    /// Kind of device.
    pub kind: DeviceKind,
    /// The number of the device among the devices of its kind, from 0, as `trainer devices` lists
    /// them.
    pub index: usize,
    /// Precision of the matrix products in training: f32 on every device, tf32 through CUDA, bf16
    /// on flex.
    pub precision: PrecisionKind,
    /// The number of CPU threads. By default one for each core.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
}

/// An available device.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The kind of the device.
    pub kind: DeviceKind,
    /// The number of the device among the devices of its kind, from 0.
    pub index: usize,
    /// The name of the device.
    pub name: String,
    /// Whether the device is a real GPU. False for CPUs and software drivers.
    pub gpu: bool,
    /// The precision of the factors in the matrix products of training.
    pub precision: Precision,
    /// Whether the factors of matrix products can be rounded to TF32.
    pub has_tf32: bool,
    /// Burn's handle to the device.
    pub device: Device,
}

impl Listed {
    /// Waits until the device has finished all its work.
    ///
    /// # Errors
    ///
    /// When the device failed.
    pub fn sync(&self) -> Result<()> {
        self.device
            .sync()
            .map_err(|error| Error::Device(format!("the device failed: {error:?}")))
    }

    /// Returns whether values can be read without waiting for a queue of the device. True for CPUs.
    pub fn reads_are_free(&self) -> bool {
        matches!(self.kind, DeviceKind::Flex | DeviceKind::Ndarray)
    }

    /// Runs `work` on this device. If a CPU computes, `work` runs inside the thread pool, whose
    /// threads stay awake until it returns.
    pub fn compute<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match self.reads_are_free() {
            true => awake(work),
            false => work(),
        }
    }

    /// Returns how many bytes of memory a run uses now. For a GPU this is the size of the device's
    /// memory pools, for a CPU the resident memory of the process.
    pub fn memory_bytes(&self) -> Option<u64> {
        match self.device.memory_pool_usage() {
            Some(usage) => Some(usage.bytes_reserved),
            None => memory_stats::memory_stats().map(|stats| stats.physical_mem as u64),
        }
    }

    /// Returns the maximum number of bytes of memory that the run has used. For a GPU this is the
    /// size of the device's memory pools, for a CPU the resident memory of the process.
    pub fn peak_memory_bytes(&self) -> Option<u64> {
        let pools = self
            .device
            .memory_pool_usage()
            .map(|usage| usage.bytes_reserved);
        pools
            .or_else(memory::peak_resident)
            .or_else(|| self.memory_bytes())
    }

    /// Returns the bytes of memory that are free for a run. Known for CPUs only.
    pub fn available_memory(&self) -> Option<u64> {
        self.reads_are_free().then(memory::free)
    }

    /// Returns how many bytes of memory a GPU has in total, if its driver reports this number. The
    /// drivers for CUDA, Vulkan and Metal do; with WGSL the number is unknown.
    pub fn device_memory(&self) -> Option<u64> {
        #[cfg(feature = "cube")]
        if let Some(device) = self.cube_device() {
            return rondo_cube::memory::whole(&device);
        }
        None
    }

    /// Returns the device for CubeCL kernels, or `None` on a CPU.
    #[cfg(feature = "cube")]
    fn cube_device(&self) -> Option<rondo_cube::primitive::CubeDevice> {
        use rondo_cube::primitive::{self, Cube};
        if self.reads_are_free() {
            return None;
        }
        let x = burn::tensor::Tensor::<1>::zeros([1], &self.device).try_into_primitive::<Cube>();
        Some(primitive::float(x.ok()?).device)
    }

    /// Returns `kind: name`. Appends the precision of matrix products if it is not f32.
    pub fn label(&self) -> String {
        let precision = match self.precision {
            Precision::F32 => "",
            Precision::Tf32 => ", tf32 products",
            Precision::Bf16 => ", bf16 products",
        };
        format!("{}: {}{precision}", self.kind.name(), self.name)
    }

    /// Describes in a few words how fast the device is in training.
    pub fn speed(&self) -> String {
        match self.kind {
            DeviceKind::Flex | DeviceKind::Auto => {
                let instructions = Instructions::detect();
                match (self.precision, has_fast_bf16()) {
                    (Precision::Bf16, false) => {
                        format!("{instructions}; bf16 is not faster than f32 on this processor")
                    }
                    (Precision::Bf16, true) => format!("{instructions}, with products of bf16"),
                    (_, true) => format!(
                        "{instructions}; --set device.precision=bf16 is faster on this processor"
                    ),
                    (_, false) => format!("{instructions}, f32"),
                }
            }
            DeviceKind::Ndarray => "slower than flex, the other backend of the CPU".to_owned(),
            _ if !self.gpu => "a software driver on the CPU; flex is faster".to_owned(),
            DeviceKind::Wgpu if !cfg!(feature = "gpu") => {
                "kernels are compiled in the first step".to_owned()
            }
            _ => "kernels are compiled and tuned in the first step".to_owned(),
        }
    }

    /// Returns the version of the GPU's driver, if the system reports the version. Linux does, for
    /// NVIDIA; other systems do not.
    pub fn driver(&self) -> Option<String> {
        let text = std::fs::read_to_string("/proc/driver/nvidia/version").ok()?;
        let line = text.lines().next().filter(|_| self.gpu)?;
        let line = line.strip_prefix("NVRM version:").unwrap_or(line);
        Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl DeviceKind {
    /// Every kind, in the order in which devices are listed.
    pub const ALL: [Self; 8] = [
        Self::Auto,
        Self::Flex,
        Self::Ndarray,
        Self::Wgpu,
        Self::Vulkan,
        Self::Metal,
        Self::Cuda,
        Self::Rocm,
    ];

    /// Returns the kind's name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Flex => "flex",
            Self::Ndarray => "ndarray",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
        }
    }

    /// Returns whether this build contains the backend.
    fn is_built(self) -> bool {
        match self {
            Self::Auto | Self::Flex => true,
            Self::Ndarray => cfg!(feature = "ndarray"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Rocm => cfg!(feature = "rocm"),
        }
    }

    /// Lists the devices of this kind. The list is empty if this build does not contain the
    /// backend, or the backend finds no device.
    fn list(self) -> Vec<Listed> {
        match self {
            Self::Auto => Vec::new(),
            Self::Flex => vec![self.processor(Device::flex())],
            #[cfg(feature = "ndarray")]
            Self::Ndarray => vec![self.processor(ndarray())],
            #[cfg(feature = "wgpu")]
            Self::Wgpu => self.adapters(DeviceType::Wgpu),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => self.adapters(DeviceType::Vulkan),
            #[cfg(feature = "metal")]
            Self::Metal => self.adapters(DeviceType::Metal),
            #[cfg(feature = "cuda")]
            Self::Cuda => self.adapters(DeviceType::Cuda),
            #[cfg(feature = "rocm")]
            Self::Rocm => self.adapters(DeviceType::Rocm),
            #[allow(
                unreachable_patterns,
                reason = "which arms remain depends on the features"
            )]
            _ => Vec::new(),
        }
    }

    pub(crate) fn processor(self, device: Device) -> Listed {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let arch = std::env::consts::ARCH;
        Listed {
            kind: self,
            index: 0,
            name: format!("{arch}, {threads} cores"),
            gpu: false,
            precision: Precision::F32,
            has_tf32: false,
            device,
        }
    }

    /// Lists the devices of a driver. If the driver fails, Burn panics, and the list is empty.
    #[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm"))]
    fn adapters(self, of: DeviceType) -> Vec<Listed> {
        let devices =
            std::panic::catch_unwind(move || Device::enumerate(of).into_vec()).unwrap_or_default();
        let named = |(index, device): (usize, Device)| {
            let probed = device.clone();
            let identity = std::panic::catch_unwind(move || probed.identity())
                .ok()
                .flatten()?;
            let gpu = identity.physical.is_some();
            Some(Listed {
                kind: self,
                index,
                name: identity.name,
                gpu,
                precision: Precision::F32,
                has_tf32: self == Self::Cuda && has_tf32(&device),
                device,
            })
        };
        devices.into_iter().enumerate().filter_map(named).collect()
    }
}

#[cfg(feature = "ndarray")]
#[allow(
    deprecated,
    reason = "kept as a tested feature although upstream has deprecated it"
)]
fn ndarray() -> Device {
    Device::ndarray()
}

/// Lists every device that this build can reach.
pub fn list() -> Vec<Listed> {
    DeviceKind::ALL
        .into_iter()
        .flat_map(DeviceKind::list)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flex_is_always_there() {
        assert!(list().iter().any(|listed| listed.kind == DeviceKind::Flex));
    }
}
