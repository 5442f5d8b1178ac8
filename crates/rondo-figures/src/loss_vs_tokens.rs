//! Unsmoothed training loss against steps and tokens.
//!
//! Geiping et al. 2025, arXiv 2502.05171, left part of the figure of the main run's loss and
//! perplexity.

use rondo_metrics::names::LOSS;

use crate::axis::Axis;
use crate::error::FigureError;
use crate::legend::{Entry, Legend};
use crate::lines::Line;
use crate::page::Page;
use crate::palette::series;
use crate::panel::Panel;
use crate::picture::Picture;
use crate::runs::{RunLog, by_step, check};
use crate::scene::Stroke;
use crate::table::Table;
use crate::tokens::TokenRate;

const NAME: &str = "loss-vs-tokens";
const HEIGHT: f64 = 760.0;

/// Draws the training loss of each run on a linear axis. The lower axis shows steps on a log
/// scale, the upper axis the corresponding tokens.
///
/// Its table has the columns `run,step,tokens,loss`.
///
/// # Errors
/// [`FigureError::Empty`] without runs, or if a run has no training loss, or no point with tokens.
pub fn loss_vs_tokens(runs: &[RunLog]) -> Result<Picture, FigureError> {
    check(NAME, runs, "training loss", |run| &run.loss)?;
    let rates = runs
        .iter()
        .map(|run| TokenRate::of(NAME, &run.name, run.loss.iter()))
        .collect::<Result<Vec<_>, _>>()?;
    let points = || runs.iter().flat_map(|run| &run.loss);
    let x = Axis::steps("Step (log)", points().map(|point| point.step));
    let y = Axis::linear("Loss", points().map(|point| point.value), 0.04);
    let (Some(y), [rate, others @ ..]) = (y, rates.as_slice()) else {
        return Err(FigureError::empty(NAME, "no training loss is finite"));
    };
    let mut caption: Vec<String> = x.clamp_note().into_iter().collect();
    caption.extend(rate.notes(others));
    let strokes = (0..runs.len()).map(|index| Stroke::solid(series(index), 2.2));
    let named = runs.iter().zip(strokes.clone());
    let named = named.map(|(run, stroke)| Entry::line(run.name.clone(), stroke));
    let legend = Legend::of_several(named);
    let title = "Training loss";
    let Page { mut scene, body } = Page::new(title, HEIGHT, &caption, &Legend::default(), &legend);
    let tokens = x.scaled("Tokens (log)", rate.per_step);
    let lines: Vec<Line> = runs
        .iter()
        .zip(strokes)
        .map(|(run, stroke)| Line::plain(by_step(&run.loss), stroke))
        .collect();
    let panel = Panel::fit(body, x, y).with_second(tokens);
    panel.plot(&mut scene, &lines, &[]);
    Ok(Picture::new(NAME, scene, table(runs)))
}

fn table(runs: &[RunLog]) -> Table {
    let mut table = Table::new(&format!("run,step,tokens,{}", LOSS.name()));
    for run in runs {
        for point in &run.loss {
            table.row(&[&run.name, &point.step, &point.tokens, &point.value]);
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
    fn tokens_stand_above_the_steps_they_belong_to() {
        // Steps 1 to 100 with 512 tokens each correspond to 512 to 51200 tokens.
        let picture = loss_vs_tokens(&[run("main")]).expect("a picture");
        golden::check(NAME, &picture);
        let expected = "\
run,step,tokens,loss
main,1,512,7.0
main,10,5120,5.0
main,100,51200,3.5
";
        assert_eq!(picture.csv(), expected);
    }

    #[test]
    fn only_several_runs_have_a_legend() {
        let svg = |runs: &[RunLog]| loss_vs_tokens(runs).expect("a picture").svg();
        assert!(!svg(&[run("main")]).contains(">main<"));
        assert!(svg(&[run("main"), run("other")]).contains(">other<"));
    }

    #[test]
    fn one_number_is_drawn_and_none_is_refused() {
        let mut single = run("main");
        single.loss = log(&[(3, 5.0)]);
        assert!(loss_vs_tokens(&[single.clone()]).is_ok());
        single.loss = log(&[(3, f64::INFINITY)]);
        refused(loss_vs_tokens(&[single]), "no training loss that is finite");
    }
}
