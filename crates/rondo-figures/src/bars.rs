//! Bars of a histogram: they begin at the bottom of a panel and cover whole pixels.

use crate::palette::Colour;
use crate::panel::Panel;
use crate::scene::{Area, Scene};

impl Panel {
    /// Draws a bar of width `width` for each pair of a middle and a height, in units of the axes.
    pub(crate) fn bars(
        &self,
        scene: &mut Scene,
        bars: impl IntoIterator<Item = (f64, f64)>,
        width: f64,
        colour: Colour,
    ) {
        for (middle, height) in bars {
            if let (Some(left), Some(right), Some(top)) = (
                self.across(middle - width / 2.0),
                self.across(middle + width / 2.0),
                self.down(height),
            ) {
                let bar = Area {
                    left,
                    top,
                    right,
                    bottom: self.frame.bottom,
                };
                scene.cell(bar, colour);
            }
        }
    }
}
