//! The plan of runs before training: learning rates, their sums, and curricula of the loop.

use rondo_metrics::names::{LR, LR_SUM};

use crate::axis::Axis;
use crate::error::FigureError;
use crate::legend::Legend;
use crate::lines::Line;
use crate::page::Page;
use crate::palette::{Colour, Dash};
use crate::picture::Picture;
use crate::rates::{self, Rated, WIDTH};
use crate::scene::{Scene, Stroke};
use crate::stack;
use crate::table::Table;

const NAME: &str = "schedule";
const PANELS: usize = 3;
/// The heights of the frames, in pixels.
const HEIGHTS: [f64; PANELS] = [340.0; PANELS];
/// The approximate number of labels on the axis of iterations.
const LABELLED: usize = 8;

/// A run's schedule before it is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedRun {
    /// The name of the run.
    pub name: String,
    /// The steps of the run, in ascending order. Some steps may be missing; until the next listed
    /// step, the counts of iterations stay the same.
    pub steps: Vec<PlannedStep>,
}

/// The plan of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlannedStep {
    /// The step, counted from 1.
    pub step: u64,
    /// The learning rate of the step. A rate that is not finite makes a gap.
    pub rate: f64,
    /// The learning rate summed over all steps up to and including this step.
    pub rate_sum: f64,
    /// The mean of the distribution from which the step's recurrence depth is drawn.
    pub mean_recurrence: usize,
    /// The largest number of iterations with a gradient.
    pub backprop_depth: usize,
}

impl Rated for PlannedRun {
    fn name(&self) -> &str {
        &self.name
    }

    fn rates(&self) -> impl Iterator<Item = (u64, f64)> {
        self.steps.iter().map(|step| (step.step, step.rate))
    }

    fn rate_sum(&self) -> f64 {
        self.steps.last().map_or(f64::NAN, |step| step.rate_sum)
    }
}

/// Draws panels one above the other against the step, with linear axes. The first shows the
/// learning rate, the second its sum over the steps. If the mean recurrence or the backprop depth
/// of any run changes, a third panel shows both for every run: the mean recurrence as a solid line
/// and the backprop depth as a dashed line. Up to nine runs have their own colours and a legend;
/// more runs are coloured by their summed learning rate.
///
/// Its table has the columns `run,step,lr,lr_sum,mean_recurrence,backprop_depth`.
///
/// # Errors
/// [`FigureError::Empty`] without runs, if a run has no rate that is finite, or if no sum is
/// finite.
pub fn schedule(runs: &[PlannedRun]) -> Result<Picture, FigureError> {
    let (step, rate) = rates::axes(NAME, runs)?;
    let sums = steps(runs).map(|step| step.rate_sum);
    let shown = sums
        .filter(|sum| sum.is_finite())
        .flat_map(|sum| [0.0, sum]);
    let sum = Axis::linear("LR Summed Over Steps", shown, 0.03)
        .ok_or_else(|| FigureError::empty(NAME, "no summed learning rate is finite"))?;
    let axes: Vec<Axis> = [rate, sum].into_iter().chain(iterations(runs)).collect();
    Ok(Picture::new(NAME, draw(runs, &step, axes), table(runs)))
}

/// A function that returns the lines of a panel, for given runs and their colours.
type Lines = fn(&[PlannedRun], &[Colour]) -> Vec<Line>;

fn steps(runs: &[PlannedRun]) -> impl Iterator<Item = &PlannedStep> {
    runs.iter().flat_map(|run| &run.steps)
}

/// Returns the axis of iterations, if the number of iterations of any run changes.
fn iterations(runs: &[PlannedRun]) -> Option<Axis> {
    let counts = |step: &PlannedStep| (step.mean_recurrence, step.backprop_depth);
    let changes = |pair: &[PlannedStep]| counts(&pair[0]) != counts(&pair[1]);
    if !runs.iter().any(|run| run.steps.windows(2).any(changes)) {
        return None;
    }
    let most = steps(runs).map(|step| step.mean_recurrence.max(step.backprop_depth));
    Some(Axis::counted("Iterations", 0, most.max()?, LABELLED))
}

