//! Panels one above the other, with one horizontal axis.

use crate::axis::Axis;
use crate::panel::{LABELS, Panel};
use crate::scene::Area;

/// The distance between two frames, in pixels.
const BETWEEN: f64 = 26.0;

/// Returns the height of a stack whose frames have these heights.
pub(crate) fn height(frames: &[f64]) -> f64 {
    let between = BETWEEN * frames.len().saturating_sub(1) as f64;
    frames.iter().sum::<f64>() + between + LABELS
}

/// Stacks panels from the top of an area. Each has the height of its frame and its own vertical
/// axis. All have the same left and right edges, and the last panel labels the horizontal axis.
pub(crate) fn panels(
    area: Area,
    x: &Axis,
    frames: &[f64],
    axes: impl IntoIterator<Item = Axis>,
) -> Vec<Panel> {
    let mut top = area.top;
    let mut panels: Vec<Panel> = frames
        .iter()
        .zip(axes)
        .enumerate()
        .map(|(index, (height, y))| {
            let place = Area {
                top,
                bottom: top + height + LABELS,
                ..area
            };
            top += height + BETWEEN;
            let shown = match index + 1 == frames.len() {
                true => x.clone(),
                false => x.unlabelled(),
            };
            Panel::fit(place, shown, y)
        })
        .collect();
    Panel::align(&mut panels);
    panels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_stand_in_line_and_the_last_one_alone_is_labelled() {
        let axis = |label, last| Axis::linear(label, [0.0, last], 0.0).expect("values");
        let frames = [200.0, 100.0];
        let area = Area {
            left: 0.0,
            top: 0.0,
            right: 800.0,
            bottom: height(&frames),
        };
        let axes = [axis("short", 1.0), axis("long", 50_000.0)];
        let panels = panels(area, &axis("x", 10.0), &frames, axes);
        let [upper, lower] = panels.as_slice() else {
            panic!("{} panels", panels.len());
        };
        assert_eq!(upper.across(3.0), lower.across(3.0));
        assert_eq!((upper.x.label.as_str(), lower.x.label.as_str()), ("", "x"));
        assert!(upper.frame.bottom < lower.frame.top);
        assert!(lower.frame.bottom + LABELS <= area.bottom);
    }
}
