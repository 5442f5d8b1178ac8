//! How a start finds its run directory: empty, to be gone on with, or finished.

use rondo_checkpoint::{Checkpoint, Which, open, open_newest_good};
use rondo_config::difference;

use crate::cli::Resume;
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::progress::RunProgress;
use crate::run_dir::RunDir;

/// Keys that a resumed run may change: budget, cadence, device, output, diagnosis and the rates to come.
/// A section ends with a dot.
const RESUMABLE: [&str; 12] = [
    "model.recurrence.recompute",
    "train.steps",
    "train.tokens",
    "train.log_every",
    "train.clip",
    "eval.",
    "checkpoint.",
    "metrics.",
    "diagnosis.",
    "device.",
    "schedule.",
    "data.cache",
];

/// What a start finds in its run directory.
pub(super) enum Start {
    /// Nothing: a new run.
    New,
    /// A checkpoint to go on from.
    Continue(Box<Checkpoint>),
    /// A run that has reached its budget.
    Finished(u64),
}

impl Start {
    /// Decides how to start a run of `steps` steps, before anything is written.
    ///
    /// # Errors
    ///
    /// Where the directory holds something that must not be replaced, or the configuration differs
    /// from the run's in a key that a resume cannot change.
    pub(super) fn find(
        run_dir: &RunDir,
        resume: &Resume,
        overwrite: bool,
        config: &RunConfig,
        steps: u64,
        warn: &mut dyn FnMut(String),
    ) -> Result<Self> {
        if overwrite || run_dir.is_empty() {
            return match resume {
                Resume::From(path) if !overwrite => Err(Error::Usage(format!(
                    "--resume {}: there is no run to go on with",
                    path.display()
                ))),
                _ => Ok(Self::New),
            };
        }
        let shown = run_dir.path().display();
        if *resume == Resume::Never {
            return Err(Error::Usage(format!(
                "{shown} is not empty; choose another --out, or replace it with --overwrite"
            )));
        }
        if !run_dir.has_config() {
            return Err(Error::Usage(format!(
                "{shown} holds something that is not a run; choose another --out, or replace it with --overwrite"
            )));
        }
        refuse_changed_keys(run_dir, config)?;
        let Some(checkpoint) = checkpoint_to_resume(run_dir, resume, warn)? else {
            // The run was interrupted before its first checkpoint: it starts anew.
            return Ok(Self::New);
        };
        let progress = RunProgress::read(&checkpoint)?;
        // Without a summary it was killed between its last checkpoint and its end.
        match progress.step >= steps && !progress.owes_evaluation && run_dir.has_summary() {
            true => Ok(Self::Finished(progress.step)),
            false => Ok(Self::Continue(Box::new(checkpoint))),
        }
    }
}

fn checkpoint_to_resume(
    run_dir: &RunDir,
    resume: &Resume,
    warn: &mut dyn FnMut(String),
) -> Result<Option<Checkpoint>> {
    if let Resume::From(path) = resume
        && resume.names_a_checkpoint()
    {
        return Ok(Some(open(run_dir.path(), &Which::Path(path.clone()))?));
    }
    let Some((checkpoint, rejected)) = open_newest_good(run_dir.path())? else {
        return Ok(None);
    };
    for rejected in rejected {
        warn(format!("passed over a damaged checkpoint: {rejected}"));
    }
    Ok(Some(checkpoint))
}

fn refuse_changed_keys(run_dir: &RunDir, config: &RunConfig) -> Result<()> {
    let known = run_dir.config()?;
    let differences = difference(&known, config).map_err(anyhow::Error::from)?;
    let changed: Vec<String> = differences
        .into_iter()
        .filter(|difference| {
            !RESUMABLE.iter().any(|free| match free.strip_suffix('.') {
                Some(section) => difference.key.split('.').next() == Some(section),
                None => difference.key == *free,
            })
        })
        .map(|difference| {
            let show = |value: Option<String>| value.unwrap_or_else(|| "absent".to_owned());
            format!(
                "  {}: {} in the run, {} now",
                difference.key,
                show(difference.left),
                show(difference.right)
            )
        })
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    Err(Error::Foreign(format!(
        "{} was started with another configuration; go on with the same one, choose another \
         --out, or start over with --overwrite:\n{}",
        run_dir.path().display(),
        changed.join("\n")
    )))
}
