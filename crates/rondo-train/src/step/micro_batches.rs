//! Computes the loss of a step and its gradient: a forward and a backward pass for each
//! micro-batch.

use std::ops::Add;

use burn::tensor::Tensor;
use rand::RngExt;
use rondo_collective::PairwiseSum;
use rondo_model::attention::Rope;
use rondo_model::gates::Gates;
use rondo_model::gradients::FlatGradients;
use rondo_model::pass::Pass;
use rondo_model::recurrence::Trace;
use rondo_model::seed::{Stream, generator};

use super::Learner;
use super::inputs::Inputs;
use super::objective::{MicroBatchLoss, SeenLosses};
use super::values::Observed;
use crate::plan::StepPlan;
use crate::telemetry;

/// The results of the micro-batches of a step.
pub(super) struct Seen {
    pub(super) sum: Contribution,
    /// Measurements of the last micro-batch of the step, if the step is logged.
    pub(super) observed: Option<Observed<Tensor<1>>>,
}

/// The contribution of one or more micro-batches to the loss of a step and its gradient.
pub(super) struct Contribution {
    /// The cross entropy after the last iteration, even if the step differentiates another loss.
    pub(super) loss: Tensor<1>,
    pub(super) gradients: FlatGradients,
}

impl Add for Contribution {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            loss: self.loss + other.loss,
            gradients: self.gradients + other.gradients,
        }
    }
}

impl Learner {
    /// Computes the contribution of each micro-batch in `inputs` to the mean loss of the step and
    /// its gradient. Adds the contributions pairwise, in order. Also measures the last micro-batch
    /// of a logged step.
    pub(super) fn micro_batches(
        &mut self,
        plan: &StepPlan,
        inputs: impl ExactSizeIterator<Item = Inputs>,
    ) -> Seen {
        let share = self.share(inputs.len());
        let mut sum = PairwiseSum::new();
        let mut observed = None;
        for (i, inputs) in inputs.enumerate() {
            let observe = plan.logged && share.first + i + 1 == share.total;
            let weight = 1.0 / share.total as f64;
            let (contribution, seen) = self.micro_batch(plan, inputs, weight, observe);
            sum.push(contribution, Add::add);
            observed = seen;
        }
        let sum = sum.finish(Add::add);
        Seen {
            sum: sum.expect("a step has at least one micro-batch"),
            observed,
        }
    }

    /// Makes the forward and backward pass of a micro-batch. Loss and gradients are multiplied by
    /// `share`.
    fn micro_batch(
        &mut self,
        plan: &StepPlan,
        inputs: Inputs,
        share: f64,
        observe: bool,
    ) -> (Contribution, Option<Observed<Tensor<1>>>) {
        let Inputs {
            number,
            batch,
            state,
            penalty,
        } = inputs;
        let [_, seq] = batch.shape;
        let pass = Pass {
            rope: self.rope(seq),
            gates: self.gates(number, share),
        };
        let pass = batch.pass(pass);
        let mut trace = observe.then(Trace::default);
        let unroll = plan.draw.unroll;
        let terms = self.loss.terms(unroll);
        let mut loss = MicroBatchLoss {
            terms: &terms,
            penalty: penalty.as_ref(),
            share,
            head: self.model().head(),
            batch: &batch,
            observe,
            observe_each: observe && !self.loss.is_last(),
            seen: SeenLosses::default(),
        };
        let inputs = batch.inputs.clone();
        let differentiated =
            self.model()
                .differentiate_for(inputs, state, &pass, unroll, trace.as_mut(), &mut loss);
        let SeenLosses {
            last,
            hits,
            by_iteration,
        } = loss.seen;
        let forward = differentiated.forward;
        let (read_out, losses) = by_iteration.into_iter().unzip();
        let observed = trace.zip(hits).map(|(trace, hits)| Observed {
            read_out,
            losses,
            penalty: differentiated.penalty.into_iter().collect(),
            accuracy: batch.counted_only(hits).sum() / batch.counted as f64,
            telemetry: telemetry::measure(&forward, &trace),
            densities: forward.densities,
            contraction: self.model().contraction().into_iter().collect(),
        });
        let contribution = Contribution {
            loss: last.unwrap_or(differentiated.loss),
            gradients: differentiated.gradients,
        };
        (contribution, observed)
    }

    /// Returns the gates of the micro-batch with number `index`, drawn from its own random stream.
    fn gates(&self, index: u64, share: f64) -> Gates {
        match self.config.sparsity {
            None => Gates::hard(),
            Some(_) => {
                let key = generator(self.seed, Stream::Gates, index).random();
                Gates::drawn(key, self.strength * share)
            }
        }
    }

    /// Returns the rotary embedding's tables for sequences of `seq` tokens.
    fn rope(&mut self, seq: usize) -> Rope {
        match &self.rope {
            Some((known, rope)) if *known == seq => rope.clone(),
            _ => {
                let rope = Rope::new(&self.config, seq, &self.device);
                self.rope = Some((seq, rope.clone()));
                rope
            }
        }
    }
}
