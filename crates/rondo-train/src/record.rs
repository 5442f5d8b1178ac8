//! Observations and evaluations as records of the metrics table.

use rondo_metrics::{Record, RecordError, Value};
use rondo_model::telemetry::Reading;
use rondo_schedule::control::ControllerReading;

use crate::evaluate::Evaluated;
use crate::plan::StepPlan;
use crate::progress::RunProgress;
use crate::step::Observation;

/// What is measured around a logged step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Tokens per second since the last logged step, evaluations and saves left out.
    pub(crate) tokens_per_second: f64,
    /// Seconds per step, likewise.
    pub(crate) step_seconds: f64,
    /// Share of the device's peak, where the peak is known.
    pub(crate) mfu: Option<f64>,
    /// Memory of the device, or of the process on a CPU.
    pub(crate) memory_bytes: Option<u64>,
    /// Σ η up to this step.
    pub(crate) lr_sum: f64,
    /// What the controller of the gates' penalty has read, where there is one.
    pub(crate) control: Option<ControllerReading>,
}

/// Returns the record of a logged step.
///
/// # Errors
///
/// Where a name is not in the table of metrics.
pub(crate) fn train(
    plan: &StepPlan,
    progress: &RunProgress,
    seen: &Observation,
    pace: &Pace,
) -> Result<Record, RecordError> {
    let mut record = Record::train(plan.step, progress.tokens);
    let unroll = plan.draw.unroll;
    record
        .push("loss", seen.loss)?
        .push("perplexity", seen.loss.exp())?
        .push("grad_norm", seen.grad_norm)?
        .push("lr", plan.lr)?
        .push("lr_sum", pace.lr_sum)?
        .push("tokens_per_second", pace.tokens_per_second)?
        .push("step_seconds", pace.step_seconds)?
        .push("mfu", pace.mfu)?
        .push("memory_bytes", pace.memory_bytes.map(|bytes| bytes as f64))?
        .push("num_steps_no_grad", unroll.no_grad as f64)?
        .push("num_steps_with_grad", unroll.with_grad as f64)?
        .push("recurrence", unroll.total() as f64)?;
    push_telemetry(&mut record, &seen.telemetry)?;
    if let Some(sparsity) = &seen.sparsity {
        record
            .push("sparsity", sparsity.kept)?
            .push("sparsity_expected", sparsity.expected)?
            .push(
                "iterations.sparsity",
                Value::Series(sparsity.by_iteration.clone()),
            )?;
    }
    if let Some(control) = &pace.control {
        record
            .push("regularisation_strength", control.strength)?
            .push("constraint_ema", control.constraint_ema)?;
    }
    if let Some(state) = &progress.curriculum {
        record
            .push("accuracy", seen.accuracy)?
            .push("difficulty", state.difficulty as f64)?;
    }
    Ok(record)
}

fn push_telemetry(record: &mut Record, reading: &Reading) -> Result<(), RecordError> {
    record
        .push("hidden_state_corr", reading.hidden_state_corr)?
        .push(
            "recurrent_state_token_corr",
            reading.recurrent_state_token_corr,
        )?
        .push("last_hidden_token_corr", reading.last_hidden_token_corr)?
        .push("iteration_corr", reading.iteration_corr)?
        .push("recurrent_state_norm", reading.recurrent_state_norm)?
        .push("last_hidden_norm", reading.last_hidden_norm)?
        .push("recurrent_diff", reading.recurrent_diff)?
        .push("recurrent_residual", reading.recurrent_residual)?
        .push("rel_residual", reading.rel_residual)?;
    let each = &reading.iterations;
    for (name, series) in [
        ("iterations.token_corr", &each.token_corr),
        ("iterations.state_corr", &each.state_corr),
        ("iterations.residual", &each.residual),
        ("iterations.rel_residual", &each.rel_residual),
        ("iterations.state_norm", &each.state_norm),
    ] {
        record.push(name, Value::Series(series.clone()))?;
    }
    Ok(())
}

/// What an evaluation's record has besides what was evaluated.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beside {
    /// Cross entropy under the training tokens' frequencies, in the first record.
    pub(crate) unigram: Option<f64>,
    /// What the controller of the gates' penalty has read, where there is one.
    pub(crate) control: Option<ControllerReading>,
}

/// Returns the record of an evaluation; `mean` is the depth that stands for the run.
///
/// # Errors
///
/// Where a name is not in the table of metrics.
pub(crate) fn eval(
    progress: &RunProgress,
    evaluated: &Evaluated,
    configured: &[usize],
    mean: usize,
    beside: Beside,
) -> Result<Record, RecordError> {
    let depths = &evaluated.depths;
    let mut record = Record::eval(progress.step, progress.tokens);
    for depth in depths
        .iter()
        .filter(|depth| configured.contains(&depth.recurrence))
    {
        let at = |name: &str| format!("{name}@{}", depth.recurrence);
        record
            .push(&at("val_loss"), depth.loss)?
            .push(&at("val_perplexity"), depth.perplexity)?;
        if let Some(accuracy) = depth.accuracy {
            record.push(&at("val_accuracy"), accuracy)?;
        }
        if let Some(series) = &depth.accuracy_by_position {
            record.push(
                &at("val_accuracy_by_position"),
                Value::Series(series.clone()),
            )?;
        }
    }
    if let Some(depth) = depths.iter().find(|depth| depth.recurrence == mean) {
        record.push("val_cross_entropy", depth.loss)?;
        if let Some(bits) = depth.bits_per_byte {
            record.push("val_bits_per_byte", bits)?;
        }
    }
    if let Some(sparsity) = &evaluated.sparsity {
        record.push("sparsity", sparsity.kept)?;
        for (layer, kept) in &sparsity.by_layer {
            record.push(&format!("sparsity.layer.{}", layer.name()), *kept)?;
        }
    }
    if let Some(control) = &beside.control {
        record.push("target_cross_entropy", control.target)?;
    }
    if let Some(unigram) = beside.unigram {
        record.push("val_unigram_cross_entropy", unigram)?;
    }
    Ok(record)
}
