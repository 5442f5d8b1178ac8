//! The content of each panel.

use std::collections::BTreeSet;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use rondo_metrics::format::{learning_rate, or_missing, rate, short, significant};

use super::chart::{self, Axes, Curve, Scale};
use super::curves::{self, DRAWS, Window, is_alone};
use super::layout::Panel;
use super::{Numbered, Scene};
use crate::run::Run;
use crate::series::Series;

/// Draws a panel with the given runs. Its axes cover all runs in `among`.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    panel: Panel,
    scene: &Scene<'_>,
    runs: &[Numbered<'_>],
    among: &[Numbered<'_>],
) {
    let last = among.iter().map(|(_, run)| run.step()).max().unwrap_or(0);
    let window = Window {
        from: scene.view.span.start(last),
        columns: usize::from(area.width),
    };
    let drawn = curves::of_panel(panel, scene, runs, window);
    let all = curves::of_panel(panel, scene, among, window);
    let x = [window.from, (last as f64).max(window.from + 1.0)];
    let axes = axes(panel, scene, runs, &all, x, area.width);
    chart::draw(frame, area, axes, &drawn);
}

/// Returns the recurrence depth at which overlaid runs are compared by perplexity: the depth that
/// the user chose, or else the largest depth.
pub(super) fn depth(scene: &Scene<'_>) -> Option<usize> {
    let depths = scene.runs.iter().flat_map(|run| run.perplexity().keys());
    let depths: BTreeSet<usize> = depths.copied().collect();
    let depths: Vec<usize> = depths.into_iter().rev().collect();
    (!depths.is_empty()).then(|| depths[scene.view.depth % depths.len()])
}

/// Returns the title and the axes of a panel, for `steps` and the values of `curves`.
fn axes(
    panel: Panel,
    scene: &Scene<'_>,
    runs: &[Numbered<'_>],
    curves: &[Curve],
    steps: [f64; 2],
    width: u16,
) -> Axes {
    let one = match runs {
        [(_, run)] if is_alone(scene) => Some(*run),
        _ => None,
    };
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let [low, high] = ends(points().map(|(_, y)| *y));
    let deepest = ends(points().map(|(x, _)| *x))[1];
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
            Line::from(heading(&format!("{name}{}", at.unwrap_or_default())))
        }
        (Panel::Iterations, None) => Line::from(heading("iterations drawn")),
        _ => {
            let value = value.map(|value| Span::raw(format!("{value} ")));
            std::iter::once(heading(name)).chain(value).collect()
        }
    };
    Axes {
        title,
        x: match panel {
            Panel::Iterations => [0.0, deepest + 1.0],
            _ => steps,
        },
        y: apart(y),
        scale,
        told,
    }
}

/// Returns the first part of a panel's title.
fn heading(text: &str) -> Span<'static> {
    Span::styled(
        format!("{text} "),
        Style::new().add_modifier(Modifier::BOLD),
    )
}

/// Formats the number of iterations in the last step, and the mean over the recent steps.
fn drawn(run: &Run) -> String {
    let last = run.drawn().map(|(n, k)| format!("{n}+{k}"));
    let recent: Vec<f64> = run.recurrence().recent(DRAWS).collect();
    let mean = recent.iter().sum::<f64>() / recent.len() as f64;
    let mean = (!recent.is_empty()).then(|| format!(", mean {mean:.1}"));
    last.unwrap_or_default() + &mean.unwrap_or_default()
}

/// Returns the title with the perplexity at each depth, in the colour or with the letter of its
/// curve. If the title is too wide, depths in the middle are left out.
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
        let spans = std::iter::once(heading(name)).chain(parts.clone());
        let line: Line<'static> = spans.collect();
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
        let line: Line<'static> = std::iter::once(heading("ppl")).chain(spans).collect();
        if line.width() <= room || parts.len() < 2 {
            return line;
        }
        parts.remove(half - usize::from(half > 1));
        left_out = true;
    }
}

/// Returns the lowest and the highest of the finite values; 0 and 1 if no value is finite.
fn ends(values: impl Iterator<Item = f64>) -> [f64; 2] {
    values
        .map(|value| [value, value])
        .reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])])
        .unwrap_or([0.0, 1.0])
}

/// Moves the ends apart if they are equal, so that a constant can be drawn.
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
    fn a_constant_has_a_place_between_two_ends() {
        let told = |ends: [f64; 2]| format!("{:.2} {:.2}", ends[0], ends[1]);
        assert_eq!(told(apart([1.0, 2.0])), "1.00 2.00");
        assert_eq!(told(apart([2.0, 2.0])), "1.90 2.10");
        assert_eq!(told(ends([3.0, 1.0, 2.0].into_iter())), "1.00 3.00");
    }
}
