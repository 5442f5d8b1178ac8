//! Pruning of edges by a penalty: the edges kept, the strength of the penalty, and the loss.

use rondo_metrics::names::SPARSITY;

use crate::axis::Axis;
use crate::error::FigureError;
use crate::layout::Layout;
use crate::legend::{Entry, Legend};
use crate::lines::Line;
use crate::page::Page;
use crate::palette::{Dash, FRAME, series};
use crate::picture::Picture;
use crate::runs::{Logged, by_step};
use crate::scene::{Scene, Stroke};
use crate::table::Table;

const NAME: &str = "sparsity";
const PANELS: usize = 3;

/// The log of a run with sparse attention.
#[derive(Clone, Debug, PartialEq)]
pub struct SparsityRun {
    /// The name of the run.
    pub name: String,
    /// Fraction of edges kept.
    pub sparsity: Vec<Logged>,
    /// The factor of the penalty.
    pub strength: Vec<Logged>,
    /// Cross entropy on the validation set, in nat/token.
    pub cross_entropy: Vec<Logged>,
    /// The target of the controller for the cross entropy, if there is a controller.
    pub target: Option<f64>,
    /// Pairs of a step and the event at this step.
    pub events: Vec<(u64, String)>,
}

impl SparsityRun {
    /// Returns the name and the numbers of each panel, from the first to the last.
    fn panels(&self) -> [(&'static str, &[Logged]); PANELS] {
        [
            (SPARSITY.name(), &self.sparsity),
            ("strength", &self.strength),
            ("cross_entropy", &self.cross_entropy),
        ]
    }
}

/// Draws three panels, stacked or side by side, against the step on the same linear axis: the
/// fraction of edges kept on a log axis, the strength of the regularisation on a linear axis, and
/// the validation cross entropy on a linear axis, with each target as a dashed line. A run has the
/// same colour in all panels. Events are dotted vertical lines.
///
/// Its table has the columns `run,metric,step,tokens,value,event`, in both layouts; the row of an
/// event has no value.
///
/// # Errors
/// [`FigureError::Empty`] without runs, if a run has no finite number in one of the panels, or if
/// no sparsity is positive.
pub fn sparsity(runs: &[SparsityRun], layout: Layout) -> Result<Picture, FigureError> {
    Ok(Picture::new(NAME, draw(runs, layout)?, table(runs)))
}

/// Returns the axis of steps and the vertical axes of the panels.
fn axes(runs: &[SparsityRun]) -> Result<(Axis, [Axis; PANELS]), FigureError> {
    if runs.is_empty() {
        return Err(FigureError::empty(NAME, "no run is given"));
    }
    for run in runs {
        for (metric, points) in run.panels() {
            if !points.iter().any(|point| point.value.is_finite()) {
                let reason = format!("run `{}` has no {metric} that is finite", run.name);
                return Err(FigureError::empty(NAME, reason));
            }
        }
    }
    let values = |panel: usize| -> Vec<f64> {
        let points = runs.iter().flat_map(|run| run.panels()[panel].1);
        points.map(|point| point.value).collect()
    };
    let targets = runs.iter().filter_map(|run| run.target);
    let kept = Axis::log("Sparsity", values(0), 0.08);
    let strength = values(1).into_iter().chain([0.0]);
    let strength = Axis::linear("Regularisation Strength", strength, 0.06);
    let loss = values(2).into_iter().chain(targets);
    let loss = Axis::linear("Validation Cross Entropy", loss, 0.06);
    let (Some(kept), Some(strength), Some(loss)) = (kept, strength, loss) else {
        return Err(FigureError::empty(NAME, "no sparsity is positive"));
    };
    let points = runs.iter().flat_map(SparsityRun::panels);
    let steps = points.flat_map(|(_, points)| points.iter().map(|point| point.step as f64));
    let Some(x) = Axis::linear("Training Steps", steps.chain([0.0]), 0.0) else {
        return Err(FigureError::empty(NAME, "no step is given"));
    };
    Ok((x, [kept, strength, loss]))
}

fn draw(runs: &[SparsityRun], layout: Layout) -> Result<Scene, FigureError> {
    let (x, axes) = axes(runs)?;
    let mut caption = vec!["Sparsity is the fraction of edges kept (log).".to_owned()];
    caption.extend(axes[0].clamp_note());
    if runs.iter().any(|run| run.target.is_some()) {
        caption.push("The dashed black line is the target.".to_owned());
    }
    caption.extend(events_note(runs));
    let stroke = |index: usize| Stroke::solid(series(index), 2.6);
    let named = runs.iter().enumerate();
    let named = named.map(|(index, run)| Entry::line(run.name.clone(), stroke(index)));
    let legend = Legend::of_several(named);
    let title = "Sparsity, the strength that brings it about, and its cost";
    let height = layout.height(PANELS);
    let Page { mut scene, body } = Page::new(title, height, &caption, &Legend::default(), &legend);
    let panels = layout.panels(body, &x, axes);
    for (index, panel) in panels.iter().enumerate() {
        for (run, SparsityRun { events, .. }) in runs.iter().enumerate() {
            let colour = if runs.len() == 1 { FRAME } else { series(run) };
            let dotted = Stroke::solid(colour, 1.6).with_dash(Dash::Dotted);
            for (step, _) in events {
                panel.upright(&mut scene, *step as f64, dotted);
            }
        }
        let lines: Vec<Line> = runs
            .iter()
            .enumerate()
            .map(|(run, log)| Line::plain(by_step(log.panels()[index].1), stroke(run)))
            .collect();
        panel.plot(&mut scene, &lines, &[]);
        if index + 1 == PANELS {
            // The targets are drawn over the lines, since the line of a settled run would cover
            // its target.
            for target in runs.iter().filter_map(|run| run.target) {
                panel.level(&mut scene, target);
            }
        }
    }
    Ok(scene)
}

/// Returns the caption's sentence about events, with each kind of event once, in the order of the
/// input.
fn events_note(runs: &[SparsityRun]) -> Option<String> {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for (_, what) in runs.iter().flat_map(|run| &run.events) {
        match kinds.iter_mut().find(|(kind, _)| kind == what) {
            Some((_, count)) => *count += 1,
            None => kinds.push((what, 1)),
        }
    }
    let kinds: Vec<String> = kinds
        .into_iter()
        .map(|(kind, count)| match count {
            1 => kind.to_owned(),
            _ => format!("{kind} ({count}×)"),
        })
        .collect();
    (!kinds.is_empty()).then(|| format!("Dotted lines are events: {}.", kinds.join(", ")))
}

fn table(runs: &[SparsityRun]) -> Table {
    let mut table = Table::new("run,metric,step,tokens,value,event");
    for run in runs {
        let name = &run.name;
        for (metric, points) in run.panels() {
            for p in points {
                table.row(&[name, &metric, &p.step, &p.tokens, &p.value, &""]);
            }
        }
        if let Some(target) = run.target {
            table.row(&[name, &"target", &"", &"", &target, &""]);
        }
        for (step, what) in &run.events {
            table.row(&[name, &"event", step, &"", &"", what]);
        }
    }
    table
}

#[cfg(test)]
mod tests;
