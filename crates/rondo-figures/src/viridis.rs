//! The colour map viridis. It is perceptually uniform, and readable in grey and for colour-blind
//! readers.
//!
//! The map is interpolated in sRGB between seventeen evenly spaced points of the published map
//! (Smith and van der Walt 2015, released under CC0). The difference from the published map is not
//! visible.

use crate::palette::Colour;

const POINTS: [Colour; 17] = [
    Colour::rgb(0x44_0154),
    Colour::rgb(0x48_186a),
    Colour::rgb(0x47_2d7b),
    Colour::rgb(0x42_4086),
    Colour::rgb(0x3b_528b),
    Colour::rgb(0x33_638d),
    Colour::rgb(0x2c_728e),
    Colour::rgb(0x26_828e),
    Colour::rgb(0x21_918c),
    Colour::rgb(0x1f_9f88),
    Colour::rgb(0x27_ad81),
    Colour::rgb(0x3d_bc74),
    Colour::rgb(0x5c_c863),
    Colour::rgb(0x81_d34d),
    Colour::rgb(0xaa_dc32),
    Colour::rgb(0xd5_e21a),
    Colour::rgb(0xfd_e725),
];

/// The end of the map's range that is used for lines; brighter colours are hard to see on white.
pub(crate) const BRIGHTEST: f64 = 0.92;

/// Returns the colour of `t`, from 0 (dark) to 1 (bright); values outside this range are clamped.
pub(crate) fn viridis(t: f64) -> Colour {
    let last = POINTS.len() - 1;
    let along = t.clamp(0.0, 1.0) * last as f64;
    let below = (along as usize).min(last - 1);
    POINTS[below].toward(POINTS[below + 1], along - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_from_dark_violet_to_yellow_and_stays_there() {
        for (t, expected) in [
            (-1.0, POINTS[0]),
            (0.0, POINTS[0]),
            (0.5, POINTS[8]),
            (1.0, POINTS[16]),
            (2.0, POINTS[16]),
        ] {
            assert_eq!(viridis(t), expected, "{t}");
        }
    }

    #[test]
    fn it_gets_brighter_all_the_way() {
        let luma = |t: f64| {
            let Colour { red, green, blue } = viridis(t);
            0.2126 * f64::from(red) + 0.7152 * f64::from(green) + 0.0722 * f64::from(blue)
        };
        for step in 0..64 {
            assert!(luma(f64::from(step) / 64.0) < luma(f64::from(step + 1) / 64.0));
        }
    }
}
