//! Validation perplexity at each recurrence depth, against steps and tokens.
//!
//! Geiping et al. 2025, arXiv 2502.05171, right part of the figure of the main run's loss and
//! perplexity.

use crate::axis::Axis;
use crate::depths::Depths;
use crate::error::FigureError;
use crate::lines::Line;
use crate::page::{Page, same_axes};
use crate::panel::Panel;
use crate::picture::Picture;
use crate::runs::{RunLog, by_step, check};
use crate::table::Table;
use crate::tokens::TokenRate;

const NAME: &str = "ppl-vs-tokens";

/// Draws a panel for each run with a line for each recurrence depth. The lower axis shows steps,
/// the upper axis the corresponding tokens; all axes are log axes.
///
/// Its table has the columns `run,depth,step,tokens,perplexity`.
///
/// # Errors
/// [`FigureError::Empty`] without runs, or if a run has no evaluation, or no point after step 0
/// with a number of tokens.
pub fn ppl_vs_tokens(runs: &[RunLog]) -> Result<Picture, FigureError> {
    check(NAME, runs, "evaluation", RunLog::evaluations)?;
    let rates = runs
        .iter()
        .map(|run| {
            let logged = run.loss.iter().chain(run.evaluations());
            TokenRate::of(NAME, &run.name, logged)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let points = || runs.iter().flat_map(RunLog::evaluations);
    let x = Axis::steps("Step (log)", points().map(|point| point.step));
    let y = Axis::log("Val PPL (log)", points().map(|point| point.value), 0.05)
        .ok_or_else(|| FigureError::empty(NAME, "no perplexity is positive"))?;
    let mut caption: Vec<String> = [&x, &y].into_iter().filter_map(Axis::clamp_note).collect();
    caption.extend(rates.iter().flat_map(|rate| rate.notes(&[])));
    caption.extend(same_axes(runs.len()));
    let depths = Depths::of_runs(runs);
    let title = "Validation perplexity at each recurrence depth";
    let (mut scene, places) = Page::of_multiples(title, runs.len(), &caption, &depths.legend());
    for ((run, rate), place) in runs.iter().zip(&rates).zip(places) {
        let lines: Vec<Line> = run
            .val_perplexity
            .iter()
            .map(|depth| Line::marked(by_step(&depth.points), depths.stroke(depth.depth)))
            .collect();
        Panel::fit(place, x.clone(), y.clone())
            .with_second(x.scaled("Tokens (log)", rate.per_step))
            .with_heading(&run.name, String::new())
            .plot(&mut scene, &lines, &[]);
    }
    Ok(Picture::new(NAME, scene, table(runs)))
}

fn table(runs: &[RunLog]) -> Table {
    let mut table = Table::new("run,depth,step,tokens,perplexity");
    for run in runs {
        let name = &run.name;
        for depth in &run.val_perplexity {
            for p in &depth.points {
                table.row(&[name, &depth.depth, &p.step, &p.tokens, &p.value]);
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::refused;
    use crate::golden;
    use crate::runs::tests::{log, run};

    #[test]
    fn each_run_has_a_panel_and_each_depth_a_colour() {
        let picture = ppl_vs_tokens(&[run("one"), run("two")]).expect("a picture");
        golden::check(NAME, &picture);
        let head = "\
run,depth,step,tokens,perplexity
one,1,0,0,1100.0
one,1,100,51200,40.0
one,16,0,0,1100.0
one,16,100,51200,30.0
two,1,0,0,1100.0
";
        assert!(picture.csv().starts_with(head));
    }

    #[test]
    fn a_single_evaluation_is_a_mark() {
        let mut single = run("one");
        single.val_perplexity.truncate(1);
        single.val_perplexity[0].points = log(&[(50, 20.0)]);
        let svg = ppl_vs_tokens(&[single]).expect("a picture").svg();
        assert!(svg.contains("fill=\"#1f77b4\""));
    }

    #[test]
    fn a_run_without_an_evaluation_is_named() {
        let mut bare = run("bare");
        bare.val_perplexity[0].points.clear();
        bare.val_perplexity[1].points.clear();
        refused(
            ppl_vs_tokens(&[run("one"), bare]),
            "run `bare` has no evaluation",
        );
    }
}
