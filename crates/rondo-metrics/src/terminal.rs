//! Writes lines to standard error, for a person or for a log file.
//!
//! On a terminal one line is redrawn in place, and permanent lines scroll above it. Any other
//! output has only permanent lines, without escape codes. A failed write (a closed pipe, or a full
//! disk behind a redirection) never stops a run: the text is lost.

use std::io::{self, Write};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::colour::{self, Word};

/// The width of an output that is not a terminal.
const COLUMNS: usize = 80;

/// How much is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A live line if standard error is a terminal; otherwise plain lines.
    #[default]
    Auto,
    /// Plain lines, even on a terminal.
    Plain,
    /// Only warnings.
    Quiet,
    /// Nothing, because another process of the same run prints.
    Silent,
}

/// The destination of lines.
pub(crate) struct Terminal {
    screen: Screen,
    colour: bool,
}

enum Screen {
    Live(ProgressBar),
    Lines(Box<dyn Write + Send>),
    Quiet(Box<dyn Write + Send>),
}

impl Terminal {
    /// Opens standard error.
    pub(crate) fn open(mode: Mode) -> Self {
        let stderr = Term::stderr();
        let colour = colour::is_wanted();
        let target = ProgressDrawTarget::stderr();
        let screen = match mode {
            Mode::Quiet => Screen::Quiet(Box::new(stderr)),
            Mode::Silent => Screen::Quiet(Box::new(io::sink())),
            // The target is hidden if it is not a terminal, or if the terminal cannot move its
            // cursor.
            Mode::Auto if !target.is_hidden() => Screen::Live(live(target)),
            Mode::Auto | Mode::Plain => Screen::Lines(Box::new(stderr)),
        };
        Self { screen, colour }
    }

    /// Returns the live line; `None` if only permanent lines are printed.
    pub(crate) fn bar(&self) -> Option<&ProgressBar> {
        match &self.screen {
            Screen::Live(bar) => Some(bar),
            Screen::Lines(_) | Screen::Quiet(_) => None,
        }
    }

    /// Prints a permanent line, except in quiet mode.
    pub(crate) fn line(&mut self, text: &str) {
        match &mut self.screen {
            Screen::Live(bar) => bar.println(text),
            Screen::Lines(out) => print(out, text),
            Screen::Quiet(_) => {}
        }
    }

    /// Prints a warning, also in quiet mode.
    pub(crate) fn warn(&mut self, text: &str) {
        let text = format!("{} {text}", Word::Warning.painted(self.colour));
        match &mut self.screen {
            Screen::Live(bar) => bar.println(text),
            Screen::Lines(out) | Screen::Quiet(out) => print(out, &text),
        }
    }

    /// Returns how many columns a line may have.
    pub(crate) fn columns(&self) -> usize {
        let terminal = || Term::stderr().size_checked();
        match self.bar().and_then(|_| terminal()) {
            Some((_, columns)) => columns.into(),
            None => COLUMNS,
        }
    }

    /// Removes the live line.
    pub(crate) fn clear(&self) {
        if let Some(bar) = self.bar() {
            bar.finish_and_clear();
        }
    }
}

fn live(target: ProgressDrawTarget) -> ProgressBar {
    ProgressBar::with_draw_target(None, target).with_style(style("{msg}"))
}

/// Returns the style of a template, or the default style if the template is invalid.
pub(crate) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Prints a line in one write, so lines of several processes do not mix.
fn print(out: &mut dyn Write, text: &str) {
    let _ = out
        .write_all(format!("{text}\n").as_bytes())
        .and_then(|()| out.flush());
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "a poisoned lock must fail the test")]

    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;

    /// A screen that stores all text written to it, in order.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Screenshot(Arc<Mutex<String>>);

    impl Screenshot {
        pub(crate) fn text(&self) -> String {
            self.0.lock().unwrap().clone()
        }

        fn add(&self, text: &str) {
            self.0.lock().unwrap().push_str(text);
        }

        pub(crate) fn plain(&self) -> Terminal {
            Terminal {
                screen: Screen::Lines(Box::new(self.clone())),
                colour: false,
            }
        }

        pub(crate) fn quiet(&self) -> Terminal {
            Terminal {
                screen: Screen::Quiet(Box::new(self.clone())),
                colour: false,
            }
        }

        pub(crate) fn live(&self, colour: bool) -> Terminal {
            let target = ProgressDrawTarget::term_like(Box::new(self.clone()));
            Terminal {
                screen: Screen::Live(live(target)),
                colour,
            }
        }
    }

    impl Write for Screenshot {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.add(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl TermLike for Screenshot {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.add(&format!("{text}\n"));
            Ok(())
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.add(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn plain_lines_hold_no_escape_codes() {
        let screen = Screenshot::default();
        let mut terminal = screen.plain();
        terminal.line("a line");
        terminal.warn("careful");
        assert_eq!(screen.text(), "a line\nwarning: careful\n");
    }

    #[test]
    fn quiet_leaves_only_warnings() {
        let screen = Screenshot::default();
        let mut terminal = screen.quiet();
        terminal.line("a line");
        terminal.warn("careful");
        assert_eq!(screen.text(), "warning: careful\n");
    }

    #[test]
    fn a_live_terminal_prints_lines_above_and_colours_only_if_wanted() {
        for (colour, word) in [
            (false, "warning: careful"),
            (true, "\u{1b}[1m\u{1b}[33mwarning:"),
        ] {
            let screen = Screenshot::default();
            let mut terminal = screen.live(colour);
            terminal.bar().unwrap().set_message("the live line");
            terminal.warn("careful");
            terminal.clear();
            let text = screen.text();
            assert!(
                text.contains("the live line") && text.contains(word),
                "{text:?}"
            );
            assert_eq!(text.contains("\u{1b}[3"), colour, "{text:?}");
        }
    }

    #[test]
    fn a_terminal_that_is_gone_stops_nothing() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let mut terminal = Terminal {
            screen: Screen::Lines(Box::new(Gone)),
            colour: false,
        };
        terminal.line("a line");
        terminal.warn("careful");
    }
}
