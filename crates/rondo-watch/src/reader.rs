//! Polls each run directory on its own thread, so that a file system that hangs delays neither the
//! handling of keys nor another run.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle, sleep};
use std::time::Duration;
use std::{io, panic};

use crate::source::{Source, Update};

/// The maximum number of unprocessed updates per run. A thread waits before it exceeds this number.
const AHEAD: usize = 2;

/// The updates of several runs, each with the index of its run.
pub(crate) struct Reader {
    updates: Receiver<(usize, Update)>,
    threads: Vec<JoinHandle<()>>,
}

impl Reader {
    /// Starts polling. The threads end at their next update after the reader is dropped.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system cannot start a thread.
    pub(crate) fn start(dirs: &[PathBuf], interval: Duration) -> io::Result<Self> {
        let (sender, updates) = sync_channel(AHEAD * dirs.len());
        let start = |(index, dir): (usize, &PathBuf)| {
            let (source, sender) = (Source::new(dir), sender.clone());
            let thread = Builder::new().name("records".to_owned());
            thread.spawn(move || poll(index, source, &sender, interval))
        };
        let threads: io::Result<_> = dirs.iter().enumerate().map(start).collect();
        Ok(Self {
            updates,
            threads: threads?,
        })
    }

    /// Iterates over the updates since the last call.
    pub(crate) fn updates(&self) -> impl Iterator<Item = (usize, Update)> {
        self.updates.try_iter()
    }

    /// Panics again if one of the threads has panicked.
    pub(crate) fn pass_on_a_panic(&mut self) {
        for thread in self.threads.extract_if(.., |thread| thread.is_finished()) {
            if let Err(panic) = thread.join() {
                panic::resume_unwind(panic);
            }
        }
    }
}

/// Sends changes until the receiver has been dropped.
fn poll(
    index: usize,
    mut source: Source,
    sender: &SyncSender<(usize, Update)>,
    interval: Duration,
) {
    loop {
        let update = source.look();
        let has_more = update.as_ref().is_some_and(|update| update.more);
        if let Some(update) = update
            && sender.send((index, update)).is_err()
        {
            return;
        }
        if !has_more {
            sleep(interval);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed write must fail the test")]

    use std::fs;

    use super::*;

    const LINE: &str = "{\"step\":1,\"tokens\":8,\"kind\":\"train\",\"metrics\":{\"loss\":2.5}}\n";

    #[test]
    fn each_run_has_its_number() {
        let root = tempfile::tempdir().unwrap();
        let dirs = ["a", "b"].map(|name| root.path().join(name));
        for (lines, dir) in dirs.iter().enumerate() {
            fs::create_dir(dir).unwrap();
            fs::write(dir.join("metrics.jsonl"), LINE.repeat(lines + 1)).unwrap();
        }
        let reader = Reader::start(&dirs, Duration::from_millis(1)).unwrap();
        let mut read = [0, 0];
        // Each run sends at least one update, for which `recv` waits.
        while read != [1, 2] {
            let (index, update) = reader.updates.recv().unwrap();
            read[index] += update.records.len();
        }
    }

    #[test]
    fn a_thread_that_panics_passes_its_panic_on() {
        let (_sender, updates) = sync_channel(1);
        let thread = std::thread::spawn(|| panic!("a defect"));
        while !thread.is_finished() {
            std::thread::yield_now();
        }
        let mut reader = Reader {
            updates,
            threads: vec![thread],
        };
        let panic = panic::catch_unwind(panic::AssertUnwindSafe(|| reader.pass_on_a_panic()));
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"a defect"));
    }
}
