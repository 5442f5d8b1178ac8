//! The order of windows: row number `i` is a pure function of seed and `i`, without a table.
//!
//! A shard of `len` tokens holds `n = max(1, ⌊(len − seq) / seq⌋)` windows of `seq + 1` tokens at
//! stride `seq`. Row `i` belongs to epoch `⌊i / n⌋`. Every epoch shifts its windows by its own
//! offset and visits them in its own order, a keyed permutation of `0..n`.

use crate::seed;

/// The windows of one shard for one row length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowOrder {
    seq: u64,
    /// The number of windows in an epoch.
    windows: u64,
    /// The largest offset that keeps every window inside the shard.
    max_offset: u64,
}

impl WindowOrder {
    /// Places windows of `seq + 1` tokens over `len` tokens; `None` if not even one fits.
    pub(crate) fn new(len: usize, seq: usize) -> Option<Self> {
        if seq == 0 || len < seq + 1 {
            return None;
        }
        let (len, seq) = (len as u64, seq as u64);
        // Using one window less than would fit leaves room for every offset below `seq`.
        let windows = ((len - seq) / seq).max(1);
        let slack = len - 1 - windows * seq;
        Some(Self {
            seq,
            windows,
            max_offset: slack.min(seq - 1),
        })
    }

    /// Returns the first token of the window for row `row` under `seed`.
    pub(crate) fn start(&self, seed: u64, row: u64) -> u64 {
        let (epoch, index) = (row / self.windows, row % self.windows);
        let offset = seed::Dice::new(seed, "window-offset", &[epoch]).below(self.max_offset + 1);
        let order = Permutation::new(seed, "window-order", epoch, self.windows);
        let window = order.apply(index);
        offset + window * self.seq
    }
}

const ROUNDS: usize = 6;

/// A keyed bijection of `0..n`. A balanced Feistel network over the next even power of two is
/// applied to a value, again and again until the result is below `n` (Black and Rogaway, 2002,
/// "Ciphers with arbitrary finite domains"). The domain is below `4 n`, so this takes four steps or
/// fewer on average.
pub(crate) struct Permutation {
    n: u64,
    half_bits: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    /// Returns the permutation number `index` of a stream.
    pub(crate) fn new(seed: u64, stream: &str, index: u64, n: u64) -> Self {
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        let mut stream =
            blake3::Hasher::new_keyed(&seed::key(seed, stream, &[index])).finalize_xof();
        let keys = std::array::from_fn(|_| {
            let mut bytes = [0; 8];
            stream.fill(&mut bytes);
            u64::from_le_bytes(bytes)
        });
        Self {
            n,
            half_bits: bits.div_ceil(2).max(1),
            keys,
        }
    }

    /// Returns the image of `index`, which is below `n`.
    pub(crate) fn apply(&self, index: u64) -> u64 {
        let mut value = self.encrypt(index);
        while value >= self.n {
            value = self.encrypt(value);
        }
        value
    }

    fn encrypt(&self, value: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        (left << self.half_bits) | right
    }
}

/// Applies the finaliser of `SplitMix64` (Steele, Lea and Flood, 2014). Every input bit affects
/// every output bit.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch_starts(order: WindowOrder, seed: u64, epoch: u64) -> Vec<u64> {
        let first = epoch * order.windows;
        (first..first + order.windows)
            .map(|row| order.start(seed, row))
            .collect()
    }

    #[test]
    fn the_permutation_hits_every_window_once() {
        for n in [1, 2, 3, 4, 5, 7, 16, 17, 100, 1000] {
            let permutation = Permutation::new(3, "test", 1, n);
            let mut seen: Vec<u64> = (0..n).map(|i| permutation.apply(i)).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..n).collect::<Vec<_>>(), "n = {n}");
        }
    }

    #[test]
    fn an_epoch_is_the_windows_at_stride_seq_in_another_order() {
        for (len, seq) in [(101, 10), (35, 7), (64, 3), (9, 8), (12, 8), (2, 1)] {
            let order = WindowOrder::new(len, seq).expect("a window fits");
            for epoch in 0..20 {
                let mut starts = epoch_starts(order, 5, epoch);
                starts.sort_unstable();
                assert!(starts.windows(2).all(|w| w[1] - w[0] == seq as u64));
                let last = *starts.last().expect("an epoch has a window") as usize;
                assert!(last + seq < len, "window at {last} leaves {len} tokens");
            }
        }
    }

    #[test]
    fn epochs_differ_in_order_and_offset_and_seeds_differ() {
        let order = WindowOrder::new(10_000, 10).expect("windows fit");
        let first = epoch_starts(order, 1, 0);
        assert_ne!(first, epoch_starts(order, 1, 1));
        assert_ne!(first, epoch_starts(order, 2, 0));
        assert!(first.windows(2).any(|w| w[1] != w[0] + 10), "not shuffled");
        let offsets: std::collections::BTreeSet<u64> = (0..100)
            .map(|e| order.start(1, e * order.windows) % 10)
            .collect();
        assert_eq!(offsets.len(), 10, "every offset below seq occurs");
    }

    #[test]
    fn fewer_tokens_than_one_window_are_refused() {
        assert_eq!(WindowOrder::new(8, 8), None);
        assert_eq!(WindowOrder::new(0, 1), None);
        assert_eq!(WindowOrder::new(5, 0), None);
        assert!(WindowOrder::new(9, 8).is_some());
    }
}
