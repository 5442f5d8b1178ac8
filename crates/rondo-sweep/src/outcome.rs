//! How a run has ended, and its status.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The status of a run according to the sweep's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The run has not started.
    Pending,
    /// The run has started and not ended: it is running, or was interrupted and will be resumed.
    Unfinished,
    /// The run finished and its summary exists.
    Finished,
    /// The run failed; it is started again only on request.
    Failed(Failure),
}

impl Status {
    /// Returns the word for the status in tables.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Unfinished => "unfinished",
            Self::Finished => "finished",
            Self::Failed(_) => "failed",
        }
    }
}

/// How a run failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The exit code; `None` if a signal ended the process.
    pub exit_code: Option<i32>,
    /// The last line of its standard error.
    pub message: String,
}

impl fmt::Display for Failure {
    /// Writes the message without its leading `error: `, and the exit code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.trim_start_matches("error: ");
        match self.exit_code {
            Some(code) => write!(f, "{message} (exit code {code})"),
            None if message.is_empty() => f.write_str("ended by a signal"),
            None => write!(f, "{message} (ended by a signal)"),
        }
    }
}

/// The content of the mark of an ended run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// The run finished.
    Finished {},
    /// The run failed.
    Failed(Failure),
}

/// Returns the last line that is not empty. A line with more than 500 characters is cut.
pub(crate) fn last_line(text: &str) -> &str {
    /// The longest line that is kept, in characters.
    const LONGEST: usize = 500;
    let mut lines = text.split(['\n', '\r']).map(str::trim);
    let last = lines.rfind(|line| !line.is_empty()).unwrap_or_default();
    last.char_indices()
        .nth(LONGEST)
        .map_or(last, |(end, _)| &last[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_one_that_says_something() {
        assert_eq!(last_line("error: one\nerror: two \r\n\n  \r"), "error: two");
        assert_eq!(last_line("10 %\r20 %"), "20 %");
        assert_eq!(last_line(" \n"), "");
        assert_eq!(last_line(&"ü".repeat(600)).chars().count(), 500);
    }

    #[test]
    fn a_mark_reads_back_as_it_was_written() {
        let failure = Failure {
            exit_code: Some(5),
            message: "error: a \"loss\"".to_owned(),
        };
        for outcome in [Outcome::Finished {}, Outcome::Failed(failure)] {
            let text = serde_json::to_string(&outcome).expect("JSON");
            assert_eq!(serde_json::from_str::<Outcome>(&text).ok(), Some(outcome));
        }
    }
}
