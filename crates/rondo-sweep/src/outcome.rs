//! How a run has ended, and how far it is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How far a run is, as the sweep's directory tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing has happened.
    Pending,
    /// Started, and not ended: it runs, or was interrupted and goes on when the sweep does.
    Unfinished,
    /// Ended well; its summary is there.
    Finished,
    /// Ended otherwise; it is not started again unless that is asked for.
    Failed(Failure),
}

impl Status {
    /// Returns the word that tables use.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Unfinished => "unfinished",
            Self::Finished => "finished",
            Self::Failed(_) => "failed",
        }
    }
}

/// How a run has failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The exit code; none where a signal has ended it.
    pub exit_code: Option<i32>,
    /// The last line that it wrote to standard error.
    pub message: String,
}

impl fmt::Display for Failure {
    /// Writes the message, without the word that begins it, and the exit code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.trim_start_matches("error: ");
        match self.exit_code {
            Some(code) => write!(f, "{message} (exit code {code})"),
            None if message.is_empty() => f.write_str("ended by a signal"),
            None => write!(f, "{message} (ended by a signal)"),
        }
    }
}

/// The mark that an ended run gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// Ended well.
    Finished {},
    /// Ended otherwise.
    Failed(Failure),
}

/// Returns the last line that says something, of at most 500 characters.
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
