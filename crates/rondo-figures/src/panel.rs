//! A panel: one set of axes, and the places of values in the picture.

use crate::axis::{Axis, Second};
use crate::font;
use crate::scene::{Area, Point};

/// Font size of tick labels.
pub(crate) const TICK_SIZE: f64 = 21.0;
/// Font size of axis labels and legends.
pub(crate) const LABEL_SIZE: f64 = 24.0;
pub(crate) const GAP: f64 = 10.0;
/// The height of the labels of a horizontal axis, in pixels.
pub(crate) const LABELS: f64 = TICK_SIZE + LABEL_SIZE + 3.0 * GAP;
/// The height of a heading above the frame, in pixels.
const HEADING: f64 = LABEL_SIZE + 1.4 * GAP;

/// Two axes and the rectangle between them.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) frame: Area,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) above: Option<Second>,
    pub(crate) heading: Option<Heading>,
}

/// A line of text above a panel.
#[derive(Clone, Debug)]
pub(crate) struct Heading {
    pub(crate) name: String,
    pub(crate) note: String,
}

impl Panel {
    /// Fits a panel with its labels into `outer`.
    pub(crate) fn fit(outer: Area, x: Axis, y: Axis) -> Self {
        let widest = widest_tick(&y);
        let last_tick = x.ticks.last().map_or("", |tick| &tick.text);
        // The frame is half a pixel off the pixel grid, so a line of width 1 covers exactly one
        // pixel.
        let frame = Area {
            left: (outer.left + LABEL_SIZE + 2.4 * GAP + widest).round() + 0.5,
            top: (outer.top + TICK_SIZE / 2.0).round() + 0.5,
            right: (outer.right - font::width(last_tick, TICK_SIZE) / 2.0).round() - 0.5,
            bottom: (outer.bottom - LABELS).round() - 0.5,
        };
        Self {
            frame,
            x,
            y,
            above: None,
            heading: None,
        }
    }

    /// Adds a second scale of x along the upper edge.
    pub(crate) fn with_second(mut self, second: Second) -> Self {
        self.frame.top = (self.frame.top + LABELS - TICK_SIZE / 2.0).floor() + 0.5;
        self.above = Some(second);
        self
    }

    /// Adds a heading: a name at the left and a note at the right.
    pub(crate) fn with_heading(mut self, name: &str, note: String) -> Self {
        self.frame.top = (self.frame.top + HEADING - TICK_SIZE / 2.0).floor() + 0.5;
        let room = self.frame.width() - font::width(&note, TICK_SIZE) - 2.0 * GAP;
        let name = font::fitted(&font::drawable(name), LABEL_SIZE, room);
        self.heading = Some(Heading { name, note });
        self
    }

    /// Gives the panels of a column the same left and right edges.
    pub(crate) fn align(column: &mut [Self]) {
        let left = column.iter().map(|panel| panel.frame.left);
        let left = left.fold(f64::NEG_INFINITY, f64::max);
        let right = column.iter().map(|panel| panel.frame.right);
        let right = right.fold(f64::INFINITY, f64::min);
        for panel in column {
            (panel.frame.left, panel.frame.right) = (left, right);
        }
    }

    /// Returns the place of a pair of values; `None` if one of them is not finite.
    pub(crate) fn point(&self, x: f64, y: f64) -> Option<Point> {
        Some((self.across(x)?, self.down(y)?))
    }

    /// Returns the horizontal place of a value of x.
    pub(crate) fn across(&self, x: f64) -> Option<f64> {
        let share = self.x.share(x)?;
        Some(self.frame.left + share * self.frame.width())
    }

    /// Returns the vertical place of a value of y.
    pub(crate) fn down(&self, y: f64) -> Option<f64> {
        let share = self.y.share(y)?;
        Some(self.frame.bottom - share * self.frame.height())
    }
}

pub(crate) fn widest_tick(axis: &Axis) -> f64 {
    axis.ticks
        .iter()
        .map(|tick| font::width(&tick.text, TICK_SIZE))
        .fold(0.0, f64::max)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a panel of 800 × 600 pixels in which both axes go from 0 to 10.
    pub(crate) fn panel() -> Panel {
        let axis = |label| Axis::linear(label, [0.0, 10.0], 0.0).expect("values");
        let outer = Area {
            left: 0.0,
            top: 0.0,
            right: 800.0,
            bottom: 600.0,
        };
        Panel::fit(outer, axis("x"), axis("y"))
    }

    #[test]
    fn corners_of_the_data_are_corners_of_the_frame() {
        let panel = panel();
        let frame = panel.frame;
        assert_eq!(panel.point(0.0, 0.0), Some((frame.left, frame.bottom)));
        assert_eq!(panel.point(10.0, 10.0), Some((frame.right, frame.top)));
    }
}
