//! `trainer figure`: the pictures of the papers, from the metrics of runs.

use crate::cli::{FigureArgs, FigureName};
use crate::error::{Error, Result};
use crate::past::PastRun;
use crate::pictures::runs::draw;
use crate::pictures::sweeps::{runs_in, save_schedules};
use crate::terminal;

/// Draws a picture.
///
/// # Errors
///
/// Where the runs lack what the picture shows, or a file cannot be written.
pub(crate) fn command(args: &FigureArgs) -> Result<()> {
    let runs = PastRun::open_all(&runs_in(&args.runs)?)?;
    let law = args.law.as_deref();
    let files = match args.name {
        FigureName::LrSchedules => save_schedules(&runs, law, &args.out)?,
        _ if law.is_some() => {
            return Err(Error::Usage(
                "--law: only lr-schedules shows what a law predicts".to_owned(),
            ));
        }
        name => draw(name, &runs)?.save(&args.out)?,
    };
    for file in files {
        terminal::print(&file.display().to_string())?;
    }
    Ok(())
}
