//! One set of axes: where values lie in the picture, the grid behind them, the frame around them.

use crate::axis::Axis;
use crate::font::{self, Anchor, HALF_DIGIT};
use crate::palette::{FAINT_GRID, FRAME, GRID, INK, SOFT_INK};
use crate::scene::{Area, Path, Point, Scene, Stroke};

/// Font size of tick labels.
pub(crate) const TICK_SIZE: f64 = 19.0;
/// Font size of axis labels and legends.
pub(crate) const LABEL_SIZE: f64 = 21.0;
const GAP: f64 = 10.0;

/// Two axes and the rectangle between them.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) frame: Area,
    x: Axis,
    y: Axis,
}

impl Panel {
    /// Fits a panel with its labels into `outer`.
    pub(crate) fn fit(outer: Area, x: Axis, y: Axis) -> Self {
        let widest = widest_tick(&y);
        let last_tick = x.ticks.last().map_or("", |tick| &tick.text);
        // Half a pixel off the grid, so that lines one pixel wide fill one pixel.
        let frame = Area {
            left: (outer.left + LABEL_SIZE + 2.4 * GAP + widest).round() + 0.5,
            top: (outer.top + TICK_SIZE / 2.0).round() + 0.5,
            right: (outer.right - font::width(last_tick, TICK_SIZE) / 2.0).round() - 0.5,
            bottom: (outer.bottom - TICK_SIZE - LABEL_SIZE - 3.0 * GAP).round() - 0.5,
        };
        Self { frame, x, y }
    }

    /// Gives panels that stand one above the other the same left and right edges.
    pub(crate) fn align(column: &mut [Self]) {
        let left = column.iter().map(|panel| panel.frame.left);
        let left = left.fold(f64::NEG_INFINITY, f64::max);
        let right = column.iter().map(|panel| panel.frame.right);
        let right = right.fold(f64::INFINITY, f64::min);
        for panel in column {
            (panel.frame.left, panel.frame.right) = (left, right);
        }
    }

    /// Returns where a pair of values lies; `None` where one of them is not finite.
    pub(crate) fn point(&self, x: f64, y: f64) -> Option<Point> {
        Some((self.across(x)?, self.down(y)?))
    }

    /// Returns where a value of x lies.
    pub(crate) fn across(&self, x: f64) -> Option<f64> {
        let share = self.x.share(x)?;
        Some(self.frame.left + share * self.frame.width())
    }

    /// Returns where a value of y lies.
    pub(crate) fn down(&self, y: f64) -> Option<f64> {
        let share = self.y.share(y)?;
        Some(self.frame.bottom - share * self.frame.height())
    }

    /// Draws the grid: what belongs under the data.
    pub(crate) fn draw_grid(&self, scene: &mut Scene) {
        let lines = |axis: &Axis| {
            let faint = axis.minor.iter().map(|value| (*value, FAINT_GRID));
            let clear = axis.ticks.iter().map(|tick| (tick.value, GRID));
            faint.chain(clear).collect::<Vec<_>>()
        };
        let sharp = |at: f64| (at - 0.5).round() + 0.5;
        let Area {
            left,
            top,
            right,
            bottom,
        } = self.frame;
        for (value, colour) in lines(&self.x) {
            if let Some(x) = self.across(value).map(sharp) {
                scene.stroke(
                    Path::line(&[(x, top), (x, bottom)]),
                    Stroke::solid(colour, 1.0),
                );
            }
        }
        for (value, colour) in lines(&self.y) {
            if let Some(y) = self.down(value).map(sharp) {
                scene.stroke(
                    Path::line(&[(left, y), (right, y)]),
                    Stroke::solid(colour, 1.0),
                );
            }
        }
    }

    /// Draws frame, ticks and labels: what belongs over the data and around it.
    pub(crate) fn draw_frame(&self, scene: &mut Scene) {
        let Area {
            left,
            top,
            right,
            bottom,
        } = self.frame;
        scene.stroke(Path::rectangle(self.frame), Stroke::solid(FRAME, 1.0));
        for tick in &self.x.ticks {
            if let Some(x) = self.across(tick.value) {
                let baseline = bottom + GAP + 0.76 * TICK_SIZE;
                scene.text(
                    &tick.text,
                    (x, baseline),
                    TICK_SIZE,
                    Anchor::Middle,
                    SOFT_INK,
                );
            }
        }
        for tick in &self.y.ticks {
            if let Some(y) = self.down(tick.value) {
                let baseline = y + HALF_DIGIT * TICK_SIZE;
                scene.text(
                    &tick.text,
                    (left - GAP, baseline),
                    TICK_SIZE,
                    Anchor::End,
                    SOFT_INK,
                );
            }
        }
        let middle = f64::midpoint(left, right);
        let below = bottom + 2.0 * GAP + TICK_SIZE + 0.8 * LABEL_SIZE;
        scene.text(
            &self.x.label,
            (middle, below),
            LABEL_SIZE,
            Anchor::Middle,
            INK,
        );
        let beside = left - 2.4 * GAP - widest_tick(&self.y);
        let middle = f64::midpoint(top, bottom);
        scene.upward_text(&self.y.label, (beside, middle), LABEL_SIZE, INK);
    }

    /// Joins points by a line that is interrupted where a value is not finite. A single point between
    /// two gaps is a dot as wide as the line.
    pub(crate) fn line(&self, scene: &mut Scene, values: &[(f64, f64)], stroke: Stroke) {
        let places: Vec<Option<Point>> = values.iter().map(|(x, y)| self.point(*x, *y)).collect();
        for piece in places.split(Option::is_none) {
            let points: Vec<Point> = piece.iter().copied().flatten().collect();
            match points.as_slice() {
                [] => {}
                [single] => scene.fill(Path::circle(*single, stroke.width / 2.0), stroke.colour),
                points => scene.stroke(Path::line(points), stroke),
            }
        }
    }
}

fn widest_tick(axis: &Axis) -> f64 {
    axis.ticks
        .iter()
        .map(|tick| font::width(&tick.text, TICK_SIZE))
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palette::BLUE;
    use crate::scene::Item;

    fn panel() -> Panel {
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

    #[test]
    fn a_missing_value_interrupts_a_line() {
        let nan = f64::NAN;
        let values = [
            (0.0, 1.0),
            (1.0, 2.0),
            (2.0, nan),
            (3.0, 1.0),
            (nan, 1.0),
            (5.0, 1.0),
            (6.0, 1.0),
        ];
        let mut scene = Scene::new(800, 600);
        panel().line(&mut scene, &values, Stroke::solid(BLUE, 2.0));
        let kinds: Vec<bool> = scene
            .items
            .iter()
            .map(|item| matches!(item, Item::Stroke(..)))
            .collect();
        assert_eq!(kinds, [true, false, true], "line, dot, line");
    }

    #[test]
    fn labels_stay_inside_the_area_they_were_given() {
        let mut scene = Scene::new(800, 600);
        let panel = panel();
        panel.draw_grid(&mut scene);
        panel.draw_frame(&mut scene);
        for item in &scene.items {
            let Item::Text(text) = item else { continue };
            let (x, y) = text.at;
            let width = font::width(&text.content, text.size);
            let start = text.anchor.offset(width);
            if text.upward {
                assert!(x - text.size >= -1.0, "{text:?}");
            } else {
                assert!(x - start >= 0.0 && x - start + width <= 800.0, "{text:?}");
                assert!(y + 0.25 * text.size <= 600.0, "{text:?}");
            }
        }
    }
}
