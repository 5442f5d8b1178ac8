//! The angle of a point in the right half plane, for loops that the compiler vectorises.

use std::f32::consts::FRAC_PI_4;

/// Returns the angle of the point (x, y) for x ≥ 0, within 4 units in the last place; 0 at the
/// origin.
///
/// At most one of x and y may be infinite, and their sum must not overflow; NaN gives NaN. The
/// function computes the angle whose tangent is the smaller of |y| and x over the larger one. Above
/// tan π/8 it rotates the point by π/4 first. If |y| is the larger one, it mirrors the angle. The
/// polynomial is the one of Cephes' `atanf`, which holds for |t| ≤ tan π/8.
#[inline(always)]
pub(super) fn atan2(y: f32, x: f32) -> f32 {
    const TAN_PI_8: f32 = 0.414_213_57;
    // The sum HIGH + LOW is π/2, more exact than a single f32 can be.
    const HIGH: f32 = std::f32::consts::FRAC_PI_2;
    const LOW: f32 = -4.371_139e-8;
    let steep = y.abs() > x;
    let (low, high) = if steep { (x, y.abs()) } else { (y.abs(), x) };
    let turned = low > TAN_PI_8 * high;
    let (side, base) = if turned {
        (low - high, low + high)
    } else {
        (low, high)
    };
    let t = if base == 0.0 { 0.0 } else { side / base };
    let z = t * t;
    let mut p = 8.053_744_5e-2;
    p = p * z - 1.387_768_6e-1;
    p = p * z + 1.997_771_1e-1;
    p = p * z - 3.333_295e-1;
    let part = (p * z) * t + t;
    let angle = if turned { part + FRAC_PI_4 } else { part };
    let angle = if steep { HIGH - (angle - LOW) } else { angle };
    angle.copysign(y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_are_within_four_units_in_the_last_place_at_every_scale() {
        let mut worst = 0.0_f64;
        for exponent in [-30, -10, -3, -1, 0, 1, 3, 10, 30] {
            for i in 0..20_000 {
                let y = (i - 10_000) as f32 * 3.7e-4 * 10.0_f32.powi(exponent / 3);
                for x in [1.0, 0.3, 2.9e-5, 7.1e6] {
                    let exact = f64::from(y).atan2(f64::from(x));
                    let unit = (exact.abs() * f64::from(f32::EPSILON)).max(1e-45);
                    worst = worst.max((f64::from(atan2(y, x)) - exact).abs() / unit);
                }
            }
        }
        assert!(worst < 4.0, "{worst} units");
    }

    #[test]
    fn the_axes_the_diagonal_and_the_origin_are_exact() {
        use std::f32::consts::FRAC_PI_2;
        for (y, x, angle) in [
            (0.0, 0.0, 0.0),
            (0.0, 2.0, 0.0),
            (3.0, 0.0, FRAC_PI_2),
            (-3.0, 0.0, -FRAC_PI_2),
            (1e-45, 0.0, FRAC_PI_2),
            (1e-45, 1e-45, FRAC_PI_4),
            (-2.0, 2.0, -FRAC_PI_4),
            (f32::INFINITY, 1.0, FRAC_PI_2),
            (1.0, f32::INFINITY, 0.0),
        ] {
            assert_eq!(atan2(y, x).to_bits(), f32::to_bits(angle), "{y} {x}");
        }
        assert!(atan2(f32::NAN, 1.0).is_nan() && atan2(1.0, f32::NAN).is_nan());
    }
}
