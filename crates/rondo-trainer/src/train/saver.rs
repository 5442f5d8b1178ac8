//! Checkpoints that are written while the run goes on.
//!
//! What is saved is copied from the device at once; hashing, writing and waiting for the disk happen on a thread
//! of their own. One checkpoint is written at a time: the next one waits for it.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use rondo_checkpoint::{CheckpointError, Content, Entry, Retention, RunLock, Snapshot, save};

use super::CREATED_BY;
use crate::error::Result;

/// Writes the checkpoints of a run.
pub(super) struct Saver {
    lock: Arc<RunLock>,
    pending: Option<Pending>,
}

/// A checkpoint to be written.
pub(super) struct Contents {
    pub(super) step: u64,
    pub(super) tokens: u64,
    pub(super) config_hash: String,
    pub(super) files: Vec<(&'static str, Box<dyn Content + Send>)>,
    pub(super) retention: Retention,
}

/// A checkpoint that is being written.
struct Pending {
    step: u64,
    tokens: u64,
    writing: JoinHandle<Result<Entry, CheckpointError>>,
}

/// A checkpoint that has been committed.
pub(super) struct Saved {
    pub(super) step: u64,
    pub(super) tokens: u64,
    pub(super) bytes: u64,
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
    pub(super) fn begin(&mut self, contents: Contents) -> Result<Option<Saved>> {
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
