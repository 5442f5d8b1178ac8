//! Prints the result of a command on standard output, and all other messages on standard error.

use std::io::{self, Write};

use rondo_metrics::Word;
use rondo_train::error::Result;

/// Prints text and a line end on standard output.
///
/// # Errors
///
/// Returns an error if standard output cannot be written. A closed pipe, as after `head`, is not an
/// error.
pub(crate) fn print(text: &str) -> Result<()> {
    stream(&format!("{text}\n"))
}

/// Prints text on standard output immediately, without a line end.
///
/// # Errors
///
/// Those of [`print()`].
pub(crate) fn stream(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(anyhow::Error::new(error)
            .context("cannot write to standard output")
            .into()),
        _ => Ok(()),
    }
}

/// Prints a value as indented JSON.
///
/// # Errors
///
/// Those of [`print()`].
pub(crate) fn print_json(value: &serde_json::Value) -> Result<()> {
    print(&format!("{value:#}"))
}

/// Prints a warning on standard error.
pub(crate) fn warn(text: &str) {
    note(&format!("{} {text}", Word::Warning.for_stderr()));
}

/// Prints a note on standard error, separate from the result.
pub(crate) fn note(text: &str) {
    // If standard error is closed, the note is lost.
    let _ = writeln!(io::stderr(), "{text}");
}
