//! `trainer new`: writes a commented configuration for a user's own data and machine.
//!
//! The program tries a ladder of shapes and measures the speed of each by some steps on the device.
//! It chooses the largest model that can train on at least [`TOKENS_PER_PARAMETER`] tokens per
//! parameter in the given time. If no shape reaches this number, it chooses the smallest. The
//! structure and the learning rate are those of configs/main.toml. If the width doubles, the
//! learning rate is halved.

mod shape;

use std::fs::File;
use std::io::Write;

use rondo_data::Source;
use rondo_metrics::Mode;
use rondo_metrics::format::{duration, thousands};
use rondo_model::census::Census;
use rondo_train::assemble::open_source;
use rondo_train::config::RunConfig;
use rondo_train::device;
use rondo_train::error::{Error, Result};

use self::shape::{LADDER, Plan, Shape};
use super::explain::commented::commented;
use super::trial::seconds_per_step;
use crate::cli::NewArgs;
use crate::terminal;

/// The minimum number of training tokens per parameter for a model larger than the smallest.
const TOKENS_PER_PARAMETER: f64 = 4.0;
/// The fraction of the time that is reserved for evaluations and checkpoints.
const ASIDE: f64 = 0.15;

/// Writes a configuration.
///
/// # Errors
///
/// Returns an error if the file exists, the data cannot be read, or the device is missing.
pub(crate) fn command(args: &NewArgs) -> Result<()> {
    if args.file.exists() {
        return Err(Error::Usage(format!(
            "{} is there already; name another file",
            args.file.display()
        )));
    }
    let (listed, why) = device::choose(plan(args, LADDER[0], 1, 0.05).read()?.device)?;
    terminal::note(&format!("device  {} ({why})", listed.label()));
    let small = plan(args, LADDER[0], 1, 0.05).read()?;
    let source = open_source(&small, Mode::Auto)?;
    let (train_tokens, val_tokens) = tokens(&source);
    let val_fraction = shape::val_fraction(train_tokens, val_tokens);
    let seconds = f64::from(args.minutes) * 60.0 * (1.0 - ASIDE);
    let mut chosen = None;
    for shape in LADDER {
        let resolved = plan(args, shape, 1, val_fraction)
            .read()?
            .resolve(&source)?;
        let parameters = Census::new(&resolved.model).total();
        let per_step = seconds_per_step(&resolved, &listed)?;
        let steps = ((seconds / per_step) as u64).max(shape::FEWEST_STEPS);
        let tokens = steps as f64 * resolved.tokens_per_step() as f64;
        let is_enough = tokens >= TOKENS_PER_PARAMETER * parameters as f64;
        if chosen.is_some() && !is_enough {
            break;
        }
        chosen = Some((shape, steps, parameters, per_step));
    }
    let Some((shape, steps, parameters, per_step)) = chosen else {
        return Err(Error::Usage("no shape could be tried".to_owned()));
    };
    let plan = plan(args, shape, steps, val_fraction);
    let config = plan.read()?;
    let text = format!(
        "{}\n{}\n",
        plan.head(&args.file),
        commented(&config.to_toml()?)
    );
    File::create_new(&args.file)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(rondo_files::at("write", &args.file))?;
    let tokens = steps * config.tokens_per_step(shape.seq);
    terminal::print(&format!(
        "wrote   {}\nmodel   {} parameters, width {}, mean recurrence {}\nbudget  {} steps, {} tokens: {:.1} passes over {} tokens\n\
         time    about {} on {}\ntrain   trainer {}",
        args.file.display(),
        thousands(parameters as u64),
        shape.width,
        shape::MEAN_RECURRENCE,
        thousands(steps),
        thousands(tokens),
        tokens as f64 / train_tokens.max(1) as f64,
        thousands(train_tokens),
        duration(per_step * steps as f64 / (1.0 - ASIDE)),
        listed.label(),
        args.file.display(),
    ))
}

/// Returns the plan of a run with the given shape and number of steps.
fn plan(args: &NewArgs, shape: Shape, steps: u64, val_fraction: f64) -> Plan<'_> {
    Plan {
        data: &args.data,
        device: args.device,
        shape,
        steps,
        val_fraction,
    }
}

/// Returns the number of training tokens and the number of validation tokens of a text.
fn tokens(source: &Source) -> (u64, u64) {
    match source {
        Source::Text(text) => {
            let identity = text.identity();
            (identity.train_tokens, identity.val_tokens)
        }
        Source::Task(_) => (0, 0),
    }
}

/// Reads the planned configuration in the same way as a configuration file.
impl Plan<'_> {
    fn read(&self) -> Result<RunConfig> {
        RunConfig::read("the new configuration", &self.to_toml(), &[])
    }
}
