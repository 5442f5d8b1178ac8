//! Scores against recurrence depth, with intervals: the accuracy of benchmarks, or the loss with
//! and without controls.

use crate::axis::Axis;
use crate::depths::Depths;
use crate::error::FigureError;
use crate::legend::{Entry, Legend};
use crate::lines::Line;
use crate::marker::Marker;
use crate::page::{Page, same_axes};
use crate::palette::series;
use crate::panel::Panel;
use crate::picture::Picture;
use crate::scene::{Path, Scene, Stroke};
use crate::table::Table;

/// Half the width of the caps at the ends of an interval, in pixels.
const CAP: f64 = 7.0;
const WIDTH: f64 = 3.0;
/// The largest distance in pixels between neighbouring marks at one depth.
const APART: f64 = 11.0;
/// The largest distance between the outermost marks at one depth: as a share of the shortest
/// distance between two depths, and as a share of the distance between the first and the last
/// depth.
const REACH: (f64, f64) = (0.35, 0.08);

/// A score at one recurrence depth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DepthScore {
    /// The number of iterations of the core block, at least 1.
    pub depth: usize,
    /// The score. A score that is not finite makes a gap.
    pub value: f64,
    /// The ends of the score's interval, if it has one.
    pub interval: Option<(f64, f64)>,
}

/// Scores of one run or under one control.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreLine {
    /// The name of the line. Lines with the same name have the same colour in every panel.
    pub name: String,
    /// The scores, in ascending order of depth.
    pub scores: Vec<DepthScore>,
}

/// Scores of one task, stratum or run.
#[derive(Clone, Debug, PartialEq)]
pub struct ScorePanel {
    /// The name of the task, stratum or run.
    pub name: String,
    /// The lines of the panel.
    pub lines: Vec<ScoreLine>,
}

/// The texts of a picture of scores.
struct Words {
    name: &'static str,
    title: &'static str,
    axis: &'static str,
    caption: &'static str,
}

/// Draws a panel for each task or stratum: accuracy against depth, with a line for each run, and an
/// interval at each score that has one.
///
/// Its table has the columns `panel,name,depth,score,low,high`.
///
/// # Errors
/// [`FigureError::Empty`] without panels, or if a panel has no score that is finite;
/// [`FigureError::Range`] for depth 0.
pub fn benchmarks(panels: &[ScorePanel]) -> Result<Picture, FigureError> {
    let words = Words {
        name: "benchmarks",
        title: "Benchmarks against recurrence depth",
        axis: "Accuracy",
        caption: "Bars are 95 % intervals of each share by itself; depths are compared item by item in the report.",
    };
    draw(&words, panels)
}

/// Draws a panel for each run: the loss on documents against depth. The lines are the loss without
/// control, the loss with a temperature fitted at each depth, and the loss with an affine readout
/// fitted at each depth.
///
/// Its table has the same columns as the table of [`benchmarks`].
///
/// # Errors
/// The errors of [`benchmarks`].
pub fn depth_controls(panels: &[ScorePanel]) -> Result<Picture, FigureError> {
    let words = Words {
        name: "depth-controls",
        title: "Depth controls: loss that calibration at each depth explains",
        axis: "Loss (nats)",
        caption: "Controls are fitted at each depth on other tokens of the documents.",
    };
    draw(&words, panels)
}

