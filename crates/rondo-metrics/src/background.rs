//! Runs a sink on its own thread. This suits output that a run can do without.

use std::collections::VecDeque;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::record::Record;
use crate::sinks::{Sink, SinkError};

/// The maximum number of records that may wait. With one record per step, this is enough for
/// minutes of a slow disk.
const WAITING: usize = 1024;
const ENDED: &str = "the writer of event files has ended; metrics.jsonl has every number";

/// Hands records to another sink on a thread of its own, and never waits for that sink. If the
/// other sink falls far behind, records are dropped, with a single [warning](Sink::warning). A
/// failure of the other sink is also reported as a warning.
pub struct Background {
    records: Option<SyncSender<Record>>,
    thread: Option<JoinHandle<()>>,
    /// The warnings, oldest first.
    warnings: Arc<Mutex<VecDeque<String>>>,
    behind: bool,
}

impl Background {
    /// Starts the thread.
    pub fn new(mut sink: impl Sink + Send + 'static) -> Self {
        let (records, waiting) = sync_channel::<Record>(WAITING);
        let warnings = Arc::new(Mutex::new(VecDeque::new()));
        let told = Arc::clone(&warnings);
        let thread = std::thread::spawn(move || {
            let warn = |result: Result<(), SinkError>, sink: &mut dyn Sink| {
                let failed = result.err().map(|error| error.to_string());
                let found = failed.into_iter().chain(sink.warning());
                open(&told).extend(found);
            };
            for record in waiting {
                let written = sink.write(&record);
                warn(written, &mut sink);
            }
            let finished = sink.finish();
            warn(finished, &mut sink);
        });
        Self {
            records: Some(records),
            thread: Some(thread),
            warnings,
            behind: false,
        }
    }

    fn warn(&self, text: &str) {
        open(&self.warnings).push_back(text.to_owned());
    }
}

impl Sink for Background {
    fn write(&mut self, record: &Record) -> Result<(), SinkError> {
        let Some(records) = &self.records else {
            return Ok(());
        };
        match records.try_send(record.clone()) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) if self.behind => {}
            Err(TrySendError::Full(_)) => {
                self.behind = true;
                self.warn("the disk is too slow for the event files; some points are left out");
            }
            Err(TrySendError::Disconnected(_)) => {
                self.records = None;
                self.warn(ENDED);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.records = None;
        let thread = self.thread.take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            self.warn(ENDED);
        }
        Ok(())
    }

    fn warning(&mut self) -> Option<String> {
        open(&self.warnings).pop_front()
    }
}

/// Locks the list, even if a thread panicked while it held the lock. The list is valid between any
/// two calls.
fn open(warnings: &Mutex<VecDeque<String>>) -> MutexGuard<'_, VecDeque<String>> {
    warnings.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes the step of each record, so the test can read the steps. Warns at steps 2 and 4.
    struct Notebook(Arc<Mutex<Vec<u64>>>, Option<String>);

    impl Sink for Notebook {
        fn write(&mut self, record: &Record) -> Result<(), SinkError> {
            assert!(record.step < 100, "a sink that fails badly");
            self.0.lock().expect("no one panics").push(record.step);
            self.1 = match record.step {
                2 => Some("two".to_owned()),
                4 => Some("four".to_owned()),
                _ => None,
            };
            Ok(())
        }

        fn finish(&mut self) -> Result<(), SinkError> {
            self.0.lock().expect("no one panics").push(99);
            Ok(())
        }

        fn warning(&mut self) -> Option<String> {
            self.1.take()
        }
    }

    #[test]
    fn every_record_arrives_in_order_before_the_sink_is_finished() {
        let seen = Arc::default();
        let mut sink = Background::new(Notebook(Arc::clone(&seen), None));
        for step in 1..=3 {
            sink.write(&Record::train(step, 0).finish())
                .expect("never fails");
        }
        sink.finish().expect("never fails");
        assert_eq!(*seen.lock().expect("no one panics"), [1, 2, 3, 99]);
        assert_eq!(sink.warning().as_deref(), Some("two"));
        assert_eq!(sink.warning(), None);
    }

    #[test]
    fn warnings_come_out_in_the_order_of_their_records() {
        let mut sink = Background::new(Notebook(Arc::default(), None));
        for step in 1..=5 {
            sink.write(&Record::train(step, 0).finish())
                .expect("never fails");
        }
        sink.write(&Record::train(100, 0).finish())
            .expect("never fails");
        sink.finish().expect("never fails");
        let warnings: Vec<String> = std::iter::from_fn(|| sink.warning()).collect();
        assert_eq!(warnings, ["two", "four", ENDED]);
    }

    #[test]
    fn a_sink_that_panics_costs_a_warning() {
        let mut sink = Background::new(Notebook(Arc::default(), None));
        sink.write(&Record::train(100, 0).finish())
            .expect("never fails");
        sink.finish().expect("never fails");
        assert!(sink.warning().is_some());
    }
}
