//! Panels of equal size, in rows.

use crate::scene::Area;

/// Distance in pixels between panels side by side.
const GAP: f64 = 26.0;
/// Distance in pixels between rows.
const BETWEEN_ROWS: f64 = 12.0;

/// Returns the number of columns for a number of panels.
pub(crate) fn columns(panels: usize) -> usize {
    match panels {
        0 | 1 => 1,
        2..=4 => 2,
        _ => 3,
    }
}

/// Divides an area into places for `panels` panels, in rows of `columns`, from the top left.
pub(crate) fn places(area: Area, panels: usize, columns: usize) -> Vec<Area> {
    let rows = panels.div_ceil(columns);
    let width = (area.width() + GAP) / columns as f64;
    let height = area.height() / rows as f64;
    (0..panels)
        .map(|index| {
            let left = area.left + width * (index % columns) as f64;
            let top = area.top + height * (index / columns) as f64;
            Area {
                left,
                top,
                right: left + width - GAP,
                bottom: top + height - BETWEEN_ROWS,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_panels_in_rows_of_two_leave_the_last_place_free() {
        let area = Area {
            left: 0.0,
            top: 0.0,
            right: 174.0,
            bottom: 200.0,
        };
        // Each panel is (174 + 26) / 2 = 100 pixels wide, with the gap after it.
        let corners: Vec<(f64, f64)> = places(area, 3, 2).iter().map(|a| (a.left, a.top)).collect();
        assert_eq!(corners, [(0.0, 0.0), (100.0, 0.0), (0.0, 100.0)]);
        assert!((places(area, 3, 2)[1].right - area.right).abs() < 1e-9);
    }
}
