//! Draws the random numbers of Python's `random.Random(seed)`: the generator MT19937, and `sample`.
//!
//! nanochat draws the examples of item i with `random.Random(1234 + i).sample`. The same draws give
//! the same prompts. The generator comes from M. Matsumoto, T. Nishimura 1998, "Mersenne Twister",
//! doi:10.1145/272991.272995. It is seeded with an array of one word, as Python does for a small
//! integer.

/// The number of words of the state.
const N: usize = 624;
const M: usize = 397;

/// The generator of Python.
pub(crate) struct Python {
    state: [u32; N],
    next: usize,
}

impl Python {
    /// Returns the generator `random.Random(seed)`.
    pub(crate) fn new(seed: u32) -> Self {
        let mut state = [0_u32; N];
        state[0] = 19_650_218;
        for i in 1..N {
            let before = state[i - 1] ^ (state[i - 1] >> 30);
            state[i] = before.wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        let mut i = 1;
        let mut advance = |state: &mut [u32; N], factor: u32, add: &dyn Fn(usize) -> u32| {
            let before = state[i - 1] ^ (state[i - 1] >> 30);
            state[i] = (state[i] ^ before.wrapping_mul(factor)).wrapping_add(add(i));
            i += 1;
            if i == N {
                state[0] = state[N - 1];
                i = 1;
            }
        };
        for _ in 0..N {
            advance(&mut state, 1_664_525, &|_| seed);
        }
        for _ in 1..N {
            advance(&mut state, 1_566_083_941, &|i| (i as u32).wrapping_neg());
        }
        state[0] = 0x8000_0000;
        Self { state, next: N }
    }

    fn word(&mut self) -> u32 {
        if self.next == N {
            for i in 0..N {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
                let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + M) % N] ^ (y >> 1) ^ odd;
            }
            self.next = 0;
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// Returns a number below `n`, which must be at least 1. Bits are drawn until they form a
    /// number below `n`.
    fn below(&mut self, n: usize) -> usize {
        let bits = usize::BITS - n.leading_zeros();
        loop {
            let drawn = (self.word() >> (32 - bits)) as usize;
            if drawn < n {
                return drawn;
            }
        }
    }

    /// Returns `count` distinct numbers below `n`, in the order in which they were drawn.
    ///
    /// # Panics
    ///
    /// Panics where `count` is larger than `n`, or `n` has more than 32 bits.
    pub(crate) fn sample(&mut self, n: usize, count: usize) -> Vec<usize> {
        assert!(count <= n && u32::try_from(n).is_ok(), "{count} of {n}");
        // Python uses a pool of all elements if the pool is smaller than a set of the drawn
        // elements.
        let mut set_size = 21;
        if count > 5 {
            let fours = ((count * 3) as f64).log(4.0).ceil();
            set_size += 4_usize.pow(fours as u32);
        }
        if n <= set_size {
            let mut pool: Vec<usize> = (0..n).collect();
            return (0..count)
                .map(|i| {
                    let at = self.below(n - i);
                    let last = pool[n - i - 1];
                    std::mem::replace(&mut pool[at], last)
                })
                .collect();
        }
        let mut drawn: Vec<usize> = Vec::with_capacity(count);
        while drawn.len() < count {
            let next = self.below(n);
            if !drawn.contains(&next) {
                drawn.push(next);
            }
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares the generator with values of CPython 3.
    #[test]
    fn words_and_samples_are_pythons() {
        // The values come from `random.Random(1234).getrandbits(32)`,
        // `random.Random(1234).sample(range(59), 2)` and so on.
        assert_eq!(Python::new(1234).word(), 4_150_886_329);
        assert_eq!(Python::new(1234).sample(59, 2), [49, 28]);
        assert_eq!(Python::new(7).sample(10, 4), [5, 2, 6, 9]);
        assert_eq!(
            Python::new(7).sample(100, 10),
            [41, 19, 50, 83, 6, 9, 68, 12, 46, 74]
        );
    }
}
