//! Runs the model on the device, and compares forward passes, gradients and exits with the
//! reference.

use burn::tensor::{Tensor, s};
use rondo_interchange::{Counterpart, Family};
use rondo_metrics::names::{LAST_HIDDEN_TOKEN_CORR, RECURRENT_STATE_TOKEN_CORR};
use rondo_model::exit::{ExitCriterion, ExitMonitor};
use rondo_model::init::{ParameterSpec, table};
use rondo_model::recurrence::Trace;
use rondo_train::error::Result;
use rondo_train::named::read_numbers;
use rondo_train::step::read;
use rondo_train::telemetry::measure;

use super::agreement::{Check, FIRST_ENTROPY, Tolerances, largest, relative};
use super::subject::{Golden, Subject};
use super::values::{GRADIENT, loss_of};

/// Compares states, hidden states, logits, losses and correlations at every recurrence depth of the
/// golden file.
///
/// # Errors
///
/// Returns an error if the file lacks a value, or the device fails.
pub(super) fn outputs(subject: &Subject<'_>, tolerances: Tolerances) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for r in subject.golden.values.depths()? {
        checks.extend(outputs_at(r, subject, tolerances)?);
    }
    Ok(checks)
}

fn outputs_at(r: usize, subject: &Subject<'_>, tolerances: Tolerances) -> Result<Vec<Check>> {
    let golden = subject.golden;
    let [batch, seq] = golden.shape;
    let mut trace = Trace::default();
    let forward = subject.model.forward(
        subject.tokens.clone(),
        subject.state.clone(),
        &subject.pass(),
        r,
        Some(&mut trace),
    );
    let telemetry = read_numbers(measure(&forward, &trace))?;
    let readout = forward.readout;
    let logits = subject.model.logits(readout.hidden.clone());
    let loss = subject.loss(&readout);
    let states = [batch, seq, golden.config.d_model];
    let predictions = [batch, seq, golden.config.vocab_size];
    let of_states = tolerances.states;
    let mut checks = Vec::new();
    let mut compare = |name: &str, found: &[f32], shape: &[usize], tolerance: f64| -> Result<()> {
        let name = format!("{name}_r{r}");
        checks.push(compared(golden, name, found, shape, tolerance)?);
        Ok(())
    };
    compare("state", &flat(readout.state)?, &states, of_states)?;
    compare("hidden", &flat(readout.hidden)?, &states, of_states)?;
    compare("logits", &flat(logits)?, &predictions, of_states)?;
    compare("loss", &read(loss)?, &[1], tolerances.loss)?;
    for (metric, correlation) in [
        (
            RECURRENT_STATE_TOKEN_CORR,
            telemetry.recurrent_state_token_corr,
        ),
        (LAST_HIDDEN_TOKEN_CORR, telemetry.last_hidden_token_corr),
    ] {
        compare(metric.name(), &[correlation as f32], &[1], of_states)?;
    }
    Ok(checks)
}

/// Compares the loss and the gradient of every parameter. The subject must be on a device with
/// autodiff.
///
/// # Errors
///
/// Returns an error if the file lacks the gradient of a parameter or has an unknown gradient, or
/// the device fails.
pub(super) fn gradients(subject: &Subject<'_>, tolerances: Tolerances) -> Result<Vec<Check>> {
    let golden = subject.golden;
    let Some(unroll) = golden.values.unroll()? else {
        return Ok(Vec::new());
    };
    let pass = subject.model.differentiate(
        subject.tokens.clone(),
        subject.state.clone(),
        &subject.pass(),
        unroll,
        None,
        |readout| subject.loss(readout),
    );
    let loss = read(pass.loss)?;
    let mut checks = vec![compared(
        golden,
        loss_of(unroll),
        &loss,
        &[1],
        tolerances.loss,
    )?];
    let rows = table(&golden.config);
    for (row, found) in rows.iter().zip(pass.gradients.into_tensors()) {
        checks.push(gradient(golden, row, &read(found)?, tolerances.gradients)?);
    }
    let checked = |name: &str| checks.iter().any(|check| check.name == name);
    let strange = golden.values.gradients().find(|name| !checked(name));
    match strange {
        None => Ok(checks),
        Some(name) => {
            let message = format!("tensor {name} is the gradient of no parameter of the model");
            Err(golden.values.refuse(&message))
        }
    }
}

