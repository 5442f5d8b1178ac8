//! Loss, perplexity and accuracy over recurrence depth.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rondo_data::Batch;
use rondo_model::attention::Rope;
use rondo_model::config::ModelConfig;
use rondo_model::looped::LoopedTransformer;
use rondo_model::ops::negative_log_likelihood;
use rondo_model::seed::Stream;
use rondo_model::state::{StateSource, initial_state};
use serde::Serialize;

use crate::batches::DeviceBatch;
use crate::error::Result;
use crate::step::read;

/// What to evaluate on.
pub(crate) struct Evaluation<'a> {
    pub(crate) config: &'a ModelConfig,
    pub(crate) seed: u64,
    pub(crate) depths: &'a [usize],
    pub(crate) batches: &'a [Batch],
    /// Bytes of text that a token stands for, where that is known.
    pub(crate) bytes_per_token: Option<f64>,
    /// Whether accuracy is counted, overall and by position.
    pub(crate) task: bool,
    pub(crate) zero_state: bool,
    pub(crate) device: &'a Device,
}

/// What one depth gives.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct DepthResult {
    /// The recurrence depth r.
    pub(crate) recurrence: usize,
    /// Mean cross entropy, nats.
    pub(crate) loss: f64,
    /// exp(loss).
    pub(crate) perplexity: f64,
    /// loss / ln 2 / bytes per token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bits_per_byte: Option<f64>,
    /// Share of targets hit; tasks only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) accuracy: Option<f64>,
    /// The same by position; null where a position has no target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) accuracy_by_position: Option<Vec<Option<f64>>>,
}

/// Sums over batches at one depth.
#[derive(Clone, Debug)]
struct Sums {
    loss: f64,
    hits: Vec<f64>,
}

impl Evaluation<'_> {
    /// Evaluates `model` at every depth in one pass to the deepest, on a copy without autodiff.
    ///
    /// `progress` hears how many batches are done.
    ///
    /// # Errors
    ///
    /// Where the device fails.
    pub(crate) fn run(
        &self,
        model: &LoopedTransformer,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<DepthResult>> {
        let model = model.valid();
        let longest = self
            .batches
            .iter()
            .map(|batch| batch.seq)
            .max()
            .unwrap_or(0);
        let mut depths = self.depths.to_vec();
        depths.sort_unstable();
        depths.dedup();
        let mut sums = vec![
            Sums {
                loss: 0.0,
                hits: vec![0.0; longest]
            };
            depths.len()
        ];
        let mut counts = vec![0_u64; longest];
        let mut first_sequence = 0;
        for (done, batch) in self.batches.iter().enumerate() {
            self.add(&model, batch, first_sequence, &depths, &mut sums)?;
            for (i, _) in batch
                .targets
                .iter()
                .enumerate()
                .filter(|(_, id)| **id != rondo_data::IGNORE)
            {
                counts[i % batch.seq] += 1;
            }
            first_sequence += batch.batch as u64;
            progress(done + 1);
        }
        Ok(depths
            .iter()
            .zip(sums)
            .map(|(depth, sums)| self.result(*depth, &sums, &counts))
            .collect())
    }

    fn add(
        &self,
        model: &LoopedTransformer,
        batch: &Batch,
        first_sequence: u64,
        depths: &[usize],
        sums: &mut [Sums],
    ) -> Result<()> {
        let shape = [batch.batch, batch.seq];
        let state = if self.zero_state {
            Tensor::zeros([shape[0], shape[1], self.config.d_model], self.device)
        } else {
            let source = StateSource {
                seed: self.seed,
                stream: Stream::EvalState,
                index: 0,
                first_sequence,
                first_position: 0,
            };
            initial_state(self.config, source, shape, self.device)
        };
        let rope = Rope::new(self.config, batch.seq, self.device);
        let on_device = DeviceBatch::new(batch, self.device);
        let tokens = shape[0] * shape[1];
        let mut gathered = Vec::with_capacity(2 * depths.len());
        model.forward_at_depths(
            on_device.inputs.clone(),
            state,
            &rope,
            depths,
            |_, readout| {
                let [_, _, vocab] = readout.logits.dims();
                let logits = readout.logits.clone().reshape([tokens, vocab]);
                let losses =
                    negative_log_likelihood(logits, on_device.targets.clone().reshape([tokens]));
                let losses = match &on_device.weights {
                    Some(weights) => losses * weights.clone().reshape([tokens]),
                    None => losses,
                };
                gathered.push(losses.sum());
                if self.task {
                    gathered.push(
                        on_device
                            .hits(readout.logits)
                            .sum_dim(0)
                            .reshape([batch.seq]),
                    );
                }
            },
        );
        let values = read(Tensor::cat(gathered, 0))?;
        let width = if self.task { 1 + batch.seq } else { 1 };
        for (sums, values) in sums.iter_mut().zip(values.chunks(width)) {
            sums.loss += f64::from(values[0]);
            sums.hits
                .iter_mut()
                .zip(&values[1..])
                .for_each(|(sum, hit)| *sum += f64::from(*hit));
        }
        Ok(())
    }

    fn result(&self, recurrence: usize, sums: &Sums, counts: &[u64]) -> DepthResult {
        let total = counts.iter().sum::<u64>() as f64;
        let loss = sums.loss / total;
        let hits: f64 = sums.hits.iter().sum();
        let share = |(hits, count): (&f64, &u64)| (*count > 0).then(|| hits / *count as f64);
        DepthResult {
            recurrence,
            loss,
            perplexity: loss.exp(),
            bits_per_byte: self
                .bytes_per_token
                .map(|bytes| loss / std::f64::consts::LN_2 / bytes),
            accuracy: self.task.then(|| hits / total),
            accuracy_by_position: self
                .task
                .then(|| sums.hits.iter().zip(counts).map(share).collect()),
        }
    }
}
