//! The float types of the row functions: f32, and also f64 in the tests.

use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use crate::vector::dot;

/// A float type.
pub(crate) trait Real:
    Copy
    + PartialOrd
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    const ZERO: Self;
    const ONE: Self;

    fn of_count(count: usize) -> Self;
    fn sqrt(self) -> Self;
    fn ln(self) -> Self;
    fn abs(self) -> Self;
    fn exp(self) -> Self;
    fn exp_m1(self) -> Self;
    fn ln_1p(self) -> Self;

    /// Returns the inner product of two slices of the same length.
    fn dot(a: &[Self], b: &[Self]) -> Self;
}

/// Implements [`Real`] for a float type, given its inner product.
macro_rules! real {
    ($float:ident, $dot:expr) => {
        impl Real for $float {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;

            fn of_count(count: usize) -> Self {
                count as Self
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                $float::sqrt(self)
            }

            fn ln(self) -> Self {
                $float::ln(self)
            }

            fn abs(self) -> Self {
                $float::abs(self)
            }

            fn exp(self) -> Self {
                $float::exp(self)
            }

            fn exp_m1(self) -> Self {
                $float::exp_m1(self)
            }

            fn ln_1p(self) -> Self {
                $float::ln_1p(self)
            }

            #[inline(always)]
            fn dot(a: &[Self], b: &[Self]) -> Self {
                $dot(a, b)
            }
        }
    };
}

real!(f32, dot);
#[cfg(test)]
real!(f64, |a: &[f64], b: &[f64]| -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
});

/// Returns `ln(1 + e^z)`.
pub(crate) fn softplus<T: Real>(z: T) -> T {
    let (above, below) = if z > T::ZERO { (z, -z) } else { (T::ZERO, z) };
    above + below.exp().ln_1p()
}

/// Returns `1 / (1 + e^−z)`.
pub(crate) fn sigmoid<T: Real>(z: T) -> T {
    T::ONE / (T::ONE + (-z).exp())
}
