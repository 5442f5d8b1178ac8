//! Trains the smoke model in a custom loop and prints a line for each step. Nothing is saved.
//!
//! ```text
//! cargo run --release --example own_loop
//! ```

#![expect(
    clippy::disallowed_methods,
    reason = "a program prints, the library does not"
)]

use std::io::{Write, stdout};
use std::path::Path;

use rondo_kernels::denormals::flush_to_zero;
use rondo_metrics::Mode;
use rondo_train::assemble::Assembly;
use rondo_train::config::RunConfig;
use rondo_train::plan::StepPlan;
use rondo_train::rows::Rows;
use rondo_train::step::Learner;

fn main() -> anyhow::Result<()> {
    // Vanishing gradients become denormal numbers, which slow a CPU down.
    flush_to_zero();
    let written = RunConfig::load(Path::new("configs/smoke.toml"), &[])?;
    // Opens the device and the data. In `config` every size that depends on the data is known.
    let assembly = Assembly::new(&written, None, Mode::Quiet)?;
    let config = &assembly.config;
    let rows = Rows::new(&assembly.source, config);
    let difficulty = rows.first_difficulty();
    let mut learner = Learner::fresh(config, &assembly.listed);
    for step in 1..=config.train.steps {
        // The plan and the rows are pure functions of the configuration and the step.
        let plan = StepPlan::new(config, step);
        let batches = rows.micro_batches(step, difficulty.as_ref())?;
        let taken = learner.step(&plan, &batches)?;
        if let Some(seen) = taken.observation {
            let (depth, rate, loss) = (plan.draw.unroll.total(), plan.lr, seen.loss);
            writeln!(
                stdout(),
                "step {step:>2}  depth {depth:>2}  rate {rate:.5}  loss {loss:.4}"
            )?;
        }
    }
    Ok(())
}
