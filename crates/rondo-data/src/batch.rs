//! Rows of token ids and the token that each position must predict.

use crate::error::DataError;
use crate::tokenizer::Tokenizer;

/// Marks a target position that takes no loss.
pub const IGNORE: u32 = u32::MAX;

/// Token ids and their targets, both row major with shape `[batch, seq]`.
///
/// `targets` are shifted already: `targets[t]` is what position `t` must predict after it has seen
/// `inputs[..=t]`, or [`IGNORE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The tokens that the model reads, `[batch, seq]`.
    pub inputs: Vec<u32>,
    /// The tokens that the model must predict, `[batch, seq]`.
    pub targets: Vec<u32>,
    /// The number of rows.
    pub batch: usize,
    /// The number of positions in a row.
    pub seq: usize,
    /// The token that ends a document, if each position attends only within its own document.
    /// `None` if each position attends to its whole row.
    pub document_end: Option<u32>,
}

impl Batch {
    /// Reserves room for `rows` rows of `seq` positions.
    pub(crate) fn with_capacity(rows: usize, seq: usize) -> Self {
        Self {
            inputs: Vec::with_capacity(rows * seq),
            targets: Vec::with_capacity(rows * seq),
            batch: 0,
            seq,
            document_end: None,
        }
    }

    /// Limits attention in these rows to each document. The token `end` ends a document.
    #[must_use]
    pub fn within_documents(self, end: u32) -> Self {
        Self {
            document_end: Some(end),
            ..self
        }
    }

    /// Appends a row in which every position predicts the next token.
    ///
    /// `window` holds `seq + 1` tokens.
    pub(crate) fn push_window(&mut self, window: &[u32]) {
        debug_assert_eq!(window.len(), self.seq + 1);
        self.inputs.extend_from_slice(&window[..self.seq]);
        self.targets.extend_from_slice(&window[1..]);
        self.batch += 1;
    }

    /// Appends a row of `seq` pairs `(input, target)`.
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

/// Cuts rows into consecutive windows of at most `seq` targets. Consecutive windows of equal length
/// form batches of at most `batch` windows. Every token is predicted once, except the first token
/// of each row.
pub fn batches_of_rows(rows: &[Vec<u32>], batch: usize, seq: usize) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for row in rows {
        let mut start = 0;
        while start + 1 < row.len() {
            let end = (start + seq.max(1) + 1).min(row.len());
            let window = &row[start..end];
            let targets = window.len() - 1;
            match batches.last_mut() {
                Some(last) if last.seq == targets && last.batch < batch => last.push_window(window),
                _ => {
                    let mut first = Batch::with_capacity(batch, targets);
                    first.push_window(window);
                    batches.push(first);
                }
            }
            start = end - 1;
        }
    }
    batches
}

/// Returns the mean number of text bytes per target of the batches. `None` if no target stands for
/// text; tokens that end a text do not.
///
/// # Errors
///
/// When a target is outside the tokenizer's vocabulary.
pub fn bytes_per_target(
    tokenizer: &Tokenizer,
    batches: &[Batch],
) -> Result<Option<f64>, DataError> {
    let targets = batches.iter().flat_map(|batch| &batch.targets);
    let supervised = targets.copied().filter(|&target| target != IGNORE);
    let targets = batches.iter().map(Batch::supervised).sum::<usize>();
    let bytes = tokenizer.text_bytes(supervised)?;
    Ok((bytes > 0).then(|| bytes as f64 / targets as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_targets_leave_out_ends_and_ignored_positions() {
        let mut batch = Batch::with_capacity(1, 4);
        batch.push_pairs([(1, 97), (2, 256), (3, IGNORE), (4, 98)].into_iter());
        let bytes = |batches: &[Batch]| bytes_per_target(&Tokenizer::bytes(), batches);
        let found = bytes(&[batch.clone(), batch]).expect("known tokens");
        assert!((found.expect("text") - 2.0 / 3.0).abs() < 1e-12);
        let mut ends = Batch::with_capacity(1, 1);
        ends.push_pairs([(1, 256)].into_iter());
        assert_eq!(bytes(&[ends]).expect("known tokens"), None);
        assert_eq!(bytes(&[]).expect("no tokens"), None);
    }

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

    #[test]
    fn windows_predict_every_token_but_a_rows_first_once() {
        let rows = [vec![0, 1, 2, 3, 4, 5], vec![6, 7, 8], vec![9]];
        let batches = batches_of_rows(&rows, 2, 2);
        let targets: Vec<u32> = batches
            .iter()
            .flat_map(|batch| batch.targets.clone())
            .collect();
        assert_eq!(targets, [1, 2, 3, 4, 5, 7, 8]);
        let shapes: Vec<_> = batches
            .iter()
            .map(|batch| (batch.batch, batch.seq))
            .collect();
        assert_eq!(shapes, [(2, 2), (1, 1), (1, 2)]);
    }
}
