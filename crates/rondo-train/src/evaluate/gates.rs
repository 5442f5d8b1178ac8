//! Averages the shares of open edges in a pass to the mean recurrence over batches.

use rondo_model::gates::Density;
use rondo_model::layer::At;
use rondo_model::sparsity::Sparsity;

/// Reduces the densities of a pass to those of a pass that ends at depth `deepest`. The coda of the
/// given pass was computed at each of the depths `visited`. The coda's densities are taken from the
/// largest of these depths that is at most `deepest`. If all of them are larger, the smallest one
/// is used.
pub(super) fn up_to(
    mut densities: Vec<Density>,
    deepest: usize,
    visited: &[usize],
) -> Vec<Density> {
    let visited = visited.iter().copied();
    let within = visited.clone().filter(|depth| *depth <= deepest);
    let read_out = within.max().or(visited.min());
    densities.retain(|density| match density.at {
        At::Prelude { .. } => true,
        At::Core { iteration, .. } => iteration <= deepest,
        At::Coda { depth, .. } => Some(depth) == read_out,
    });
    densities
}

/// The shares of open edges, summed over batches.
#[derive(Debug, Default)]
pub(super) struct GateSums {
    sums: Vec<Density<f64>>,
    /// The number of edges of one head in one layer, summed over batches.
    edges: f64,
}

impl GateSums {
    /// Adds the densities of a batch of shape `[batch, seq]`. They are weighted by the number of
    /// causal edges in the batch, because batches may differ in rows and length.
    pub(super) fn add(&mut self, densities: &[Density<f64>], [batch, seq]: [usize; 2]) {
        let edges = (batch * seq * (seq + 1) / 2) as f64;
        self.edges += edges;
        if self.sums.is_empty() {
            let none = |density: &Density<f64>| Density {
                at: density.at,
                expected: 0.0,
                kept: 0.0,
            };
            self.sums = densities.iter().map(none).collect();
        }
        for (sum, density) in self.sums.iter_mut().zip(densities) {
            sum.expected += density.expected * edges;
            sum.kept += density.kept * edges;
        }
    }

    /// Returns the mean densities over the edges of all batches. `recurrence` is the depth of the
    /// pass.
    pub(super) fn result(mut self, recurrence: usize) -> Option<Sparsity> {
        for sum in &mut self.sums {
            sum.expected /= self.edges;
            sum.kept /= self.edges;
        }
        Sparsity::new(&self.sums, recurrence)
    }
}

#[cfg(test)]
mod tests;
