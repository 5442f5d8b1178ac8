//! Checkpoints that are written while the run goes on.
//!
//! What is saved is copied from the device at once; hashing, writing and waiting for the disk happen on a thread
//! of their own. One checkpoint is written at a time: the next one waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use rondo_checkpoint::{CheckpointError, Entry, Retention, Snapshot, save};
use rondo_files::{Content, RunLock, TensorFile};
use rondo_metrics::{Event, Record};

use super::control::Control;
use super::session::Session;
use crate::error::{Error, Result};
use crate::progress::RunProgress;
use crate::run_dir::CREATED_BY;
use crate::weights::{MODEL_FILE, OPTIMIZER_FILE, model_tensors, optimizer_tensors};

/// Writes the checkpoints of a run.
pub(super) struct Saver {
    lock: Arc<RunLock>,
    pending: Option<Pending>,
}

/// A checkpoint to be written.
struct Contents {
    step: u64,
    tokens: u64,
    config_hash: String,
    files: Vec<(&'static str, Box<dyn Content + Send>)>,
    retention: Retention,
}

/// A checkpoint that is being written.
struct Pending {
    step: u64,
    tokens: u64,
    writing: JoinHandle<Result<Entry, CheckpointError>>,
}

/// A checkpoint that has been committed.
pub(super) struct Saved {
    step: u64,
    tokens: u64,
    bytes: u64,
}

impl Saver {
    /// Writes into the run directory that is locked.
    pub(super) fn new(lock: RunLock) -> Self {
        Self {
            lock: Arc::new(lock),
            pending: None,
        }
    }

    /// Begins to write; waits for the checkpoint before it, and returns that.
    ///
    /// # Errors
    ///
    /// Where the one before could not be written, or the system refuses a thread.
    fn begin(&mut self, contents: Contents) -> Result<Option<Saved>> {
        let before = self.wait()?;
        let (step, tokens) = (contents.step, contents.tokens);
        let lock = Arc::clone(&self.lock);
        let writing = Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || contents.write(&lock))
            .map_err(anyhow::Error::from)?;
        self.pending = Some(Pending {
            step,
            tokens,
            writing,
        });
        Ok(before)
    }

    /// Returns the checkpoint that has been committed since the last question.
    ///
    /// # Errors
    ///
    /// Where it could not be written.
    pub(super) fn committed(&mut self) -> Result<Option<Saved>> {
        let is_done = |pending: &Pending| pending.writing.is_finished();
        match self.pending.as_ref().is_some_and(is_done) {
            true => self.wait(),
            false => Ok(None),
        }
    }

    /// Waits for the checkpoint that is being written.
    ///
    /// # Errors
    ///
    /// Where it could not be written.
    pub(super) fn wait(&mut self) -> Result<Option<Saved>> {
        let Some(pending) = self.pending.take() else {
            return Ok(None);
        };
        let joined = pending.writing.join();
        let entry =
            joined.map_err(|_| anyhow::anyhow!("the thread that writes checkpoints failed"))?;
        Ok(Some(Saved {
            step: pending.step,
            tokens: pending.tokens,
            bytes: entry?.size,
        }))
    }
}

impl Contents {
    fn write(&self, lock: &RunLock) -> Result<Entry, CheckpointError> {
        let files: Vec<(&str, &dyn Content)> = self
            .files
            .iter()
            .map(|(name, content)| (*name, content.as_ref() as &dyn Content))
            .collect();
        let snapshot = Snapshot {
            step: self.step,
            config_hash: &self.config_hash,
            created_by: CREATED_BY,
            files: &files,
        };
        save(lock, &snapshot, &self.retention)
    }
}

impl Session {
    /// Begins to save where the run stands.
    ///
    /// # Errors
    ///
    /// Where a step that has not been read yet must stop the run, or the checkpoint before this one could not be
    /// written.
    pub(super) fn save(&mut self) -> Result<()> {
        let paused = Instant::now();
        let skipped = self.learner.settle()?;
        self.tell_skipped(&skipped)?;
        self.note_best();
        let file = |tensors| {
            TensorFile::new(tensors, BTreeMap::new()).map_err(|error| Error::Other(error.into()))
        };
        let model = file(model_tensors(self.learner.model(), &self.config.model))?;
        let moments = file(optimizer_tensors(&self.learner.optimizer))?;
        let controller = self.control.as_ref().map(Control::state);
        let progress = RunProgress {
            controller,
            updates: self.learner.optimizer.updates(),
            guard: self.learner.guard().clone(),
            lr_sum: Some(self.learner.rates()),
            ..self.progress.clone()
        };
        let (progress_name, progress) = progress.file()?;
        let config_hash = blake3::hash(self.config.to_toml()?.as_bytes()).to_hex();
        let before = self.saver.begin(Contents {
            step: self.progress.step,
            tokens: self.progress.tokens,
            config_hash: config_hash.to_string(),
            files: vec![
                (MODEL_FILE, Box::new(model)),
                (OPTIMIZER_FILE, Box::new(moments)),
                (progress_name, Box::new(progress)),
            ],
            retention: Retention {
                keep_last: self.config.checkpoint.keep_last,
                keep_every: self.config.checkpoint.keep_every,
                keep_best: self.best.map(|(step, _)| step),
            },
        })?;
        self.tell_saved(before)?;
        self.clock.paused += paused.elapsed().as_secs_f64();
        Ok(())
    }

    /// Tells of a checkpoint that has been committed, dated to its step.
    pub(super) fn tell_saved(&mut self, saved: Option<Saved>) -> Result<()> {
        let Some(saved) = saved else { return Ok(()) };
        let mut event = Record::event(saved.step, saved.tokens, Event::Checkpoint);
        event.push("bytes", saved.bytes)?;
        self.write(&event)
    }

    /// Remembers the checkpoint to be taken where no evaluation was better.
    fn note_best(&mut self) {
        let here = self.summary.evaluated.filter(|(step, loss)| {
            *step == self.progress.step && loss.is_finite() && self.config.checkpoint.keep_best
        });
        let Some((step, loss)) = here else { return };
        if self.best.is_none_or(|(_, best)| loss < best) {
            self.best = Some((step, loss));
        }
    }
}
