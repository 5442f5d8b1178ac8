//! Saves the checkpoints of a run while training continues.
//!
//! The contents of a checkpoint are copied from the device at once. A separate thread then hashes
//! and writes the contents. Only one checkpoint is written at a time; the next one waits until the
//! previous one is complete.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use rondo_checkpoint::{CheckpointError, Entry, Retention, Snapshot, save};
use rondo_files::{Content, NamedTensor, RunLock, TensorFile};
use rondo_metrics::{Event, Record};
use rondo_model::config::ModelConfig;

use super::control::Control;
use crate::config::CheckpointConfig;
use crate::error::{Error, Result};
use crate::progress::RunProgress;
use crate::run_dir::CREATED_BY;
use crate::step::Learner;
use crate::weights::{MODEL_FILE, OPTIMIZER_FILE, model_tensors};

/// Saves the checkpoints of a run, and records which one is the best.
pub(super) struct Keeper {
    lock: Arc<RunLock>,
    config: CheckpointConfig,
    config_hash: String,
    /// The step and the validation loss of the best kept checkpoint. `None` if no kept checkpoint
    /// was evaluated, or if `checkpoint.keep_best` is false.
    best: Option<(u64, f64)>,
    pending: Option<Pending>,
}

/// The names and contents of a checkpoint's files.
type Files = Vec<(&'static str, Box<dyn Content + Send>)>;

/// A checkpoint that is ready to be written.
struct Contents {
    step: u64,
    config_hash: String,
    files: Files,
    retention: Retention,
}

/// A checkpoint that is being written.
struct Pending {
    step: u64,
    tokens: u64,
    writing: JoinHandle<Result<Entry, CheckpointError>>,
}

/// A checkpoint that was committed.
pub(super) struct Saved {
    step: u64,
    tokens: u64,
    bytes: u64,
}

impl Saved {
    /// Returns the step after which the checkpoint was saved.
    pub(super) fn step(&self) -> u64 {
        self.step
    }

    /// Returns the event of the checkpoint. The event is dated to the step of the checkpoint.
    ///
    /// # Errors
    ///
    /// Never: all names are different.
    pub(super) fn event(&self) -> Result<Record> {
        let mut event = Record::event(self.step, self.tokens, Event::Checkpoint);
        event.push("bytes", self.bytes)?;
        Ok(event)
    }
}

impl Keeper {
    /// Creates a keeper that writes to the locked run directory. `config_hash` is the hash of the
    /// run's recorded configuration. `best` is the best checkpoint in the directory so far.
    pub(super) fn new(
        lock: RunLock,
        config: &CheckpointConfig,
        config_hash: String,
        best: Option<(u64, f64)>,
    ) -> Self {
        Self {
            lock: Arc::new(lock),
            config: config.clone(),
            config_hash,
            best,
            pending: None,
        }
    }

    /// Starts to save a checkpoint at `progress`. `evaluated` are the step and the loss of the
    /// newest evaluation. Waits until the previous checkpoint is complete, and returns that
    /// checkpoint.
    ///
    /// # Errors
    ///
    /// When the previous checkpoint could not be written, or the system cannot start a thread.
    pub(super) fn save(
        &mut self,
        progress: &RunProgress,
        files: Files,
        evaluated: Option<(u64, f64)>,
    ) -> Result<Option<Saved>> {
        self.note_best(progress.step, evaluated);
        let contents = Contents {
            step: progress.step,
            config_hash: self.config_hash.clone(),
            files,
            retention: Retention {
                keep_last: self.config.keep_last,
                keep_every: self.config.keep_every,
                keep_best: self.best.map(|(step, _)| step),
            },
        };
        let before = self.wait()?;
        let lock = Arc::clone(&self.lock);
        let writing = Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || contents.write(&lock))
            .map_err(anyhow::Error::from)?;
        self.pending = Some(Pending {
            step: progress.step,
            tokens: progress.tokens,
            writing,
        });
        Ok(before)
    }

    /// Makes the checkpoint of `step` the best one, if `evaluated` belongs to this step and has a
    /// lower loss than the best checkpoint so far.
    fn note_best(&mut self, step: u64, evaluated: Option<(u64, f64)>) {
        let here =
            evaluated.filter(|(at, loss)| *at == step && loss.is_finite() && self.config.keep_best);
        if let Some((step, loss)) = here
            && self.best.is_none_or(|(_, best)| loss < best)
        {
            self.best = Some((step, loss));
        }
    }

    /// Returns the checkpoint whose writing has ended since the last call, if there is one. Does
    /// not wait.
    ///
    /// # Errors
    ///
    /// When this checkpoint could not be written.
    pub(super) fn committed(&mut self) -> Result<Option<Saved>> {
        let is_done = |pending: &Pending| pending.writing.is_finished();
        match self.pending.as_ref().is_some_and(is_done) {
            true => self.wait(),
            false => Ok(None),
        }
    }

    /// Waits until the checkpoint that is being written is complete, and returns this checkpoint.
    ///
    /// # Errors
    ///
    /// When this checkpoint could not be written.
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

/// Returns the files of a checkpoint: weights, `moments` and progress. Tensors are copied from the
/// device.
///
/// # Errors
///
/// When the device fails.
pub(super) fn files(
    learner: &Learner,
    moments: Vec<NamedTensor<'static>>,
    model: &ModelConfig,
    progress: &RunProgress,
    control: Option<&Control>,
) -> Result<Files> {
    let file = |tensors| {
        TensorFile::new(tensors, BTreeMap::new()).map_err(|error| Error::Other(error.into()))
    };
    let weights = file(model_tensors(learner.model(), model))?;
    let moments = file(moments)?;
    let progress = RunProgress {
        controller: control.map(Control::state),
        updates: learner.optimizer.updates(),
        guard: learner.guard().clone(),
        lr_sum: Some(learner.rates()),
        ..progress.clone()
    };
    let (progress_name, progress) = progress.file()?;
    Ok(vec![
        (MODEL_FILE, Box::new(weights)),
        (OPTIMIZER_FILE, Box::new(moments)),
        (progress_name, Box::new(progress)),
    ])
}
