//! Creates records for the metrics from the measurements of steps and evaluations.

use rondo_metrics::Record;
use rondo_metrics::names::{
    ACCURACY, CONSTRAINT_EMA, CONTRACTION, CONTRACTION_MAX, DIFFICULTY, GRAD_NORM, ITERATIONS_LOSS,
    ITERATIONS_SPARSITY, LOSS, LR, LR_SUM, MEMORY_BYTES, MFU, NUM_STEPS_NO_GRAD,
    NUM_STEPS_WITH_GRAD, PENALTY, PENALTY_WEIGHT, PERPLEXITY, RECURRENCE, REDUCE_SECONDS,
    REGULARISATION_STRENGTH, SPARSITY, SPARSITY_EXPECTED, STEP_SECONDS, TARGET_CROSS_ENTROPY,
    TOKENS_PER_SECOND, VAL_ACCURACY, VAL_ACCURACY_BY_POSITION, VAL_BITS_PER_BYTE,
    VAL_CROSS_ENTROPY, VAL_CROSS_ENTROPY_SOURCE, VAL_LOSS, VAL_PERPLEXITY, VAL_SPARSITY,
    VAL_SPARSITY_LAYER, VAL_UNIGRAM_CROSS_ENTROPY, WAIT_SECONDS, WORLD_SIZE,
};
use rondo_schedule::control::ControllerReading;

use crate::evaluate::Evaluated;
use crate::plan::StepPlan;
use crate::progress::RunProgress;
use crate::step::{Observation, Penalised};

/// Measurements of the speed and memory of a run at a logged step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Tokens per second since the last logged step, without evaluations and saves.
    pub(crate) tokens_per_second: f64,
    /// Seconds per step since the last logged step, without evaluations and saves.
    pub(crate) step_seconds: f64,
    /// The share of the device's peak FLOP/s that the run has used. `None` if the peak is unknown.
    pub(crate) mfu: Option<f64>,
    /// Bytes of memory that the run uses on the device, or that the process uses on a CPU.
    pub(crate) memory_bytes: Option<u64>,
    /// The sum of the learning rates of all updates up to this step.
    pub(crate) lr_sum: f64,
    /// The values of the controller that adjusts the penalty of the gates, if there is one.
    pub(crate) control: Option<ControllerReading>,
    /// The measurements of the ranks, if there are several.
    pub(crate) ranks: Option<Ranks>,
}

/// Measurements of a run on several ranks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranks {
    /// The number of ranks.
    pub(crate) world_size: usize,
    /// Seconds per step in the reduction.
    pub(crate) reduce_seconds: f64,
    /// Seconds per step by which the slowest rank computes longer than the median rank.
    pub(crate) wait_seconds: f64,
}

