//! Batches on a device.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rondo_data::{Batch, IGNORE};
use rondo_model::attention::Segments;
use rondo_model::pass::Pass;

/// A batch as tensors.
#[derive(Clone, Debug)]
pub struct DeviceBatch {
    /// The input tokens, `[batch, seq]`.
    pub inputs: Tensor<2, Int>,
    /// The target tokens, `[batch, seq]`; 0 at positions without a target.
    pub targets: Tensor<2, Int>,
    /// `[batch, seq]`: 1 at positions with a target, 0 at the others. `None` if every position has
    /// a target.
    pub weights: Option<Tensor<2>>,
    /// The number of rows and their length, `[batch, seq]`.
    pub shape: [usize; 2],
    /// The number of positions with a target.
    pub counted: usize,
    /// The documents of each row, if attention stays within documents.
    documents: Option<Segments>,
}

impl DeviceBatch {
    /// Copies a batch to `device`.
    pub fn new(batch: &Batch, device: &Device) -> Self {
        let shape = [batch.batch, batch.seq];
        let ids = |values: Vec<i32>| Tensor::from_data(TensorData::new(values, shape), device);
        let inputs = batch.inputs.iter().map(|id| *id as i32).collect();
        let targets = batch
            .targets
            .iter()
            .map(|id| if *id == IGNORE { 0 } else { *id as i32 });
        let counted = batch.targets.iter().filter(|id| **id != IGNORE).count();
        let weights = (counted < batch.targets.len()).then(|| {
            let values: Vec<f32> = batch
                .targets
                .iter()
                .map(|id| f32::from(u8::from(*id != IGNORE)))
                .collect();
            Tensor::from_data(TensorData::new(values, shape), device)
        });
        Self {
            inputs: ids(inputs),
            targets: ids(targets.collect()),
            weights,
            shape,
            counted,
            documents: batch
                .document_end
                .map(|end| Segments::behind(&batch.inputs, batch.seq, |id| id == end)),
        }
    }

    /// Returns the pass for the rows of this batch. `whole` is a pass over whole rows. If the batch
    /// has documents, attention in the returned pass stays within documents.
    pub fn pass(&self, whole: Pass) -> Pass {
        match &self.documents {
            Some(documents) => whole.within(documents.clone()),
            None => whole,
        }
    }

    /// Arranges one value per token by row and position. Sets the value to 0 at positions without a
    /// target.
    ///
    /// # Shapes
    ///
    /// `values`: `[batch · seq]`; returns `[batch, seq]`.
    pub fn counted_only(&self, values: Tensor<1>) -> Tensor<2> {
        let values = values.reshape(self.shape);
        match &self.weights {
            Some(weights) => values * weights.clone(),
            None => values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_targets_have_weight_zero() {
        let batch = Batch {
            inputs: vec![1, 0],
            targets: vec![1, IGNORE],
            batch: 1,
            seq: 2,
            document_end: None,
        };
        let on_device = DeviceBatch::new(&batch, &Device::flex());
        assert_eq!(on_device.counted, 1);
        let values = Tensor::<1>::from_data([3.0, 5.0], &Device::flex());
        let counted: Vec<f32> = on_device.counted_only(values).into_data().iter().collect();
        assert_eq!(counted, [3.0, 0.0]);
    }
}
