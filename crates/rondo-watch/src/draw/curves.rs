//! Prepares the data of each panel's curves.

use std::collections::BTreeMap;

use ratatui::symbols::Marker;
use ratatui::widgets::GraphType;

use super::chart::Curve;
use super::layout::Panel;
use super::{Numbered, Scene, panels};
use crate::run::Run;
use crate::series::Series;
use crate::view::Arrangement;

/// How many of the last steps the chart of iterations counts.
pub(super) const DRAWS: usize = 1000;

/// The part of the steps that a chart shows, and the width of the chart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// The first step that is shown.
    pub(super) from: f64,
    /// The width of the chart, in cells.
    pub(super) columns: usize,
}

/// Returns the curves of a panel.
pub(super) fn of_panel(
    panel: Panel,
    scene: &Scene<'_>,
    runs: &[Numbered<'_>],
    window: Window,
) -> Vec<Curve> {
    match panel {
        Panel::Perplexity => perplexities(scene, runs, window),
        Panel::Iterations => iterations(scene, runs, window.columns),
        Panel::Loss => of_runs(scene, runs, window, Run::loss),
        Panel::Correlation => of_runs(scene, runs, window, Run::correlation),
        Panel::Rate => of_runs(scene, runs, window, Run::rate),
        Panel::Speed => of_runs(scene, runs, window, Run::speed),
    }
}

/// Returns whether each run has its own charts.
pub(super) fn is_alone(scene: &Scene<'_>) -> bool {
    scene.runs.len() == 1 || scene.view.arrangement == Arrangement::SideBySide
}

/// Returns one curve per run.
fn of_runs(
    scene: &Scene<'_>,
    runs: &[Numbered<'_>],
    window: Window,
    series: fn(&Run) -> &Series,
) -> Vec<Curve> {
    runs.iter()
        .map(|(index, run)| {
            curve(
                scene,
                *index,
                series(run).thinned(window.from, window.columns),
            )
        })
        .collect()
}

/// Returns the curve of the run at `index`. A run that has its own chart is drawn like the first
/// run.
fn curve(scene: &Scene<'_>, index: usize, points: Vec<(f64, f64)>) -> Curve {
    let (index, of) = match is_alone(scene) {
        true => (0, 1),
        false => (index, scene.runs.len()),
    };
    Curve {
        points,
        style: scene.palette.line(index),
        marker: scene.palette.marker(index, of),
        graph: GraphType::Line,
    }
}

/// Returns one curve per depth if each run has its own chart. If runs are overlaid, returns one
/// curve per run, at the chosen depth.
fn perplexities(scene: &Scene<'_>, runs: &[Numbered<'_>], window: Window) -> Vec<Curve> {
    if !is_alone(scene) {
        let depth = panels::depth(scene);
        let at_depth = |run: &Run| {
            let series = depth.and_then(|depth| run.perplexity().get(&depth));
            series
                .map(|series| series.thinned(window.from, window.columns))
                .unwrap_or_default()
        };
        let runs = runs.iter();
        return runs
            .map(|(index, run)| curve(scene, *index, at_depth(run)))
            .collect();
    }
    let of_run = |run: &Run| {
        let of = run.perplexity().len();
        let series = run.perplexity().values().enumerate();
        let curve = |(index, series): (usize, &Series)| Curve {
            points: series.thinned(window.from, window.columns),
            style: scene.palette.line(index),
            marker: scene.palette.marker(index, of),
            graph: GraphType::Line,
        };
        series.map(curve).collect::<Vec<_>>()
    };
    runs.iter().flat_map(|(_, run)| of_run(run)).collect()
}

/// Returns the share of each depth among the recent steps: as bars if each run has its own chart,
/// as lines if runs are overlaid.
fn iterations(scene: &Scene<'_>, runs: &[Numbered<'_>], columns: usize) -> Vec<Curve> {
    runs.iter()
        .map(|(index, run)| {
            let shares = shares(run.recurrence());
            match is_alone(scene) {
                true => Curve {
                    points: bars(&shares, columns),
                    style: scene.palette.line(0),
                    marker: Marker::Braille,
                    graph: GraphType::Bar,
                },
                false => curve(scene, *index, shares),
            }
        })
        .collect()
}

/// Returns the share of each depth among the last [`DRAWS`] steps.
fn shares(recurrence: &Series) -> Vec<(f64, f64)> {
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for depth in recurrence.recent(DRAWS).filter(|depth| depth.is_finite()) {
        *counts.entry(depth as u64).or_default() += 1;
    }
    let total: u64 = counts.values().sum();
    let share = |(depth, count): (u64, u64)| (depth as f64, count as f64 / total as f64);
    counts.into_iter().map(share).collect()
}

/// Converts each share to enough points to fill four fifths of a depth's width.
fn bars(shares: &[(f64, f64)], columns: usize) -> Vec<(f64, f64)> {
    let deepest = shares.last().map_or(0.0, |(depth, _)| *depth);
    // The axis goes from depth 0 to one depth more than the deepest. Each cell has two columns of
    // dots.
    let dots = (2.0 * columns as f64 / (deepest + 1.0)).ceil();
    let of_one = |(depth, share): &(f64, f64)| {
        let (depth, share) = (*depth, *share);
        (0..=dots as usize).map(move |dot| (depth - 0.4 + 0.8 * dot as f64 / dots, share))
    };
    shares.iter().flat_map(of_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_count_the_depths_that_were_drawn() {
        let mut drawn = Series::default();
        for (step, depth) in [(1, 4.0), (2, 6.0), (3, 4.0), (4, 4.0)] {
            drawn.push(step, depth);
        }
        assert_eq!(shares(&drawn), [(4.0, 0.75), (6.0, 0.25)]);
        assert_eq!(shares(&Series::default()), []);
    }

    #[test]
    fn a_bar_is_four_fifths_of_a_depth_wide() {
        let points = bars(&[(4.0, 0.75), (5.0, 0.25)], 12);
        let xs: Vec<f64> = points
            .iter()
            .filter(|(_, y)| *y > 0.5)
            .map(|(x, _)| *x)
            .collect();
        // The axis has 24 columns of dots for 6 depths, so a depth is 4 dots wide: 5 points.
        assert_eq!(xs.len(), 5);
        assert!(
            (xs[0] - 3.6).abs() < 1e-12 && (xs[4] - 4.4).abs() < 1e-12,
            "{xs:?}"
        );
    }
}
