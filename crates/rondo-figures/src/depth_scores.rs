//! Scores against recurrence depth, with intervals: of benchmarks, and of what controls leave of a depth curve.

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

/// Half the width of the bars across the ends of an interval.
const CAP: f64 = 7.0;
const WIDTH: f64 = 3.0;

/// A score at one recurrence depth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DepthScore {
    /// Iterations of the core block, at least 1.
    pub depth: usize,
    /// The score; one that is not finite is a gap.
    pub value: f64,
    /// The ends of its interval, where it has one.
    pub interval: Option<(f64, f64)>,
}

/// Scores of one run or under one control.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreLine {
    /// What it is called: lines of one name have one colour in every panel.
    pub name: String,
    /// In ascending order of depth.
    pub scores: Vec<DepthScore>,
}

/// Scores of one task, stratum or run.
#[derive(Clone, Debug, PartialEq)]
pub struct ScorePanel {
    /// What it is called.
    pub name: String,
    /// Its lines.
    pub lines: Vec<ScoreLine>,
}

/// What a picture of scores says.
struct Words {
    name: &'static str,
    title: &'static str,
    axis: &'static str,
    caption: &'static str,
}

/// Draws a panel for each task or stratum: accuracy against depth, a line for each run, with intervals.
///
/// Its table has the columns `panel,name,depth,score,low,high`.
///
/// # Errors
/// [`FigureError::Empty`] without panels, and where one has no score that is finite; [`FigureError::Range`] for depth 0.
pub fn benchmarks(panels: &[ScorePanel]) -> Result<Picture, FigureError> {
    let words = Words {
        name: "benchmarks",
        title: "Benchmarks against recurrence depth",
        axis: "Accuracy",
        caption: "Bars are 95 % intervals of each share by itself; depths are compared item by item in the report.",
    };
    draw(&words, panels)
}

/// Draws a panel for each run: loss on documents against depth, as it is, with the temperature of each depth and with its affine
/// readout.
///
/// Its table is that of [`benchmarks`].
///
/// # Errors
/// As [`benchmarks`].
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
    let stroke = |name: &str| {
        let index = names.iter().position(|other| *other == name);
        Stroke::solid(series(index.unwrap_or(0)), WIDTH)
    };
    let legend = Legend::of_several(names.iter().map(|name| Entry {
        mark: Some((Marker::Circle, stroke(name).colour)),
        ..Entry::line((*name).to_owned(), stroke(name))
    }));
    let mut caption = vec![words.caption.to_owned()];
    caption.extend(same_axes(panels.len()));
    let (mut scene, places) = Page::of_multiples(words.title, panels.len(), &caption, &legend);
    for (panel, place) in panels.iter().zip(places) {
        let lines: Vec<Line> = panel
            .lines
            .iter()
            .map(|line| {
                let values = line
                    .scores
                    .iter()
                    .map(|score| (score.depth as f64, score.value));
                Line::marked(values.collect(), stroke(&line.name))
            })
            .collect();
        let axes = Panel::fit(place, x.clone(), y.clone()).with_heading(&panel.name, String::new());
        axes.plot(&mut scene, &lines, &[]);
        for line in &panel.lines {
            for score in &line.scores {
                interval(&axes, &mut scene, score, stroke(&line.name));
            }
        }
    }
    Ok(Picture::new(words.name, scene, table(panels)))
}

/// Draws an upright line between the ends of an interval, with a bar across each.
fn interval(panel: &Panel, scene: &mut Scene, score: &DepthScore, stroke: Stroke) {
    let ends = score.interval.and_then(|(low, high)| {
        let depth = score.depth as f64;
        panel.point(depth, low).zip(panel.point(depth, high))
    });
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
