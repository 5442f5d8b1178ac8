//! The scale of a colour map: a vertical strip with ticks on its right.

use crate::axis::Axis;
use crate::font::{Anchor, HALF_DIGIT};
use crate::palette::{Colour, FRAME, INK, SOFT_INK};
use crate::panel::{LABEL_SIZE, TICK_SIZE, widest_tick};
use crate::scene::{Area, Path, Scene, Stroke};

const STRIP: f64 = 28.0;
const GAP: f64 = 9.0;

/// Returns the width of a bar with its ticks and its label.
pub(crate) fn width(axis: &Axis) -> f64 {
    STRIP + 3.0 * GAP + widest_tick(axis) + LABEL_SIZE
}

/// Draws a bar from `top` to `bottom`, with its left edge at `left`. `map` returns the colour for a
/// share of the axis.
pub(crate) fn draw(
    scene: &mut Scene,
    (left, top, bottom): (f64, f64, f64),
    axis: &Axis,
    map: impl Fn(f64) -> Colour,
) {
    let rows = (bottom - top).floor().max(1.0) as usize;
    let row = (bottom - top) / rows as f64;
    for index in 0..rows {
        let above = bottom - row * (index + 1) as f64;
        let area = Area {
            left,
            top: above,
            right: left + STRIP,
            bottom: above + row,
        };
        scene.cell(area, map((index as f64 + 0.5) / rows as f64));
    }
    let frame = Area {
        left: left.round() + 0.5,
        top: top.round() + 0.5,
        right: (left + STRIP).round() - 0.5,
        bottom: bottom.round() - 0.5,
    };
    scene.stroke(Path::rectangle(frame), Stroke::solid(FRAME, 1.0));
    for tick in &axis.ticks {
        if let Some(share) = axis.share(tick.value) {
            let y = bottom - share * (bottom - top);
            let mark = Path::line(&[(frame.right, y), (frame.right + 5.0, y)]);
            scene.stroke(mark, Stroke::solid(FRAME, 1.0));
            let at = (left + STRIP + GAP, y + HALF_DIGIT * TICK_SIZE);
            scene.text(&tick.text, at, TICK_SIZE, Anchor::Start, SOFT_INK);
        }
    }
    let beside = left + STRIP + 2.0 * GAP + widest_tick(axis) + 0.8 * LABEL_SIZE;
    let middle = f64::midpoint(top, bottom);
    scene.upward_text(&axis.label, (beside, middle), LABEL_SIZE, INK);
}
