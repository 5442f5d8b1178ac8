//! `trainer man`: prints or writes manual pages.

use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_mangen::{Man, generate_to};
use rondo_train::error::Result;

use crate::cli::Cli;
use crate::terminal;

/// Prints the manual page of the program. If a folder is given, writes a page for the program and
/// for each command into it.
///
/// # Errors
///
/// Returns an error if standard output or the folder cannot be written.
pub(crate) fn command(out: Option<&Path>) -> Result<()> {
    let Some(out) = out else {
        let mut page = Vec::new();
        Man::new(Cli::command())
            .render(&mut page)
            .map_err(anyhow::Error::from)?;
        return terminal::print(String::from_utf8_lossy(&page).trim_end());
    };
    let write = || {
        std::fs::create_dir_all(out)?;
        generate_to(Cli::command(), out)
    };
    Ok(write().with_context(|| format!("cannot write manual pages into {}", out.display()))?)
}
