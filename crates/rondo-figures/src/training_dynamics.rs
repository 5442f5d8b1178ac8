//! Training dynamics of several runs: loss, correlation of hidden states, validation perplexity.
//!
//! Geiping et al. 2025, arXiv 2502.05171, the figure of the main run and two failed runs. If the
//! state collapses, the correlation stays at 1, and the perplexity is equal at all depths.

use rondo_metrics::names::{HIDDEN_STATE_CORR, LOSS, VAL_PERPLEXITY};

use crate::axis::Axis;
use crate::depths::Depths;
use crate::error::FigureError;
use crate::grid;
use crate::legend::{Entry, Legend};
use crate::lines::Line;
use crate::page::Page;
use crate::palette::{Dash, series};
use crate::panel::Panel;
use crate::picture::Picture;
use crate::runs::{Logged, RunLog, by_step, check};
use crate::scene::{Scene, Stroke};
use crate::table::Table;

const NAME: &str = "training-dynamics";
const HEIGHT: f64 = 520.0;
const PANELS: usize = 3;
/// The range that the axis of the correlation always includes.
const CORRELATIONS: (f64, f64) = (0.1, 1.0);
/// The axis of the correlation does not go below this value: smaller correlations are noise around
/// zero.
const LOWEST_CORRELATION: f64 = 1e-3;

/// Draws three panels against the optimizer step, with log axes: training loss,
/// `hidden_state_corr`, and validation perplexity with a line for each recurrence depth. A run has
/// the same colour in all panels.
///
/// Its table has the columns `run,metric,depth,step,tokens,value`; `depth` is empty for a metric
/// without depths.
///
/// # Errors
/// [`FigureError::Empty`] without runs, if a run has no finite training loss, correlation or
/// evaluation, or if no training loss or no perplexity is positive.
pub fn training_dynamics(runs: &[RunLog]) -> Result<Picture, FigureError> {
    check(NAME, runs, "training loss", |run| &run.loss)?;
    check(NAME, runs, HIDDEN_STATE_CORR.name(), |run| {
        &run.hidden_state_corr
    })?;
    check(NAME, runs, "evaluation", RunLog::evaluations)?;
    let no = |what| FigureError::empty(NAME, format!("no {what} is positive"));
    let losses = values(runs.iter().flat_map(|run| &run.loss));
    let loss = Axis::log("Loss (log)", losses, 0.06).ok_or_else(|| no("training loss"))?;
    let correlation = Axis::log_covering(
        "Hidden State Corr. (log)",
        values(runs.iter().flat_map(|run| &run.hidden_state_corr)),
        CORRELATIONS,
        LOWEST_CORRELATION,
        0.06,
    );
    let perplexities = values(runs.iter().flat_map(RunLog::evaluations));
    let perplexity =
        Axis::log("Val PPL (log)", perplexities, 0.06).ok_or_else(|| no("perplexity"))?;
    let axes = [loss, correlation, perplexity];
    Ok(Picture::new(NAME, draw(runs, axes), table(runs)))
}

fn values<'a>(points: impl Iterator<Item = &'a Logged>) -> impl Iterator<Item = f64> {
    points.map(|point| point.value)
}

fn draw(runs: &[RunLog], axes: [Axis; PANELS]) -> Scene {
    let steps = runs.iter().flat_map(|run| {
        let trained = run.loss.iter().chain(&run.hidden_state_corr);
        trained.chain(run.evaluations()).map(|point| point.step)
    });
    let x = Axis::steps("Optimizer Step", steps);
    let notes = std::iter::once(&x)
        .chain(&axes)
        .filter_map(Axis::clamp_note);
    let caption: Vec<String> = notes.collect();
    let depths = Depths::of_runs(runs);
    let names = runs.iter().enumerate();
    let names = names.map(|(index, run)| Entry::line(run.name.clone(), solid(index, 3.0)));
    let title = "Training dynamics: loss, correlation of hidden states, validation perplexity";
    let beside = depths.styles();
    let Page { mut scene, body } = Page::new(title, HEIGHT, &caption, &beside, &Legend::of(names));
    let places = grid::places(body, PANELS, PANELS);
    let lines = [
        trained(runs, |run| &run.loss),
        trained(runs, |run| &run.hidden_state_corr),
        evaluated(runs),
    ];
    for ((place, y), lines) in places.into_iter().zip(axes).zip(lines) {
        Panel::fit(place, x.clone(), y).plot(&mut scene, &lines, &[]);
    }
    scene
}

fn solid(run: usize, width: f64) -> Stroke {
    Stroke::solid(series(run), width)
}

