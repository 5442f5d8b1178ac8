//! `trainer figure`: draws the pictures of the papers from the metrics of runs and sweeps, and from
//! the outcomes of benchmark items.

use std::path::PathBuf;

use rondo_train::error::{Error, Result};
use rondo_train::run_history::RunHistory;

use crate::cli::{FigureArgs, FigureLayout};
use crate::pictures::name::PictureName;
use crate::pictures::outcomes::{self, OutcomesFigure};
use crate::pictures::runs::{FigureName, draw, sparsity};
use crate::pictures::sheets;
use crate::pictures::sweeps::{runs_in, save_schedules};
use crate::terminal;

/// Draws a picture.
///
/// # Errors
///
/// Returns an error if an option does not belong to the picture, the runs lack the required data,
/// or a file cannot be written.
pub(crate) fn command(args: &FigureArgs) -> Result<()> {
    check_options(args)?;
    let files = match args.name {
        PictureName::Metrics(name) => of_metrics(name, &runs_in(&args.runs)?, args)?,
        PictureName::Outcomes(name) => {
            let runs = runs_in(&args.runs)?;
            outcomes::draw(name, &runs, &args.task, args.by.as_deref())?.save(&args.out)?
        }
        PictureName::Sweep(_) => of_sweep(args)?,
    };
    for file in files {
        terminal::print(&file.display().to_string())?;
    }
    Ok(())
}

/// Draws a sheet, and prints its table.
fn of_sweep(args: &FigureArgs) -> Result<Vec<PathBuf>> {
    let [sweep] = args.runs.as_slice() else {
        return Err(Error::Usage(format!(
            "field-sheet is drawn from the directory of one sweep, found {} directories",
            args.runs.len()
        )));
    };
    let sheet = sheets::read(sweep, args.sheet())?;
    let files = rondo_figures::field_sheet(&sheet)?.save(&args.out)?;
    terminal::print(&format!("{}\n", sheets::text(&sheet)))?;
    Ok(files)
}

fn of_metrics(name: FigureName, runs: &[PathBuf], args: &FigureArgs) -> Result<Vec<PathBuf>> {
    let runs = RunHistory::open_all(runs, &mut terminal::note)?;
    Ok(match name {
        FigureName::LrSchedules => save_schedules(&runs, args.law.as_deref(), &args.out)?,
        FigureName::Sparsity => {
            let layout = args.layout.map(FigureLayout::layout).unwrap_or_default();
            sparsity(&runs, layout)?.save(&args.out)?
        }
        name => draw(name, &runs)?.save(&args.out)?,
    })
}

/// Returns an error if an option belongs to another picture. It is called before any run is read.
fn check_options(args: &FigureArgs) -> Result<()> {
    let refused = |problem: &str| Err(Error::Usage(problem.to_owned()));
    if args.law.is_some() && args.name != PictureName::Metrics(FigureName::LrSchedules) {
        return refused("--law: only lr-schedules shows what a law predicts");
    }
    if args.layout.is_some() && args.name != PictureName::Metrics(FigureName::Sparsity) {
        return refused("--layout: only the panels of sparsity can be placed in two ways");
    }
    if args.by.is_some() && args.name != PictureName::Outcomes(OutcomesFigure::Benchmarks) {
        return refused("--by: only benchmarks has a panel for each value of a field");
    }
    if !args.task.is_empty() && !matches!(args.name, PictureName::Outcomes(_)) {
        return refused("--task: only benchmarks and depth-controls are drawn from tasks");
    }
    let of_sheets = [
        ("--rows", !args.rows.is_empty()),
        ("--columns", !args.columns.is_empty()),
        ("--metric", args.metric.is_some()),
        ("--depth", !args.depths.is_empty()),
    ];
    let mut given = of_sheets.iter().filter(|(_, is_given)| *is_given);
    if let Some((option, _)) = given.next()
        && !matches!(args.name, PictureName::Sweep(_))
    {
        return refused(&format!("{option}: only field-sheet is laid out by it"));
    }
    Ok(())
}
