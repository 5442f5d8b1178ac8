//! How far a device may be from the reference.

use rondo_model::ops::Precision;
use rondo_train::device::DeviceKind;

/// What a tensor of the golden file may differ by. None is ever raised to let a check pass: a device that needs more
/// computes something else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tolerances {
    /// Of states, hidden states, logits, correlations and exit values, absolute.
    pub(super) states: f64,
    /// Of a mean loss in nats, absolute.
    pub(super) loss: f64,
    /// Of a parameter's gradient: norm of the difference over norm.
    pub(super) gradients: f64,
}

/// Flex adds the same f32 products as the reference in another order. A mean loss varies less, since the rounding of its
/// many terms cancels; a gradient varies more, since it went through the forward and the backward pass.
const FLEX: Tolerances = Tolerances {
    states: 2e-5,
    loss: 1e-5,
    gradients: 1e-4,
};

/// Ten times as much: a GPU adds in other orders on each adapter, may round a product and its sum once, and its
/// exponentials, roots and quotients may be several units in the last place off (WGSL permits that, under "Floating Point Accuracy").
const OTHERS: Tolerances = Tolerances {
    states: 2e-4,
    loss: 1e-4,
    gradients: 1e-3,
};

/// Of products that round what they multiply to 11 bits of significand, by up to 2⁻¹¹ = 4.9e-4 each. An H100 with Burn's own
/// products was off by 3.8e-3, 5.5e-5 and 1.2e-3; other cards add in other orders, and may be off by some four times that.
const TF32: Tolerances = Tolerances {
    states: 1.25e-2,
    loss: 2.5e-4,
    gradients: 5e-3,
};

/// Eight times that: bf16 has 8 bits, and roundings of up to 2⁻⁸.
const BF16: Tolerances = Tolerances {
    states: 8.0 * TF32.states,
    loss: 8.0 * TF32.loss,
    gradients: 8.0 * TF32.gradients,
};

/// Of the first value of entropy-diff, |H_1 − 100|, on any device. It is near 100, where neighbouring f32 numbers are
/// 7.6e-6 apart, so that an entropy of a few nats loses the digits that the other values keep.
pub(super) const FIRST_ENTROPY: f64 = 1e-3;

impl Tolerances {
    /// Returns the tolerances of a device in its precision.
    pub(super) fn of(kind: DeviceKind, precision: Precision) -> Self {
        match (precision, kind) {
            (Precision::F32, DeviceKind::Flex) => FLEX,
            (Precision::F32, _) => OTHERS,
            (Precision::Tf32, _) => TF32,
            (Precision::Bf16, _) => BF16,
        }
    }
}

/// One comparison with the golden file.
#[derive(Clone, Debug)]
pub(super) struct Check {
    /// The tensor there, and which part of it where that is not all.
    pub(super) name: String,
    /// Whether it is the gradient of a parameter.
    pub(super) gradient: bool,
    /// How far the device is from the reference; NaN where one of them has no number and the other one has.
    pub(super) difference: f64,
    /// How far it may be.
    pub(super) tolerance: f64,
}

impl Check {
    /// Returns whether the device agrees; NaN does not.
    pub(super) fn passed(&self) -> bool {
        self.difference <= self.tolerance
    }
}

/// Returns the largest absolute difference; NaN where some difference is, or where the lengths differ.
pub(super) fn largest(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() {
        return f64::NAN;
    }
    let pairs = found.iter().zip(expected);
    let differences = pairs.map(|(found, expected)| difference(*found, *expected));
    // NaN is above every number in this order.
    differences.max_by(f64::total_cmp).unwrap_or(0.0)
}

/// Returns |found − expected|; 0 where both are NaN, NaN where one of them is.
fn difference(found: f32, expected: f32) -> f64 {
    match found.is_nan() && expected.is_nan() {
        true => 0.0,
        false => (f64::from(found) - f64::from(expected)).abs(),
    }
}

/// Returns ‖found − expected‖ / ‖expected‖ of pairs (found, expected); 0 where nothing differs, never a finite number
/// where one of them is not finite.
pub(super) fn relative(pairs: impl Iterator<Item = (f32, f32)>) -> f64 {
    let (mut apart, mut norm) = (0.0_f64, 0.0_f64);
    for (found, expected) in pairs {
        apart += (f64::from(found) - f64::from(expected)).powi(2);
        norm += f64::from(expected).powi(2);
    }
    match apart == 0.0 {
        true => 0.0,
        false => (apart / norm).sqrt().abs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(difference: f64, tolerance: f64) -> bool {
        let check = Check {
            name: String::new(),
            gradient: false,
            difference,
            tolerance,
        };
        check.passed()
    }

    #[test]
    fn a_difference_up_to_the_tolerance_passes() {
        assert!((largest(&[1.0, -2.5], &[1.25, -2.0]) - 0.5).abs() < 1e-12);
        assert!(passes(0.5, 0.5));
        assert!(!passes(0.5, 0.25));
        assert!(passes(0.0, 0.0));
    }

    #[test]
    fn a_number_that_is_not_finite_on_one_side_only_fails() {
        for (found, expected) in [
            (f32::NAN, 1.0),
            (1.0, f32::NAN),
            (f32::INFINITY, 1.0),
            (f32::INFINITY, f32::INFINITY),
            (-f32::NAN, 1.0),
        ] {
            let difference = largest(&[0.0, found, 9.0], &[0.0, expected, 0.0]);
            assert!(!difference.is_finite(), "{found} and {expected}");
            assert!(!passes(difference, 1e30), "{found} and {expected}");
        }
        assert!(passes(largest(&[f32::NAN], &[f32::NAN]), 0.0));
        assert!(!passes(largest(&[1.0], &[1.0, 1.0]), 1e30));
    }

    #[test]
    fn a_gradient_is_compared_with_its_norm() {
        let pairs = [(3.0, 3.0), (3.0, 4.0)];
        assert!((relative(pairs.into_iter()) - 0.2).abs() < 1e-12);
        assert!(passes(relative([(0.0, 0.0)].into_iter()), 0.0));
        for found in [f32::NAN, f32::INFINITY] {
            let pairs = [(found, 1.0), (1.0, 1.0)];
            assert!(!passes(relative(pairs.into_iter()), 1e30), "{found}");
        }
        assert!(!passes(relative([(1e-30, 0.0)].into_iter()), 1e30));
    }

    #[test]
    fn in_f32_only_flex_has_its_own_tolerances_and_any_device_those_of_its_precision() {
        let of = |kind, precision| Tolerances::of(kind, precision);
        assert_eq!(of(DeviceKind::Flex, Precision::F32), FLEX);
        for kind in [DeviceKind::Wgpu, DeviceKind::Cuda, DeviceKind::Ndarray] {
            assert_eq!(of(kind, Precision::F32), OTHERS);
            assert_eq!(of(kind, Precision::Tf32), TF32);
        }
        assert_eq!(of(DeviceKind::Flex, Precision::Bf16), BF16);
        for [finer, coarser] in [[FLEX, OTHERS], [OTHERS, TF32], [TF32, BF16]] {
            assert!(finer.states < coarser.states);
            assert!(finer.loss < coarser.loss);
            assert!(finer.gradients < coarser.gradients);
        }
    }
}