/// Compares the gradient of one parameter. The reference may store the parameter's matrix
/// transposed.
fn gradient(golden: &Golden, row: &ParameterSpec, found: &[f32], tolerance: f64) -> Result<Check> {
    let there = Family::Raven.counterpart(&golden.config, row);
    let (Some(there), Some([stored])) = (&there, there.as_ref().map(Counterpart::parts)) else {
        let message = format!("the reference has no parameter {}", row.name);
        return Err(golden.values.refuse(&message));
    };
    let name = format!("{GRADIENT}{}", stored.name);
    let expected = golden.values.floats(&name, &stored.shape)?;
    let place = |i: usize| match (there.is_transposed(), &row.shape[..]) {
        (true, &[d_in, d_out]) => (i % d_out) * d_in + i / d_out,
        _ => i,
    };
    let pairs = found.iter().enumerate();
    Ok(Check {
        difference: relative(pairs.map(|(i, found)| (*found, expected[place(i)]))),
        name,
        gradient: true,
        tolerance,
    })
}

/// Compares every exit criterion in the golden file: its values, and the iteration at which it
/// exits. Each criterion has its default threshold.
///
/// # Errors
///
/// Returns an error if the file has values without an exit iteration, or the device fails.
pub(super) fn exits(subject: &Subject<'_>, tolerances: Tolerances) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for criterion in ExitCriterion::ALL {
        let name = format!("exit.{}.values", criterion.name());
        let Some(expected) = subject.golden.values.series(&name)? else {
            continue;
        };
        let found = exit_values(criterion, expected.len(), subject)?;
        let mut compare = |name: String, found: &[f32], expected: &[f32], tolerance: f64| {
            checks.push(Check {
                name,
                gradient: false,
                difference: largest(found, expected),
                tolerance,
            });
        };
        match criterion {
            ExitCriterion::EntropyDiff => {
                let (first, rest) = (format!("{name}[0]"), format!("{name}[1..]"));
                compare(first, &found[..1], &expected[..1], FIRST_ENTROPY);
                compare(rest, &found[1..], &expected[1..], tolerances.states);
            }
            _ => compare(name, &found, &expected, tolerances.states),
        }
        checks.push(exit_step(criterion, &found, subject.golden)?);
    }
    Ok(checks)
}

/// Returns the value of a criterion after each iteration, for the first row and starting from the
/// zero state.
fn exit_values(
    criterion: ExitCriterion,
    iterations: usize,
    subject: &Subject<'_>,
) -> Result<Vec<f32>> {
    let [_, seq] = subject.golden.shape;
    let tokens = subject.tokens.clone().slice(s![0..1, ..]);
    let state = subject.zero_state();
    let depths: Vec<usize> = (1..=iterations).collect();
    let mut monitor = ExitMonitor::new(criterion, state.clone());
    let mut values: Vec<Tensor<1>> = Vec::with_capacity(iterations);
    subject
        .model
        .forward_at_depths(tokens, state, &subject.pass(), &depths, |_, readout| {
            let logits = || subject.model.logits(readout.hidden.clone());
            let seen = monitor.observe(&readout.latent, logits);
            // For a criterion on states, the reference uses the mean over the positions. For a
            // criterion on predictions, it uses the last position.
            values.push(match criterion.reads_logits() {
                true => seen.slice(s![.., seq - 1..]).reshape([1]),
                false => seen.mean(),
            });
        });
    read(Tensor::cat(values, 0))
}

/// Compares the iterations at which a criterion exits; they must be equal.
fn exit_step(criterion: ExitCriterion, values: &[f32], golden: &Golden) -> Result<Check> {
    let name = format!("exit.{}.step", criterion.name());
    let expected = golden.values.integer(&name)?;
    let threshold = criterion.default_threshold();
    let exits = |x: &f32| criterion.exits(f64::from(*x), threshold);
    let found = values.iter().position(exits).map_or(-1, |i| i as i64 + 1);
    Ok(Check {
        name,
        gradient: false,
        difference: found.abs_diff(expected) as f64,
        tolerance: 0.0,
    })
}

/// Compares `found` with the tensor of the given name and shape.
fn compared(
    golden: &Golden,
    name: String,
    found: &[f32],
    shape: &[usize],
    tolerance: f64,
) -> Result<Check> {
    let expected = golden.values.floats(&name, shape)?;
    Ok(Check {
        difference: largest(found, &expected),
        name,
        gradient: false,
        tolerance,
    })
}

/// Copies a state from the device to the host.
fn flat(x: Tensor<3>) -> Result<Vec<f32>> {
    let count = x.shape().num_elements();
    read(x.reshape([count]))
}
