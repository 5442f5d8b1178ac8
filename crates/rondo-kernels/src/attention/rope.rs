//! The rotary embedding, applied to the heads of a token.

/// The rotary embedding's tables (Su et al. 2021, arXiv 2104.09864): the cosines and the sines of
/// the angles, `[seq, d_head / 2]` each. At position `p`, pair `j` of a head turns by the angle
/// `[p, j]`.
#[derive(Clone, Copy, Debug)]
pub struct Rope<'a> {
    /// The cosines.
    pub cos: &'a [f32],
    /// The sines.
    pub sin: &'a [f32],
    /// Which elements of a head form a pair.
    pub pairing: Pairing,
}

/// Which elements of a head rotate together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Neighbours: `(x_2j, x_2j+1)`.
    Adjacent,
    /// One element of each half: `(x_j, x_{j + d_head/2})`.
    Halves,
}

impl Rope<'_> {
    /// Rotates every head of a token at `position`. With `direction` 1 it rotates forwards, with −1
    /// backwards.
    #[inline(always)]
    pub(super) fn turn(&self, heads: &mut [f32], position: usize, d_head: usize, direction: f32) {
        let pairs = position * (d_head / 2)..(position + 1) * (d_head / 2);
        let (cos, sin) = (&self.cos[pairs.clone()], &self.sin[pairs]);
        for head in heads.chunks_exact_mut(d_head) {
            let angles = cos.iter().zip(sin);
            match self.pairing {
                Pairing::Adjacent => {
                    for ([x, y], (cos, sin)) in head.as_chunks_mut::<2>().0.iter_mut().zip(angles) {
                        let sin = direction * sin;
                        (*x, *y) = (*x * cos - *y * sin, *y * cos + *x * sin);
                    }
                }
                Pairing::Halves => {
                    let (first, second) = head.split_at_mut(d_head / 2);
                    for ((x, y), (cos, sin)) in first.iter_mut().zip(second).zip(angles) {
                        let sin = direction * sin;
                        (*x, *y) = (*x * cos - *y * sin, *y * cos + *x * sin);
                    }
                }
            }
        }
    }
}
