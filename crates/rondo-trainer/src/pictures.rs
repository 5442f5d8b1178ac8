//! Converts runs and evaluations to the types of rondo-figures. This file draws traces and adaptive
//! exits. [`runs`] draws the metrics of runs, [`sweeps`] draws learning-rate schedules, [`tasks`]
//! draws benchmarks, [`outcomes`] reads the stored outcomes of benchmarks, and [`sheets`] draws
//! whole sweeps. [`name`] lists the pictures of `trainer figure`.

pub(crate) mod name;
pub(crate) mod outcomes;
pub(crate) mod runs;
pub(crate) mod sheets;
pub(crate) mod sweeps;
pub(crate) mod tasks;

use std::path::{Path, PathBuf};

use rondo_data::Tokenizer;
use rondo_figures::{Criterion, CurvePoint, ExitCurve, ExitSeries, Picture, Trajectories};
use rondo_train::error::Result;
use rondo_train::evaluate::exits::ExitResult;
use rondo_train::evaluate::{DepthResult, Evaluated};

/// Draws the distance of each token's state from the last state of that token, and the orbits of
/// the last token.
///
/// `states` contains the raw state of each iteration, `[seq, d_model]`.
///
/// # Errors
///
/// Returns an error if a state is not finite, no state changes, or a file cannot be written.
pub(crate) fn of_trace(
    states: &[Vec<f32>],
    row: &[u32],
    d_model: usize,
    tokenizer: Option<&Tokenizer>,
    dir: &Path,
) -> Result<Vec<PathBuf>> {
    let text = |tokenizer: &Tokenizer| {
        row.iter()
            .map(|id| Ok(tokenizer.decode_known(std::slice::from_ref(id))?))
            .collect::<Result<Vec<_>>>()
    };
    let labels = tokenizer.map(text).transpose()?;
    let trajectories = Trajectories {
        states,
        tokens: row.len(),
        d_model,
        labels: labels.as_deref(),
    };
    let pictures = [
        rondo_figures::convergence(&trajectories)?,
        rondo_figures::orbits(&trajectories, &[row.len() - 1])?,
    ];
    save(&pictures, dir)
}

/// Draws the perplexity against the number of iterations, and the iterations at which tokens exit.
///
/// # Errors
///
/// Returns an error if a file cannot be written.
pub(crate) fn of_exits(evaluated: &Evaluated, dir: &Path) -> Result<Vec<PathBuf>> {
    let fixed: Vec<CurvePoint> = evaluated.depths.iter().map(of_depth).collect();
    let points: Vec<[CurvePoint; 1]> = evaluated.exits.iter().map(|exit| [of_exit(exit)]).collect();
    let adaptive: Vec<Criterion<'_>> = evaluated
        .exits
        .iter()
        .zip(&points)
        .map(|(exit, points)| Criterion {
            name: exit.criterion.name(),
            points,
        })
        .collect();
    let taken: Vec<Vec<usize>> = evaluated.exits.iter().map(by_token).collect();
    let series: Vec<ExitSeries<'_>> = evaluated
        .exits
        .iter()
        .zip(&taken)
        .map(|(exit, exits)| ExitSeries {
            name: exit.criterion.name(),
            exits,
        })
        .collect();
    let curve = ExitCurve {
        fixed: &fixed,
        adaptive: &adaptive,
    };
    let pictures = [
        rondo_figures::exit_curve(&curve)?,
        rondo_figures::exit_histogram(&series)?,
    ];
    save(&pictures, dir)
}

fn of_depth(depth: &DepthResult) -> CurvePoint {
    CurvePoint {
        iterations: depth.recurrence as f64,
        perplexity: depth.perplexity,
    }
}

fn of_exit(exit: &ExitResult) -> CurvePoint {
    CurvePoint {
        iterations: exit.mean_iterations,
        perplexity: exit.perplexity,
    }
}

/// Returns the number of iterations of every token.
fn by_token(exit: &ExitResult) -> Vec<usize> {
    (1..)
        .zip(&exit.iterations)
        .flat_map(|(i, count)| std::iter::repeat_n(i, *count as usize))
        .collect()
}

fn save(pictures: &[Picture], dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for picture in pictures {
        files.extend(picture.save(dir)?);
    }
    Ok(files)
}
