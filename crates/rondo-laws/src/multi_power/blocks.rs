//! Approximates sums over many drops by a few of their terms.
//!
//! The steps are divided into blocks by repeated halving, at logged points where possible. The
//! contribution of a distant block to `Σ_k (η_{k−1} − η_k)·F(k)` is approximated by
//! `Σ_j w_j·F(k_j)` over eight of the block's steps k_j, placed like the zeros of a Chebyshev
//! polynomial. This replaces F by the polynomial through these eight values. The drops may vary in
//! any way: they are in the weights `w_j = Σ_k (η_{k−1} − η_k)·ℓ_j(k)`, with ℓ_j the Lagrange
//! polynomials. F depends on k only through ln η_k and the summed rate, so polynomials through the
//! same steps must approximate ln η_k and the summed rate within the block. If they do not, as at a
//! jump of the rate, the two halves of the block are used instead. Steps that are not distant are
//! summed one by one.

use std::f64::consts::PI;

use crate::schedule::Steps;

/// The number of steps that represent a block.
const NODES: usize = 8;
/// The steps of a block with at most this many steps are summed one by one.
const FEW: usize = 16;
/// A block is distant if the summed rate since its first step is at most this factor times the
/// summed rate since its last step. The factor is `(z + 1)/(z − 1)` with z = 5, where the error of
/// polynomials of degree 7 is about `(z + √(z² − 1))^−8 = 10⁻⁸`.
const FAR: f64 = 1.5;
/// The allowed error of the polynomials. It is absolute for ln η; for the summed rate, it is
/// relative to the sum of the block's own rates.
const SMOOTH: f64 = 1e-9;

/// The blocks of a schedule; the last one contains all steps.
#[derive(Clone, Debug)]
pub(super) struct Blocks(Vec<Block>);

#[derive(Clone, Debug)]
struct Block {
    first: usize,
    last: usize,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    /// The rate is constant.
    Still,
    /// Few steps, which are summed one by one.
    Single,
    /// Two halves. If the block is smooth, also the steps that represent it, with their weights.
    Halves([usize; 2], Option<Box<[(usize, f64); NODES]>>),
}

impl Blocks {
    /// Divides all steps except the first, which has no drop.
    pub(super) fn new(steps: &Steps) -> Self {
        let mut blocks = Vec::new();
        if steps.rates.len() > 1 {
            divide(steps, 1, steps.rates.len() - 1, &mut blocks);
        }
        Self(blocks)
    }

    /// Lists steps, with weights, that represent every drop up to step `place` in a sum evaluated
    /// at that step.
    pub(super) fn cover(&self, steps: &Steps, place: usize, out: &mut Vec<(usize, f64)>) {
        if let Some(all) = self.0.len().checked_sub(1) {
            self.cover_block(all, steps, place, out);
        }
    }

    fn cover_block(&self, index: usize, steps: &Steps, place: usize, out: &mut Vec<(usize, f64)>) {
        let block = &self.0[index];
        if block.first > place {
            return;
        }
        match &block.content {
            Content::Still => {}
            Content::Single => {
                let shown = block.first..=block.last.min(place);
                out.extend(shown.map(|k| (k, steps.drops[k])));
            }
            Content::Halves(halves, rule) => match rule {
                Some(nodes) if block.is_far(steps, place) => out.extend_from_slice(&nodes[..]),
                _ => {
                    for half in halves {
                        self.cover_block(*half, steps, place, out);
                    }
                }
            },
        }
    }
}

impl Block {
    fn is_far(&self, steps: &Steps, place: usize) -> bool {
        let since = |k: usize| steps.sums[place] - steps.sum_before(k);
        self.last <= place && since(self.first) <= FAR * since(self.last)
    }
}

/// Appends first the halves of the block `first ..= last` to `blocks`, then the block; returns the
/// block's index.
fn divide(steps: &Steps, first: usize, last: usize, blocks: &mut Vec<Block>) -> usize {
    let still = steps.drops[first..=last]
        .iter()
        .all(|drop| drop.abs() <= 0.0);
    let content = if still {
        Content::Still
    } else if last - first < FEW {
        Content::Single
    } else {
        let seam = seam(&steps.logged, first, last);
        let halves = [
            divide(steps, first, seam - 1, blocks),
            divide(steps, seam, last, blocks),
        ];
        Content::Halves(halves, rule(steps, first, last).map(Box::new))
    };
    blocks.push(Block {
        first,
        last,
        content,
    });
    blocks.len() - 1
}

/// Returns the first step of the second half of a block. It is the logged point nearest to the
/// middle, because the rate is smooth between logged points; if no logged point is inside the
/// block, it is the middle.
fn seam(logged: &[usize], first: usize, last: usize) -> usize {
    let middle = first + (last - first).div_ceil(2);
    let after = logged.partition_point(|place| *place < middle);
    let near = [after.checked_sub(1), Some(after)].into_iter().flatten();
    near.filter_map(|index| logged.get(index).copied())
        .filter(|place| (first + 1..=last).contains(place))
        .min_by_key(|place| place.abs_diff(middle))
        .unwrap_or(middle)
}

