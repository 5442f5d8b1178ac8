//! Standard output for the result of a command, standard error for all other messages.

use std::io::{self, Write};

use rondo_metrics::Word;
use rondo_train::error::Result;

/// Prints text and a line end on standard output.
///
/// # Errors
///
/// If standard output cannot be written. A closed pipe, as after `head`, is not an error.
pub(crate) fn print(text: &str) -> Result<()> {
    stream(&format!("{text}\n"))
}

/// Prints text on standard output at once, without a line end.
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

/// Prints a note beside the result, on standard error.
pub(crate) fn note(text: &str) {
    // Standard error may be closed, in which case the message is lost.
    let _ = writeln!(io::stderr(), "{text}");
}
