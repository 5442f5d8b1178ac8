//! The three number types of stored weights.

use std::fmt;

use half::{bf16, f16};
use rondo_files::DType;

/// The type of a stored number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// 32 bits.
    F32,
    /// 16 bits with the range of f32.
    Bf16,
    /// 16 bits with a longer fraction than bf16. The largest number is 65504.
    F16,
}

impl Element {
    /// Returns the element type of a tensor; `None` if weights cannot have this type.
    pub(crate) fn of(dtype: DType) -> Option<Self> {
        match dtype {
            DType::F32 => Some(Self::F32),
            DType::BF16 => Some(Self::Bf16),
            DType::F16 => Some(Self::F16),
            _ => None,
        }
    }

    /// Returns the tensor type.
    pub(crate) fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }

    /// Returns PyTorch's name of the type.
    pub(crate) fn torch_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::Bf16 => "bfloat16",
            Self::F16 => "float16",
        }
    }

    /// Returns the number of bytes of one number.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    /// Reads one number from its little-endian bytes, exactly.
    ///
    /// # Panics
    ///
    /// Panics if there are fewer bytes than [`Element::size`].
    pub(crate) fn decode(self, bytes: &[u8]) -> f32 {
        match self {
            Self::F32 => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            Self::Bf16 => bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
            Self::F16 => f16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
        }
    }

    /// Writes one number, rounded to the nearest; returns `None` if a finite number would become
    /// infinite.
    ///
    /// # Panics
    ///
    /// Panics if there are fewer bytes than [`Element::size`].
    pub(crate) fn encode(self, value: f32, bytes: &mut [u8]) -> Option<()> {
        let finite = match self {
            Self::F32 => {
                bytes.copy_from_slice(&value.to_le_bytes());
                true
            }
            Self::Bf16 => {
                let rounded = bf16::from_f32(value);
                bytes.copy_from_slice(&rounded.to_le_bytes());
                rounded.is_finite()
            }
            Self::F16 => {
                let rounded = f16::from_f32(value);
                bytes.copy_from_slice(&rounded.to_le_bytes());
                rounded.is_finite()
            }
        };
        finite.then_some(())
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_type_come_back_bit_for_bit() {
        for element in [Element::F32, Element::Bf16, Element::F16] {
            for value in [0.0, -0.0, 1.0, -1.5, 0.09375, 256.0] {
                let mut bytes = vec![0; element.size()];
                assert_eq!(element.encode(value, &mut bytes), Some(()));
                assert_eq!(
                    element.decode(&bytes).to_bits(),
                    f32::to_bits(value),
                    "{element}"
                );
            }
        }
    }

    #[test]
    fn a_number_beyond_the_range_is_refused() {
        let mut bytes = [0; 2];
        assert_eq!(Element::F16.encode(65_504.0, &mut bytes), Some(()));
        assert_eq!(Element::F16.encode(65_536.0, &mut bytes), None);
        assert_eq!(Element::Bf16.encode(65_536.0, &mut bytes), Some(()));
        assert_eq!(Element::Bf16.encode(f32::MAX, &mut bytes), None);
    }
}
