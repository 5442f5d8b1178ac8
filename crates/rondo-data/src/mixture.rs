//! Mixes several texts in fixed shares: the source of a row is a function of seed and row.
//!
//! Rows come in blocks of 1,000. Every block has the same number of rows of each source: the
//! source's weight in thousandths, rounded by largest remainders. The order within a block is a
//! keyed permutation of `0..1000`: values below the first source's count stand for rows of the
//! first source, the next values for rows of the second source, and so on. So a row's number within
//! its source is known without counting, and a resumed run needs no table.

use crate::order::Permutation;

/// The number of rows in a block.
pub(crate) const BLOCK: usize = 1000;

/// The shares of several sources.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mixture {
    /// The number of rows of each source in a block.
    counts: Vec<usize>,
}

impl Mixture {
    /// Returns the shares for these weights, which must be above zero. If the share of a source is
    /// less than one row per block, returns the source's index as an error.
    pub(crate) fn new(weights: &[f64]) -> Result<Self, usize> {
        let counts = apportion(BLOCK, weights);
        match counts.iter().position(|&count| count == 0) {
            None => Ok(Self { counts }),
            Some(source) => Err(source),
        }
    }

    /// Returns the shares, which add up to one.
    pub(crate) fn weights(&self) -> Vec<f64> {
        let counts = self.counts.iter();
        counts.map(|&count| count as f64 / BLOCK as f64).collect()
    }

    /// Returns the source of a row, and the row's number within the source.
    pub(crate) fn draw(&self, seed: u64, row: u64) -> (usize, u64) {
        let (block, place) = (row / BLOCK as u64, row % BLOCK as u64);
        let order = Permutation::new(seed, "mixture-order", block, BLOCK as u64);
        let mut drawn = order.apply(place) as usize;
        for (source, &count) in self.counts.iter().enumerate() {
            if drawn < count {
                return (source, block * count as u64 + drawn as u64);
            }
            drawn -= count;
        }
        unreachable!("the counts of the sources add up to a block")
    }

    /// Divides about `most` rows of an evaluation among sources that have `there` rows each. Every
    /// source gets at least one row. If every source has enough rows, the shares are those of the
    /// mixture. Without `most`, the total is the largest for which every source has enough rows.
    pub(crate) fn shares(&self, there: &[usize], most: Option<usize>) -> Vec<usize> {
        // The largest total for which no source's share exceeds its rows.
        let whole = self
            .counts
            .iter()
            .zip(there)
            .map(|(&count, &there)| there.saturating_mul(BLOCK) / count)
            .min()
            .unwrap_or(0);
        let rows = most.unwrap_or(whole).max(self.counts.len());
        let shares = apportion(rows, &self.weights());
        let shares = shares.iter().zip(there);
        shares
            .map(|(&share, &there)| share.clamp(1, there))
            .collect()
    }
}

/// Divides `total` in the ratio of the weights. Each part is rounded down, and the parts with the
/// largest remainders get one more; of equal remainders, the first comes first.
fn apportion(total: usize, weights: &[f64]) -> Vec<usize> {
    let sum: f64 = weights.iter().sum();
    let exact: Vec<f64> = weights
        .iter()
        .map(|weight| total as f64 * weight / sum)
        .collect();
    let mut parts: Vec<usize> = exact.iter().map(|part| part.floor() as usize).collect();
    let mut by_remainder: Vec<usize> = (0..parts.len()).collect();
    by_remainder.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()));
    let missing = total.saturating_sub(parts.iter().sum());
    for &part in by_remainder.iter().cycle().take(missing) {
        parts[part] += 1;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thousand_rows_have_the_shares_exactly_and_each_row_of_a_source_once() {
        let mixture = Mixture::new(&[0.7, 0.2, 0.1]).expect("large shares");
        for seed in [1, 2] {
            let mut rows: [Vec<u64>; 3] = Default::default();
            for block in 0..3_u64 {
                let mut counts = [0; 3];
                for row in block * 1000..(block + 1) * 1000 {
                    let (source, number) = mixture.draw(seed, row);
                    counts[source] += 1;
                    rows[source].push(number);
                }
                assert_eq!(counts, [700, 200, 100]);
            }
            for numbers in &mut rows {
                numbers.sort_unstable();
                assert!(numbers.iter().copied().eq(0..numbers.len() as u64));
            }
        }
        let drawn =
            |seed| -> Vec<usize> { (0..1000).map(|row| mixture.draw(seed, row).0).collect() };
        assert_ne!(drawn(1), drawn(2));
        let next: Vec<usize> = (1000..2000).map(|row| mixture.draw(1, row).0).collect();
        assert_ne!(drawn(1), next, "each block has an order of its own");
    }

    #[test]
    fn weights_are_ratios_and_thirds_are_rounded_by_remainders() {
        let counts = |weights: &[f64]| Mixture::new(weights).expect("large shares").counts;
        assert_eq!(counts(&[1.0, 1.0, 1.0]), [334, 333, 333]);
        assert_eq!(counts(&[3.0, 1.0]), [750, 250]);
        assert_eq!(counts(&[5.0]), [1000]);
        assert_eq!(counts(&[2.0, 998.4]), [2, 998]);
    }

    #[test]
    fn a_share_of_less_than_a_row_in_a_thousand_is_refused() {
        assert_eq!(Mixture::new(&[1.0, 0.0001]), Err(1));
    }

    #[test]
    fn an_evaluation_has_rows_of_every_source_in_the_shares() {
        let mixture = Mixture::new(&[0.75, 0.25]).expect("large shares");
        assert_eq!(mixture.shares(&[100, 100], Some(8)), [6, 2]);
        assert_eq!(mixture.shares(&[100, 100], Some(1)), [2, 1]);
        // The first source limits the total: its 30 rows are three quarters of 40.
        assert_eq!(mixture.shares(&[30, 100], None), [30, 10]);
        assert_eq!(mixture.shares(&[2, 100], Some(8)), [2, 2]);
    }
}