/// Returns the record of a logged step.
pub(crate) fn train(
    plan: &StepPlan,
    progress: &RunProgress,
    seen: &Observation,
    pace: &Pace,
) -> Record {
    let mut record = Record::train(plan.step, progress.tokens);
    let unroll = plan.draw.unroll;
    record
        .set(LOSS, seen.loss)
        .set(PERPLEXITY, seen.loss.exp())
        .set(GRAD_NORM, seen.grad_norm)
        .set(LR, plan.lr)
        .set(LR_SUM, pace.lr_sum)
        .set(TOKENS_PER_SECOND, pace.tokens_per_second)
        .set(STEP_SECONDS, pace.step_seconds)
        .set(MFU, pace.mfu)
        .set(MEMORY_BYTES, pace.memory_bytes.map(|bytes| bytes as f64))
        .set(NUM_STEPS_NO_GRAD, unroll.no_grad as f64)
        .set(NUM_STEPS_WITH_GRAD, unroll.with_grad as f64)
        .set(RECURRENCE, unroll.total() as f64);
    seen.telemetry.write(&mut record);
    if let Some(sparsity) = &seen.sparsity {
        record
            .set(SPARSITY, sparsity.kept)
            .set(SPARSITY_EXPECTED, sparsity.expected)
            .set(ITERATIONS_SPARSITY, sparsity.by_iteration.clone());
    }
    if let Some(contraction) = &seen.contraction {
        record
            .set(CONTRACTION, contraction.mean)
            .set(CONTRACTION_MAX, contraction.max);
    }
    if !seen.losses.is_empty() {
        let of = |i: usize| seen.losses.iter().find(|(iteration, _)| *iteration == i);
        let series = (1..=unroll.total()).map(|i| of(i).map(|(_, loss)| *loss));
        record.set(ITERATIONS_LOSS, series.collect::<Vec<_>>());
    }
    if let Some(Penalised { weight, value }) = seen.penalty {
        record.set(PENALTY, value).set(PENALTY_WEIGHT, weight);
    }
    if let Some(ranks) = &pace.ranks {
        record
            .set(WORLD_SIZE, ranks.world_size as f64)
            .set(REDUCE_SECONDS, ranks.reduce_seconds)
            .set(WAIT_SECONDS, ranks.wait_seconds);
    }
    if let Some(control) = &pace.control {
        record
            .set(REGULARISATION_STRENGTH, control.strength)
            .set(CONSTRAINT_EMA, control.constraint_ema);
    }
    if let Some(state) = &progress.curriculum {
        record
            .set(ACCURACY, seen.accuracy)
            .set(DIFFICULTY, state.difficulty as f64);
    }
    record.finish()
}

/// Values in the record of an evaluation that are not results of the evaluation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beside<'a> {
    /// For each source of a mixture, its name and its loss at the mean recurrence.
    pub(crate) by_source: &'a [(String, f64)],
    /// The cross entropy of a model that predicts each token with its frequency in the training
    /// tokens. Only in the first record.
    pub(crate) unigram: Option<f64>,
    /// The values of the controller that adjusts the penalty of the gates, if there is one.
    pub(crate) control: Option<ControllerReading>,
}

/// Returns the record of an evaluation. `configured` are the depths to record. `mean` is the
/// recurrence depth whose loss represents the run.
pub(crate) fn eval(
    progress: &RunProgress,
    evaluated: &Evaluated,
    configured: &[usize],
    mean: usize,
    beside: Beside<'_>,
) -> Record {
    let depths = &evaluated.depths;
    let mut record = Record::eval(progress.step, progress.tokens);
    for depth in depths
        .iter()
        .filter(|depth| configured.contains(&depth.recurrence))
    {
        let r = depth.recurrence;
        record
            .set(VAL_LOSS.at(r), depth.loss)
            .set(VAL_PERPLEXITY.at(r), depth.perplexity);
        if let Some(accuracy) = depth.accuracy {
            record.set(VAL_ACCURACY.at(r), accuracy);
        }
        if let Some(series) = &depth.accuracy_by_position {
            record.set(VAL_ACCURACY_BY_POSITION.at(r), series.clone());
        }
    }
    if let Some(depth) = depths.iter().find(|depth| depth.recurrence == mean) {
        record.set(VAL_CROSS_ENTROPY, depth.loss);
        if let Some(bits) = depth.bits_per_byte {
            record.set(VAL_BITS_PER_BYTE, bits);
        }
    }
    if let Some(sparsity) = &evaluated.sparsity {
        record.set(VAL_SPARSITY, sparsity.kept);
        for (layer, kept) in &sparsity.by_layer {
            record.set(VAL_SPARSITY_LAYER.of(&layer.name()), *kept);
        }
    }
    if let Some(control) = &beside.control {
        record.set(TARGET_CROSS_ENTROPY, control.target);
    }
    for (source, loss) in beside.by_source {
        record.set(VAL_CROSS_ENTROPY_SOURCE.of(source), *loss);
    }
    if let Some(unigram) = beside.unigram {
        record.set(VAL_UNIGRAM_CROSS_ENTROPY, unigram);
    }
    record.finish()
}
