//! What each panel shows.

use std::collections::{BTreeMap, BTreeSet};

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::GraphType;
use rondo_metrics::format::{learning_rate, or_missing, rate, short, significant};

use super::chart::{self, Axes, Curve, Scale};
use super::layout::Panel;
use super::{Numbered, Scene};
use crate::run::Run;
use crate::series::Series;

/// Draws that many last steps count for the iterations drawn.
const DRAWS: usize = 1000;

/// Draws a panel of runs, with axes that hold `among`.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    panel: Panel,
    scene: &Scene<'_>,
    runs: &[Numbered<'_>],
    among: &[Numbered<'_>],
) {
    let columns = usize::from(area.width);
    let curves = curves(panel, scene, runs, columns);
    let all = self::curves(panel, scene, among, columns);
    let axes = axes(panel, scene, runs, &all, area.width);
    chart::draw(frame, area, scene.palette, axes, &curves);
}

/// Returns the recurrence depth whose perplexity overlaid runs are compared at: the largest, or another that was asked for.
pub(super) fn depth(scene: &Scene<'_>) -> Option<usize> {
    let depths = scene.runs.iter().flat_map(|run| run.perplexity().keys());
    let depths: BTreeSet<usize> = depths.copied().collect();
    let depths: Vec<usize> = depths.into_iter().rev().collect();
    (!depths.is_empty()).then(|| depths[scene.view.depth % depths.len()])
}

/// Returns the curves of a panel.
fn curves(panel: Panel, scene: &Scene<'_>, runs: &[Numbered<'_>], columns: usize) -> Vec<Curve> {
    match panel {
        Panel::Perplexity => perplexities(scene, runs, columns),
        Panel::Iterations => iterations(scene, runs, columns),
        Panel::Loss => of_runs(scene, runs, columns, Run::loss),
        Panel::Correlation => of_runs(scene, runs, columns, Run::correlation),
        Panel::Rate => of_runs(scene, runs, columns, Run::rate),
        Panel::Speed => of_runs(scene, runs, columns, Run::speed),
    }
}

/// Returns whether each run stands by itself.
fn is_alone(scene: &Scene<'_>) -> bool {
    scene.runs.len() == 1 || scene.view.arrangement == crate::view::Arrangement::SideBySide
}

/// Returns a curve for each run.
fn of_runs(
    scene: &Scene<'_>,
    runs: &[Numbered<'_>],
    columns: usize,
    series: fn(&Run) -> &Series,
) -> Vec<Curve> {
    let from = scene.view.span.start(last_step(runs));
    runs.iter()
        .map(|(index, run)| curve(scene, *index, series(run).thinned(from, columns)))
        .collect()
}

/// Returns the curve of a run by its number; a run by itself is drawn as the first.
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

/// Returns a curve for each depth of a run by itself, and for each run one at the chosen depth where they are overlaid.
fn perplexities(scene: &Scene<'_>, runs: &[Numbered<'_>], columns: usize) -> Vec<Curve> {
    let from = scene.view.span.start(last_step(runs));
    if !is_alone(scene) {
        let depth = depth(scene);
        let at_depth = |run: &Run| {
            let series = depth.and_then(|depth| run.perplexity().get(&depth));
            series
                .map(|series| series.thinned(from, columns))
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
            points: series.thinned(from, columns),
            style: scene.palette.line(index),
            marker: scene.palette.marker(index, of),
            graph: GraphType::Line,
        };
        series.map(curve).collect::<Vec<_>>()
    };
    runs.iter().flat_map(|(_, run)| of_run(run)).collect()
}

/// Returns which share of the recent steps has drawn each depth: bars of a run by itself, lines of overlaid runs.
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

/// Returns the share of each depth among the last draws.
fn shares(recurrence: &Series) -> Vec<(f64, f64)> {
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for depth in recurrence.recent(DRAWS).filter(|depth| depth.is_finite()) {
        *counts.entry(depth as u64).or_default() += 1;
    }
    let total: u64 = counts.values().sum();
    let share = |(depth, count): (u64, u64)| (depth as f64, count as f64 / total as f64);
    counts.into_iter().map(share).collect()
}

/// Makes of each share points that stand close enough to fill four fifths of a depth's width.
fn bars(shares: &[(f64, f64)], columns: usize) -> Vec<(f64, f64)> {
    let deepest = shares.last().map_or(0.0, |(depth, _)| *depth);
    // The axis has the depths from 0 to one more than the deepest, and a cell two columns of dots.
    let dots = (2.0 * columns as f64 / (deepest + 1.0)).ceil();
    let of_one = |(depth, share): &(f64, f64)| {
        let (depth, share) = (*depth, *share);
        (0..=dots as usize).map(move |dot| (depth - 0.4 + 0.8 * dot as f64 / dots, share))
    };
    shares.iter().flat_map(of_one).collect()
}

