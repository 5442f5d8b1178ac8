//! The words before warnings and errors, in the colours that clap uses for its messages about the
//! command line.
//!
//! The words are coloured if standard error is a terminal. `NO_COLOR`, `CLICOLOR` and
//! `CLICOLOR_FORCE` override this, as they do for clap.

use std::io;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// A word before a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// `error:`
    Error,
    /// `warning:`
    Warning,
}

impl Word {
    /// Returns the word for output on standard error, with colour if colours are wanted there.
    pub fn for_stderr(self) -> String {
        self.painted(is_wanted())
    }

    /// Returns the word, with or without colour.
    pub(crate) fn painted(self, colour: bool) -> String {
        let (text, hue) = match self {
            Self::Error => ("error:", AnsiColor::Red),
            Self::Warning => ("warning:", AnsiColor::Yellow),
        };
        let style = match colour {
            true => Style::new().fg_color(Some(hue.into())).bold(),
            false => Style::new(),
        };
        format!("{style}{text}{style:#}")
    }
}

/// Returns whether to use colours on standard error.
pub(crate) fn is_wanted() -> bool {
    !matches!(AutoStream::choice(&io::stderr()), ColorChoice::Never)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_bold_red_and_a_warning_bold_yellow() {
        assert_eq!(Word::Error.painted(false), "error:");
        assert_eq!(
            Word::Error.painted(true),
            "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m"
        );
        assert_eq!(
            Word::Warning.painted(true),
            "\u{1b}[1m\u{1b}[33mwarning:\u{1b}[0m"
        );
    }
}
