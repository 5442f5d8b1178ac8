//! `trainer sweep`: trains many runs from one file.

mod costs;
mod report;
mod same_data;
mod worker;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use rondo_metrics::Mode;
use rondo_metrics::work::{Unit, WorkBar};
use rondo_sweep::{Counts, End, Event, Planned, SweepDir, SweepWriter, Workers, execute};
use rondo_train::error::{Error, Result};
use rondo_train::interrupt;
use rondo_train::run_name;
use rondo_train::run_plan::PlannedSweep;

use self::report::Report;
use crate::cli::SweepArgs;
use crate::pictures::sheets;
use crate::{signals, terminal};

/// Runs a sweep, or lists its costs.
///
/// # Errors
///
/// Returns an error if a configuration is not valid, data is missing, the directory belongs to
/// something else, a run has failed, or a signal has arrived.
pub(crate) fn command(args: &SweepArgs) -> Result<()> {
    let mut sweep = PlannedSweep::load(&args.file, &args.all_overrides())?;
    let out = out_dir(args);
    sweep.named_as_at(&out)?;
    if let Some(sheet) = sweep.file.sheet() {
        let plan: Vec<Planned> = sweep.runs.iter().map(|(run, _)| run.clone()).collect();
        sheets::check(sheet, &plan)?;
    }
    if args.dry_run {
        return costs::command(&sweep, args.shard, args.parallel.get(), args.json.json);
    }
    let mode = match args.quiet {
        true => Mode::Quiet,
        false => Mode::Auto,
    };
    signals::listen()?;
    let has_begun = out.join("sweep.toml").is_file();
    if !has_begun {
        // Missing data is reported before the directory exists, so that no directory is left for a
        // sweep that cannot run. All data is prepared before the first run, so that parallel runs
        // do not prepare the same corpus twice.
        sweep.with_data(mode, &mut |_, _, _| Ok(()))?;
    }
    let writer = SweepWriter::open(&out, &sweep.file, &sweep.base, args.shard)?;
    if args.retry {
        writer.retry_failed()?;
    }
    if has_begun {
        same_data::check(&sweep, writer.dir(), mode)?;
    }
    interrupt::hold();
    let end = train(&sweep, &writer, args.parallel, mode)?;
    let report = {
        let _lock = writer.results_lock()?;
        let report = Report::of(writer.dir(), writer.shard())?;
        report.save(writer.dir().path())?;
        report
    };
    match args.json.json {
        true => terminal::print_json(&report.to_json())?,
        false => terminal::print(&report.text(writer.dir().path()))?,
    }
    ended(end, writer.dir())
}

/// Returns `--out`; by default runs/NAME, after the name of the file.
fn out_dir(args: &SweepArgs) -> PathBuf {
    let default = || Path::new("runs").join(run_name::of_config(&args.file));
    args.out.clone().unwrap_or_else(default)
}

/// Trains the remaining runs, with a progress bar.
fn train(
    sweep: &PlannedSweep,
    writer: &SweepWriter,
    parallel: NonZeroUsize,
    mode: Mode,
) -> Result<End> {
    let workers = Workers {
        parallel,
        cores: available_parallelism().unwrap_or(NonZeroUsize::MIN),
    };
    let mut configs = sweep.runs.iter().map(|(_, config)| config);
    let limited = configs.any(|config| config.device.threads.is_none());
    let mut launcher = worker::Workers::new(limited).map_err(anyhow::Error::from)?;
    let mut bar = WorkBar::new(
        mode,
        "sweep",
        writer.runs().count() as u64,
        Unit::Items("run", "runs"),
    );
    let mut shown = 0;
    let mut tell = |event: Event<'_>, counts: Counts| {
        let ended = (counts.finished + counts.failed) as u64;
        bar.advance(ended - shown);
        shown = ended;
        match event {
            Event::Started(_) | Event::Finished(_) => {}
            Event::Waiting(run) => bar.note(&format!(
                "{}: another process still works on it; waiting for that to end",
                run.name
            )),
            Event::Failed(run, failure) => bar.warn(&format!("{} failed: {failure}", run.name)),
            Event::Interrupted(run) => bar.note(&format!("{} saved what it has", run.name)),
        }
    };
    let end = execute(writer, &mut launcher, workers, &interrupt::asked, &mut tell);
    bar.finish();
    Ok(end?)
}

/// Returns an error if not all runs are complete.
fn ended(end: End, dir: &SweepDir) -> Result<()> {
    let path = dir.path().display();
    match end {
        End::Interrupted(counts) => Err(Error::Interrupted(format!(
            "interrupted with {} of {} runs ended; the same command resumes there",
            counts.finished + counts.failed,
            counts.total
        ))),
        End::Complete(Counts { failed: 0, .. }) => Ok(()),
        End::Complete(counts) => Err(Error::Other(anyhow::anyhow!(
            "{} of {} runs have failed; their messages are in {path}/logs, and --retry starts them again",
            counts.failed,
            counts.total
        ))),
    }
}
