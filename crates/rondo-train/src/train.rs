//! Training: opens a session, and runs the loop.
//!
//! In reading order:
//!
//! * `resume`: whether an existing run is resumed; `place`: the run directory; `bearing`: what a
//!   change of a key affects
//! * `start`: whether a run is new, resumed or finished; `launches`: records how each step was
//!   trained; `found` and `joined`: rank 0 shares what it finds and reads with all ranks; `ranks`:
//!   the ranks of the run
//! * `corpora`: the data; `setup`: weights, optimizer and records; `event_files`: files for
//!   TensorBoard; `open`: assembles a session
//! * `session`: the training loop; `feed`: the inputs of its steps; `evaluation`: evaluations
//!   during the run; `samples`: generated text; `control`: the strength of the penalty on gates
//! * `journal`: records and screen; `summary`: the newest measurements; `watch`: failures in the
//!   metrics; `clock`: seconds; `expected`: the expected duration
//! * `keeper`: the checkpoints

mod bearing;
mod clock;
mod control;
mod corpora;
mod evaluation;
mod event_files;
mod expected;
mod feed;
mod found;
mod joined;
mod journal;
mod keeper;
mod launches;
mod open;
mod place;
mod ranks;
mod resume;
mod samples;
mod session;
mod setup;
mod start;
mod summary;
mod watch;

use rondo_data::DataConfig;
use rondo_metrics::Mode;

use self::feed::Staging;
use self::found::Found;
pub use self::launches::{Build, launch_times};
use self::open::open;
pub use self::place::run_dir;
use self::ranks::Ranks;
pub use self::resume::Resume;
use self::start::Start;
use crate::config::RunConfig;
use crate::device::DeviceConfig;
use crate::distributed::{Share, World};
use crate::error::{Error, Result};
use crate::run_dir::{CREATED_BY, RunDir};

/// How a run is started.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// What to do if the run directory contains a run.
    pub resume: Resume,
    /// Whether to replace the contents of the run directory.
    pub overwrite: bool,
    /// Whether to start a run whose estimated memory exceeds the free memory.
    pub force: bool,
    /// The build of the program that starts the run.
    pub build: Build,
}

/// The result of a call to [`train`].
pub enum Outcome {
    /// The run was trained to its configured length. Contains the summary of the run.
    Trained(serde_json::Value),
    /// The run had already been trained to its configured length, which is this step. Nothing was
    /// changed.
    WasFinished(u64),
}

/// Trains the run in `run_dir` to its configured length. Starts a new run or resumes the existing
/// one.
///
/// # Errors
///
/// Every error that ends a run. [`ExitCode`](crate::exit_code::ExitCode) describes these errors.
pub fn train(
    config: &RunConfig,
    run_dir: &RunDir,
    options: &TrainOptions,
    mode: Mode,
) -> Result<Outcome> {
    train_on(&World::alone(), config, run_dir, options, mode)
}

/// Trains like [`train`], on every rank of a world. Each rank must call this function with the same
/// arguments. The returned summary is complete on rank 0.
///
/// # Errors
///
/// The errors of [`train`]. If [`Error::is_of_all_ranks`](crate::error::Error::is_of_all_ranks) is
/// true for an error, every rank returns this error and must end cleanly with [`World::finish`].
/// After any other error, [`World::abort`] must end the other ranks.
pub fn train_on(
    world: &World,
    config: &RunConfig,
    run_dir: &RunDir,
    options: &TrainOptions,
    mode: Mode,
) -> Result<Outcome> {
    train_staged(world, config, run_dir, options, mode, None)
}

/// Trains like [`train_on`]. `staging` decides when inputs are made; `None` leaves the choice to
/// the device.
fn train_staged(
    world: &World,
    config: &RunConfig,
    run_dir: &RunDir,
    options: &TrainOptions,
    mode: Mode,
    staging: Option<Staging>,
) -> Result<Outcome> {
    world.wait_at_most(config.distributed.start_deadline());
    refuse_another_launch(world, config)?;
    let (rank, ranks) = (world.rank(), world.world_size());
    let share = world.agree(Share::of(config.train.accumulation, rank, ranks))?;
    let mut warnings = Vec::new();
    let find = || {
        let mut warn = |text| warnings.push(text);
        let (resume, overwrite) = (&options.resume, options.overwrite);
        Start::find(run_dir, resume, overwrite, config, &mut warn)
    };
    let beginning = match Found::by_first(world, run_dir, find)? {
        Found::Begins(beginning) => beginning,
        Found::Finished(step) => return Ok(Outcome::WasFinished(step)),
    };
    let ranks = Ranks {
        world: world.clone(),
        share,
    };
    let mode = world.mode(mode);
    let mut session = open(
        config,
        run_dir.clone(),
        beginning,
        options,
        warnings,
        mode,
        ranks,
    )?;
    let staging = staging.unwrap_or_else(|| Staging::on(&session.listed));
    Ok(Outcome::Trained(session.run(staging)?))
}

/// Returns an error if a rank runs another build than rank 0, or has a configuration that would
/// give other numbers.
fn refuse_another_launch(world: &World, config: &RunConfig) -> Result<()> {
    world.refuse_others(CREATED_BY.as_bytes(), |who| {
        Error::Usage(format!(
            "{who} runs another version than rank 0 ({CREATED_BY}): start all ranks from one build"
        ))
    })?;
    let mut alike = config.clone();
    // Each rank may have its own device and its own cache folder.
    alike.device = DeviceConfig {
        precision: config.device.precision,
        ..DeviceConfig::default()
    };
    if let DataConfig::Text { cache, .. } = &mut alike.data {
        cache.clear();
    }
    let hash = world.agree(alike.hash())?;
    world.refuse_others(hash.as_bytes(), |who| {
        Error::Usage(format!(
            "{who} has another configuration than rank 0: start all ranks with one file and the same --set"
        ))
    })
}

#[cfg(test)]
mod tests;
