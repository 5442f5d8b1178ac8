//! How the rate falls at the end of a run.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a rate falls from the peak η to the floor η_min, for x from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// The rate `max(η·(1 − x), η_min)`: a straight line toward 0, which reaches the floor before
    /// the end. It is the cooldown of the reference code of Geiping et al. 2025 (arXiv 2502.05171).
    #[default]
    Linear,
    /// `f = 1 − √x`.
    #[serde(rename = "1-sqrt")]
    OneMinusSqrt,
    /// `f = (1 + cos πx) / 2`.
    Cosine,
    /// `f = 1 − x²`.
    Square,
    /// `f = 2(1 − x) − (1 + cos πx) / 2`: the cosine mirrored at the straight line.
    MirrorCosine,
    /// The rate `η^(1−x)·η_min^x`.
    Exponential,
}

impl Decay {
    /// Returns the rate at `x`, for a fall from `peak` to `floor`.
    pub(crate) fn rate(self, x: f64, peak: f64, floor: f64) -> f64 {
        let f = match self {
            Self::Linear => return (peak * (1.0 - x)).max(floor),
            Self::OneMinusSqrt => 1.0 - x.sqrt(),
            Self::Cosine => half_cosine(x),
            Self::Square => 1.0 - x * x,
            Self::MirrorCosine => 2.0 * (1.0 - x) - half_cosine(x),
            // The power formula below would differ from the floor by a rounding.
            Self::Exponential if x >= 1.0 => 0.0,
            Self::Exponential => return (peak * (floor / peak).powf(x)).max(floor),
        };
        floor + (peak - floor) * f
    }
}

/// Returns `(1 + cos πx) / 2`, which falls from 1 to 0.
pub(crate) fn half_cosine(x: f64) -> f64 {
    f64::midpoint(1.0, (PI * x).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_way_down_each_form_is_where_its_formula_says() {
        // From 4 to 1 the rate is 1 + 3f, except 4·(1 − x) for the line and √(4·1) at x = ½ for the
        // exponential.
        for (decay, quarter, half) in [
            (Decay::Linear, 3.0, 2.0),
            (Decay::OneMinusSqrt, 2.5, 4.0 - 3.0 * 0.5_f64.sqrt()),
            (Decay::Cosine, 2.5 + 1.5 * 0.5_f64.sqrt(), 2.5),
            (Decay::Square, 3.8125, 3.25),
            (Decay::MirrorCosine, 4.0 - 1.5 * 0.5_f64.sqrt(), 2.5),
            (Decay::Exponential, 8.0_f64.sqrt(), 2.0),
        ] {
            let found = (decay.rate(0.25, 4.0, 1.0), decay.rate(0.5, 4.0, 1.0));
            assert!((found.0 - quarter).abs() < 1e-12, "{decay:?}: {found:?}");
            assert!((found.1 - half).abs() < 1e-12, "{decay:?}: {found:?}");
        }
    }

    #[test]
    fn the_line_to_zero_stops_at_the_floor() {
        for (x, rate) in [(0.0, 4.0), (0.7, 1.2), (0.75, 1.0), (0.8, 1.0), (1.0, 1.0)] {
            let found = Decay::Linear.rate(x, 4.0, 1.0);
            assert!((found - rate).abs() < 1e-12, "{x}: {found}");
        }
    }
}
