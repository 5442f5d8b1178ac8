//! The placement of panels with one horizontal axis: one above the other, or side by side.

use crate::axis::Axis;
use crate::panel::Panel;
use crate::scene::Area;
use crate::{grid, stack};

/// The height of each frame in a stack, in pixels.
const STACKED: f64 = 320.0;
/// The height of panels side by side, in pixels, with the labels below them.
const SIDE_BY_SIDE: f64 = 540.0;

/// The placement of the panels of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// The panels are one above the other. Only the last panel labels the horizontal axis.
    #[default]
    Stacked,
    /// The panels are in one row. Each panel labels its horizontal axis.
    SideBySide,
}

impl Layout {
    /// Returns the height that is needed for a number of panels.
    pub(crate) fn height(self, panels: usize) -> f64 {
        match self {
            Self::Stacked => stack::height(&vec![STACKED; panels]),
            Self::SideBySide => SIDE_BY_SIDE,
        }
    }

    /// Places a panel for each vertical axis in an area, all with the same horizontal axis. Their
    /// frames have the same height.
    pub(crate) fn panels<const N: usize>(
        self,
        area: Area,
        x: &Axis,
        axes: [Axis; N],
    ) -> Vec<Panel> {
        match self {
            Self::Stacked => stack::panels(area, x, &[STACKED; N], axes),
            Self::SideBySide => grid::places(area, N, N)
                .into_iter()
                .zip(axes)
                .map(|(place, y)| Panel::fit(place, x.clone(), y))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panel::{LABELS, TICK_SIZE, widest_tick};

    /// Returns three panels whose vertical ticks differ in width, and the area in which they are
    /// placed.
    fn three(layout: Layout) -> (Area, Vec<Panel>) {
        let axis = |label, last| Axis::linear(label, [0.0, last], 0.0).expect("values");
        let area = Area {
            left: 10.0,
            top: 20.0,
            right: 1510.0,
            bottom: 20.0 + layout.height(3),
        };
        let axes = [axis("a", 1.0), axis("b", 50_000.0), axis("c", 10.0)];
        (area, layout.panels(area, &axis("x", 1600.0), axes))
    }

    fn labels(panels: &[Panel]) -> Vec<&str> {
        panels.iter().map(|panel| panel.x.label.as_str()).collect()
    }

    #[test]
    fn frames_have_one_height_and_stay_inside_their_area() {
        for layout in [Layout::Stacked, Layout::SideBySide] {
            let (area, panels) = three(layout);
            assert_eq!(panels.len(), 3, "{layout:?}");
            let height = panels[0].frame.height();
            assert!(height > 300.0, "{layout:?}: {height}");
            for Panel { frame, .. } in &panels {
                assert!((frame.height() - height).abs() < 1e-9, "{layout:?}");
                assert!(
                    frame.left > area.left && frame.right <= area.right,
                    "{layout:?}"
                );
                assert!(
                    frame.top >= area.top && frame.bottom + LABELS <= area.bottom,
                    "{layout:?}"
                );
            }
        }
    }

    #[test]
    fn panels_side_by_side_leave_room_for_each_others_ticks_and_label_their_axes() {
        let (_, panels) = three(Layout::SideBySide);
        assert_eq!(labels(&panels), ["x"; 3]);
        for pair in panels.windows(2) {
            let (left, right) = (&pair[0], &pair[1]);
            assert!((left.frame.top - right.frame.top).abs() < 1e-9);
            let ticks = right.frame.left - widest_tick(&right.y) - TICK_SIZE;
            assert!(
                left.frame.right < ticks,
                "{} beside {ticks}",
                left.frame.right
            );
        }
    }

    #[test]
    fn stacked_panels_follow_each_other_downward_and_the_last_labels_the_axis() {
        let (_, panels) = three(Layout::Stacked);
        assert_eq!(labels(&panels), ["", "", "x"]);
        for pair in panels.windows(2) {
            assert!(pair[0].frame.bottom < pair[1].frame.top);
            assert!((pair[0].frame.left - pair[1].frame.left).abs() < 1e-9);
        }
    }
}
