//! The parts of a panel behind and around the data: grid, frame, ticks, labels, reference lines.

use crate::axis::Axis;
use crate::font::{self, Anchor, HALF_DIGIT};
use crate::palette::{Colour, Dash, FAINT_GRID, FRAME, GRID, INK, SOFT_INK};
use crate::panel::{GAP, Heading, LABEL_SIZE, LABELS, Panel, TICK_SIZE, widest_tick};
use crate::scene::{Area, Path, Point, Scene, Stroke};
use crate::ticks::Tick;

/// The line for a mean, a target or a chance level.
pub(crate) const REFERENCE: Stroke = Stroke {
    colour: INK,
    width: 2.0,
    dash: Dash::Dashed,
};

impl Panel {
    /// Draws the grid, which must be drawn before the data.
    pub(crate) fn draw_grid(&self, scene: &mut Scene) {
        let Area {
            left,
            top,
            right,
            bottom,
        } = self.frame;
        let sharp = |at: f64| (at - 0.5).round() + 0.5;
        let mut lines: Vec<([Point; 2], Colour)> = Vec::new();
        for (value, colour) in grid(&self.x) {
            let x = self.across(value).map(sharp);
            lines.extend(x.map(|x| ([(x, top), (x, bottom)], colour)));
        }
        for (value, colour) in grid(&self.y) {
            let y = self.down(value).map(sharp);
            lines.extend(y.map(|y| ([(left, y), (right, y)], colour)));
        }
        for (line, colour) in lines {
            scene.stroke(Path::line(&line), Stroke::solid(colour, 1.0));
        }
    }

    /// Draws frame, ticks and labels, which must be drawn after the data.
    pub(crate) fn draw_frame(&self, scene: &mut Scene) {
        let Area {
            left,
            top,
            right,
            bottom,
        } = self.frame;
        scene.stroke(Path::rectangle(self.frame), Stroke::solid(FRAME, 1.0));
        self.draw_ticks_across(scene, &self.x.ticks, bottom + GAP + 0.76 * TICK_SIZE);
        for tick in &self.y.ticks {
            if let Some(y) = self.down(tick.value) {
                let at = (left - GAP, y + HALF_DIGIT * TICK_SIZE);
                scene.text(&tick.text, at, TICK_SIZE, Anchor::End, SOFT_INK);
            }
        }
        let middle = f64::midpoint(left, right);
        let below = bottom + 2.0 * GAP + TICK_SIZE + 0.8 * LABEL_SIZE;
        let at = (middle, below);
        scene.text(&self.x.label, at, LABEL_SIZE, Anchor::Middle, INK);
        let beside = left - 2.4 * GAP - widest_tick(&self.y);
        let at = (beside, f64::midpoint(top, bottom));
        scene.upward_text(&self.y.label, at, LABEL_SIZE, INK);
        let mut over = top - GAP;
        if let Some(second) = &self.above {
            for value in second
                .minor
                .iter()
                .chain(second.ticks.iter().map(|t| &t.value))
            {
                if let Some(x) = self.across(*value) {
                    let mark = Path::line(&[(x, top), (x, top - 5.0)]);
                    scene.stroke(mark, Stroke::solid(FRAME, 1.0));
                }
            }
            self.draw_ticks_across(scene, &second.ticks, over);
            let at = (middle, over - GAP - TICK_SIZE);
            scene.text(&second.label, at, LABEL_SIZE, Anchor::Middle, INK);
            over -= LABELS - GAP;
        }
        if let Some(Heading { name, note }) = &self.heading {
            scene.text(name, (left, over), LABEL_SIZE, Anchor::Start, INK);
            scene.text(note, (right, over), TICK_SIZE, Anchor::End, SOFT_INK);
        }
    }

    /// Writes the labels of a horizontal axis on a baseline. Leaves out labels that would touch the
    /// label before them.
    fn draw_ticks_across(&self, scene: &mut Scene, ticks: &[Tick], baseline: f64) {
        let mut free = f64::NEG_INFINITY;
        for tick in ticks {
            let Some(x) = self.across(tick.value) else {
                continue;
            };
            let half = font::width(&tick.text, TICK_SIZE) / 2.0;
            if x - half >= free {
                let at = (x, baseline);
                scene.text(&tick.text, at, TICK_SIZE, Anchor::Middle, SOFT_INK);
                free = x + half + 0.4 * TICK_SIZE;
            }
        }
    }

    /// Draws a dashed line across the panel at a value of y.
    pub(crate) fn level(&self, scene: &mut Scene, y: f64) {
        if let Some(y) = self.down(y) {
            let line = Path::line(&[(self.frame.left, y), (self.frame.right, y)]);
            scene.stroke(line, REFERENCE);
        }
    }

    /// Draws a vertical line through the panel at a value of x, if the value is inside the axis.
    pub(crate) fn upright(&self, scene: &mut Scene, x: f64, stroke: Stroke) {
        let inside = |x: &f64| (self.frame.left..=self.frame.right).contains(x);
        if let Some(x) = self.across(x).filter(inside) {
            let line = Path::line(&[(x, self.frame.top), (x, self.frame.bottom)]);
            scene.stroke(line, stroke);
        }
    }
}

/// Returns the places of an axis's grid lines. Unlabelled lines come first, so that the labelled
/// lines are drawn over them.
fn grid(axis: &Axis) -> impl Iterator<Item = (f64, Colour)> {
    let faint = axis.minor.iter().map(|value| (*value, FAINT_GRID));
    let clear = axis.ticks.iter().map(|tick| (tick.value, GRID));
    faint.chain(clear)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panel::tests::panel;
    use crate::scene::tests::{covered, texts};

    #[test]
    fn labels_stay_inside_the_area_they_were_given() {
        let mut scene = Scene::new(800, 600);
        let panel = panel();
        panel.draw_grid(&mut scene);
        panel.draw_frame(&mut scene);
        for text in texts(&scene) {
            let area = covered(text);
            assert!(area.left >= 0.0 && area.right <= 800.0, "{text:?}");
            assert!(area.bottom + 0.25 * text.size <= 600.0, "{text:?}");
            assert!(!text.upward || text.at.0 - text.size >= -1.0, "{text:?}");
        }
    }

    #[test]
    fn a_label_that_would_touch_the_one_before_is_left_out() {
        let ticks = [0.0, 0.01, 5.0].map(Tick::of);
        let mut scene = Scene::new(800, 600);
        panel().draw_ticks_across(&mut scene, &ticks, 590.0);
        let texts = texts(&scene).into_iter();
        let texts: Vec<&str> = texts.map(|text| text.content.as_str()).collect();
        assert_eq!(texts, ["0", "5"]);
    }
}
