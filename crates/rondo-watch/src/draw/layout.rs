//! Chooses and places the panels that fit.

use ratatui::layout::Rect;

/// A chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Panel {
    Loss,
    Perplexity,
    Correlation,
    Rate,
    Speed,
    Iterations,
}

impl Panel {
    /// Every chart, the most informative first.
    pub(super) const ALL: [Self; 6] = [
        Self::Loss,
        Self::Perplexity,
        Self::Correlation,
        Self::Rate,
        Self::Speed,
        Self::Iterations,
    ];
}

/// The minimum width of a chart when charts are side by side.
const WIDTH: u16 = 36;
/// The minimum height of a chart: the title, three rows of curve, the axis, and its labels.
const HEIGHT: u16 = 6;
/// The minimum height of the events: a title and three events.
const EVENTS: u16 = 4;
/// The maximum height of a chart. The remaining rows show events.
const TALL: u16 = 16;

/// The position of each chart and of the events on one page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) panels: Vec<(Panel, Rect)>,
    /// `None` on a page without events.
    pub(super) events: Option<Rect>,
    /// The number of pages that all charts and the events need.
    pub(super) pages: usize,
}

impl Grid {
    /// Places the charts of one page above the events. If the window is low, the events have a page
    /// of their own.
    pub(super) fn of(area: Rect, page: usize) -> Self {
        let columns = (area.width / WIDTH).clamp(1, 3);
        let is_low = area.height < HEIGHT + EVENTS;
        let for_charts = if is_low {
            area.height
        } else {
            area.height - EVENTS
        };
        let all_rows = (Panel::ALL.len() as u16).div_ceil(columns);
        let rows = (for_charts / HEIGHT).clamp(1, all_rows);
        let on_a_page = usize::from(rows * columns);
        let chart_pages = Panel::ALL.len().div_ceil(on_a_page);
        let pages = chart_pages + usize::from(is_low);
        let page = page.min(pages - 1);
        if page == chart_pages {
            return Self {
                panels: Vec::new(),
                events: Some(area),
                pages,
            };
        }
        let height = for_charts.min(rows * TALL);
        let panels = Panel::ALL.iter().skip(page * on_a_page).take(on_a_page);
        let place = |index: usize| {
            let (row, column) = (index as u16 / columns, index as u16 % columns);
            let (left, right) = (
                area.width * column / columns,
                area.width * (column + 1) / columns,
            );
            let (top, bottom) = (height * row / rows, height * (row + 1) / rows);
            // One empty column separates two charts.
            let gap = u16::from(column + 1 < columns);
            Rect::new(
                area.x + left,
                area.y + top,
                right - left - gap,
                bottom - top,
            )
        };
        let panels = panels
            .enumerate()
            .map(|(index, panel)| (*panel, place(index)));
        Self {
            panels: panels.collect(),
            events: (!is_low)
                .then(|| Rect::new(area.x, area.y + height, area.width, area.height - height)),
            pages,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(width: u16, height: u16, page: usize) -> Grid {
        Grid::of(Rect::new(0, 0, width, height), page)
    }

    #[test]
    fn a_wide_window_has_three_columns_and_one_page() {
        let grid = grid(120, 30, 0);
        assert_eq!((grid.panels.len(), grid.pages), (6, 1));
        assert_eq!(grid.panels[0].1, Rect::new(0, 0, 39, 13));
        assert_eq!(grid.panels[5].1, Rect::new(80, 13, 40, 13));
        assert_eq!(grid.events, Some(Rect::new(0, 26, 120, 4)));
    }

    #[test]
    fn a_narrow_window_turns_pages() {
        for (page, panels) in [
            (0, vec![Panel::Loss, Panel::Perplexity]),
            (1, vec![Panel::Correlation, Panel::Rate]),
            (2, vec![Panel::Speed, Panel::Iterations]),
            (9, vec![Panel::Speed, Panel::Iterations]),
        ] {
            let grid = grid(40, 20, page);
            let shown: Vec<Panel> = grid.panels.iter().map(|(panel, _)| *panel).collect();
            assert_eq!((shown, grid.pages), (panels, 3));
        }
    }

    #[test]
    fn in_a_low_window_the_events_are_a_page() {
        let first = grid(80, 8, 0);
        assert_eq!(
            (first.panels.len(), first.events, first.pages),
            (2, None, 4)
        );
        let last = grid(80, 8, 3);
        assert_eq!(
            (last.panels.len(), last.events),
            (0, Some(Rect::new(0, 0, 80, 8)))
        );
    }

    #[test]
    fn panels_stay_inside_and_apart_at_every_size() {
        for (width, height) in (10..140).flat_map(|w| (1..60).map(move |h| (w, h))) {
            let area = Rect::new(3, 2, width, height);
            for page in 0..Grid::of(area, 0).pages {
                let grid = Grid::of(area, page);
                let places: Vec<Rect> = grid
                    .panels
                    .iter()
                    .map(|(_, place)| *place)
                    .chain(grid.events)
                    .collect();
                for (index, place) in places.iter().enumerate() {
                    assert_eq!(area.intersection(*place), *place, "{area:?} {place:?}");
                    assert!(
                        places[..index]
                            .iter()
                            .all(|other| !other.intersects(*place))
                    );
                }
            }
        }
    }
}
