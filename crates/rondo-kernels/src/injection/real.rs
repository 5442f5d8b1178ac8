//! The floats that the rows are written for.

use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use crate::vector::dot;

/// A float.
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

    fn exp(self) -> Self;
    fn exp_m1(self) -> Self;
    fn ln_1p(self) -> Self;

    /// The inner product of two slices of one length.
    fn dot(a: &[Self], b: &[Self]) -> Self;
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    fn exp(self) -> Self {
        f32::exp(self)
    }

    fn exp_m1(self) -> Self {
        f32::exp_m1(self)
    }

    fn ln_1p(self) -> Self {
        f32::ln_1p(self)
    }

    #[inline(always)]
    fn dot(a: &[Self], b: &[Self]) -> Self {
        dot(a, b)
    }
}

#[cfg(test)]
impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    fn exp(self) -> Self {
        f64::exp(self)
    }

    fn exp_m1(self) -> Self {
        f64::exp_m1(self)
    }

    fn ln_1p(self) -> Self {
        f64::ln_1p(self)
    }

    fn dot(a: &[Self], b: &[Self]) -> Self {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }
}

/// `ln(1 + e^z)`.
pub(super) fn softplus<T: Real>(z: T) -> T {
    let (above, below) = if z > T::ZERO { (z, -z) } else { (T::ZERO, z) };
    above + below.exp().ln_1p()
}

/// `1 / (1 + e^−z)`.
pub(super) fn sigmoid<T: Real>(z: T) -> T {
    T::ONE / (T::ONE + (-z).exp())
}
