//! `trainer --config FILE`: trains a run. Alternatively makes a dry run or prints the
//! configuration.

use std::path::{Path, PathBuf};

use rondo_metrics::format::thousands;
use rondo_metrics::{Mode, Progress};
use rondo_train::config::RunConfig;
use rondo_train::distributed::World;
use rondo_train::error::{Error, Result};
use rondo_train::run_dir::RunDir;
use rondo_train::train::{self, Build, Outcome, TrainOptions};

use super::configs::told;
use super::dry_run::{self, DryRun};
use super::explain::commented::commented;
use crate::cli::{Printed, TrainArgs};
use crate::shipped::{Put, Shipped};
use crate::{signals, terminal};

/// The name of an environment variable that a sweep sets for its runs. If it is set, the end of
/// standard input has the effect of a signal: the run saves and ends.
pub(super) const STOP_WITH_STDIN: &str = "RONDO_STOP_WITH_STDIN";

/// Runs `trainer --config FILE`.
///
/// # Errors
///
/// Returns any error that ends a run; see the exit codes.
pub(crate) fn command(args: &TrainArgs, world: &World) -> Result<()> {
    let path = &configuration(args, world)?;
    let config = RunConfig::load(path, &args.config.all_overrides());
    let config = world.agree(config.map_err(|error| told_with_the_shipped(path, error)))?;
    if let Some(printed) = args.print_config {
        let print = || {
            let text = config.to_toml()?;
            match printed {
                Printed::Plain => terminal::print(text.trim_end()),
                Printed::Commented => terminal::print(&commented(&text)),
            }
        };
        return world.by_first(print).map(drop);
    }
    let mode = if args.quiet { Mode::Quiet } else { Mode::Auto };
    if args.dry_run {
        let ranks = args.ranks.map_or(world.world_size(), usize::from);
        let run = || {
            let overrides = &args.config.overrides;
            let run_dir = train::run_dir(path, overrides, args.out.as_deref(), &args.resume)?;
            let dry_run = DryRun {
                run: &run_dir,
                ranks,
                force: args.force,
                as_json: args.json.json,
            };
            dry_run::command(&config, &dry_run)
        };
        return world.by_first(run).map(drop);
    }
    world.agree(refuse_nothing(&config, path))?;
    world.agree(signals::listen().map_err(Error::from))?;
    if std::env::var_os(STOP_WITH_STDIN).is_some() {
        signals::follow_stdin()?;
    }
    let overrides = &args.config.overrides;
    let path = train::run_dir(path, overrides, args.out.as_deref(), &args.resume);
    let run_dir = RunDir::new(&world.agree(path)?);
    let options = TrainOptions {
        resume: args.resume.clone(),
        overwrite: args.overwrite,
        force: args.force,
        build: build(),
    };
    let outcome = train::train_on(world, &config, &run_dir, &options, mode)?;
    let tell = || match outcome {
        Outcome::Trained(summary) if args.json.json => terminal::print_json(&summary),
        Outcome::Trained(_) => Ok(()),
        Outcome::WasFinished(step) => report_finished(&run_dir, step, args, mode),
    };
    // The other ranks wait for rank 0, because a launcher could end rank 0 while it prints.
    match world.is_first() {
        true => tell(),
        false => Ok(()),
    }
}

/// Returns the path of the configuration file. A configuration from inside the program is first
/// written to a file.
fn configuration(args: &TrainArgs, world: &World) -> Result<PathBuf> {
    let Some(name) = &args.shipped else {
        let named = args.path().map(Path::to_owned);
        return world.agree(named.ok_or_else(|| {
            Error::Usage(
                "name a configuration, for example configs/main.toml; see `trainer --help`"
                    .to_owned(),
            )
        }));
    };
    let shipped = world.agree(Shipped::find(name))?;
    world.by_first(|| {
        let put = shipped.write(Path::new(""))?;
        let new = put.iter().filter(|put| matches!(put, Put::Wrote(_)));
        if !args.quiet {
            new.for_each(|put| terminal::note(&told(put)));
        }
        Ok(())
    })?;
    Ok(shipped.path())
}

/// If a file is missing and the program contains a configuration of this name, adds a hint to the
/// message.
fn told_with_the_shipped(path: &Path, error: Error) -> Error {
    match (error, Shipped::at(path)) {
        (Error::Usage(told), Some(shipped)) if !path.exists() => Error::Usage(format!(
            "{told}; the program contains it: trainer --shipped {}",
            shipped.name
        )),
        (error, _) => error,
    }
}

/// Returns the commit that the build script recorded, and whether the sources differed from it.
fn build() -> Build {
    Build {
        commit: env!("RONDO_COMMIT"),
        changed: env!("RONDO_CHANGED").parse().ok(),
    }
}

/// Returns an error if the run has no data to train on.
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
