//! A sheet with legends: one beside the panels and one below them. A legend takes only the room
//! that it needs.

use crate::grid;
use crate::legend::Legend;
use crate::panel::TICK_SIZE;
use crate::scene::{Area, Scene};
use crate::sheet::Sheet;

const GAP: f64 = 24.0;
/// The distance from the top of a panel to the top of its frame, in pixels.
const INSET: f64 = TICK_SIZE / 2.0;

/// A scene with title, legends and caption, and the area left for panels.
pub(crate) struct Page {
    pub(crate) scene: Scene,
    pub(crate) body: Area,
}

impl Page {
    /// Lays out a page whose panels are `height` pixels high. If the legend beside them is higher,
    /// the page becomes higher; an empty legend takes no room.
    pub(crate) fn new(
        title: &str,
        height: f64,
        caption: &[String],
        beside: &Legend,
        below: &Legend,
    ) -> Self {
        let panels = height + below.height_across(Sheet::width());
        let total = panels.max(INSET + beside.height());
        let Sheet { mut scene, body } = Sheet::new(title, total, caption);
        let right = match beside.entries.is_empty() {
            true => body.right,
            false => body.right - beside.width() - GAP,
        };
        beside.draw_column(&mut scene, (right + GAP, body.top + INSET));
        let bottom = body.top + height;
        let row = Area {
            top: bottom,
            ..body
        };
        below.draw_across(&mut scene, row);
        let body = Area {
            right,
            bottom,
            ..body
        };
        Self { scene, body }
    }

    /// Lays out a page with a number of panels of the same kind, and returns the scene and the
    /// place of each panel.
    pub(crate) fn of_multiples(
        title: &str,
        panels: usize,
        caption: &[String],
        beside: &Legend,
    ) -> (Scene, Vec<Area>) {
        let columns = grid::columns(panels);
        let rows = panels.div_ceil(columns);
        let row = if rows == 1 { 640.0 } else { 430.0 };
        let height = row * rows as f64;
        let page = Self::new(title, height, caption, beside, &Legend::default());
        let places = grid::places(page.body, panels, columns);
        (page.scene, places)
    }
}

/// Returns the caption's sentence about panels with the same axes, if there are several panels.
pub(crate) fn same_axes(panels: usize) -> Option<String> {
    (panels > 1).then(|| "All panels have the same axes.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::legend::Entry;
    use crate::palette::BLUE;
    use crate::scene::Stroke;

    #[test]
    fn legends_take_their_room_from_the_page_and_not_from_the_height_of_the_panels() {
        let legend = |rows: usize| {
            let entry = |row: usize| Entry::line(row.to_string(), Stroke::solid(BLUE, 2.0));
            Legend::of((0..rows).map(entry))
        };
        let page = |beside, below| Page::new("", 400.0, &[], &legend(beside), &legend(below));
        let (bare, full) = (page(0, 0), page(64, 2));
        assert!((bare.body.width() - Sheet::width()).abs() < 1e-9);
        assert!(full.body.right < bare.body.right);
        assert!((full.body.height() - 400.0).abs() < 1e-9);
        assert!(f64::from(full.scene.height) > legend(64).height());
    }
}
