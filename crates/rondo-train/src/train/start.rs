//! Finds out whether a run is new, resumable or finished, from its run directory. Nothing is
//! written, and no data is opened.

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

/// The state of the run directory when a run is started.
pub(super) enum Start {
    /// Nothing was trained in the directory. The run is new.
    New,
    /// The run resumes from a checkpoint.
    Continue(Box<Going>),
    /// The run has already been trained with the requested configuration to its configured length,
    /// which is this step.
    Finished(u64),
}

/// A run to resume.
pub(super) struct Going {
    pub(super) checkpoint: Checkpoint,
    pub(super) progress: RunProgress,
    /// The keys that have a new value from the next step on.
    pub(super) changed: Vec<Difference>,
    /// The steps of all checkpoints in the directory.
    pub(super) kept: Vec<u64>,
}

impl Start {
    /// Decides how to start a run with `config`.
    ///
    /// # Errors
    ///
    /// When the directory contains files that must not be replaced. Also when its run was trained
    /// with another configuration, and the run is finished or a key differs that cannot change when
    /// a run resumes.
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
                    "--resume {}: there is no run to resume",
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
            // The run was interrupted before its first checkpoint, so it starts from the beginning.
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

/// Returns whether training has taken place in a run directory, that is, whether there is a
/// checkpoint, whole or not, or a record of a training step.
fn is_trained(run_dir: &RunDir) -> Result<bool> {
    if !kept(run_dir)?.is_empty() {
        return Ok(true);
    }
    let metrics = run_dir.metrics();
    if !metrics.is_file() {
        return Ok(false);
    }
    // A record that cannot be read may be the record of a training step.
    let mut records = jsonl::records(&metrics)?;
    Ok(records.any(|record| !record.is_ok_and(|record| record.kind != Kind::Train)))
}

/// Returns the steps of all checkpoints of a run, whole or not.
///
/// # Errors
///
/// When the folder of checkpoints cannot be read.
pub(super) fn kept(run_dir: &RunDir) -> Result<Vec<u64>> {
    let entries = list(run_dir.path())?;
    Ok(entries.iter().map(|entry| entry.step).collect())
}

/// Returns whether a run has been trained to the length that `asked` configures.
fn is_over(run_dir: &RunDir, progress: &RunProgress, asked: &RunConfig) -> bool {
    // Only a run on text has a length in tokens, and the length of its sequences is always
    // configured.
    let steps = asked.steps(asked.text_seq().unwrap_or(0));
    // If there is no summary, the run was killed between its last checkpoint and its end.
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
        warn(format!("skipped a damaged checkpoint: {rejected}"));
    }
    Ok(Some(checkpoint))
}

fn differences(known: &RunConfig, asked: &RunConfig) -> Result<Vec<Difference>> {
    Ok(difference(known, asked).map_err(anyhow::Error::from)?)
}

/// Returns an error if a key differs on which every step depends.
fn refuse_another_identity(run_dir: &RunDir, differences: &[Difference]) -> Result<()> {
    let differ = select(differences, |bearing| !bearing.may_change());
    if differ.is_empty() {
        return Ok(());
    }
    Err(Error::Foreign(format!(
        "{} was started with another configuration; resume with the same one, train this one with --out {}, or \
         start over with --overwrite:\n{}",
        run_dir.path().display(),
        beside(run_dir.path(), &differ).display(),
        listed(&differ)
    )))
}

/// Returns an error if a finished run was trained with another configuration than the requested
/// one.
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use rondo_files::faulty::{Fault, Faulty, Moment, Then};

    use super::*;

    /// Writes the files that a start leaves if it is killed before its first step.
    fn started(run: &Path, config: &RunConfig) -> RunDir {
        let run_dir = RunDir::new(run);
        fs::create_dir_all(run.join("checkpoints")).expect("writable");
        run_dir.write_config(config).expect("writable");
        for name in [
            ".lock",
            "launches.jsonl",
            "metrics.jsonl",
            "run.json",
            "tokenizer.json",
            "events.out.tfevents.1.host",
        ] {
            fs::write(run.join(name), "").expect("writable");
        }
        run_dir
    }

    #[test]
    fn a_start_that_is_killed_while_it_clears_the_directory_can_be_repeated() {
        let config = RunConfig::read("base", "data={kind='word-problem'}\ntrain.steps=4", &[])
            .expect("valid");
        let find = |run_dir: &RunDir, resume| {
            Start::find(run_dir, &resume, false, &config, &mut |_| {}).expect("a run")
        };
        let place = tempfile::tempdir().expect("a temporary folder");
        let whole = Faulty::new(None);
        let run_dir = started(&place.path().join("whole"), &config);
        run_dir.clear_on(&whole, &config).expect("writable");
        let calls = whole.calls(run_dir.path());
        assert!(calls.len() > 8, "{calls:?}");
        let killed = |fault: &Fault| fault.then == Then::Dead && fault.moment == Moment::Before;
        for fault in Fault::each_of(&calls).into_iter().filter(killed) {
            let run_dir = started(&place.path().join(fault.call.to_string()), &config);
            let cleared = run_dir.clear_on(&Faulty::new(Some(fault)), &config);
            cleared.expect_err("killed");
            for resume in [Resume::Auto, Resume::Never] {
                let start = find(&run_dir, resume);
                assert!(matches!(start, Start::New), "before {}", calls[fault.call]);
            }
        }
    }
}