/// Returns the steps that represent a block, with their weights; `None` if the block is not smooth.
fn rule(steps: &Steps, first: usize, last: usize) -> Option<[(usize, f64); NODES]> {
    let count = (last - first + 1) as f64;
    let nodes: [usize; NODES] = std::array::from_fn(|j| {
        let share = 0.5 - 0.5 * (PI * (j as f64 + 0.5) / NODES as f64).cos();
        first + (count * share) as usize
    });
    let place = |k: usize| (k - first) as f64 / count;
    let inverse: [f64; NODES] = std::array::from_fn(|j| {
        let others = nodes.iter().filter(|node| **node != nodes[j]);
        let product: f64 = others.map(|node| place(nodes[j]) - place(*node)).product();
        1.0 / product
    });
    let logs = nodes.map(|node| steps.rates[node].ln());
    let sums = nodes.map(|node| steps.sum_before(node));
    let spread = steps.sum_before(last) - steps.sum_before(first);
    let mut weights = [0.0; NODES];
    for k in first..=last {
        let basis = basis(&nodes, &inverse, place, k);
        let through = |values: &[f64; NODES]| -> f64 {
            values
                .iter()
                .zip(&basis)
                .map(|(value, share)| value * share)
                .sum()
        };
        let log_error = (through(&logs) - steps.rates[k].ln()).abs();
        let sum_error = (through(&sums) - steps.sum_before(k)).abs();
        // The logarithm of a rate of zero is infinite, so such a block fails this test.
        if !(log_error <= SMOOTH && sum_error <= SMOOTH * spread) {
            return None;
        }
        for (weight, share) in weights.iter_mut().zip(&basis) {
            *weight += steps.drops[k] * share;
        }
    }
    Some(std::array::from_fn(|j| (nodes[j], weights[j])))
}

/// Returns ℓ_j(k) of every node j at one step k, by the barycentric formula.
fn basis(
    nodes: &[usize; NODES],
    inverse: &[f64; NODES],
    place: impl Fn(usize) -> f64,
    k: usize,
) -> [f64; NODES] {
    if let Some(hit) = nodes.iter().position(|node| *node == k) {
        return std::array::from_fn(|j| if j == hit { 1.0 } else { 0.0 });
    }
    let terms: [f64; NODES] = std::array::from_fn(|j| inverse[j] / (place(k) - place(nodes[j])));
    let sum: f64 = terms.iter().sum();
    terms.map(|term| term / sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;

    fn steps(points: Vec<(u64, f64)>) -> Steps {
        Steps::of(&Schedule::new("a", 1.0, points).expect("a schedule"))
    }

    #[test]
    fn weights_sum_polynomials_as_every_step_would() {
        let steps = steps(vec![(0, 2.0), (100, 1.5)]);
        let nodes = rule(&steps, 1, 100).expect("a smooth block");
        for power in 0..NODES as i32 {
            let f = |k: usize| (k as f64 / 100.0).powi(power);
            let few: f64 = nodes.iter().map(|(k, weight)| weight * f(*k)).sum();
            let all: f64 = (1..=100).map(|k| steps.drops[k] * f(k)).sum();
            assert!((few - all).abs() < 1e-12, "{power}: {few} {all}");
        }
    }

    #[test]
    fn a_block_is_not_smooth_across_a_jump() {
        let steps = steps(vec![(0, 2.0), (50, 2.0), (51, 1.0), (100, 1.0)]);
        assert_eq!(rule(&steps, 1, 100), None);
    }

    #[test]
    fn every_drop_is_covered_once_and_far_ones_by_few_steps() {
        let points = (0..=1000).map(|i| (128 * i, 2.0 - i as f64 / 1000.0));
        let steps = steps(points.collect());
        let blocks = Blocks::new(&steps);
        for place in [0, 5, 128, 50_000, 128_000] {
            let mut seen = Vec::new();
            blocks.cover(&steps, place, &mut seen);
            let sum: f64 = seen.iter().map(|(_, weight)| weight).sum();
            let all: f64 = steps.drops[..=place].iter().sum();
            assert!((sum - all).abs() < 1e-10, "{place}: {sum} {all}");
            assert!(seen.len() < 400, "{place}: {}", seen.len());
        }
    }

    #[test]
    fn a_constant_rate_costs_nothing() {
        let steps = steps(vec![(0, 2.0), (70_000, 2.0)]);
        let mut seen = Vec::new();
        Blocks::new(&steps).cover(&steps, 70_000, &mut seen);
        assert!(seen.is_empty());
    }
}
