//! `trainer --config FILE`: trains a run, and the dry run and the printed configuration in its place.

use std::path::Path;

use rondo_metrics::format::thousands;
use rondo_metrics::{Mode, Progress};
use rondo_train::config::RunConfig;
use rondo_train::distributed::World;
use rondo_train::error::{Error, Result};
use rondo_train::run_dir::RunDir;
use rondo_train::train::{self, Build, Outcome, TrainOptions};

use super::dry_run;
use super::explain::commented::commented;
use crate::cli::{Printed, TrainArgs};
use crate::{signals, terminal};

/// Runs `trainer --config FILE`.
///
/// # Errors
///
/// Whatever ends a run; see the exit codes.
pub(crate) fn command(args: &TrainArgs, world: &World) -> Result<()> {
    let Some(path) = args.path() else {
        return world.agree(Err(Error::Usage(
            "name a configuration, for example configs/main.toml; see `trainer --help`".to_owned(),
        )));
    };
    let config = world.agree(RunConfig::load(path, &args.config.all_overrides()))?;
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
        let run = || dry_run::command(&config, ranks, args.force, args.json.json);
        return world.by_first(run).map(drop);
    }
    world.agree(refuse_nothing(&config, path))?;
    world.agree(signals::listen().map_err(Error::from))?;
    if args.stop_with_stdin {
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
    // The others wait for rank 0, so that no launcher ends it while it prints.
    match world.is_first() {
        true => tell(),
        false => Ok(()),
    }
}

/// Returns what the build script found.
fn build() -> Build {
    Build {
        commit: env!("RONDO_COMMIT"),
        changed: env!("RONDO_CHANGED").parse().ok(),
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