/// Returns title and axes of a panel, with the ends of `curves`.
fn axes(
    panel: Panel,
    scene: &Scene<'_>,
    runs: &[Numbered<'_>],
    curves: &[Curve],
    width: u16,
) -> Axes {
    let one = match runs {
        [(_, run)] if is_alone(scene) => Some(*run),
        _ => None,
    };
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let [low, high] = ends(points().map(|(_, y)| *y));
    let last = ends(points().map(|(x, _)| *x))[1];
    let three: fn(f64) -> String = |x| significant(x, 3);
    let last_of = |series: fn(&Run) -> &Series, told: fn(f64) -> String| {
        one.map(|run| or_missing(series(run).last(), told))
    };
    let (name, value, y, scale, told) = match panel {
        Panel::Loss => {
            let value = last_of(Run::loss, |x| significant(x, 4));
            ("loss", value, [low, high], Scale::Linear, three)
        }
        Panel::Perplexity => {
            let log = Scale::Logarithmic;
            (
                "perplexity",
                None,
                [low, high].map(|y| log.height(y)),
                log,
                three,
            )
        }
        Panel::Correlation => {
            let two: fn(f64) -> String = |x| format!("{x:.2}");
            let value = last_of(Run::correlation, two);
            (
                "hidden-state correlation",
                value,
                [low.min(0.0), 1.0],
                Scale::Linear,
                two,
            )
        }
        Panel::Rate => {
            let value = last_of(Run::rate, learning_rate);
            (
                "learning rate",
                value,
                [0.0, high],
                Scale::Linear,
                learning_rate as fn(f64) -> String,
            )
        }
        Panel::Speed => {
            let value = last_of(Run::speed, |x| rate(x, "tok"));
            (
                "speed",
                value,
                [0.0, high],
                Scale::Linear,
                short as fn(f64) -> String,
            )
        }
        Panel::Iterations => {
            let percent: fn(f64) -> String = |x| format!("{:.0} %", 100.0 * x);
            (
                "iterations",
                one.map(drawn),
                [0.0, high],
                Scale::Linear,
                percent,
            )
        }
    };
    let title = match (panel, one) {
        (Panel::Perplexity, Some(run)) => depths_title(scene, run, width),
        (Panel::Perplexity, None) => {
            let at = depth(scene).map(|depth| format!(" at depth {depth}"));
            Line::from(heading(format!("{name}{}", at.unwrap_or_default())))
        }
        (Panel::Iterations, None) => Line::from(heading("iterations drawn".to_owned())),
        _ => {
            let value = value.map(|value| Span::raw(format!("{value} ")));
            Line::from_iter([heading(name.to_owned())].into_iter().chain(value))
        }
    };
    Axes {
        title,
        x: match panel {
            Panel::Iterations => [0.0, last + 1.0],
            _ => apart([scene.view.span.start(last_step(runs)).max(0.0), last]),
        },
        y: apart(y),
        scale,
        told,
    }
}

/// Returns a title's first words.
fn heading(text: String) -> Span<'static> {
    Span::styled(
        format!("{text} "),
        Style::new().add_modifier(Modifier::BOLD),
    )
}

/// Tells the iterations of the last step, and their mean.
fn drawn(run: &Run) -> String {
    let last = run.drawn().map(|(n, k)| format!("{n}+{k}"));
    let recent: Vec<f64> = run.recurrence().recent(DRAWS).collect();
    let mean = recent.iter().sum::<f64>() / recent.len() as f64;
    let mean = (!recent.is_empty()).then(|| format!(", mean {mean:.1}"));
    last.unwrap_or_default() + &mean.unwrap_or_default()
}

/// Returns the perplexity at each depth in the colour or with the letter of its curve. Where that is too wide, depths in the
/// middle are left out.
fn depths_title(scene: &Scene<'_>, run: &Run, width: u16) -> Line<'static> {
    let of = run.perplexity().len();
    let mut parts: Vec<Span<'static>> = run
        .perplexity()
        .iter()
        .enumerate()
        .map(|(index, (depth, series))| {
            let value = or_missing(series.last(), |x| significant(x, 3));
            let label = scene.palette.label(index, of);
            Span::styled(
                format!("{label}{depth}: {value} "),
                scene.palette.line(index),
            )
        })
        .collect();
    let room = usize::from(width).saturating_sub(1);
    for name in ["perplexity", "ppl"] {
        let line = Line::from_iter(std::iter::once(heading(name.to_owned())).chain(parts.clone()));
        if line.width() <= room {
            return line;
        }
    }
    let mut left_out = false;
    loop {
        let gap = left_out.then(|| Span::raw("… "));
        let half = parts.len().div_ceil(2);
        let (before, after) = parts.split_at(half);
        let spans = before
            .iter()
            .cloned()
            .chain(gap)
            .chain(after.iter().cloned());
        let line = Line::from_iter(std::iter::once(heading("ppl".to_owned())).chain(spans));
        if line.width() <= room || parts.len() < 2 {
            return line;
        }
        parts.remove(half - usize::from(half > 1));
        left_out = true;
    }
}

/// Returns the last step of any run.
fn last_step(runs: &[Numbered<'_>]) -> u64 {
    runs.iter().map(|(_, run)| run.step()).max().unwrap_or(0)
}

/// Returns the lowest and the highest of finite values; 0 and 1 where there is none.
fn ends(values: impl Iterator<Item = f64>) -> [f64; 2] {
    values
        .map(|value| [value, value])
        .reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])])
        .unwrap_or([0.0, 1.0])
}

/// Moves two ends apart where they are one, so that a constant has a place.
fn apart([low, high]: [f64; 2]) -> [f64; 2] {
    if low < high {
        return [low, high];
    }
    let by = (low.abs() * 0.05).max(1e-9);
    [low - by, high + by]
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
        // 24 columns of dots for an axis of six depths: four steps across each.
        assert_eq!(xs.len(), 5);
        assert!(
            (xs[0] - 3.6).abs() < 1e-12 && (xs[4] - 4.4).abs() < 1e-12,
            "{xs:?}"
        );
    }

    #[test]
    fn a_constant_has_a_place_between_two_ends() {
        assert_eq!(apart([1.0, 2.0]), [1.0, 2.0]);
        assert_eq!(apart([2.0, 2.0]), [1.9, 2.1]);
        assert_eq!(ends([3.0, 1.0, 2.0].into_iter()), [1.0, 3.0]);
    }
}
