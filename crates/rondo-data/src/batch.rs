//! Rows of token ids with what each position must predict.

/// Marks a target position that takes no loss.
pub const IGNORE: u32 = u32::MAX;

/// Token ids and their targets, both row major with shape `[batch, seq]`.
///
/// `targets` are shifted already: `targets[t]` is what position `t` must predict after it has seen
/// `inputs[..=t]`, or [`IGNORE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// What the model reads, `[batch, seq]`.
    pub inputs: Vec<u32>,
    /// What the model must predict, `[batch, seq]`.
    pub targets: Vec<u32>,
    /// Number of rows.
    pub batch: usize,
    /// Positions in a row.
    pub seq: usize,
}

impl Batch {
    /// Reserves room for `rows` rows of `seq` positions.
    pub(crate) fn with_capacity(rows: usize, seq: usize) -> Self {
        Self {
            inputs: Vec::with_capacity(rows * seq),
            targets: Vec::with_capacity(rows * seq),
            batch: 0,
            seq,
        }
    }

    /// Appends a row of which every position predicts the next token.
    ///
    /// `window` holds `seq + 1` tokens.
    pub(crate) fn push_window(&mut self, window: &[u32]) {
        debug_assert_eq!(window.len(), self.seq + 1);
        self.inputs.extend_from_slice(&window[..self.seq]);
        self.targets.extend_from_slice(&window[1..]);
        self.batch += 1;
    }

    /// Appends a row of `(input, target)` pairs, `seq` of them.
    pub(crate) fn push_pairs(&mut self, pairs: impl Iterator<Item = (u32, u32)>) {
        for (input, target) in pairs {
            self.inputs.push(input);
            self.targets.push(target);
        }
        self.batch += 1;
        debug_assert_eq!(self.inputs.len(), self.batch * self.seq);
    }

    /// Returns the inputs of one row.
    ///
    /// # Panics
    ///
    /// When `row` is not below `batch`.
    pub fn input_row(&self, row: usize) -> &[u32] {
        &self.inputs[row * self.seq..(row + 1) * self.seq]
    }

    /// Returns the targets of one row.
    ///
    /// # Panics
    ///
    /// When `row` is not below `batch`.
    pub fn target_row(&self, row: usize) -> &[u32] {
        &self.targets[row * self.seq..(row + 1) * self.seq]
    }

    /// Counts the positions that take a loss.
    pub fn supervised(&self) -> usize {
        self.targets
            .iter()
            .filter(|&&target| target != IGNORE)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_predicts_its_own_next_tokens() {
        let mut batch = Batch::with_capacity(1, 3);
        batch.push_window(&[5, 6, 7, 8]);
        assert_eq!(batch.input_row(0), [5, 6, 7]);
        assert_eq!(batch.target_row(0), [6, 7, 8]);
        assert_eq!(batch.supervised(), 3);
    }

    #[test]
    fn ignored_positions_are_not_supervised() {
        let mut batch = Batch::with_capacity(1, 2);
        batch.push_pairs([(1, IGNORE), (2, 0)].into_iter());
        assert_eq!((batch.batch, batch.supervised()), (1, 1));
    }
}
