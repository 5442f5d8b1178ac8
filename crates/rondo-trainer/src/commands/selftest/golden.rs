//! Compares the device with values of the reference implementation, seal-rg/recurrent-pretraining.
//!
//! A golden folder contains a model in the layout of the reference. Its file `io.safetensors`
//! contains inputs and the results that the reference computes from them. All tensors have the
//! reference's layout. Each label is at the position that predicts it:
//!
//! * `input_ids` and `labels` `[batch, seq]`, `initial_state` `[batch, seq, d_model]`: the inputs
//! * `state_r`*r*, `hidden_r`*r*, `logits_r`*r*, `loss_r`*r*, `recurrent_state_token_corr_r`*r* and
//!   `last_hidden_token_corr_r`*r*: results of a forward pass of r iterations, for every r that has
//!   logits
//! * `loss_n`*n*`_k`*k* and `grad.`*parameter*: the loss and the gradients of n iterations without
//!   gradient, followed by k iterations with gradient
//! * `exit.`*criterion*`.values` and `.step`: the value of the criterion after every iteration, and
//!   the first iteration at which the criterion exits (−1 if it never does), for the first row from
//!   the zero state
//!
//! In reading order: `values`, the file with the values; `subject`, the model on a device;
//! `agreement`, the allowed differences; `checks`, the computations and comparisons.

mod agreement;
mod checks;
mod subject;
mod values;

use std::path::Path;

use burn::tensor::Device;
use rondo_metrics::Table;
use rondo_train::device::Listed;
use rondo_train::error::Result;
use serde_json::{Value, json};

use self::agreement::{Check, Tolerances};
use self::subject::Golden;
use crate::cli::JsonArg;
use crate::terminal;

/// Repeats the reference's computations on the device and prints the differences. Returns whether
/// all differences are within their tolerances.
///
/// # Errors
///
/// Returns an error if the folder is incomplete, or the device fails.
pub(super) fn agrees(dir: &Path, json: JsonArg, listed: &Listed, why: &str) -> Result<bool> {
    let golden = Golden::open(dir)?;
    let checks = all_checks(&golden, listed)?;
    let failed = checks.iter().filter(|check| !check.passed()).count();
    let passed = failed == 0;
    if json.json {
        terminal::print_json(&json!({
            "device": listed.label(),
            "golden": dir.display().to_string(),
            "checks": checks.iter().map(row).collect::<Vec<_>>(),
            "passed": passed,
        }))?;
        return Ok(passed);
    }
    terminal::print(&format!("{}\n", table(&checks)))?;
    if let Some(worst) = worst(checks.iter().filter(|check| check.gradient)) {
        terminal::print(&format!("gradient that differs most: {}", worst.name))?;
    }
    let (label, count) = (listed.label(), checks.len());
    terminal::print(&match passed {
        true => format!("{label} ({why}) agrees with the reference: all {count} checks passed"),
        false => format!(
            "{label} ({why}) does not agree with the reference: {failed} of {count} checks failed"
        ),
    })?;
    Ok(passed)
}

/// Compares every value of the golden file. Gradients need autodiff, so they are compared on a
/// device with autodiff.
fn all_checks(golden: &Golden, listed: &Listed) -> Result<Vec<Check>> {
    let tolerances = Tolerances::of(listed.kind, listed.precision);
    let on = |device: &Device| golden.on(device, listed.precision);
    let (plain, tracked) = (on(&listed.device), on(&listed.device.clone().autodiff()));
    let checks = [
        checks::outputs(&plain, tolerances)?,
        checks::gradients(&tracked, tolerances)?,
        checks::exits(&plain, tolerances)?,
    ]
    .concat();
    if checks.is_empty() {
        return Err(golden
            .values
            .refuse("holds nothing to compare: no logits_r…, no loss_n…_k… and no exit.….values"));
    }
    Ok(checks)
}

/// Returns a check as JSON. A value that is not finite becomes null.
fn row(check: &Check) -> Value {
    json!({
        "name": check.name,
        "difference": check.difference,
        "tolerance": check.tolerance,
        "passed": check.passed(),
    })
}

/// Returns a table with a row for each check. All gradients share one row.
fn table(checks: &[Check]) -> Table {
    let mut table = Table::new(&["check", "largest difference", "tolerance", "result"]).left(0);
    for group in checks.chunk_by(|a, b| a.gradient && b.gradient) {
        let Some(worst) = worst(group) else { continue };
        let name = match group {
            [only] => only.name.clone(),
            all => format!("grad.* ({} parameters)", all.len()),
        };
        table.row([
            name,
            shown(worst.difference, 1),
            shown(worst.tolerance, 0),
            if worst.passed() { "ok" } else { "FAILED" }.to_owned(),
        ]);
    }
    table
}

/// Returns the check with the largest difference. NaN counts as larger than any number.
fn worst<'c>(checks: impl IntoIterator<Item = &'c Check>) -> Option<&'c Check> {
    let checks = checks.into_iter();
    checks.max_by(|a, b| a.difference.total_cmp(&b.difference))
}

/// Formats a difference with `decimals` digits after the point of the mantissa.
fn shown(x: f64, decimals: usize) -> String {
    match x == 0.0 {
        true => "0".to_owned(),
        false => format!("{x:.decimals$e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, gradient: bool, difference: f64) -> Check {
        Check {
            name: name.to_owned(),
            gradient,
            difference,
            tolerance: 2e-5,
        }
    }

    #[test]
    fn gradients_share_a_row_and_a_difference_that_is_no_number_is_the_worst() {
        let checks = [
            check("loss_r1", false, 0.0),
            check("grad.a", true, 1e-6),
            check("grad.b", true, f64::NAN),
            check("grad.c", true, f64::INFINITY),
            check("exit.kl.values", false, 1.2e-6),
        ];
        let expected = "\
check                  largest difference  tolerance  result
────────────────────────────────────────────────────────────
loss_r1                                 0       2e-5      ok
grad.* (3 parameters)                 NaN       2e-5  FAILED
exit.kl.values                     1.2e-6       2e-5      ok";
        assert_eq!(table(&checks).to_string(), expected);
        assert_eq!(row(&checks[2])["difference"], Value::Null);
        assert_eq!(row(&checks[2])["passed"], false);
    }
}
