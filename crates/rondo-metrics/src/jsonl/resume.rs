//! Shortens the file of an interrupted run to the step from which the run resumes.

use std::io;
use std::path::Path;

use rondo_files::{FileSystem, StagedFile};

use super::{JsonlError, JsonlSink, io_error, records};
use crate::metric::Kind;

/// The numbers of records that a resume kept and removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// The number of records at or before the resumed step.
    pub kept: usize,
    /// The number of records after the resumed step. The run will write them again.
    pub dropped: usize,
}

/// Whether the evaluation of the resumed step is complete or must be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluation {
    /// There was no evaluation at this step, or the checkpoint contains it.
    Stands,
    /// The evaluation is pending. An earlier launch may have made and recorded it, and ended before
    /// it could save a checkpoint.
    Pending,
}

impl JsonlSink {
    /// Opens the file of an interrupted run and removes every record after `last_step`. If the
    /// evaluation of that step is pending, the step's evaluation records and everything after them
    /// are removed too. So a resumed run writes no record twice. The bytes of the kept lines do not
    /// change. The shortened file is written beside the old file and then renamed, so one whole
    /// file exists at every moment. A missing file is created.
    ///
    /// # Errors
    ///
    /// A complete line is not a record, or the file system reports an error. The file is then
    /// unchanged.
    pub fn open_for_resume(
        path: &Path,
        last_step: u64,
        evaluation: Evaluation,
    ) -> Result<(Self, Cut), JsonlError> {
        let exists = path.try_exists();
        if !exists.map_err(|source| io_error(path, "open", source))? {
            return Ok((Self::create(path)?, Cut::default()));
        }
        let (mut cut, mut whole) = (Cut::default(), 0);
        let mut records = records(path)?;
        let staged = StagedFile::write(&FileSystem, path, |out| {
            let mut is_evaluated = false;
            while let Some(record) = records.next() {
                let record = record.map_err(io::Error::other)?;
                is_evaluated |= evaluation == Evaluation::Pending
                    && record.step == last_step
                    && record.kind == Kind::Eval;
                if record.step > last_step || is_evaluated {
                    cut.dropped += 1;
                    continue;
                }
                let line = records.line();
                out.write_all(line)?;
                out.write_all(b"\n")?;
                whole += line.len() as u64 + 1;
                cut.kept += 1;
            }
            Ok(())
        });
        let staged = staged.map_err(|error| match error.source.downcast() {
            Ok(of_a_record) => of_a_record,
            Err(source) => io_error(path, "rewrite", source),
        })?;
        let file = staged
            .commit()
            .map_err(|error| io_error(path, "replace", error.source))?;
        let sink = Self {
            path: path.to_owned(),
            file,
            whole,
            torn: false,
        };
        Ok((sink, cut))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed write must fail the test")]

    use std::fs;

    use super::super::read;
    use super::super::tests::{append, file_of, loss};
    use super::*;
    use crate::events::Event;
    use crate::record::Record;
    use crate::sinks::Sink;

    #[test]
    fn a_resume_cuts_after_its_step_and_doubles_nothing() {
        let rows = [
            loss(1),
            loss(2),
            Record::eval(2, 16).finish(),
            Record::event(2, 16, Event::Checkpoint),
            loss(3),
            Record::eval(3, 24).finish(),
            Record::event(3, 24, Event::LossSpike),
        ];
        let (_dir, path) = file_of(&rows);
        append(&path, b"{\"step\":4,\"tok");
        let (mut sink, cut) = JsonlSink::open_for_resume(&path, 2, Evaluation::Stands).unwrap();
        assert_eq!(
            cut,
            Cut {
                kept: 4,
                dropped: 3
            }
        );
        sink.write(&loss(3)).unwrap();
        sink.finish().unwrap();
        let mut expected = rows[..4].to_vec();
        expected.push(loss(3));
        assert_eq!(read(&path).unwrap(), expected);
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "nothing aside"
        );
    }

    #[test]
    fn a_pending_evaluation_that_was_recorded_is_cut_off_and_one_that_stands_is_kept() {
        let rows = [
            Record::eval(1, 8).finish(),
            loss(2),
            Record::event(2, 16, Event::Checkpoint),
            Record::event(2, 16, Event::Resume),
            Record::eval(2, 16).finish(),
            Record::event(2, 16, Event::Sample),
            Record::event(2, 16, Event::IgnoredState),
        ];
        let kept = |evaluation| {
            let (_dir, path) = file_of(&rows);
            JsonlSink::open_for_resume(&path, 2, evaluation).unwrap();
            read(&path).unwrap()
        };
        assert_eq!(kept(Evaluation::Pending), rows[..4]);
        assert_eq!(kept(Evaluation::Stands), rows);
    }

    #[test]
    fn a_resume_keeps_lines_byte_for_byte_and_mends_a_lost_line_end() {
        let (_dir, path) = file_of(&[]);
        let line = br#"{"tokens":8, "step":1,"kind":"train","metrics":{"later":1e0}}"#;
        append(&path, line);
        let (mut sink, cut) = JsonlSink::open_for_resume(&path, 1, Evaluation::Stands).unwrap();
        assert_eq!(
            cut,
            Cut {
                kept: 1,
                dropped: 0
            }
        );
        sink.write(&loss(2)).unwrap();
        assert!(
            fs::read(&path)
                .unwrap()
                .starts_with(&[line.as_slice(), b"\n{"].concat())
        );
    }

    #[test]
    fn a_resume_that_is_refused_changes_nothing() {
        let (_dir, path) = file_of(&[loss(1)]);
        append(&path, b"rubbish\n");
        let before = fs::read(&path).unwrap();
        assert!(JsonlSink::open_for_resume(&path, 0, Evaluation::Stands).is_err());
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "nothing aside"
        );
    }

    #[test]
    fn a_leftover_of_a_killed_resume_is_no_obstacle() {
        let (_dir, path) = file_of(&[loss(1), loss(2)]);
        fs::write(path.with_file_name(".metrics.jsonl.aside"), "half a").unwrap();
        JsonlSink::open_for_resume(&path, 1, Evaluation::Stands).unwrap();
        assert_eq!(read(&path).unwrap(), [loss(1)]);
    }

    #[test]
    fn a_missing_file_is_created_at_a_resume() {
        let (_dir, path) = file_of(&[]);
        fs::remove_file(&path).unwrap();
        let (mut sink, _) = JsonlSink::open_for_resume(&path, 9, Evaluation::Stands).unwrap();
        sink.write(&loss(10)).unwrap();
        assert_eq!(read(&path).unwrap(), [loss(10)]);
    }
}
