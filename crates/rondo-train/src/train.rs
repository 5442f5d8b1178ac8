//! Training: opens a session, and runs the loop.
//!
//! In reading order:
//!
//! * `resume`: whether an existing run is resumed; `place`: the run directory; `bearing`: what a
//!   change of a key affects
//! * `start`: new, resumed or finished; `launches`: how each step was trained; `found` and
//!   `joined`: rank 0 shares what it finds and reads with all ranks; `ranks`: the ranks of the run
//! * `corpora`: the data; `setup`: weights, optimizer and records, with `event_files` (of
//!   TensorBoard); `open`: a session made of these
//! * `session`: the loop with weights and data; `feed`: the inputs of its steps; `evaluation`, with
//!   `samples` of text; `control`: the strength of a penalty
//! * `journal`: records and screen, with `summary` (the newest readings), `watch` (failures in the
//!   metrics), `clock`, and `expected` (the duration)
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
    /// What to do if the run directory exists.
    pub resume: Resume,
    /// Whether to replace the contents of the run directory.
    pub overwrite: bool,
    /// Whether to start a run even if the estimated memory exceeds the free memory.
    pub force: bool,
    /// The program that starts it.
    pub build: Build,
}

/// The result of a start.
pub enum Outcome {
    /// The run was trained to the end of its budget. Holds its summary.
    Trained(serde_json::Value),
    /// The run had already reached the end of its budget, at this step. Nothing was changed.
    WasFinished(u64),
}

/// Trains the run in a directory to the end of its budget, as a new or a resumed run.
///
/// # Errors
///
/// Every error that ends a run; see the exit codes.
pub fn train(
    config: &RunConfig,
    run_dir: &RunDir,
    options: &TrainOptions,
    mode: Mode,
) -> Result<Outcome> {
    train_on(&World::alone(), config, run_dir, options, mode)
}

/// Trains like [`train`], on every rank of a world. Each rank calls it with the same arguments. The
/// summary is that of rank 0.
///
/// # Errors
///
/// As [`train`]. Errors for which [`Error::is_of_all_ranks`](crate::error::Error::is_of_all_ranks)
/// holds are the same on every rank, and each rank ends cleanly with [`World::finish`]. After any
/// other error, [`World::abort`] must end the other ranks.
pub fn train_on(
    world: &World,
    config: &RunConfig,
    run_dir: &RunDir,
    options: &TrainOptions,
    mode: Mode,
) -> Result<Outcome> {
    train_staged(world, config, run_dir, options, mode, None)
}

/// Trains like [`train_on`]. If given, `staging` replaces the choice for the device.
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

/// Refuses ranks of another build, or with a configuration that would give other numbers.
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
