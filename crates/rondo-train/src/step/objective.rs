//! The loss of a micro-batch that the model differentiates. Cross entropies and hits are recorded
//! while the loss is computed.

use burn::tensor::Tensor;
use rondo_model::looped::Readout;
use rondo_model::objective::Objective;
use rondo_model::ops::{Head, head_cross_entropy};
use rondo_model::penalty::{Penalty, Weighted};

use crate::batches::DeviceBatch;
use crate::objective::Term;

/// The loss `share · ((1 − w) Σ_i a_i CE_i + w P)` of a micro-batch. CE_i is the cross entropy
/// after iteration i.
pub(super) struct MicroBatchLoss<'a> {
    /// The iterations i and their weights a_i, in ascending order of i.
    pub(super) terms: &'a [Term],
    /// The penalty P and its weight w, if there is a penalty.
    pub(super) penalty: Option<&'a Weighted>,
    /// The factor of the micro-batch in the mean over the step.
    pub(super) share: f64,
    pub(super) head: Head,
    pub(super) batch: &'a DeviceBatch,
    /// Whether to record the hits of the last readout.
    pub(super) observe: bool,
    /// Whether to record the cross entropy of every readout.
    pub(super) observe_each: bool,
    pub(super) seen: SeenLosses,
}

/// Values recorded from the readouts of a micro-batch, without a graph.
#[derive(Default)]
pub(super) struct SeenLosses {
    /// share · CE of the last readout, `[1]`. `None` if the loss that is differentiated is this CE
    /// alone.
    pub(super) last: Option<Tensor<1>>,
    /// 1 where the target has the largest logit of the last readout, else 0, `[tokens]`.
    pub(super) hits: Option<Tensor<1>>,
    /// For each iteration with a readout, the number of the iteration and the CE, `[1]`. Empty if
    /// only one iteration counts.
    pub(super) by_iteration: Vec<(usize, Tensor<1>)>,
}

impl MicroBatchLoss<'_> {
    /// Returns whether the loss is the CE of the last readout alone.
    fn is_plain(&self) -> bool {
        self.terms.len() == 1 && self.penalty.is_none()
    }
}

impl Objective for MicroBatchLoss<'_> {
    fn reads(&self, iteration: usize) -> bool {
        self.terms.iter().any(|term| term.iteration == iteration)
    }

    fn term(&mut self, iteration: usize, readout: &Readout) -> Tensor<1> {
        let last = self.terms.last().expect("the last iteration counts");
        let is_last = last.iteration == iteration;
        let (targets, weights) = (self.batch.targets.clone(), self.batch.weights.clone());
        let (hidden, head) = (readout.hidden.clone(), self.head.clone());
        let scored = head_cross_entropy(hidden, head, targets, weights, self.observe && is_last);
        if self.observe_each {
            let loss = scored.loss.clone().without_autodiff();
            self.seen.by_iteration.push((iteration, loss));
        }
        if is_last {
            self.seen.hits = scored.hits;
        }
        if self.is_plain() {
            return scored.loss * self.share;
        }
        if is_last {
            let loss = scored.loss.clone().without_autodiff();
            self.seen.last = Some(loss * self.share);
        }
        let term = self.terms.iter().find(|term| term.iteration == iteration);
        let weight = term.map_or(0.0, |term| term.weight);
        let kept = self.penalty.map_or(1.0, Weighted::kept);
        scored.loss * (self.share * weight * kept)
    }

    fn penalty(&self) -> Option<(&Penalty, f64)> {
        let Weighted { penalty, weight } = self.penalty?;
        Some((penalty, self.share * weight))
    }
}
