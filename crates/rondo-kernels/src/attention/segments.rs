//! Rows cut into segments. Attention treats each segment as a sequence of its own: its tiles start
//! at the first token of the segment, and the order of its sums is the same. The result of a
//! segment therefore has the same bits as the result of that segment alone.

use std::ops::Range;
use std::sync::Arc;

/// The segments of the rows of a batch. A token attends only within its own segment, and positions
/// count from the first token of the segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    /// The number of tokens of a row.
    seq: usize,
    /// For every token: the position, within the row, of the first token of its segment,
    /// `[batch · seq]`.
    firsts: Arc<[usize]>,
}

impl Segments {
    /// Cuts rows of `seq` tokens behind every token for which `ends` is true. The start of a row
    /// also starts a segment.
    ///
    /// # Shapes
    ///
    /// `tokens`: `[batch, seq]`.
    ///
    /// # Panics
    ///
    /// Panics where the tokens do not fill whole rows.
    pub fn behind<T: Copy>(tokens: &[T], seq: usize, ends: impl Fn(T) -> bool) -> Self {
        assert!(
            seq > 0 && tokens.len().is_multiple_of(seq),
            "{} tokens in rows of {seq}",
            tokens.len()
        );
        let mut firsts = Vec::with_capacity(tokens.len());
        for row in tokens.chunks_exact(seq) {
            let mut first = 0;
            for (place, token) in row.iter().enumerate() {
                firsts.push(first);
                if ends(*token) {
                    first = place + 1;
                }
            }
        }
        Self {
            seq,
            firsts: firsts.into(),
        }
    }

    /// Returns the number of tokens of a row.
    pub fn seq(&self) -> usize {
        self.seq
    }

    /// Returns for every token the position, within the row, of the first token of its segment,
    /// `[batch · seq]`.
    pub fn firsts(&self) -> &[usize] {
        &self.firsts
    }

    /// Returns the position of every token in its segment, `[batch · seq]`.
    pub fn positions(&self) -> impl Iterator<Item = usize> {
        (0..self.firsts.len()).map(|token| self.position(token))
    }

    /// Returns a token's position in its segment, given its index in the batch.
    #[inline(always)]
    pub(super) fn position(&self, token: usize) -> usize {
        token % self.seq - self.firsts[token]
    }

    /// Returns the segments of a row, in order.
    fn of_row(&self, row: usize) -> Vec<Range<usize>> {
        let firsts = &self.firsts[row * self.seq..][..self.seq];
        firsts
            .chunk_by(|one, next| one == next)
            .map(|run| run[0]..run[0] + run.len())
            .collect()
    }
}

/// Returns the parts of a row of `seq` tokens that are computed separately: the segments of the
/// row, or the whole row without segments.
pub(super) fn parts(segments: Option<&Segments>, row: usize, seq: usize) -> Vec<Range<usize>> {
    match segments {
        Some(segments) => segments.of_row(row),
        None => std::iter::once(0..seq).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_behind_the_tokens_that_end_a_segment() {
        // 0 ends a segment, and so does the last token of a row.
        let tokens = [5, 0, 7, 8, 0, 0, 0, 9, 9, 9, 9, 0];
        let segments = Segments::behind(&tokens, 6, |token| token == 0);
        assert_eq!(segments.firsts(), [0, 0, 2, 2, 2, 5, 0, 1, 1, 1, 1, 1]);
        let positions: Vec<usize> = segments.positions().collect();
        assert_eq!(positions, [0, 1, 0, 1, 2, 0, 0, 0, 1, 2, 3, 4]);
        assert_eq!(parts(Some(&segments), 0, 6), [0..2, 2..5, 5..6]);
        assert_eq!(parts(Some(&segments), 1, 6), [0..1, 1..6]);
    }

    #[test]
    fn a_row_without_an_end_is_one_part() {
        let segments = Segments::behind(&[1, 2, 3], 3, |_| false);
        assert_eq!(parts(Some(&segments), 0, 3), parts(None, 0, 3));
    }

    #[test]
    #[should_panic(expected = "5 tokens in rows of 3")]
    fn tokens_that_fill_no_whole_rows_are_refused() {
        let _ = Segments::behind(&[0; 5], 3, |_| false);
    }
}
