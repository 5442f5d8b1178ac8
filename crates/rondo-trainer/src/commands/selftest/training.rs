//! Compares the device with flex on a small training run.

use rondo_data::Source;
use rondo_metrics::{Mode, Table};
use rondo_model::ops::Precision;
use rondo_train::assemble::open_source;
use rondo_train::config::RunConfig;
use rondo_train::device::{self, DeviceKind, Listed};
use rondo_train::error::Result;
use rondo_train::plan::StepPlan;
use rondo_train::rows::Rows;
use rondo_train::step::Learner;
use serde_json::json;

use crate::cli::SelftestArgs;
use crate::terminal;

/// A run that uses every kernel of training and needs no files.
const RUN: &str = r#"
data = { kind = "word-problem", curriculum = { start = 16, step = 1, max = 16 } }
[model]
d_model = 32
n_heads = 2
d_ff = 64
recurrence = { mean = 6, backprop_depth = 3 }
[schedule]
peak = 2e-3
warmup = 4
[train]
steps = 20
batch = 8
log_every = 1
"#;

/// The largest difference between losses that rounding in f32 can explain. If a few thousand f32
/// products are summed in a different order, the difference is about 1e-6 per step, and it grows
/// over twenty steps.
const F32: f64 = 1e-3;

/// The largest difference if the factors of products are rounded to 11 bits of significand, with
/// errors of up to 2⁻¹¹ = 4.9e-4. It is an eighth of the difference for bf16, whose errors are
/// eight times as large.
const TF32: f64 = BF16 / 8.0;

/// The largest difference if the factors are rounded to 8 bits of significand, with errors of up to
/// 2⁻⁸ = 3.9e-3. The losses of this run are near 1.8.
const BF16: f64 = 4e-2;

/// Returns the allowed difference between a loss on the device and the loss on flex in f32.
fn tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => F32,
        Precision::Tf32 => TF32,
        Precision::Bf16 => BF16,
    }
}

/// Trains the same model on flex and on the device, and prints the losses of every step. Returns
/// whether the losses agree within the tolerance.
///
/// # Errors
///
/// Returns an error if a device fails.
pub(super) fn agrees(args: &SelftestArgs, listed: &Listed, why: &str) -> Result<bool> {
    let (flex, _) = device::choose_kind(DeviceKind::Flex)?;
    let overrides = [format!("train.steps={}", args.steps)];
    let config = RunConfig::read("selftest", RUN, &overrides)?;
    let expected = losses(&config, &flex)?;
    let found = losses(&config, listed)?;
    let differences = expected.iter().zip(&found).map(|(a, b)| (a - b).abs());
    let largest = differences.fold(0.0, f64::max);
    let tolerance = tolerance(listed.precision);
    let passed = largest <= tolerance;
    if args.json.json {
        terminal::print_json(&json!({
            "device": listed.label(),
            "flex": expected,
            "found": found,
            "largest_difference": largest,
            "tolerance": tolerance,
            "passed": passed,
        }))?;
    } else {
        let mut table = Table::new(&["step", "flex", listed.kind.name(), "difference"]);
        for (step, (a, b)) in expected.iter().zip(&found).enumerate() {
            table.row([
                (step + 1).to_string(),
                format!("{a:.6}"),
                format!("{b:.6}"),
                format!("{:.1e}", (a - b).abs()),
            ]);
        }
        terminal::print(&table.to_string())?;
        let verdict = if passed { "agrees" } else { "does not agree" };
        terminal::print(&format!(
            "\n{} ({why}) {verdict} with flex: largest difference {largest:.1e}, tolerance {tolerance:.0e}",
            listed.label()
        ))?;
    }
    Ok(passed)
}

/// Returns the loss of every step.
fn losses(config: &RunConfig, listed: &Listed) -> Result<Vec<f64>> {
    let source: Source = open_source(config, Mode::Quiet)?;
    let config = &config.resolve(&source)?;
    let mut learner = Learner::fresh(config, listed);
    let rows = Rows::new(&source, config);
    let step = |step| {
        let plan = StepPlan::new(config, step);
        let batches = rows.micro_batches(step, rows.first_difficulty().as_ref())?;
        let taken = learner.step(&plan, &batches)?;
        Ok(taken.observation.map_or(f64::NAN, |seen| seen.loss))
    };
    (1..=config.train.steps).map(step).collect()
}
