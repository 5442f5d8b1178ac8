//! A metric over steps. Its points can be reduced to the columns of a chart.

/// A metric over steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    points: Vec<(f64, f64)>,
}

impl Series {
    /// Adds a reading.
    pub(crate) fn push(&mut self, step: u64, value: f64) {
        self.points.push((step as f64, value));
    }

    /// Returns the last value, finite or not.
    pub fn last(&self) -> Option<f64> {
        self.points.last().map(|(_, value)| *value)
    }

    /// Returns the values of the last `count` readings.
    pub(crate) fn recent(&self, count: usize) -> impl Iterator<Item = f64> {
        let from = self.points.len().saturating_sub(count);
        self.points[from..].iter().map(|(_, value)| *value)
    }

    /// Returns the finite points from the step `from` on. If there are many, the steps are divided
    /// into `columns` parts, and only the first, the lowest, the highest and the last point of each
    /// part are returned. No peak is lost this way.
    pub(crate) fn thinned(&self, from: f64, columns: usize) -> Vec<(f64, f64)> {
        let first = self.points.partition_point(|(step, _)| *step < from);
        let finite = self.points[first..].iter().copied();
        let finite: Vec<(f64, f64)> = finite.filter(|(_, value)| value.is_finite()).collect();
        let (Some(start), Some(end)) = (finite.first(), finite.last()) else {
            return finite;
        };
        let columns = columns.max(1);
        if finite.len() <= 4 * columns {
            return finite;
        }
        let scale = columns as f64 / (end.0 - start.0).max(f64::MIN_POSITIVE);
        let part_of = |step: f64| (((step - start.0) * scale) as usize).min(columns - 1);
        let mut kept = Vec::with_capacity(4 * columns);
        for part in finite.chunk_by(|a, b| part_of(a.0) == part_of(b.0)) {
            let index_of = |better: fn(f64, f64) -> bool| {
                (1..part.len()).fold(0, |best, index| {
                    if better(part[index].1, part[best].1) {
                        index
                    } else {
                        best
                    }
                })
            };
            let mut indices = [
                0,
                index_of(|a, b| a < b),
                index_of(|a, b| a > b),
                part.len() - 1,
            ];
            indices.sort_unstable();
            let mut last = None;
            for index in indices {
                if last != Some(index) {
                    kept.push(part[index]);
                }
                last = Some(index);
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: impl IntoIterator<Item = (u64, f64)>) -> Series {
        let mut series = Series::default();
        points
            .into_iter()
            .for_each(|(step, value)| series.push(step, value));
        series
    }

    #[test]
    fn few_points_are_all_kept_but_for_those_that_are_not_numbers() {
        let series = series([(1, 3.0), (2, f64::NAN), (3, 2.0)]);
        assert_eq!(series.thinned(0.0, 10), [(1.0, 3.0), (3.0, 2.0)]);
        assert_eq!(series.thinned(2.0, 10), [(3.0, 2.0)]);
        assert_eq!(series.last(), Some(2.0));
    }

    #[test]
    fn of_many_points_each_column_keeps_its_ends_and_its_extremes() {
        // 100 steps in 2 columns, with one peak and one trough in the first half.
        let value = |step| match step {
            20 => 9.0,
            30 => -9.0,
            _ => 0.0,
        };
        let series = series((0..100).map(|step| (step, value(step))));
        let kept = series.thinned(0.0, 2);
        let first_half = [(0.0, 0.0), (20.0, 9.0), (30.0, -9.0), (49.0, 0.0)];
        assert_eq!(kept[..4], first_half);
        assert_eq!(kept[4..], [(50.0, 0.0), (99.0, 0.0)]);
    }

    #[test]
    fn the_recent_values_are_the_last_ones() {
        let series = series([(1, 1.0), (2, 2.0), (3, 3.0)]);
        assert_eq!(series.recent(2).collect::<Vec<_>>(), [2.0, 3.0]);
        assert_eq!(series.recent(9).count(), 3);
    }
}
