//! Removes points that would not be visible separately, on both scales of the horizontal axis.

use std::collections::BTreeSet;

use super::ChartPoint;
use super::drawing::FRAME;
use super::scale::{Axis, Scale};

/// Curves with at most this many points are not thinned.
const MANY: usize = 1200;

/// Returns the points that are drawn. On each scale, every unit of the width keeps its first, its
/// lowest, its highest and its last point, so every spike stays visible.
pub(super) fn thinned(points: &[ChartPoint], x: &Axis) -> Vec<ChartPoint> {
    if points.len() <= MANY {
        return points.to_vec();
    }
    let mut kept = BTreeSet::new();
    for scale in &x.scales {
        keep(points, scale, &mut kept);
    }
    kept.into_iter().map(|index| points[index]).collect()
}

fn keep(points: &[ChartPoint], scale: &Scale, kept: &mut BTreeSet<usize>) {
    let column = |point: &ChartPoint| {
        let share = scale.share(point.x).unwrap_or(0.0);
        (share * FRAME.width()).floor() as i64
    };
    let mut start = 0;
    for run in points.chunk_by(|a, b| column(a) == column(b)) {
        let end = start + run.len() - 1;
        let finite = || (start..=end).filter(|index| points[*index].y.is_finite());
        let order = |a: &usize, b: &usize| points[*a].y.total_cmp(&points[*b].y);
        kept.extend([start, end]);
        kept.extend(finite().min_by(order));
        kept.extend(finite().max_by(order));
        start = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::scale::Limits;
    use super::super::{First, Quantity};
    use super::*;

    #[test]
    fn a_spike_among_many_points_stays_on_both_scales() {
        let points: Vec<ChartPoint> = (1..=100_000_u32)
            .map(|x| ChartPoint {
                x: f64::from(x),
                step: None,
                y: if x == 77_777 { 9.0 } else { 1.0 },
                spread: None,
            })
            .collect();
        let across: Vec<f64> = points.iter().map(|point| point.x).collect();
        let x = Axis::fit(&Quantity::new("x", First::Log), &Limits::across(), &across);
        let kept = thinned(&points, &x.expect("an axis"));
        assert!(kept.len() < 4000, "{}", kept.len());
        assert!(kept.iter().any(|point| point.y > 8.0));
        assert_eq!((kept.first(), kept.last()), (points.first(), points.last()));
        assert!(kept.is_sorted_by_key(|point| point.x));
    }
}
