//! Which line or mark stands for what: a column beside the panels, so that it never hides data.

use crate::font::{self, Anchor, HALF_DIGIT};
use crate::marker::Marker;
use crate::palette::{Colour, INK};
use crate::panel::LABEL_SIZE;
use crate::scene::{Path, Point, Scene, Stroke};

/// Height of a row.
pub(crate) const ROW: f64 = 34.0;
const SAMPLE: f64 = 44.0;
const RADIUS: f64 = 8.0;
/// Longer names are cut.
const LONGEST: usize = 24;

/// One row of a legend.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) marker: Marker,
    pub(crate) colour: Colour,
    /// Whether the marks are joined by a line.
    pub(crate) joined: bool,
}

impl Entry {
    fn text(&self) -> String {
        font::shortened(&font::drawable(&self.name), LONGEST)
    }
}

/// Returns the width of a legend.
pub(crate) fn width(entries: &[Entry]) -> f64 {
    let widest = entries
        .iter()
        .map(|entry| font::width(&entry.text(), LABEL_SIZE))
        .fold(0.0, f64::max);
    SAMPLE + 12.0 + widest
}

/// Draws a legend, one row under the other, its top left corner at `corner`.
pub(crate) fn draw(scene: &mut Scene, (left, top): Point, entries: &[Entry]) {
    for (index, entry) in entries.iter().enumerate() {
        let y = top + ROW * (index as f64 + 0.5);
        if entry.joined {
            let line = Path::line(&[(left, y), (left + SAMPLE, y)]);
            scene.stroke(line, Stroke::solid(entry.colour, 3.0));
        }
        let middle = (left + SAMPLE / 2.0, y);
        entry.marker.draw(scene, middle, RADIUS, entry.colour);
        let at = (left + SAMPLE + 12.0, y + HALF_DIGIT * LABEL_SIZE);
        scene.text(&entry.text(), at, LABEL_SIZE, Anchor::Start, INK);
    }
}
