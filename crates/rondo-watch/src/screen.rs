//! The terminal while the live view uses it: an alternate screen without a cursor, on which keys
//! are read one by one. The terminal is restored after a return, an error or a panic. After
//! SIGKILL, which no program can handle, the user must restore it with `reset; tput rmcup`.

use std::io::{self, Stdout, Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, Show};
use crossterm::execute;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Frame, Terminal};

use crate::cells::Cells;
use crate::error::WatchError;

/// Whether standard output is in use. It ensures that the terminal is restored only once.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// Restores the terminal if it is in use. A process calls this if it exits without returning.
pub fn give_back_terminal() {
    give_back(&mut stdout(), &IS_TAKEN);
}

/// Standard output while it is in use.
pub(crate) struct Screen {
    terminal: Terminal<Cells<Stdout>>,
    _taken: Taken<Stdout>,
}

impl Screen {
    /// Takes over the terminal.
    ///
    /// # Errors
    ///
    /// Returns an error if the terminal refuses a command; the terminal is then unchanged.
    pub(crate) fn take() -> Result<Self, WatchError> {
        let taken = Taken::take(stdout(), &IS_TAKEN, enable_raw_mode).map_err(refused)?;
        let terminal = Terminal::new(Cells::new(stdout())).map_err(refused)?;
        Ok(Self {
            terminal,
            _taken: taken,
        })
    }

    /// Draws a frame in the current size of the window.
    ///
    /// # Errors
    ///
    /// Returns an error if the terminal refuses a command.
    pub(crate) fn draw<T>(
        &mut self,
        draw: impl FnOnce(&mut Frame<'_>) -> T,
    ) -> Result<T, WatchError> {
        let mut result = None;
        self.terminal
            .draw(|frame| result = Some(draw(frame)))
            .map_err(refused)?;
        Ok(result.expect("a frame is drawn once"))
    }
}

fn refused(source: io::Error) -> WatchError {
    WatchError::Terminal {
        action: "draw on",
        source,
    }
}

/// A terminal that is restored when this value is dropped.
struct Taken<W: Write> {
    out: W,
    is_taken: &'static AtomicBool,
}

impl<W: Write> Taken<W> {
    fn take(
        out: W,
        is_taken: &'static AtomicBool,
        set_raw: fn() -> io::Result<()>,
    ) -> io::Result<Self> {
        // This value is made first, so that dropping it also undoes a partial take-over.
        let mut taken = Self { out, is_taken };
        is_taken.store(true, Ordering::SeqCst);
        set_raw()?;
        execute!(taken.out, EnterAlternateScreen, Hide)?;
        Ok(taken)
    }
}

impl<W: Write> Drop for Taken<W> {
    fn drop(&mut self) {
        give_back(&mut self.out, self.is_taken);
    }
}

/// Restores a terminal if it has not been restored yet.
fn give_back(out: &mut impl Write, is_taken: &AtomicBool) {
    if is_taken.swap(false, Ordering::SeqCst) {
        // The result of each command is ignored. A terminal that is gone refuses all of them, and
        // there is no place left to report the errors.
        let _ = disable_raw_mode();
        // The screen is cleared first: if an alternate screen has grown, tmux would move its rows
        // into the main screen.
        let _ = execute!(out, Clear(ClearType::All), LeaveAlternateScreen, Show);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a poisoned lock must fail the test")]

    use std::panic::catch_unwind;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_brings_back_the_first_screen_and_the_cursor() {
        static IS_TAKEN: AtomicBool = AtomicBool::new(false);
        let written = Written::default();
        let out = written.clone();
        let panic = catch_unwind(|| {
            let _taken = Taken::take(out, &IS_TAKEN, || Ok(())).unwrap();
            panic!("in the middle of a frame");
        });
        assert!(panic.is_err());
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        // The private modes of DEC terminals: 1049 is the alternate screen and 25 is the cursor;
        // `h` sets a mode and `l` resets it. `2J` clears the screen.
        assert_eq!(
            text,
            "\u{1b}[?1049h\u{1b}[?25l\u{1b}[2J\u{1b}[?1049l\u{1b}[?25h"
        );
    }

    #[test]
    fn a_terminal_is_given_back_once() {
        static IS_TAKEN: AtomicBool = AtomicBool::new(false);
        let written = Written::default();
        let taken = Taken::take(written.clone(), &IS_TAKEN, || Ok(())).unwrap();
        let before = written.0.lock().unwrap().len();
        give_back(&mut written.clone(), &IS_TAKEN);
        let after = written.0.lock().unwrap().len();
        drop(taken);
        assert!(after > before);
        assert_eq!(written.0.lock().unwrap().len(), after);
    }

    #[test]
    fn a_terminal_that_refuses_is_an_error_and_no_panic() {
        static IS_TAKEN: AtomicBool = AtomicBool::new(false);
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        assert!(Taken::take(Gone, &IS_TAKEN, || Ok(())).is_err());
        assert!(!IS_TAKEN.load(Ordering::SeqCst));
    }
}
