//! Measures the cost and quality of adaptive exits. With an adaptive exit, each token stops at its
//! own iteration.
//!
//! Here, every position takes part in every iteration. A token therefore attends to positions at
//! its own depth, as in an evaluation at a fixed depth. Only one prediction of each token counts:
//! the prediction after the iteration in which the token first meets the criterion, or after the
//! last iteration. Nothing is read from the device before the batch is done.

use burn::tensor::{Device, Tensor};
use rondo_model::config::ModelConfig;
use rondo_model::exit::{ExitCriterion, ExitMonitor};
use serde::Serialize;

use super::scores::ExitScore;
use crate::error::{Error, Result};

/// A criterion with its threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exit {
    /// The criterion.
    pub criterion: ExitCriterion,
    /// The threshold of the criterion.
    pub threshold: f64,
}

/// Returns an error if exits are `asked` for, but the model's iterations depend on their total
/// number.
///
/// # Errors
///
/// [`Error::Usage`] in this case.
pub(crate) fn refuse_exits(config: &ModelConfig, asked: bool) -> Result<()> {
    if asked && config.conditioning.reads_depth() {
        return Err(Error::Usage(format!(
            "model.conditioning is {}: each iteration depends on how many there will be, which an exit decides only \
             afterwards; ask for a fixed depth (--recurrence)",
            config.conditioning.name()
        )));
    }
    Ok(())
}

/// The result under one exit criterion.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExitResult {
    /// The criterion.
    pub criterion: ExitCriterion,
    /// The threshold of the criterion.
    pub threshold: f64,
    /// The mean number of iterations of a token.
    pub mean_iterations: f64,
    /// The mean cross entropy of the predictions that count, in nats.
    pub loss: f64,
    /// exp(loss).
    pub perplexity: f64,
    /// The share of targets that the model predicts correctly. Only for tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// The number of tokens that took 1, 2, … iterations.
    pub iterations: Vec<u64>,
}

/// The results of one iteration on a batch.
pub(super) struct Seen<'a> {
    /// The state after the iteration, before the norm of the readout, `[batch, seq, d_model]`.
    pub(super) latent: &'a Tensor<3>,
    /// Computes the logits, `[batch, seq, vocab]`.
    pub(super) logits: &'a dyn Fn() -> Tensor<3>,
    /// The cross entropy of each token, `[batch, seq]`; 0 where the target does not count.
    pub(super) losses: &'a Tensor<2>,
    /// `[batch, seq]`: 1 where a target counts and is predicted correctly, else 0.
    pub(super) hits: &'a Tensor<2>,
}

/// Applies one criterion to the iterations of a batch.
pub(super) struct ExitTally {
    exit: Exit,
    monitor: ExitMonitor,
    /// `[batch, seq]`: 1 for tokens that count and have not exited yet, else 0.
    running: Tensor<2>,
    loss: Tensor<1>,
    hits: Tensor<1>,
    /// The number of tokens that took 1, 2, … iterations, each a tensor `[1]`.
    taken: Vec<Tensor<1>>,
}

impl ExitTally {
    /// Starts with the initial state. `counted` is 1 where a target counts, else 0.
    pub(super) fn new(exit: Exit, initial_state: Tensor<3>, counted: Tensor<2>) -> Self {
        let zero = Tensor::zeros([1], &counted.device());
        Self {
            exit,
            monitor: ExitMonitor::new(exit.criterion, initial_state),
            running: counted,
            loss: zero.clone(),
            hits: zero,
            taken: Vec::new(),
        }
    }

    /// Adds an iteration. If this is the `last` iteration, all remaining tokens exit.
    pub(super) fn add(&mut self, seen: &Seen<'_>, last: bool) {
        let values = self.monitor.observe(seen.latent, seen.logits);
        let now = if last {
            self.running.clone()
        } else {
            let Exit {
                criterion,
                threshold,
            } = self.exit;
            self.running.clone() * criterion.exits_at(values, threshold).float()
        };
        self.running = self.running.clone() - now.clone();
        self.loss = self.loss.clone() + (seen.losses.clone() * now.clone()).sum();
        self.hits = self.hits.clone() + (seen.hits.clone() * now.clone()).sum();
        self.taken.push(now.sum());
    }

    /// Returns the sums over the batch.
    pub(super) fn score(self) -> ExitScore<Tensor<1>> {
        ExitScore {
            loss: self.loss,
            hits: self.hits,
            taken: self.taken,
        }
    }
}

/// The sums under one criterion over the batches.
#[derive(Clone, Debug)]
pub(super) struct ExitSums {
    exit: Exit,
    loss: f64,
    hits: f64,
    taken: Vec<f64>,
}

impl ExitSums {
    pub(super) fn new(exit: Exit, iterations: usize) -> Self {
        Self {
            exit,
            loss: 0.0,
            hits: 0.0,
            taken: vec![0.0; iterations],
        }
    }

    /// Adds the sums of a batch.
    pub(super) fn add(&mut self, score: &ExitScore<f64>) {
        self.loss += score.loss;
        self.hits += score.hits;
        for (sum, count) in self.taken.iter_mut().zip(&score.taken) {
            *sum += count;
        }
    }

    pub(super) fn result(&self, task: bool) -> ExitResult {
        let total: f64 = self.taken.iter().sum();
        let iterations: f64 = (1..).zip(&self.taken).map(|(i, n)| f64::from(i) * n).sum();
        let loss = self.loss / total;
        ExitResult {
            criterion: self.exit.criterion,
            threshold: self.exit.threshold,
            mean_iterations: iterations / total,
            loss,
            perplexity: loss.exp(),
            accuracy: task.then(|| self.hits / total),
            iterations: self.taken.iter().map(|n| n.round() as u64).collect(),
        }
    }
}

/// Returns a tensor of shape `shape` that is 1 for every target that counts, and 0 for the others.
pub(super) fn counted(
    weights: Option<&Tensor<2>>,
    shape: [usize; 2],
    device: &Device,
) -> Tensor<2> {
    weights.map_or_else(|| Tensor::ones(shape, device), Clone::clone)
}