fn draw(words: &Words, panels: &[ScorePanel]) -> Result<Picture, FigureError> {
    for panel in panels {
        let scores = || panel.lines.iter().flat_map(|line| &line.scores);
        if scores().any(|score| score.depth == 0) {
            let what = format!("recurrence depth of `{}`", panel.name);
            return Err(FigureError::range(words.name, what, "at least 1", &0));
        }
        if !scores().any(|score| score.value.is_finite()) {
            let reason = format!("`{}` has no score", panel.name);
            return Err(FigureError::empty(words.name, reason));
        }
    }
    let lines = || panels.iter().flat_map(|panel| &panel.lines);
    let scores = || lines().flat_map(|line| &line.scores);
    let depths = Depths::of(scores().map(|score| score.depth));
    let ends = |score: &DepthScore| {
        let (low, high) = score.interval.unwrap_or((score.value, score.value));
        [score.value, low, high]
    };
    let x = Axis::depths("Recurrence Depth", depths.as_slice());
    let y = Axis::linear(words.axis, scores().flat_map(ends), 0.06);
    let (Some(x), Some(y)) = (x, y) else {
        return Err(FigureError::empty(words.name, "nothing is given"));
    };
    let mut names: Vec<&str> = Vec::new();
    for line in lines() {
        if !names.contains(&line.name.as_str()) {
            names.push(&line.name);
        }
    }
    let index = |name: &str| names.iter().position(|other| *other == name).unwrap_or(0);
    let stroke = |name: &str| Stroke::solid(series(index(name)), WIDTH);
    let legend = Legend::of_several(names.iter().map(|name| Entry {
        mark: Some((Marker::Circle, stroke(name).colour)),
        ..Entry::line((*name).to_owned(), stroke(name))
    }));
    let mut caption = vec![words.caption.to_owned()];
    if names.len() > 1 {
        caption.push("Marks of one depth stand side by side.".to_owned());
    }
    caption.extend(same_axes(panels.len()));
    let (mut scene, places) = Page::of_multiples(words.title, panels.len(), &caption, &legend);
    for (panel, place) in panels.iter().zip(places) {
        let axes = Panel::fit(place, x.clone(), y.clone()).with_heading(&panel.name, String::new());
        let moved = apart(depths.as_slice(), names.len(), &axes);
        let across = |name: &str, score: &DepthScore| score.depth as f64 * moved[index(name)];
        let lines: Vec<Line> = panel
            .lines
            .iter()
            .map(|line| {
                let values = line
                    .scores
                    .iter()
                    .map(|score| (across(&line.name, score), score.value));
                Line::marked(values.collect(), stroke(&line.name))
            })
            .collect();
        axes.plot(&mut scene, &lines, &[]);
        for line in &panel.lines {
            for score in &line.scores {
                let at = across(&line.name, score);
                interval(&axes, &mut scene, (at, score), stroke(&line.name));
            }
        }
    }
    Ok(Picture::new(words.name, scene, table(panels)))
}

/// Returns a factor for each of `lines` lines. The depths of a line are multiplied by its factor,
/// so that equal scores do not hide each other on the log axis.
fn apart(depths: &[usize], lines: usize, axes: &Panel) -> Vec<f64> {
    let place = |depth: Option<&usize>| axes.across(*depth? as f64);
    let (first, last) = (place(depths.first()), place(depths.last()));
    let wide = first.zip(last).map_or(0.0, |(first, last)| last - first);
    factors(depths, lines, wide)
}

/// Returns the factors of [`apart`] if the first and the last depth are `wide` pixels apart.
fn factors(depths: &[usize], lines: usize, wide: f64) -> Vec<f64> {
    let logs: Vec<f64> = depths.iter().map(|depth| (*depth as f64).ln()).collect();
    let next = logs.windows(2).map(|pair| pair[1] - pair[0]);
    let whole = logs.last().zip(logs.first()).map_or(0.0, |(a, b)| a - b);
    let most = (REACH.0 * next.fold(whole, f64::min)).min(REACH.1 * whole);
    let middle = (lines as f64 - 1.0) / 2.0;
    let step = (most / (2.0 * middle).max(1.0)).min(APART / wide.max(1.0) * whole);
    (0..lines)
        .map(|line| ((line as f64 - middle) * step).exp())
        .collect()
}

/// Draws an interval at a place on the axis of depths: a vertical line with a cap at each end.
fn interval(panel: &Panel, scene: &mut Scene, (at, score): (f64, &DepthScore), stroke: Stroke) {
    let ends = score
        .interval
        .and_then(|(low, high)| panel.point(at, low).zip(panel.point(at, high)));
    if let Some((low, high)) = ends {
        let thin = Stroke::solid(stroke.colour, WIDTH / 2.0);
        scene.stroke(Path::line(&[low, high]), thin);
        for (x, y) in [low, high] {
            scene.stroke(Path::line(&[(x - CAP, y), (x + CAP, y)]), thin);
        }
    }
}

