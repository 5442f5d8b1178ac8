//! The precisions that devices offer for the matrix products of training.

#[cfg(feature = "cube")]
use burn::backend::DispatchDevice;
#[cfg(feature = "cube")]
use burn::tensor::Device;
use rondo_model::ops::Precision;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DeviceKind, Listed};
use crate::error::{Error, Result};

/// The precision of the factors in the matrix products of training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PrecisionKind {
    /// The factors stay f32. Every device supports it.
    #[default]
    F32,
    /// The factors may be rounded to TF32 (11 significant bits), so that tensor cores can be used.
    /// Sums are computed in f32. Weights, gradients, moments and all other values stay f32. Needs
    /// CUDA and an NVIDIA GPU of compute capability 8.0 or later.
    Tf32,
    /// The factors are rounded to bf16. Sums are computed in f32. Weights, gradients, moments and
    /// all other values stay f32. Only flex supports it.
    Bf16,
}

impl PrecisionKind {
    /// Every precision. The exact one comes first.
    pub const ALL: [Self; 3] = [Self::F32, Self::Tf32, Self::Bf16];

    /// Returns the precision's name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }

    /// Returns the precision of products in the model crate's terms.
    fn of_products(self) -> Precision {
        match self {
            Self::F32 => Precision::F32,
            Self::Tf32 => Precision::Tf32,
            Self::Bf16 => Precision::Bf16,
        }
    }
}

impl Listed {
    /// Returns the precisions that the device supports, f32 first.
    pub fn precisions(&self) -> Vec<PrecisionKind> {
        let mut all = PrecisionKind::ALL.to_vec();
        all.retain(|precision| self.has(*precision));
        all
    }

    /// Returns the device, set to the precision `asked`.
    ///
    /// # Errors
    ///
    /// When the device does not support this precision.
    pub fn with_precision(self, asked: PrecisionKind) -> Result<Self> {
        if self.has(asked) {
            return Ok(Self {
                precision: asked.of_products(),
                ..self
            });
        }
        let instead = match asked {
            PrecisionKind::F32 => "",
            PrecisionKind::Tf32 => {
                "only NVIDIA cards from compute capability 8.0 on have tf32, through cuda; f32 is there on every device"
            }
            PrecisionKind::Bf16 if self.has_tf32 => {
                "only flex has bf16 so far; use tf32 or f32 here"
            }
            PrecisionKind::Bf16 => "only flex has bf16 so far; use f32 here",
        };
        Err(Error::Usage(format!(
            "device.precision = {}: not on {}: {instead}",
            asked.name(),
            self.label()
        )))
    }

    fn has(&self, precision: PrecisionKind) -> bool {
        match precision {
            PrecisionKind::F32 => true,
            PrecisionKind::Tf32 => self.has_tf32,
            PrecisionKind::Bf16 => self.kind == DeviceKind::Flex,
        }
    }
}

/// Returns whether the factors of matrix products on `device` can be rounded to TF32.
#[cfg(feature = "cube")]
pub(super) fn has_tf32(device: &Device) -> bool {
    match device.as_dispatch() {
        DispatchDevice::Cube(device) => rondo_cube::product::has_tf32(device),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn listed(kind: DeviceKind, has_tf32: bool) -> Listed {
        Listed {
            has_tf32,
            ..kind.processor(Device::flex())
        }
    }

    #[track_caller]
    fn assert_refused(listed: Listed, asked: PrecisionKind, instead: &str) {
        let error = listed.with_precision(asked).expect_err("it has no such");
        assert_eq!(error.exit_code(), 2);
        let told = error.to_string();
        let key = format!("device.precision = {}: ", asked.name());
        assert!(told.starts_with(&key), "{told}");
        assert!(told.ends_with(instead), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }

    #[test]
    fn every_device_has_f32_and_says_which_others() {
        use PrecisionKind::{Bf16, F32, Tf32};
        for (kind, has_tf32, expected) in [
            (DeviceKind::Flex, false, &[F32, Bf16][..]),
            (DeviceKind::Ndarray, false, &[F32]),
            (DeviceKind::Wgpu, false, &[F32]),
            (DeviceKind::Cuda, false, &[F32]),
            (DeviceKind::Cuda, true, &[F32, Tf32]),
        ] {
            let there = listed(kind, has_tf32);
            assert_eq!(there.precisions(), expected, "{kind:?}");
            for precision in expected {
                let taken = there.clone().with_precision(*precision).expect("it has");
                assert_eq!(taken.precision, precision.of_products());
            }
        }
    }

    #[test]
    fn the_name_of_a_device_ends_with_what_is_not_f32() {
        let label = |precision| {
            let listed = Listed {
                kind: DeviceKind::Flex,
                ..listed(DeviceKind::Flex, true)
            };
            listed.with_precision(precision).expect("it has").label()
        };
        assert!(!label(PrecisionKind::F32).contains("products"));
        assert!(label(PrecisionKind::Tf32).ends_with(", tf32 products"));
        assert!(label(PrecisionKind::Bf16).ends_with(", bf16 products"));
    }

    #[test]
    fn tf32_is_refused_where_a_device_has_none() {
        let kinds = [
            DeviceKind::Flex,
            DeviceKind::Ndarray,
            DeviceKind::Wgpu,
            DeviceKind::Vulkan,
            DeviceKind::Metal,
            DeviceKind::Rocm,
            DeviceKind::Cuda,
        ];
        for kind in kinds {
            let instead = "through cuda; f32 is there on every device";
            assert_refused(listed(kind, false), PrecisionKind::Tf32, instead);
        }
    }

    #[test]
    fn bf16_is_for_flex_and_the_refusal_says_what_serves_instead() {
        let bf16 = PrecisionKind::Bf16;
        assert_refused(listed(DeviceKind::Wgpu, false), bf16, "use f32 here");
        assert_refused(listed(DeviceKind::Ndarray, false), bf16, "use f32 here");
        assert_refused(listed(DeviceKind::Cuda, true), bf16, "use tf32 or f32 here");
    }
}
