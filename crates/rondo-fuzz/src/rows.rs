//! Reads the tokens that a user gives for evaluation.

use rondo_data::{batches_of_rows, read_tokens};

use crate::scratch;

/// The size of the vocabulary that the tokens must belong to.
const VOCAB_SIZE: usize = 300;

/// Reads tokens for an evaluation, once with the bytes as JSON and once with the bytes as a tensor
/// file.
///
/// Accepted rows must contain no token outside the vocabulary. Their batches must predict every
/// token once, except the first token of each row.
///
/// # Panics
///
/// Panics if one of these properties does not hold.
pub fn rows(bytes: &[u8]) {
    for name in ["rows.json", "rows.safetensors"] {
        let Ok(rows) = read_tokens(&scratch::file(name, bytes), VOCAB_SIZE) else {
            continue;
        };
        assert!(rows.iter().flatten().all(|&id| (id as usize) < VOCAB_SIZE));
        assert!(rows.iter().any(|row| !row.is_empty()));
        let predicted: usize = rows.iter().map(|row| row.len().saturating_sub(1)).sum();
        let batches = batches_of_rows(&rows, 4, 8);
        let found: usize = batches.iter().map(|batch| batch.batch * batch.seq).sum();
        assert_eq!(found, predicted);
    }
}
