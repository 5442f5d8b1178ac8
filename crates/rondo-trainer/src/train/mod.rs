//! Training: the command, how a session opens, and the loop.
//!
//! In reading order: `place` (which directory), `bearing` (what depends on a key), `start` (new, to be gone on with, or
//! finished), `launches` (which steps were trained how), `corpora` (the texts), `standing` (weights, optimizer and
//! records), `open` (a session from them), `session` (the loop and what a step leaves), `evaluation`, `saver`
//! (checkpoints), `last` (the summary), `control` (the strength of a penalty), `watch` (failures that the metrics
//! show), `clock`.

mod bearing;
mod clock;
mod control;
mod corpora;
mod evaluation;
mod last;
mod launches;
mod open;
mod place;
mod saver;
mod session;
mod standing;
mod start;
mod watch;

use std::path::Path;

use rondo_metrics::format::thousands;
use rondo_metrics::{Mode, Progress};

use self::open::open;
use self::start::Start;
use crate::cli::TrainArgs;
use crate::commands::dry_run;
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::interrupt;
use crate::run_dir::RunDir;
use crate::terminal;

/// Name and version written into checkpoints.
pub(crate) const CREATED_BY: &str = concat!("rondo ", env!("CARGO_PKG_VERSION"));

/// The version of Burn, which the workspace pins; Burn itself does not tell it.
const BURN_VERSION: &str = "0.22.1";

/// Runs `trainer --config FILE`.
///
/// # Errors
///
/// Whatever ends a run; see the exit codes.
pub(crate) fn command(args: &TrainArgs) -> Result<()> {
    let Some(path) = &args.config.config else {
        return Err(Error::Usage(
            "missing --config FILE; see `trainer --help`".to_owned(),
        ));
    };
    let config = RunConfig::load(path, &args.config.all_overrides())?;
    if args.print_config {
        return terminal::print(config.to_toml()?.trim_end());
    }
    let mode = if args.quiet { Mode::Quiet } else { Mode::Auto };
    if args.dry_run {
        return dry_run::command(&config, args.force, args.json.json);
    }
    refuse_nothing(&config, path)?;
    interrupt::listen()?;
    if args.stop_with_stdin {
        interrupt::follow_stdin()?;
    }
    let run_dir = RunDir::new(&place::run_dir(args, path)?);
    let mut warnings = Vec::new();
    let start = Start::find(
        &run_dir,
        &args.resume,
        args.overwrite,
        &config,
        &mut |text| {
            warnings.push(text);
        },
    )?;
    let going = match start {
        Start::New => None,
        Start::Continue(going) => Some(going),
        Start::Finished(step) => return report_finished(&run_dir, step, args, mode),
    };
    let summary = open(&config, run_dir, going, args, warnings, mode)?.run()?;
    if args.json.json {
        terminal::print_json(&summary)
    } else {
        Ok(())
    }
}

/// Refuses to train on nothing.
fn refuse_nothing(config: &RunConfig, path: &Path) -> Result<()> {
    if !config.data.is_nothing() {
        return Ok(());
    }
    let run = path.parent().unwrap_or(path);
    Err(Error::Usage(format!(
        "{}: data.kind is `none`: there is nothing to train on; write a configuration with the same \
         [model] and with data, and start it from these weights with `[init] from = \"{}\"`",
        path.display(),
        run.display()
    )))
}

fn report_finished(run_dir: &RunDir, step: u64, args: &TrainArgs, mode: Mode) -> Result<()> {
    let mut screen = Progress::new(mode, step, step);
    screen.note(&format!(
        "{} is finished at step {}; nothing was changed. Train on with a larger budget \
         (--set train.steps=…), or start over with --overwrite.",
        run_dir.path().display(),
        thousands(step)
    ));
    if args.json.json {
        terminal::print_json(&run_dir.summary()?)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_burn_in_run_json_is_the_pinned_one() {
        let manifest: toml::Table = include_str!("../../../../Cargo.toml")
            .parse()
            .expect("the workspace's manifest is TOML");
        let pinned = &manifest["workspace"]["dependencies"]["burn"]["version"];
        assert_eq!(pinned.as_str(), Some(&*format!("={BURN_VERSION}")));
    }
}
