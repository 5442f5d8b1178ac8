//! One orbit in the plane of two components: axes, line and marks.

use super::Orbit;
use crate::axis::Axis;
use crate::font::{Anchor, HALF_DIGIT};
use crate::marker::Marker;
use crate::palette::{Colour, GREEN, ORANGE, RED, SOFT_INK};
use crate::panel::{Panel, TICK_SIZE};
use crate::scene::{Area, Point, Scene, Stroke};

/// The mark of the initial state.
pub(super) const START: (Marker, Colour) = (Marker::Triangle, GREEN);
/// The mark of the last state.
pub(super) const END: (Marker, Colour) = (Marker::Square, RED);
/// The mark of the mean of the token's states.
pub(super) const CENTRE: (Marker, Colour) = (Marker::Cross, ORANGE);

/// Returns the coordinates of a state in the plane of two components. A component without variance
/// has the coordinate 0.
fn in_plane(state: &[f64], plane: usize) -> (f64, f64) {
    let coordinate = |axis: usize| state.get(axis).copied().unwrap_or(0.0);
    (coordinate(2 * plane), coordinate(2 * plane + 1))
}

/// Returns a panel whose axes fit one token's orbit in the plane of two components.
pub(super) fn panel(outer: Area, plane: usize, shares: &[f64], orbit: &Orbit) -> Option<Panel> {
    let label = |axis: usize| match shares.get(axis) {
        Some(share) => format!("PC{} ({:.1} %)", axis + 1, 100.0 * share),
        None => format!("PC{} (no variance)", axis + 1),
    };
    let places = || orbit.states.iter().map(|state| in_plane(state, plane));
    let x = Axis::linear(&label(2 * plane), places().map(|p| p.0), 0.06)?;
    let y = Axis::linear(&label(2 * plane + 1), places().map(|p| p.1), 0.06)?;
    Some(Panel::fit(outer, x, y))
}

/// Draws one token's orbit in the plane of two components.
pub(super) fn draw(scene: &mut Scene, panel: &Panel, plane: usize, shares: &[f64], orbit: &Orbit) {
    if shares.len() <= 2 * plane {
        let frame = panel.frame;
        let middle = (
            f64::midpoint(frame.left, frame.right),
            f64::midpoint(frame.top, frame.bottom) + HALF_DIGIT * TICK_SIZE,
        );
        let text = match shares.len() {
            1 => "the states vary in 1 dimension".to_owned(),
            n => format!("the states vary in {n} dimensions"),
        };
        scene.text(&text, middle, TICK_SIZE, Anchor::Middle, SOFT_INK);
        panel.draw_frame(scene);
        return;
    }
    panel.draw_grid(scene);
    panel.draw_frame(scene);
    let values: Vec<(f64, f64)> = orbit
        .states
        .iter()
        .map(|state| in_plane(state, plane))
        .collect();
    panel.line(scene, &values, Stroke::solid(Colour::rgb(0xa6_b4c2), 1.6));
    let last = values.len() - 1;
    let place = |(x, y)| panel.point(x, y);
    for (index, at) in values.iter().copied().filter_map(place).enumerate() {
        Marker::Circle.draw(scene, at, 5.5, along(index as f64 / last as f64));
    }
    let mut special = |(marker, colour): (Marker, Colour), at: Option<Point>| {
        if let Some(at) = at {
            marker.draw(scene, at, 9.0, colour);
        }
    };
    special(CENTRE, place(in_plane(&orbit.mean, plane)));
    special(START, place(values[0]));
    special(END, place(values[last]));
}

/// Returns the colour of an iteration, from the first (light) to the last (dark).
pub(super) fn along(t: f64) -> Colour {
    let (light, middle, dark) = (
        Colour::rgb(0xc4_daf0),
        Colour::rgb(0x3f_8bc4),
        Colour::rgb(0x08_2f66),
    );
    if t < 0.5 {
        light.toward(middle, 2.0 * t)
    } else {
        middle.toward(dark, 2.0 * t - 1.0)
    }
}
