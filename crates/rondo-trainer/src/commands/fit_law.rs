//! `trainer fit-law`: fits a law to loss curves, predicts other curves, and searches for the best
//! schedule.

mod curves;
mod optimise;
mod report;

use std::path::Path;

use rondo_figures::{PredictedCurve, PredictedPoint};
use rondo_files::atomic_write;
use rondo_laws::{Curve, Fit, Law, fit};
use rondo_train::error::Result;

use self::curves::{Given, given};
use self::optimise::Optimised;
use self::report::Report;
use crate::cli::FitLawArgs;
use crate::terminal;

/// Fits a law and reports its prediction errors.
///
/// # Errors
///
/// Returns an error if curves cannot be read or do not determine the law, or a file cannot be
/// written.
pub(crate) fn command(args: &FitLawArgs) -> Result<()> {
    let given = given(args)?;
    let fitted: Vec<Curve> = given
        .iter()
        .filter(|given| given.fitted)
        .map(|given| given.curve.clone())
        .collect();
    let fit = fit(args.law, &fitted)?;
    let optimised = match args.optimise {
        true => Some(Optimised::search(args, &given, &fit.law)?),
        false => None,
    };
    let report = Report::new(&fit, &given, optimised.as_ref());
    match args.json.json {
        true => terminal::print_json(&report.to_json())?,
        false => terminal::print(&report.text())?,
    }
    match (&args.out, &optimised) {
        (Some(dir), _) => save(dir, &fit, &given, &report, optimised.as_ref()),
        (None, Some(optimised)) if !args.json.json => {
            terminal::print(&format!("\n{}", optimised.section()?.trim_end()))
        }
        _ => Ok(()),
    }
}

/// Writes fit-law.json, the picture, and the searched schedule.
fn save(
    dir: &Path,
    fit: &Fit,
    given: &[Given],
    report: &Report<'_>,
    optimised: Option<&Optimised>,
) -> Result<()> {
    let curves: Vec<PredictedCurve> = given
        .iter()
        .map(|given| predicted(&fit.law, given))
        .collect();
    let mut files = rondo_figures::fit_law(fit.law.kind().name(), &curves)?.save(dir)?;
    let mut texts = vec![("fit-law.json", format!("{:#}\n", report.to_json()))];
    if let Some(optimised) = optimised {
        texts.push(("schedule.toml", optimised.section()?));
        texts.extend(optimised.config()?.map(|text| ("config.toml", text)));
    }
    for (name, text) in texts {
        let path = dir.join(name);
        atomic_write(&path, text.as_bytes())?;
        files.push(path);
    }
    for file in files {
        terminal::note(&file.display().to_string());
    }
    Ok(())
}

fn predicted(law: &Law, given: &Given) -> PredictedCurve {
    let curve = &given.curve;
    let points = curve.schedule().points().iter();
    let values = curve.losses().iter().zip(law.predict(curve.schedule()));
    PredictedCurve {
        name: curve.name().to_owned(),
        fitted: given.fitted,
        points: points
            .zip(values)
            .map(|((step, _), (loss, predicted))| PredictedPoint {
                step: *step,
                loss: *loss,
                predicted,
            })
            .collect(),
    }
}
