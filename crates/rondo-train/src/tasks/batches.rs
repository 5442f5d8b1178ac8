//! Batches of rows of unequal length.
//!
//! Shorter rows are padded on the right. Attention is causal, so a row's tokens do not attend to
//! its padding. Padding is not scored.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};
use rondo_model::config::ModelConfig;
use rondo_tasks::rows::Row;

use crate::error::Result;
use crate::initial_states::InitialStates;

/// The minimum number of rows in a matrix product. With up to 64 rows and columns, the gemm crate
/// adds in another order, and the bits of a row would depend on the number of other rows.
const LEAST_ROWS: usize = 65;

/// The maximum number of tokens whose losses are computed together. The head's loss splits more
/// tokens into chunks, and the last chunk could have fewer than [`LEAST_ROWS`] tokens.
const MOST_LOSSES: usize = 512;

/// Divides scored tokens into pieces of nearly the same length, each at most [`MOST_LOSSES`].
pub(super) fn pieces(scored: usize) -> impl Iterator<Item = Range<usize>> {
    let count = scored.div_ceil(MOST_LOSSES);
    let end = move |piece: usize| scored * piece / count;
    (0..count).map(move |piece| end(piece)..end(piece + 1))
}

/// Rows that are computed together, as one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RowBatch {
    /// Indices of the rows.
    pub(super) rows: Vec<usize>,
    /// The length of the longest row.
    pub(super) seq: usize,
}

/// Groups rows of similar length into batches, longest rows first. A batch has at most `positions`
/// positions, padding included. A row that is longer is a batch by itself.
pub(super) fn batches(rows: &[Row], positions: usize) -> Vec<RowBatch> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|row| std::cmp::Reverse(rows[*row].inputs.len()));
    let mut batches: Vec<RowBatch> = Vec::new();
    for row in order {
        match batches.last_mut() {
            Some(last) if (last.rows.len() + 1) * last.seq <= positions => last.rows.push(row),
            _ => batches.push(RowBatch {
                rows: vec![row],
                seq: rows[row].inputs.len(),
            }),
        }
    }
    batches
}

/// A batch whose values are on a device.
pub(super) struct OnDevice {
    /// The input tokens, `[batch, seq]`.
    pub(super) inputs: Tensor<2, Int>,
    /// The initial states s_0, `[batch, seq, d_model]`.
    pub(super) state: Tensor<3>,
    /// For each scored token, the position that predicts it, `[scored]`. Positions are counted
    /// through all rows of the batch.
    pub(super) positions: Tensor<1, Int>,
    /// The scored tokens, `[1, scored]`.
    pub(super) targets: Tensor<2, Int>,
    /// The number of scored tokens in each row. In `positions` and `targets`, padding follows after
    /// these tokens.
    pub(super) counts: Vec<usize>,
}

impl RowBatch {
    /// Copies the batch to a device. All rows of an item start from the same states, which depend
    /// only on the item's number.
    pub(super) fn on_device(
        &self,
        rows: &[Row],
        states: &InitialStates,
        config: &ModelConfig,
        device: &Device,
    ) -> Result<OnDevice> {
        let seq = self.seq;
        let batch = self.rows.len().max(LEAST_ROWS.div_ceil(seq));
        let mut inputs = vec![0_i32; batch * seq];
        let (mut positions, mut targets, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        let mut initial = Vec::with_capacity(batch);
        for (place, row) in self.rows.iter().map(|row| &rows[*row]).enumerate() {
            let start = place * seq;
            for (input, token) in inputs[start..].iter_mut().zip(&row.inputs) {
                *input = *token as i32;
            }
            positions.extend((0..row.targets.len()).map(|j| (start + row.first + j) as i32));
            targets.extend(row.targets.iter().map(|token| *token as i32));
            counts.push(row.targets.len());
            initial.push(states.at(config, row.item as u64, 0, [1, seq], device)?);
        }
        let filling = batch - self.rows.len();
        if filling > 0 {
            initial.push(Tensor::zeros([filling, seq, config.d_model], device));
        }
        let scored = positions.len().max(LEAST_ROWS);
        positions.resize(scored, 0);
        targets.resize(scored, 0);
        Ok(OnDevice {
            inputs: Tensor::from_data(TensorData::new(inputs, [batch, seq]), device),
            state: Tensor::cat(initial, 0),
            positions: Tensor::from_data(TensorData::new(positions, [scored]), device),
            targets: Tensor::from_data(TensorData::new(targets, [1, scored]), device),
            counts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(length: usize) -> Row {
        Row {
            item: 0,
            inputs: vec![1; length],
            first: length - 1,
            targets: vec![2],
        }
    }

    #[test]
    fn no_piece_of_scored_tokens_is_large_or_small() {
        assert_eq!(pieces(512).count(), 1);
        assert_eq!(pieces(513).collect::<Vec<_>>(), [0..256, 256..513]);
        for scored in LEAST_ROWS..3000 {
            let lengths = || pieces(scored).map(|piece| piece.len());
            assert_eq!(lengths().sum::<usize>(), scored);
            assert!(lengths().all(|length| (LEAST_ROWS..=MOST_LOSSES).contains(&length)));
        }
    }

    #[test]
    fn rows_of_similar_length_share_a_batch_that_is_not_too_large() {
        let rows = [row(3), row(10), row(4), row(9), row(30)];
        let found: Vec<(Vec<usize>, usize)> = batches(&rows, 20)
            .into_iter()
            .map(|batch| (batch.rows, batch.seq))
            .collect();
        // A row with more positions than a batch is a batch by itself.
        assert_eq!(found, [(vec![4], 30), (vec![1, 3], 10), (vec![2, 0], 4)]);
    }

    #[test]
    fn what_fills_up_is_not_scored_and_every_row_of_an_item_starts_alike() {
        let rows = [row(3), row(2)];
        let config = ModelConfig {
            d_model: 2,
            vocab_size: 4,
            ..ModelConfig::default()
        };
        let batch = RowBatch {
            rows: vec![0, 1],
            seq: 3,
        };
        let device = Device::flex();
        let states = InitialStates::Seed(3);
        let on_device = batch
            .on_device(&rows, &states, &config, &device)
            .expect("states");
        let ids: Vec<i32> = on_device.inputs.into_data().iter().collect();
        assert_eq!(ids[..6], [1, 1, 1, 1, 1, 0]);
        let positions: Vec<i32> = on_device.positions.into_data().iter().collect();
        assert_eq!(positions[..3], [2, 4, 0]);
        assert_eq!(on_device.counts, [1, 1]);
        let state: Vec<f32> = on_device.state.into_data().iter().collect();
        assert_eq!(state[..6], state[6..12]);
    }
}