fn table(panels: &[ScorePanel]) -> Table {
    let mut table = Table::new("panel,name,depth,score,low,high");
    for panel in panels {
        for line in &panel.lines {
            for score in &line.scores {
                let low = score.interval.map(|(low, _)| low);
                let high = score.interval.map(|(_, high)| high);
                let DepthScore { depth, value, .. } = score;
                table.row(&[&panel.name, &line.name, depth, value, &low, &high]);
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

    fn score(depth: usize, value: f64, interval: Option<(f64, f64)>) -> DepthScore {
        DepthScore {
            depth,
            value,
            interval,
        }
    }

    fn panel(name: &str, lines: &[(&str, &[DepthScore])]) -> ScorePanel {
        let line = |(name, scores): &(&str, &[DepthScore])| ScoreLine {
            name: (*name).to_owned(),
            scores: scores.to_vec(),
        };
        ScorePanel {
            name: name.to_owned(),
            lines: lines.iter().map(line).collect(),
        }
    }

    #[test]
    fn every_score_is_in_the_table_with_its_interval() {
        let panels = [
            panel(
                "arc",
                &[
                    (
                        "main",
                        &[
                            score(1, 0.25, Some((0.2, 0.3))),
                            score(8, 0.5, Some((0.44, 0.56))),
                        ],
                    ),
                    ("baseline", &[score(1, 0.3, None), score(8, f64::NAN, None)]),
                ],
            ),
            panel("mmlu", &[("main", &[score(1, 0.26, Some((0.24, 0.28)))])]),
        ];
        let picture = benchmarks(&panels).expect("a picture");
        golden::check("benchmarks", &picture);
        let expected = "\
panel,name,depth,score,low,high
arc,main,1,0.25,0.2,0.3
arc,main,8,0.5,0.44,0.56
arc,baseline,1,0.3,,
arc,baseline,8,,,
mmlu,main,1,0.26,0.24,0.28
";
        assert_eq!(picture.csv(), expected);
    }

    #[test]
    fn controls_have_their_own_title_and_axis() {
        let lines: [(&str, &[DepthScore]); 2] = [
            ("as it is", &[score(1, 3.0, None), score(4, 2.0, None)]),
            ("affine", &[score(1, 2.9, None), score(4, 2.0, None)]),
        ];
        let picture = depth_controls(&[panel("runs/main", &lines)]).expect("a picture");
        golden::check("depth-controls", &picture);
        assert!(picture.svg().contains(">Loss (nats)<"));
    }

    #[test]
    fn lines_stand_apart_by_less_than_the_way_to_the_next_depth() {
        assert_eq!(factors(&[1, 4], 1, 100.0), [1.0]);
        assert_eq!(factors(&[4], 3, 0.0), [1.0; 3]);
        let moved = factors(&[1, 2, 8], 3, 100.0);
        // 0.08 of the whole distance, ln 8, is less than 0.35 of the shortest distance, ln 2.
        let spread = REACH.1 * 8.0_f64.ln();
        assert!(
            (moved[2].ln() - moved[0].ln() - spread).abs() < 1e-12,
            "{moved:?}"
        );
        assert!((moved[1] - 1.0).abs() < 1e-12 && (moved[0] * moved[2] - 1.0).abs() < 1e-12);
        // If there is enough room, neighbouring marks are exactly 11 of the 1,100 pixels apart.
        let moved = factors(&[1, 2, 8], 3, 1100.0);
        assert!(
            (moved[2].ln() - 0.01 * 8.0_f64.ln()).abs() < 1e-12,
            "{moved:?}"
        );
    }

    #[test]
    fn depth_zero_and_panels_without_a_score_are_refused() {
        let drawn = |scores: &[DepthScore]| benchmarks(&[panel("arc", &[("a", scores)])]);
        refused(
            drawn(&[score(0, 0.5, None)]),
            "picture benchmarks: recurrence depth of `arc`: must be at least 1, found 0",
        );
        refused(drawn(&[score(1, f64::NAN, None)]), "`arc` has no score");
        refused(benchmarks(&[]), "nothing is given");
    }
}