fn draw(runs: &[PlannedRun], step: &Axis, axes: Vec<Axis>) -> Scene {
    let mut caption: Vec<String> = rates::colours_note(runs).into_iter().collect();
    let mut title = "Schedules before training: learning rate and its sum";
    if axes.len() == PANELS {
        title = "Schedules before training: learning rate, its sum, iterations";
        caption.extend(iterations_notes(runs));
    }
    let colours = rates::colours(runs);
    let legend = Legend::of(rates::named(runs, &colours));
    let heights = &HEIGHTS[..axes.len()];
    let height = stack::height(heights);
    let Page { mut scene, body } = Page::new(title, height, &caption, &Legend::default(), &legend);
    let lines: [Lines; PANELS] = [rates::lines, sums, loops];
    for (panel, lines) in stack::panels(body, step, heights, axes).iter().zip(lines) {
        panel.plot(&mut scene, &lines(runs, &colours), &[]);
    }
    scene
}

/// Returns the caption's sentences about the lines of iterations.
fn iterations_notes(runs: &[PlannedRun]) -> impl Iterator<Item = String> {
    let which = "Solid lines of iterations are mean recurrences, dashed ones backprop depths.";
    let equal = "If both are equal, only the solid line is visible.";
    let hidden = steps(runs).any(|step| step.mean_recurrence == step.backprop_depth);
    [which]
        .into_iter()
        .chain(hidden.then_some(equal))
        .map(str::to_owned)
}

fn sums(runs: &[PlannedRun], colours: &[Colour]) -> Vec<Line> {
    let lines = runs.iter().zip(colours).map(|(run, colour)| {
        let values = run
            .steps
            .iter()
            .map(|step| (step.step as f64, step.rate_sum));
        Line::plain(values.collect(), Stroke::solid(*colour, WIDTH))
    });
    lines.collect()
}

/// Returns the lines of iterations. The dashed lines come last, so a solid line below a dashed one
/// stays visible.
fn loops(runs: &[PlannedRun], colours: &[Colour]) -> Vec<Line> {
    let lines = |dash, count: fn(&PlannedStep) -> usize| {
        let runs = runs.iter().zip(colours);
        runs.map(move |(run, colour)| {
            let stroke = Stroke::solid(*colour, WIDTH).with_dash(dash);
            Line::plain(stairs(run, count), stroke)
        })
    };
    let solid = lines(Dash::Solid, |step| step.mean_recurrence);
    let dashed = lines(Dash::Dashed, |step| step.backprop_depth);
    solid.chain(dashed).collect()
}

/// Returns a count as the corners of a staircase: two points for each change, no matter how many
/// steps there are.
fn stairs(run: &PlannedRun, count: fn(&PlannedStep) -> usize) -> Vec<(f64, f64)> {
    let at = |step: &PlannedStep, count: usize| (step.step as f64, count as f64);
    let ends = |step: Option<&PlannedStep>| step.map(|step| at(step, count(step)));
    let corners = run.steps.windows(2).flat_map(|pair| {
        let [before, after] = [count(&pair[0]), count(&pair[1])];
        let changed = (before != after).then(|| [at(&pair[1], before), at(&pair[1], after)]);
        changed.into_iter().flatten()
    });
    let mut corners: Vec<(f64, f64)> = ends(run.steps.first())
        .into_iter()
        .chain(corners)
        .chain(ends(run.steps.last()))
        .collect();
    corners.dedup();
    corners
}

fn table(runs: &[PlannedRun]) -> Table {
    let (rate, sum) = (LR.name(), LR_SUM.name());
    let header = format!("run,step,{rate},{sum},mean_recurrence,backprop_depth");
    let mut table = Table::new(&header);
    for run in runs {
        for step in &run.steps {
            table.row(&[
                &run.name,
                &step.step,
                &step.rate,
                &step.rate_sum,
                &step.mean_recurrence,
                &step.backprop_depth,
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests;
