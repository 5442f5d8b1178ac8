//! Batches on a device.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rondo_data::{Batch, IGNORE};
use rondo_model::attention::Segments;
use rondo_model::pass::Pass;

/// A batch as tensors.
#[derive(Clone, Debug)]
pub struct DeviceBatch {
    /// `[batch, seq]`.
    pub inputs: Tensor<2, Int>,
    /// `[batch, seq]`; 0 at positions without a target.
    pub targets: Tensor<2, Int>,
    /// `[batch, seq]`, 1 where the target counts; `None` if every target counts.
    pub weights: Option<Tensor<2>>,
    /// Batch and sequence length.
    pub shape: [usize; 2],
    /// Number of targets that count.
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

    /// Returns the pass for the rows of this batch. It is `whole`, a pass over whole rows,
    /// restricted to documents if the batch has them.
    pub fn pass(&self, whole: Pass) -> Pass {
        match &self.documents {
            Some(documents) => whole.within(documents.clone()),
            None => whole,
        }
    }

    /// Returns the values of tokens by sequence and position, with 0 where the target does not
    /// count.
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
