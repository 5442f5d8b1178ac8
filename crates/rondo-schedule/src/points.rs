//! The piecewise shape: f is given by points.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::length::{Length, Run};

/// `[place, f]`: the length from the start of the run to the point, and the rate there as a share
/// of the way from floor to peak.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Point(pub Length, pub f64);

/// Points with their places as steps, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Points(Vec<(u64, f64)>);

impl Points {
    /// Finds the step of each point in `run`.
    pub(crate) fn new(points: &[Point], run: Run) -> Self {
        let steps = points.iter().map(|Point(at, f)| (at.steps(run), *f));
        Self(steps.collect())
    }

    /// Returns f at `step`, on the straight line between the points before and after it. The line
    /// before the first point starts with f = 1 at `start`; after the last point, f is constant.
    pub(crate) fn at(&self, step: u64, start: u64) -> f64 {
        let next = self.0.partition_point(|(at, _)| *at < step);
        let before = next.checked_sub(1).map_or((start, 1.0), |i| self.0[i]);
        match self.0.get(next) {
            None => before.1,
            Some((at, f)) => {
                let x = (step - before.0) as f64 / (at - before.0) as f64;
                before.1 + (f - before.1) * x
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_on_the_lines_between_points_and_jump_behind_a_double_one() {
        let points = Points(vec![(4, 0.5), (6, 0.25), (6, 1.0), (8, 0.0)]);
        let found: Vec<f64> = (3..=10).map(|step| points.at(step, 2)).collect();
        for (one, other) in found
            .iter()
            .zip([0.75, 0.5, 0.375, 0.25, 0.5, 0.0, 0.0, 0.0])
        {
            assert!((one - other).abs() < 1e-15, "{found:?}");
        }
    }
}
