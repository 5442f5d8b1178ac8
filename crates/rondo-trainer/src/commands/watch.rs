//! `trainer watch`: shows runs in the terminal while they train.

use std::io::{IsTerminal, stdout};
use std::path::PathBuf;
use std::time::SystemTime;

use rondo_sweep::SweepDir;
use rondo_train::error::{Error, Result};
use rondo_train::interrupt;
use rondo_watch::{End, Palette, Run, live, table};

use crate::cli::WatchArgs;
use crate::terminal;

/// Shows runs until a key ends the view, or prints one table if standard output is not a terminal.
///
/// # Errors
///
/// Returns an error if a folder is missing, the terminal fails, or the metrics are damaged and
/// there is no terminal to show this.
pub(crate) fn command(args: &WatchArgs) -> Result<()> {
    let dirs = run_dirs(&args.runs)?;
    if !is_drawn_on() {
        return print_table(&dirs);
    }
    let palette = Palette::of_environment(std::env::var_os("NO_COLOR").as_deref());
    let end = interrupt::held(|| live(&dirs, args.interval, palette, &interrupt::asked))?;
    match end.map_err(anyhow::Error::from)? {
        End::Quit => Ok(()),
        End::Signalled => Err(Error::Interrupted(
            "a signal ended the view; the runs do not depend on it".to_owned(),
        )),
    }
}

/// Whether standard output is a terminal that can move its cursor.
fn is_drawn_on() -> bool {
    stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|name| name != "dumb")
}

fn print_table(dirs: &[PathBuf]) -> Result<()> {
    let mut runs = Run::all(dirs);
    for run in &mut runs {
        run.read()?;
        if let Some(note) = run.plan().note.as_deref().filter(|_| run.has_records()) {
            terminal::note(&format!("{}: {note}", run.dir().display()));
        }
    }
    terminal::print(&table(&runs, SystemTime::now()).to_string())
}

/// Returns the run directories. A sweep's directory stands for the directories of its runs.
fn run_dirs(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut dirs = Vec::new();
    for path in paths {
        if !path.is_dir() {
            return Err(Error::Usage(format!(
                "{} is not a run directory: there is no such folder",
                path.display()
            )));
        }
        if path.join("sweep.toml").is_file() {
            let sweep = SweepDir::load(path)?;
            dirs.extend(sweep.plan().iter().map(|run| sweep.run_dir(run)));
        } else {
            dirs.push(path.clone());
        }
    }
    Ok(dirs)
}
