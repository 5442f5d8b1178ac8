//! Training: how a session opens, and the loop.
//!
//! In reading order: `resume` (whether a run that is there is resumed), `place` (which directory), `bearing` (what depends
//! on a key), `start` (new, resumed, or finished), `launches` (which steps were trained how), `corpora` (the data), `setup`
//! (weights, optimizer and records), `open` (a session from them). A session has three owners: `session`, the loop with
//! weights, data and `evaluation`; `journal`, the records and the screen with `summary` (the newest readings), `watch`
//! (failures that the metrics show) and `clock`; `keeper`, the checkpoints. `control` sets the strength of a penalty.

mod bearing;
mod clock;
mod control;
mod corpora;
mod evaluation;
mod journal;
mod keeper;
mod launches;
mod open;
mod place;
mod resume;
mod session;
mod setup;
mod start;
mod summary;
mod watch;

use rondo_metrics::Mode;

pub use self::launches::{Build, launch_times};
use self::open::open;
pub use self::place::run_dir;
pub use self::resume::Resume;
use self::start::Start;
use crate::config::RunConfig;
use crate::error::Result;
use crate::run_dir::RunDir;

/// How a run is started.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// What to do about a run directory that is there.
    pub resume: Resume,
    /// Whether whatever the run directory holds is replaced.
    pub overwrite: bool,
    /// Whether a run starts even where the estimate of memory exceeds what is free.
    pub force: bool,
    /// The program that starts it.
    pub build: Build,
}

/// What a start came to.
pub enum Outcome {
    /// The run was trained to the end of its budget; its summary.
    Trained(serde_json::Value),
    /// The run had reached the end of its budget at this step already; nothing was changed.
    WasFinished(u64),
}

/// Trains the run in a directory to the end of its budget: a new one, or one that is resumed.
///
/// # Errors
///
/// Whatever ends a run; see the exit codes.
pub fn train(
    config: &RunConfig,
    run_dir: &RunDir,
    options: &TrainOptions,
    mode: Mode,
) -> Result<Outcome> {
    let mut warnings = Vec::new();
    let start = Start::find(
        run_dir,
        &options.resume,
        options.overwrite,
        config,
        &mut |text| {
            warnings.push(text);
        },
    )?;
    let going = match start {
        Start::New => None,
        Start::Continue(going) => Some(going),
        Start::Finished(step) => return Ok(Outcome::WasFinished(step)),
    };
    let summary = open(config, run_dir.clone(), going, options, warnings, mode)?.run()?;
    Ok(Outcome::Trained(summary))
}
