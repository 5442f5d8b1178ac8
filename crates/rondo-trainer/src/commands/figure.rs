//! `trainer figure`: the pictures of the papers, from the metrics of runs.

use crate::cli::FigureArgs;
use crate::error::Result;
use crate::past::PastRun;
use crate::pictures::runs::draw;
use crate::terminal;

/// Draws a picture.
///
/// # Errors
///
/// Where the runs lack what the picture shows, or a file cannot be written.
pub(crate) fn command(args: &FigureArgs) -> Result<()> {
    let runs = PastRun::open_all(&args.runs)?;
    for file in draw(args.name, &runs)?.save(&args.out)? {
        terminal::print(&file.display().to_string())?;
    }
    Ok(())
}
