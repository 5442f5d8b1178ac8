//! Destinations of records.

use std::io;
use std::path::PathBuf;

use crate::record::Record;

/// A destination of records.
pub trait Sink {
    /// Writes one record.
    ///
    /// # Errors
    ///
    /// The record was not written. The sink stays usable: a later record may succeed.
    fn write(&mut self, record: &Record) -> Result<(), SinkError>;

    /// Makes everything that was written durable. Called once, at the end of a run.
    ///
    /// # Errors
    ///
    /// The destination reports an error.
    fn finish(&mut self) -> Result<(), SinkError>;

    /// Returns a new warning, if there is one. A warning reports lost output that need not stop a
    /// run.
    fn warning(&mut self) -> Option<String> {
        None
    }
}

/// A record could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot write metrics; free some space or check the permissions", path.display())]
pub struct SinkError {
    /// The file that could not be written.
    pub path: PathBuf,
    /// The file system's reason.
    pub source: io::Error,
}

/// Combines several sinks. Each record goes to all of them in the given order, even if some fail.
#[derive(Default)]
pub struct Fanout(Vec<Box<dyn Sink>>);

impl Fanout {
    /// Combines the sinks.
    pub fn new(sinks: Vec<Box<dyn Sink>>) -> Self {
        Self(sinks)
    }

    /// Calls every sink and returns the first failure.
    fn each(
        &mut self,
        call: impl FnMut(&mut Box<dyn Sink>) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        self.0.iter_mut().map(call).fold(Ok(()), Result::and)
    }
}

impl Sink for Fanout {
    fn write(&mut self, record: &Record) -> Result<(), SinkError> {
        self.each(|sink| sink.write(record))
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.each(|sink| sink.finish())
    }

    fn warning(&mut self) -> Option<String> {
        self.0.iter_mut().find_map(|sink| sink.warning())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// Notes its name for each record. The sink called `broken` then fails.
    struct Witness(&'static str, Rc<RefCell<Vec<&'static str>>>);

    impl Sink for Witness {
        fn write(&mut self, _: &Record) -> Result<(), SinkError> {
            self.1.borrow_mut().push(self.0);
            match self.0 {
                "broken" => Err(SinkError {
                    path: PathBuf::from(self.0),
                    source: io::ErrorKind::StorageFull.into(),
                }),
                _ => Ok(()),
            }
        }

        fn finish(&mut self) -> Result<(), SinkError> {
            Ok(())
        }

        fn warning(&mut self) -> Option<String> {
            (self.0 == "worried").then(|| self.0.to_owned())
        }
    }

    #[test]
    fn a_failing_sink_keeps_no_record_from_the_others() {
        let seen = Rc::default();
        let names = ["first", "broken", "worried"];
        let mut fanout = Fanout::new(
            names
                .map(|name| Box::new(Witness(name, Rc::clone(&seen))) as Box<dyn Sink>)
                .into(),
        );
        let error = fanout
            .write(&Record::train(1, 8).finish())
            .expect_err("the second sink fails");
        assert_eq!(error.path, PathBuf::from("broken"));
        assert_eq!(*seen.borrow(), names);
        assert!(fanout.finish().is_ok());
        assert_eq!(fanout.warning().as_deref(), Some("worried"));
    }
}