fn trained(runs: &[RunLog], points: fn(&RunLog) -> &[Logged]) -> Vec<Line> {
    let lines = runs.iter().enumerate();
    let lines = lines.map(|(index, run)| Line::plain(by_step(points(run)), solid(index, 1.8)));
    lines.collect()
}

fn evaluated(runs: &[RunLog]) -> Vec<Line> {
    let lines = runs.iter().enumerate().flat_map(|(index, run)| {
        run.val_perplexity.iter().map(move |depth| {
            let stroke = solid(index, 2.4).with_dash(Dash::of_depth(depth.depth));
            Line::plain(by_step(&depth.points), stroke)
        })
    });
    lines.collect()
}

fn table(runs: &[RunLog]) -> Table {
    let mut table = Table::new("run,metric,depth,step,tokens,value");
    for run in runs {
        let name = &run.name;
        let mut rows = |metric: &str, depth: &str, points: &[Logged]| {
            for p in points {
                table.row(&[name, &metric, &depth, &p.step, &p.tokens, &p.value]);
            }
        };
        rows(LOSS.name(), "", &run.loss);
        rows(HIDDEN_STATE_CORR.name(), "", &run.hidden_state_corr);
        for depth in &run.val_perplexity {
            let at = depth.depth.to_string();
            rows(VAL_PERPLEXITY.name(), &at, &depth.points);
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
    fn three_panels_name_their_axes_and_two_legends_their_lines() {
        let runs = [run("main"), run("bad, 1")];
        golden::check(NAME, &training_dynamics(&runs).expect("a picture"));
    }

    #[test]
    fn the_table_holds_every_number_and_gaps_are_empty() {
        let mut main = run("main");
        main.loss = log(&[(1, 7.5), (2, f64::NAN)]);
        let expected = "\
run,metric,depth,step,tokens,value
main,loss,,1,512,7.5
main,loss,,2,1024,
main,hidden_state_corr,,1,512,0.9
main,hidden_state_corr,,100,51200,0.2
main,val_perplexity,1,0,0,1100.0
main,val_perplexity,1,100,51200,40.0
main,val_perplexity,16,0,0,1100.0
main,val_perplexity,16,100,51200,30.0
";
        assert_eq!(
            training_dynamics(&[main]).expect("a picture").csv(),
            expected
        );
    }

    #[test]
    fn the_caption_tells_what_a_log_axis_has_no_place_for() {
        let mut run = run("main");
        run.hidden_state_corr = log(&[(1, -0.01), (2, 0.0), (3, 1.0)]);
        let svg = training_dynamics(&[run]).expect("a picture").svg();
        assert!(svg.contains("2 values of Hidden State Corr. (log) below 0.1 are drawn"));
        assert!(svg.contains("before the first step is drawn at step 1."));
    }

    #[test]
    fn a_picture_drawn_twice_has_the_same_bytes() {
        let draw = || training_dynamics(&[run("a"), run("b")]).expect("a picture");
        assert!(golden::files(&draw()) == golden::files(&draw()));
    }

    #[test]
    fn what_a_run_lacks_is_told_by_its_name() {
        let changed = |change: fn(&mut RunLog)| {
            let mut bad = run("b");
            change(&mut bad);
            training_dynamics(&[run("a"), bad])
        };
        let nothing = "picture training-dynamics: nothing to draw: run `b` has no";
        refused(
            changed(|b| b.loss.clear()),
            &format!("{nothing} training loss"),
        );
        let nan = changed(|b| b.hidden_state_corr = log(&[(1, f64::NAN)]));
        refused(nan, &format!("{nothing} hidden_state_corr that is finite"));
        refused(
            changed(|b| b.val_perplexity.clear()),
            &format!("{nothing} evaluation"),
        );
        refused(training_dynamics(&[]), "no run is given");
    }

    #[test]
    fn a_run_with_one_evaluation_and_runs_of_other_depths_are_drawn() {
        let mut short = run("short");
        short.val_perplexity.truncate(1);
        short.val_perplexity[0].points.truncate(1);
        short.hidden_state_corr = log(&[(7, 1.0)]);
        let picture = training_dynamics(&[run("main"), short]).expect("a picture");
        assert!(
            picture
                .csv()
                .contains("short,val_perplexity,1,0,0,1100.0\n")
        );
    }

    #[test]
    fn many_steps_are_drawn_with_few_points_and_tabled_in_full() {
        let mut long = run("long");
        let loss: Vec<(u64, f64)> = (1..=100_000).map(|i| (i, 2.0 + 1.0 / i as f64)).collect();
        long.loss = log(&loss);
        let picture = training_dynamics(&[long]).expect("a picture");
        assert!(picture.svg().len() < 100_000);
        assert!(picture.csv().lines().count() > 100_000);
    }
}
