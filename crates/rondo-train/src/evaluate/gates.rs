//! Open edges up to the mean depth, summed over batches.

use rondo_model::gates::Density;
use rondo_model::layer::At;
use rondo_model::sparsity::Sparsity;

/// Takes the densities of a pass with readouts at the depths `visited`, and keeps those of a pass
/// to the depth `deepest`. Coda densities are those at the deepest visited depth up to `deepest`,
/// or at the shallowest one if all are deeper.
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

/// Open edges, summed over batches.
#[derive(Debug, Default)]
pub(super) struct GateSums {
    sums: Vec<Density<f64>>,
    /// Edges of one head and layer.
    edges: f64,
}

impl GateSums {
    /// Adds the densities of a batch `[batch, seq]`, weighted by the causal edges of the batch.
    /// Batches may differ in rows and length.
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

    /// Returns the mean densities over all edges.
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
