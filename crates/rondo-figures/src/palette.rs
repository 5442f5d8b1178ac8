//! Colours and line styles. If a paper has the same figure, its colours and styles are used.

/// An opaque colour in sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colour {
    /// Red, 0 to 255.
    pub(crate) red: u8,
    /// Green, 0 to 255.
    pub(crate) green: u8,
    /// Blue, 0 to 255.
    pub(crate) blue: u8,
}

impl Colour {
    /// Makes a colour from `0xRRGGBB`.
    pub(crate) const fn rgb(hex: u32) -> Self {
        Self {
            red: (hex >> 16) as u8,
            green: (hex >> 8) as u8,
            blue: hex as u8,
        }
    }

    /// Returns a mix of the colour with `other`, whose share is `t` (0 to 1).
    #[must_use]
    pub(crate) fn toward(self, other: Self, t: f64) -> Self {
        let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * t).round() as u8;
        Self {
            red: mix(self.red, other.red),
            green: mix(self.green, other.green),
            blue: mix(self.blue, other.blue),
        }
    }
}

/// Blue: the main run, and the first series of a picture.
pub(crate) const BLUE: Colour = Colour::rgb(0x1f_77b4);
/// Orange: the first bad run.
pub(crate) const ORANGE: Colour = Colour::rgb(0xff_7f0e);
/// Green: the second bad run.
pub(crate) const GREEN: Colour = Colour::rgb(0x2c_a02c);
/// Red: marks that must be noticed.
pub(crate) const RED: Colour = Colour::rgb(0xd6_2728);

/// The colour of the background.
pub(crate) const WHITE: Colour = Colour::rgb(0xff_ffff);
/// The colour of titles and labels.
pub(crate) const INK: Colour = Colour::rgb(0x26_2626);
/// The colour of tick labels and captions.
pub(crate) const SOFT_INK: Colour = Colour::rgb(0x5c_5c5c);
/// The colour of a panel's frame.
pub(crate) const FRAME: Colour = Colour::rgb(0x9a_9a9a);
/// The colour of grid lines at labelled ticks.
pub(crate) const GRID: Colour = Colour::rgb(0xe2_e2e2);
/// The colour of grid lines between labelled ticks.
pub(crate) const FAINT_GRID: Colour = Colour::rgb(0xf1_f1f1);

/// The colours of series, chosen to be easy to distinguish.
pub(crate) const SERIES: [Colour; 9] = [
    BLUE,
    ORANGE,
    GREEN,
    RED,
    Colour::rgb(0x94_67bd),
    Colour::rgb(0x8c_564b),
    Colour::rgb(0xe3_77c2),
    Colour::rgb(0x17_becf),
    Colour::rgb(0x7f_7f7f),
];

/// Returns the colour of series number `index`, counted from 0; the nine colours repeat.
pub(crate) fn series(index: usize) -> Colour {
    SERIES[index % SERIES.len()]
}

/// The dash style of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dash {
    /// Unbroken.
    Solid,
    /// `– – –`
    Dashed,
    /// `· · ·`
    Dotted,
    /// `– · –`
    DotDashed,
    /// `— — —`
    LongDashed,
    /// `– · · –`
    DotDotDashed,
}

impl Dash {
    /// Returns the style of recurrence depth `r`, the same in every picture.
    ///
    /// The styles are: 1 solid, 4 dashed, 8 dotted, 16 dash-dot, 32 long dash, 64 dash-dot-dot. Any
    /// other depth has the style of the next lower depth in this list.
    pub(crate) fn of_depth(r: usize) -> Self {
        match r {
            0..4 => Self::Solid,
            4..8 => Self::Dashed,
            8..16 => Self::Dotted,
            16..32 => Self::DotDashed,
            32..64 => Self::LongDashed,
            _ => Self::DotDotDashed,
        }
    }

    /// Returns the alternating lengths of dashes and gaps, in line widths. Empty for a solid line.
    pub(crate) fn pattern(self) -> &'static [f64] {
        match self {
            Self::Solid => &[],
            Self::Dashed => &[4.0, 2.5],
            Self::Dotted => &[1.2, 2.0],
            Self::DotDashed => &[5.0, 2.0, 1.2, 2.0],
            Self::LongDashed => &[8.0, 2.5],
            Self::DotDotDashed => &[5.0, 2.0, 1.2, 2.0, 1.2, 2.0],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_begins_and_ends_at_its_colours() {
        assert_eq!(BLUE.toward(ORANGE, 0.0), BLUE);
        assert_eq!(BLUE.toward(ORANGE, 1.0), ORANGE);
        assert_eq!(
            Colour::rgb(0).toward(Colour::rgb(0x64_c832), 0.5),
            Colour::rgb(0x32_6419)
        );
    }

    #[test]
    fn every_published_depth_has_a_style_of_its_own() {
        let styles = [1, 4, 8, 16, 32, 64].map(Dash::of_depth);
        for (index, style) in styles.iter().enumerate() {
            assert!(!styles[..index].contains(style), "{style:?}");
        }
    }
}
