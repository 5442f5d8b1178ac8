//! Vector arithmetic: loops that the compiler turns into the widest instructions of this machine.
//!
//! The functions are plain Rust that is inlined into [`vectorized`], which compiles its argument
//! for AVX-512, AVX2, NEON and the baseline and selects one at run time. Products and sums are not
//! fused (no fused multiply-add), and sums use [`LANES`] partial sums, so that the bits do not
//! depend on the instructions.

use pulp::WithSimd;

#[cfg(target_arch = "x86_64")]
use crate::instructions::allows_avx512;

/// Partial sums of a reduction: the f32 lanes of an AVX-512 register.
pub(crate) const LANES: usize = 16;

/// Runs `work`, compiled for the instructions of this machine.
///
/// `work` itself and the functions that it calls must be `#[inline(always)]`; otherwise they are
/// compiled for the baseline, which is three times slower.
#[inline]
pub(crate) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    with_simd(work)
}

/// Like [`vectorized`], for work that uses registers by name.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn with_simd<W: WithSimd>(work: W) -> W::Output {
    use pulp::Simd;
    use pulp::x86::{V3, V4};

    if let Some(avx512) = V4::try_new().filter(|_| allows(Level::Avx512)) {
        Simd::vectorize(avx512, work)
    } else if let Some(avx2) = V3::try_new().filter(|_| allows(Level::Avx2)) {
        Simd::vectorize(avx2, work)
    } else {
        work.with_simd(pulp::Scalar)
    }
}

/// The instruction sets of a processor, from narrow to wide.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    #[cfg(test)]
    Baseline,
    Avx2,
    Avx512,
}

/// Returns whether an instruction set of this machine may be selected. The process may be limited
/// to AVX2, and tests limit single threads.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn allows(level: Level) -> bool {
    #[cfg(test)]
    if level > levels::widest() {
        return false;
    }
    level < Level::Avx512 || allows_avx512()
}

/// Like [`vectorized`], for work that uses registers by name.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn with_simd<W: WithSimd>(work: W) -> W::Output {
    pulp::Arch::new().dispatch(work)
}

/// `e^x` within 2 units in the last place; 0 below −87.3, ∞ above 88.37; NaN gives NaN.
///
/// `e^x = 2^n · e^r` with `n = round(x / ln 2)` and `|r| ≤ ln 2 / 2`; `e^r` is the polynomial of
/// Cephes' `expf`.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts: n times the first part is exact for every possible n.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Adding 1.5 · 2^23 rounds to an integer, which is then in the low bits of the significand.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_2e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 5e-1;
    let e_r = (p * r) * r + r + 1.0;
    // n, from the low bits, is added to the exponent.
    let exponent = shifted.to_bits().wrapping_shl(23);
    let scaled = f32::from_bits(e_r.to_bits().wrapping_add(exponent));
    let bounded = if x > 88.37 { f32::INFINITY } else { scaled };
    let bounded = if x < -87.3 { 0.0 } else { bounded };
    if x.is_nan() { x } else { bounded }
}

/// The logistic function `1 / (1 + e^−x)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The sum of `f(a, b)` over the pairs of two slices of the same length.
#[inline(always)]
pub(crate) fn sum_pairs(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            lanes[lane] += f(a[lane], b[lane]);
        }
    }
    let mut rest = 0.0;
    for (a, b) in a_rest.iter().zip(b_rest) {
        rest += f(*a, *b);
    }
    add_lanes(lanes) + rest
}

/// The sum of `a · b · c` over three slices of the same length.
#[inline(always)]
pub(crate) fn dot_three(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    let (c_lanes, c_rest) = c.as_chunks::<LANES>();
    for ((a, b), c) in a_lanes.iter().zip(b_lanes).zip(c_lanes) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane] * c[lane];
        }
    }
    let mut rest = 0.0;
    for ((a, b), c) in a_rest.iter().zip(b_rest).zip(c_rest) {
        rest += a * b * c;
    }
    add_lanes(lanes) + rest
}

/// The inner product of two slices of the same length.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum_pairs(a, b, |a, b| a * b)
}

/// The sum of `f(x)` over a slice.
#[inline(always)]
pub(crate) fn sum_of(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    sum_pairs(x, x, |x, _| f(x))
}

/// The sum of `f(a, b)` over the pairs of two slices of the same length, in f64.
///
/// For sums of very many terms, or of terms that f32 cannot hold.
#[inline(always)]
pub(crate) fn sum_pairs_f64(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f64) -> f64 {
    let mut lanes = [0.0_f64; LANES];
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            lanes[lane] += f(a[lane], b[lane]);
        }
    }
    for ((sum, a), b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *sum += f(*a, *b);
    }
    lanes.iter().sum()
}

/// The largest value of a slice; −∞ for an empty one. NaN counts as smaller than any number.
#[inline(always)]
pub(crate) fn maximum(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = if chunk[lane] > lanes[lane] {
                chunk[lane]
            } else {
                lanes[lane]
            };
        }
    }
    rest.iter()
        .chain(&lanes)
        .fold(f32::NEG_INFINITY, |m, &v| if v > m { v } else { m })
}

/// Adds the lanes pairwise.
#[inline(always)]
fn add_lanes(lanes: [f32; LANES]) -> f32 {
    let mut lanes = lanes;
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0]
}

#[cfg(all(test, target_arch = "x86_64"))]
mod levels;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_within_two_units_in_the_last_place() {
        let mut worst = 0.0_f64;
        for i in -870_000..=883_000 {
            let x = i as f32 * 1e-4;
            let (ours, exact) = (f64::from(exp(x)), f64::from(x).exp());
            let unit = exact * f64::from(f32::EPSILON);
            worst = worst.max((ours - exact).abs() / unit);
        }
        assert!(worst < 2.0, "{worst} units");
    }

    #[test]
    fn the_exponential_ends_at_zero_and_infinity_and_keeps_nan() {
        assert!(exp(0.0).to_bits() == 1.0_f32.to_bits());
        assert!(exp(f32::NEG_INFINITY) == 0.0 && exp(-1e30) == 0.0);
        assert!(exp(f32::INFINITY) == f32::INFINITY && exp(1e30) == f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn sums_of_every_length_are_exact_on_small_integers() {
        for length in 0..70 {
            let x: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let square = (0..length).map(|i| i * i).sum::<i32>() as f32;
            assert!((dot(&x, &x) - square).abs() < f32::EPSILON, "{length}");
            let largest = length - 1;
            assert!(length == 0 || (maximum(&x) - largest as f32).abs() < f32::EPSILON);
        }
    }

    #[test]
    fn the_bits_do_not_depend_on_the_instructions() {
        let x: Vec<f32> = (0..1003).map(|i| (i as f32 * 0.37).sin() * 5.0).collect();
        let plain: Vec<u32> = x.iter().map(|&x| exp(x).to_bits()).collect();
        let wide = vectorized(|| {
            let mut out = vec![0; x.len()];
            for (out, &x) in out.iter_mut().zip(&x) {
                *out = exp(x).to_bits();
            }
            (out, dot(&x, &x).to_bits())
        });
        assert_eq!(wide, (plain, dot(&x, &x).to_bits()));
    }
}
