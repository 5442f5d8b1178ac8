//! How a start finds its run directory: free, to be gone on with, or finished. Nothing is written, and no data is opened.

use rondo_checkpoint::{Checkpoint, Which, list, open, open_newest_good};
use rondo_config::{Difference, difference};
use rondo_metrics::{Kind, jsonl};

use super::bearing::Bearing;
use super::launches;
use super::place::beside;
use super::resume::Resume;
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::progress::RunProgress;
use crate::run_dir::RunDir;

/// What a start finds in its run directory.
pub(super) enum Start {
    /// Nothing that was trained: a new run.
    New,
    /// A checkpoint to go on from.
    Continue(Box<Going>),
    /// A run that has reached its budget, trained as is asked for.
    Finished(u64),
}

/// A run that goes on.
pub(super) struct Going {
    pub(super) checkpoint: Checkpoint,
    pub(super) progress: RunProgress,
    /// The keys that have another value from here on than they had until here.
    pub(super) changed: Vec<Difference>,
    /// The steps of all checkpoints that were there.
    pub(super) kept: Vec<u64>,
}

impl Start {
    /// Decides how to start a run of `config`.
    ///
    /// # Errors
    ///
    /// Where the directory holds something that must not be replaced, or the run in it was trained with another
    /// configuration: in a key that a resume cannot change, or to its end.
    pub(super) fn find(
        run_dir: &RunDir,
        resume: &Resume,
        overwrite: bool,
        config: &RunConfig,
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
        let is_free = run_dir.has_config() && !is_trained(run_dir)?;
        if *resume == Resume::Never && !is_free {
            return Err(Error::Usage(format!(
                "{shown} is not empty; choose another --out, or replace it with --overwrite"
            )));
        }
        if is_free {
            return Ok(Self::New);
        }
        if !run_dir.has_config() {
            return Err(Error::Usage(format!(
                "{shown} holds something that is not a run; choose another --out, or replace it with --overwrite"
            )));
        }
        let known = run_dir.config()?;
        let asked = config.recorded(known.model.vocab_size);
        let differences = differences(&known, &asked)?;
        let Some(checkpoint) = checkpoint_to_resume(run_dir, resume, warn)? else {
            refuse_another_identity(run_dir, &differences)?;
            // The run was interrupted before its first checkpoint: it starts anew.
            return Ok(Self::New);
        };
        let progress = RunProgress::read(&checkpoint)?;
        if is_over(run_dir, &progress, &asked) {
            refuse_another_run(run_dir, progress.step, &differences)?;
            return Ok(Self::Finished(progress.step));
        }
        refuse_another_identity(run_dir, &differences)?;
        let changed = match launches::in_force(run_dir, progress.step)? {
            Some(before) => self::differences(&before, &asked)?,
            None => differences,
        };
        Ok(Self::Continue(Box::new(Going {
            kept: kept(run_dir)?,
            checkpoint,
            progress,
            changed,
        })))
    }
}

/// Returns whether anything was trained in a run directory: there is a checkpoint, whole or not, or a record of a
/// training step.
fn is_trained(run_dir: &RunDir) -> Result<bool> {
    if !kept(run_dir)?.is_empty() {
        return Ok(true);
    }
    let metrics = run_dir.metrics();
    if !metrics.is_file() {
        return Ok(false);
    }
    // What cannot be read may be a record.
    let mut records = jsonl::records(&metrics)?;
    Ok(records.any(|record| !record.is_ok_and(|record| record.kind != Kind::Train)))
}

/// Returns the steps of all checkpoints of a run, whole or not.
///
/// # Errors
///
/// Where the folder cannot be read.
pub(super) fn kept(run_dir: &RunDir) -> Result<Vec<u64>> {
    let entries = list(run_dir.path())?;
    Ok(entries.iter().map(|entry| entry.step).collect())
}

/// Returns whether a run has been trained to the end that is asked for.
fn is_over(run_dir: &RunDir, progress: &RunProgress, asked: &RunConfig) -> bool {
    // Only text has a budget in tokens, and its length is written.
    let steps = asked.steps(asked.text_seq().unwrap_or(0));
    // Without a summary it was killed between its last checkpoint and its end.
    let is_told = !progress.owes_evaluation && run_dir.has_summary();
    progress.step > steps || (progress.step == steps && is_told)
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

fn differences(known: &RunConfig, asked: &RunConfig) -> Result<Vec<Difference>> {
    Ok(difference(known, asked).map_err(anyhow::Error::from)?)
}

/// Refuses to go on with a run whose every step depends on a key that differs.
fn refuse_another_identity(run_dir: &RunDir, differences: &[Difference]) -> Result<()> {
    let differ = select(differences, |bearing| !bearing.may_change());
    if differ.is_empty() {
        return Ok(());
    }
    Err(Error::Foreign(format!(
        "{} was started with another configuration; go on with the same one, train this one with --out {}, or \
         start over with --overwrite:\n{}",
        run_dir.path().display(),
        beside(run_dir.path(), &differ).display(),
        listed(&differ)
    )))
}

/// Refuses to take a run that has ended for one that was never trained.
fn refuse_another_run(run_dir: &RunDir, step: u64, differences: &[Difference]) -> Result<()> {
    let differ = select(differences, Bearing::matters_at_the_end);
    if differ.is_empty() {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{} was trained to step {step} with another configuration, and nothing was changed; train this one with \
         --out {}, or start over with --overwrite:\n{}",
        run_dir.path().display(),
        beside(run_dir.path(), &differ).display(),
        listed(&differ)
    )))
}

fn select(differences: &[Difference], counts: impl Fn(Bearing) -> bool) -> Vec<Difference> {
    let differ = differences.iter();
    differ
        .filter(|difference| counts(Bearing::of(&difference.key)))
        .cloned()
        .collect()
}

fn listed(differences: &[Difference]) -> String {
    let absent = "absent";
    let lines = differences.iter().map(|difference| {
        format!(
            "  {}: {} in the run, {} now",
            difference.key,
            difference.left.as_deref().unwrap_or(absent),
            difference.right.as_deref().unwrap_or(absent)
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}
