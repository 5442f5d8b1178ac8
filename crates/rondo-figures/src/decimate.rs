//! Removes points of a line that would not be visible separately. Of consecutive points in one
//! column of pixels, only the first, the lowest, the highest and the last are kept, so every spike
//! stays visible.

use crate::scene::Point;

/// Lines with at most this many points are not decimated.
const MANY: usize = 4096;

/// Returns the places that are drawn: at most four for consecutive points in one column. A gap
/// inside a column is too narrow to be visible and is removed; a gap between two columns is kept.
pub(crate) fn decimated(places: Vec<Option<Point>>) -> Vec<Option<Point>> {
    if places.len() <= MANY {
        return places;
    }
    let mut out: Vec<Option<Point>> = Vec::new();
    let mut column: Option<Column> = None;
    let mut gap = false;
    for place in places {
        let Some(point) = place else {
            gap = true;
            continue;
        };
        match &mut column {
            Some(open) if open.holds(point) => open.add(point),
            _ => {
                out.extend(column.iter().flat_map(Column::points).map(Some));
                out.extend(gap.then_some(None));
                column = Some(Column::of(point));
            }
        }
        gap = false;
    }
    out.extend(column.iter().flat_map(Column::points).map(Some));
    out
}

/// Consecutive points in one column of pixels. `top` and `bottom` also hold the index of their
/// point in this order.
struct Column {
    count: usize,
    first: Point,
    top: (usize, Point),
    bottom: (usize, Point),
    last: Point,
}

impl Column {
    fn of(point: Point) -> Self {
        Self {
            count: 1,
            first: point,
            top: (0, point),
            bottom: (0, point),
            last: point,
        }
    }

    fn holds(&self, point: Point) -> bool {
        self.first.0.floor().total_cmp(&point.0.floor()).is_eq()
    }

    fn add(&mut self, point: Point) {
        if point.1 < self.top.1.1 {
            self.top = (self.count, point);
        }
        if point.1 > self.bottom.1.1 {
            self.bottom = (self.count, point);
        }
        self.last = point;
        self.count += 1;
    }

    /// Returns the points that are kept, each once, in the order of the line.
    fn points(&self) -> Vec<Point> {
        let mut kept = vec![
            (0, self.first),
            self.top,
            self.bottom,
            (self.count - 1, self.last),
        ];
        kept.sort_by_key(|(index, _)| *index);
        kept.dedup_by_key(|(index, _)| *index);
        kept.into_iter().map(|(_, point)| point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_among_a_million_points_stays() {
        let spike = 654_321;
        let places: Vec<Option<Point>> = (0..1_000_000)
            .map(|i| {
                Some((
                    f64::from(i) / 1000.0,
                    if i == spike { -7.0 } else { f64::from(i % 3) },
                ))
            })
            .collect();
        let kept = decimated(places.clone());
        assert!(kept.len() <= 4 * 1000, "{}", kept.len());
        assert!(kept.contains(&places[spike as usize]));
        assert_eq!((kept.first(), kept.last()), (places.first(), places.last()));
        assert!(kept.is_sorted_by_key(|place| place.map(|(x, _)| x)));
    }

    #[test]
    fn a_wide_gap_stays_and_a_narrow_one_goes() {
        // Ten columns have a thousand points each, but one point is missing in column 2, and all
        // points are missing in column 5.
        let place = |i: u32| (i != 2500 && i / 1000 != 5).then(|| (f64::from(i) / 1000.0, 1.0));
        let kept = decimated((0..10_000).map(place).collect());
        let gaps: Vec<usize> = (0..kept.len()).filter(|i| kept[*i].is_none()).collect();
        assert_eq!(gaps.len(), 1);
        assert_eq!(kept[gaps[0] - 1], Some((4.999, 1.0)));
        assert_eq!(kept[gaps[0] + 1], Some((6.0, 1.0)));
    }

    #[test]
    fn a_short_line_keeps_every_point() {
        let places: Vec<Option<Point>> = (0..100).map(|i| Some((0.5, f64::from(i)))).collect();
        assert_eq!(decimated(places.clone()), places);
    }
}
