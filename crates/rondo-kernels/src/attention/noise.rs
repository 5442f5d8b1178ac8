//! A uniform random number for every edge (pair of a query and a key), computed only from a key and
//! the edge's place.
//!
//! * The numbers need no storage and no sequential state. Forward and backward pass, one thread
//!   and many, tiles of any size and vectors of any width all get the same number for the same
//!   edge.
//! * The key, the sequence, the head and the position of the attended token are mixed in 64 bits,
//!   once per row of a tile. The position of the query is mixed in 32 bits, in the lanes of a
//!   vector.
//! * [`row_keys`] and [`MULTIPLIERS`] let another device draw the same numbers.

/// The source of the numbers for one head of one sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadNoise(u64);

/// The source of the numbers for the edges to one attended token.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowNoise {
    before: u32,
    between: u32,
}

/// The two odd factors that [`uniform_at`] multiplies with (constants from Wellons' search for the
/// lowest bias).
pub const MULTIPLIERS: [u32; 2] = [0x21f0_aaad, 0xd35a_2d97];

/// For every attended token, the 32 bits that enter by XOR before the first multiplication, and the
/// 32 bits that enter between the two multiplications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowKeys {
    /// The bits that enter before the first multiplication, `[batch, heads, seq]`.
    pub before: Vec<u32>,
    /// The bits that enter between the two multiplications, `[batch, heads, seq]`.
    pub between: Vec<u32>,
}

/// Returns the data that another device needs to draw the numbers of the edges to
/// `[batch, heads, seq]` attended tokens.
pub fn row_keys(key: u64, [batch, heads, seq]: [usize; 3]) -> RowKeys {
    let places = (0..batch).flat_map(|sequence| (0..heads).map(move |head| (sequence, head)));
    let (before, between) = places
        .flat_map(|(sequence, head)| {
            let noise = HeadNoise::new(key, sequence, head);
            (0..seq).map(move |position| noise.row(position))
        })
        .map(|row| (row.before, row.between))
        .unzip();
    RowKeys { before, between }
}

/// Returns the number of the edge `[sequence, head, query, attended]`.
pub fn uniform_at(key: u64, [sequence, head, query, attended]: [usize; 4]) -> f32 {
    HeadNoise::new(key, sequence, head)
        .row(attended)
        .uniform(query as u32)
}

impl HeadNoise {
    pub(super) fn new(key: u64, sequence: usize, head: usize) -> Self {
        let of_sequence = mixed_bits(mixed_bits(key) ^ sequence as u64);
        Self(mixed_bits(of_sequence ^ head as u64))
    }

    /// Returns the source of the numbers for the edges to the token at `position`.
    #[inline(always)]
    pub(super) fn row(self, position: usize) -> RowNoise {
        let bits = mixed_bits(self.0 ^ position as u64);
        RowNoise {
            before: bits as u32,
            between: (bits >> 32) as u32,
        }
    }
}

impl RowNoise {
    /// Returns the number of the edge from the query at `position`: one of the 2²³ numbers
    /// `(k + ½) / 2²³` with `k` from 0 to 2²³ − 1. The number is never 0 or 1, and `1 − u` is
    /// exact.
    ///
    /// The position passes through two multiplications between xor-shifts. Before each
    /// multiplication, 32 bits of the row's key enter by XOR.
    #[inline(always)]
    pub(super) fn uniform(self, position: u32) -> f32 {
        let mut x = position ^ self.before;
        x ^= x >> 16;
        x = x.wrapping_mul(MULTIPLIERS[0]) ^ self.between;
        x ^= x >> 15;
        x = x.wrapping_mul(MULTIPLIERS[1]);
        x ^= x >> 15;
        // The 23 bits of the significand give a number in [1, 2); subtracting 1 − 2⁻²⁴ moves it
        // into (0, 1).
        f32::from_bits(x >> 9 | 1.0_f32.to_bits()) - (1.0 - f32::EPSILON / 2.0)
    }
}

/// Mixes 64 bits with the increment and the finaliser of SplitMix64 (Steele et al. 2014).
#[inline(always)]
pub fn mixed_bits(x: u64) -> u64 {
    let mut x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of rows, and of columns, of the tested square of edges.
    const SIDE: usize = 512;

    /// The allowed deviation of a statistic from its mean, in standard deviations. Chance exceeds
    /// it once in 10⁹ cases.
    const DEVIATIONS: f64 = 6.0;

    fn square(key: u64, sequence: usize, head: usize) -> Vec<f32> {
        let noise = HeadNoise::new(key, sequence, head);
        (0..SIDE)
            .flat_map(|row| (0..SIDE).map(move |query| noise.row(row).uniform(query as u32)))
            .collect()
    }

    /// Checks the statistic `Σ (n − e)² / e` over equally likely cells. Its mean is `cells − 1`,
    /// and its variance is twice its mean.
    #[track_caller]
    fn check_cells(counts: &[u32]) {
        let total: u32 = counts.iter().sum();
        let expected = f64::from(total) / counts.len() as f64;
        let squares = counts.iter().map(|&n| (f64::from(n) - expected).powi(2));
        let freedom = counts.len() as f64 - 1.0;
        let off = (squares.sum::<f64>() / expected - freedom) / (2.0 * freedom).sqrt();
        assert!(off.abs() < DEVIATIONS, "{off} standard deviations");
    }

    /// Checks that the pairs fill a grid of 16 × 16 cells evenly.
    #[track_caller]
    fn check_pairs(pairs: impl Iterator<Item = (f32, f32)>) {
        let mut counts = [0; 256];
        let cell = |u: f32| (u * 16.0) as usize;
        pairs.for_each(|(a, b)| counts[cell(a) * 16 + cell(b)] += 1);
        check_cells(&counts);
    }

    #[test]
    fn the_numbers_fill_the_interval_evenly() {
        for key in [0, 1, u64::MAX] {
            let mut counts = vec![0; 1024];
            for u in square(key, 0, 0) {
                assert!(u > 0.0 && u < 1.0);
                counts[(u * 1024.0) as usize] += 1;
            }
            check_cells(&counts);
        }
    }

    #[test]
    fn the_lowest_bits_are_even_too() {
        let mut counts = [0; 256];
        for u in square(7, 3, 2) {
            counts[(u * (1 << 23) as f32) as usize % 256] += 1;
        }
        check_cells(&counts);
    }

    #[test]
    fn neighbours_in_every_direction_are_independent() {
        let here = square(5, 1, 1);
        check_pairs(here.iter().copied().zip(here[1..].iter().copied()));
        check_pairs(here.iter().copied().zip(here[SIDE..].iter().copied()));
        check_pairs(here.iter().copied().zip(here[SIDE + 1..].iter().copied()));
        for other in [square(6, 1, 1), square(5, 2, 1), square(5, 1, 2)] {
            check_pairs(here.iter().copied().zip(other));
        }
    }

    #[test]
    fn sequence_and_head_are_not_exchangeable() {
        assert_ne!(square(5, 1, 2), square(5, 2, 1));
    }

    #[test]
    fn the_smallest_and_the_largest_number_are_half_a_step_from_the_ends() {
        let last = (1 << 23) - 1;
        for bits in [0_u32, last] {
            let u = f32::from_bits(bits | 1.0_f32.to_bits()) - (1.0 - f32::EPSILON / 2.0);
            let exact = (f64::from(bits) + 0.5) / f64::from(1 << 23);
            assert_eq!(f64::from(u).to_bits(), exact.to_bits());
        }
    }
}
