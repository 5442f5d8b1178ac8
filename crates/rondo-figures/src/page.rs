//! A sheet with legends: one beside the panels, one below them, each as large as it has to be.

use crate::grid;
use crate::legend::Legend;
use crate::panel::TICK_SIZE;
use crate::scene::{Area, Scene};
use crate::sheet::Sheet;

const GAP: f64 = 24.0;
/// From the top of the panels to that of their frames.
const INSET: f64 = TICK_SIZE / 2.0;

/// A scene with title, legends and caption, and the area left for panels.
pub(crate) struct Page {
    pub(crate) scene: Scene,
    pub(crate) body: Area,
}

impl Page {
    /// Lays out a page whose panels are `height` pixels high, or as high as the legend beside them. An
    /// empty legend takes no room.
    pub(crate) fn new(
        title: &str,
        height: f64,
        caption: &[String],
        beside: &Legend,
        below: &Legend,
    ) -> Self {
        let height = height.max(INSET + beside.height());
        let across = Sheet::width();
        let under = below.height_across(across);
        let Sheet { mut scene, body } = Sheet::new(title, height + under, caption);
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

    /// Lays out a page of so many panels of one kind, and returns the scene with a place for each.
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

/// Returns what the caption says of panels that can be compared by eye, where there are several.
pub(crate) fn same_axes(panels: usize) -> Option<String> {
    (panels > 1).then(|| "All panels have the same axes.".to_owned())
}
