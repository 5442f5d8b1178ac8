//! Standard output: what a command was asked to print; standard error: what it says besides.

use std::io::{self, Write};

use rondo_metrics::Word;
use rondo_train::error::Result;

/// Prints text and a line end on standard output.
///
/// # Errors
///
/// If standard output cannot be written; a reader that has gone away, as `head` does, is not an error.
pub(crate) fn print(text: &str) -> Result<()> {
    stream(&format!("{text}\n"))
}

/// Prints text on standard output at once, without a line end.
///
/// # Errors
///
/// As [`print()`].
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
/// As [`print()`].
pub(crate) fn print_json(value: &serde_json::Value) -> Result<()> {
    print(&format!("{value:#}"))
}

/// Tells the user of something that may be wrong, on standard error.
pub(crate) fn warn(text: &str) {
    note(&format!("{} {text}", Word::Warning.for_stderr()));
}

/// Tells the user something beside the result, on standard error.
pub(crate) fn note(text: &str) {
    // Standard error may be closed; then there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}
