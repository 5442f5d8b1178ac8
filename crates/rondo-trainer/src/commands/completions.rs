//! `trainer completions SHELL`: prints a completion script for a shell.

use clap::CommandFactory;
use rondo_train::error::Result;

use crate::cli::Cli;
use crate::terminal;

/// Prints a completion script.
///
/// # Errors
///
/// Returns an error if standard output cannot be written.
pub(crate) fn command(shell: clap_complete::Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "trainer", &mut script);
    terminal::print(String::from_utf8_lossy(&script).trim_end())
}
