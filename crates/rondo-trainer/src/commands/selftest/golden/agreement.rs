//! The allowed differences between a device and the reference.

use rondo_model::ops::Precision;
use rondo_train::device::DeviceKind;

/// The allowed difference for each kind of tensor. A tolerance is never raised to make a check
/// pass: a device with a larger difference does not compute the same function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tolerances {
    /// The absolute tolerance of states, hidden states, logits, correlations and exit values.
    pub(super) states: f64,
    /// The absolute tolerance of a mean loss, in nats.
    pub(super) loss: f64,
    /// The relative tolerance of a parameter's gradient: the norm of the difference, divided by the
    /// norm of the reference's gradient.
    pub(super) gradients: f64,
}

/// The tolerances of flex, which adds the same f32 products as the reference in a different order.
/// A mean loss differs less, because the rounding errors of its many terms cancel. A gradient
/// differs more, because it results from both a forward and a backward pass.
const FLEX: Tolerances = Tolerances {
    states: 2e-5,
    loss: 1e-5,
    gradients: 1e-4,
};

/// The tolerances of other devices: ten times those of flex. Different GPUs add in different
/// orders. A GPU may round only once after a product and a sum. Its exponentials, roots and
/// quotients may be off by several units in the last place (WGSL allows this, see "Floating Point
/// Accuracy").
const OTHERS: Tolerances = Tolerances {
    states: 2e-4,
    loss: 1e-4,
    gradients: 1e-3,
};

/// The tolerances for products of numbers that are rounded to 11 bits of significand. Each number
/// has a relative error of up to 2⁻¹¹ = 4.9e-4. On an H100 with Burn's own products, the
/// differences were 3.8e-3, 5.5e-5 and 1.2e-3. Other GPUs add in a different order and may differ
/// by about four times as much.
const TF32: Tolerances = Tolerances {
    states: 1.25e-2,
    loss: 2.5e-4,
    gradients: 5e-3,
};

/// Eight times the tolerances of TF32: bf16 has 8 bits of significand, with relative errors of up
/// to 2⁻⁸.
const BF16: Tolerances = Tolerances {
    states: 8.0 * TF32.states,
    loss: 8.0 * TF32.loss,
    gradients: 8.0 * TF32.gradients,
};

/// The tolerance of the first value of entropy-diff, |H_1 − 100|, on any device. This value is near
/// 100, where neighbouring f32 numbers are 7.6e-6 apart. An entropy of a few nats therefore loses
/// digits in this value that it keeps in the other values.
pub(super) const FIRST_ENTROPY: f64 = 1e-3;

impl Tolerances {
    /// Returns the tolerances for a device and a precision.
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
    /// The name of the tensor in the file. If only a part is compared, the name also gives the
    /// part.
    pub(super) name: String,
    /// Whether the tensor is the gradient of a parameter.
    pub(super) gradient: bool,
    /// The difference between the device and the reference; NaN if only one of them has a number.
    pub(super) difference: f64,
    /// The largest allowed difference.
    pub(super) tolerance: f64,
}

impl Check {
    /// Whether the difference is within the tolerance. A difference of NaN never is.
    pub(super) fn passed(&self) -> bool {
        self.difference <= self.tolerance
    }
}

/// Returns the largest absolute difference; NaN if a difference is NaN or the lengths differ.
pub(super) fn largest(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() {
        return f64::NAN;
    }
    let pairs = found.iter().zip(expected);
    let differences = pairs.map(|(found, expected)| difference(*found, *expected));
    // This order places NaN above every number.
    differences.max_by(f64::total_cmp).unwrap_or(0.0)
}

/// Returns |found − expected|; 0 if both are NaN; NaN if only one is NaN.
fn difference(found: f32, expected: f32) -> f64 {
    match found.is_nan() && expected.is_nan() {
        true => 0.0,
        false => (f64::from(found) - f64::from(expected)).abs(),
    }
}

/// Returns ‖found − expected‖ / ‖expected‖ over pairs (found, expected); 0 if the numbers of every
/// pair are equal. The result is never finite if a number is not finite.
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
