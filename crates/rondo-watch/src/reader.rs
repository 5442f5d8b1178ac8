//! A thread that polls the run directories, so that a file system that hangs delays no key.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle, sleep};
use std::time::Duration;
use std::{io, panic};

use crate::source::{Source, Update};

/// The updates of several runs, each with the number of its run.
pub(crate) struct Reader {
    updates: Receiver<(usize, Update)>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Starts to poll. The thread ends after the reader is dropped.
    ///
    /// # Errors
    ///
    /// Where the system refuses a thread.
    pub(crate) fn start(dirs: &[PathBuf], interval: Duration) -> io::Result<Self> {
        let sources: Vec<Source> = dirs.iter().map(|dir| Source::new(dir)).collect();
        let (sender, updates) = channel();
        let thread = Builder::new()
            .name("records".to_owned())
            .spawn(move || poll(sources, &sender, interval))?;
        Ok(Self {
            updates,
            thread: Some(thread),
        })
    }

    /// Iterates over what has come since the last call.
    pub(crate) fn updates(&self) -> impl Iterator<Item = (usize, Update)> {
        self.updates.try_iter()
    }

    /// Passes on the panic of a thread that has ended by one.
    pub(crate) fn pass_on_its_panic(&mut self) {
        if let Some(thread) = self.thread.take_if(|thread| thread.is_finished())
            && let Err(panic) = thread.join()
        {
            panic::resume_unwind(panic);
        }
    }
}

/// Sends what changes until nobody receives it.
fn poll(mut sources: Vec<Source>, sender: &Sender<(usize, Update)>, interval: Duration) {
    loop {
        let mut more = false;
        for (index, source) in sources.iter_mut().enumerate() {
            if let Some(update) = source.look() {
                more |= update.more;
                if sender.send((index, update)).is_err() {
                    return;
                }
            }
        }
        if !more {
            sleep(interval);
        }
    }
}
