//! ZeRO-1 (Rajbhandari et al. 2020, arXiv 1910.02054, §5.1): each rank keeps the moments of some
//! tensors and updates only these tensors.
//!
//! Tensors are not divided, because an update may need a whole tensor: Muon orthogonalizes the
//! update of a matrix, and raven-adam clips the update of a tensor. Tensors are assigned in the
//! order of size, largest first. Each tensor goes to the rank that owns the fewest elements so far.

use std::ops::Range;

use rondo_collective::OwnedSum;

/// The rank that updates each parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owners {
    /// The owner of each parameter, in the order of the parameter table.
    ranks: Vec<usize>,
    /// The number of elements that each rank owns.
    loads: Vec<usize>,
}

impl Owners {
    /// Divides parameters among `ranks` ranks. `counts` has the number of elements of each
    /// parameter.
    pub fn of(counts: &[usize], ranks: usize) -> Self {
        let mut largest_first: Vec<usize> = (0..counts.len()).collect();
        largest_first.sort_by_key(|parameter| std::cmp::Reverse(counts[*parameter]));
        let mut owners = vec![0; counts.len()];
        let mut loads = vec![0; ranks];
        for parameter in largest_first {
            let least = (0..ranks).min_by_key(|rank| loads[*rank]).unwrap_or(0);
            owners[parameter] = least;
            loads[least] += counts[parameter];
        }
        Self {
            ranks: owners,
            loads,
        }
    }

    /// Returns the rank that updates a parameter.
    pub fn owner(&self, parameter: usize) -> usize {
        self.ranks[parameter]
    }

    /// Returns the number of elements that each rank owns.
    pub fn loads(&self) -> &[usize] {
        &self.loads
    }

    /// Returns the parameters of a rank, in the order of the parameter table.
    pub(crate) fn parameters(&self, rank: usize) -> impl Iterator<Item = usize> {
        let owners = self.ranks.iter().enumerate();
        owners.filter_map(move |(parameter, owner)| (*owner == rank).then_some(parameter))
    }

    /// Returns the range of each parameter in a vector that groups the parameters by owner. Also
    /// returns an [`OwnedSum`] for these vectors, which gives each owner the sum of its own group.
    pub(crate) fn layout(&self, counts: &[usize]) -> (Vec<Range<usize>>, OwnedSum) {
        let mut places = vec![0..0; counts.len()];
        let mut owned = Vec::with_capacity(self.loads.len());
        let mut end = 0;
        for rank in 0..self.loads.len() {
            let start = end;
            for parameter in self.parameters(rank) {
                places[parameter] = end..end + counts[parameter];
                end += counts[parameter];
            }
            owned.push(start..end);
        }
        (places, OwnedSum::new(owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_go_first_onto_the_least_loaded() {
        let owners = Owners::of(&[3, 9, 4, 5, 1], 2);
        // The tensors are assigned in the order 9, 5, 4, 3, 1. The loads of the two ranks become 9
        // | 0, 9 | 5, 9 | 9, 12 | 9 and 12 | 10.
        assert_eq!(owners.ranks, [0, 0, 1, 1, 1]);
        assert_eq!(owners.loads(), [12, 10]);
        assert!(owners.parameters(1).eq([2, 3, 4]));
    }

    #[test]
    fn every_element_has_one_place_among_those_of_its_owner() {
        let counts = [3, 9, 4, 5, 1];
        let (places, sum) = Owners::of(&counts, 2).layout(&counts);
        assert_eq!(places, [0..3, 3..12, 12..16, 16..21, 21..22]);
        assert_eq!(sum.ranges(), [0..12, 12..22]);
    }

    #[test]
    fn ranks_beyond_the_tensors_own_nothing() {
        assert_eq!(Owners::of(&[2, 1], 4).loads(), [2, 1, 0, 0]);
    }
}
