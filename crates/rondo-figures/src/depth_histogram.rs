//! Which recurrence depths training drew, beside what it draws them from.

use std::collections::BTreeMap;

use crate::axis::Axis;
use crate::error::FigureError;
use crate::grid;
use crate::legend::Legend;
use crate::page::Page;
use crate::palette::{Colour, INK, series};
use crate::panel::Panel;
use crate::picture::Picture;
use crate::scene::{Area, Scene, Stroke};
use crate::table::{self, Table};
use crate::ticks::number;

const NAME: &str = "depth-histogram";
/// No loop is longer.
const DEEPEST: usize = 65_536;
/// More bars than this side by side on a page are put together.
const MOST_BARS: usize = 192;
/// Probabilities below this share of the largest do not widen the axis.
const TAIL: f64 = 1e-3;

/// The depths that one run drew.
#[derive(Clone, Debug, PartialEq)]
pub struct SampledDepths {
    /// What the run is called.
    pub name: String,
    /// A recurrence depth n + k, and the number of steps that had it.
    pub counts: Vec<(usize, u64)>,
    /// Mean of the distribution they are drawn from, where it is known.
    pub expected_mean: Option<f64>,
    /// A depth and its probability in that distribution; empty where it is not known.
    pub mass: Vec<(usize, f64)>,
}

/// Draws a panel for each run: the share of steps at each depth, their mean as a dashed line, and the
/// distribution as a line.
///
/// Its table has the columns `run,depth,steps,share,mass`.
///
/// # Errors
/// [`FigureError::Empty`] without runs, and where one has no steps; [`FigureError::Range`] for a depth
/// that is not within 1 to 65536.
pub fn depth_histogram(runs: &[SampledDepths]) -> Result<Picture, FigureError> {
    let histograms = runs
        .iter()
        .map(Histogram::of)
        .collect::<Result<Vec<_>, _>>()?;
    if histograms.is_empty() {
        return Err(FigureError::empty(NAME, "no run is given"));
    }
    let mut caption = vec!["Dashed: the mean of the steps.".to_owned()];
    if runs.iter().any(|run| !run.mass.is_empty()) {
        caption.push("Line: the distribution they are drawn from.".to_owned());
    }
    let columns = grid::columns(runs.len());
    for histogram in &histograms {
        let together = histogram.together(columns);
        if together > 1 {
            let name = &histogram.run.name;
            caption.push(format!("A bar is {together} depths in {name}."));
        }
    }
    let title = "Sampled recurrence depths";
    let (mut scene, places) = Page::of_multiples(title, runs.len(), &caption, &Legend::default());
    for (index, (histogram, place)) in histograms.iter().zip(places).enumerate() {
        histogram.draw(&mut scene, place, columns, series(index))?;
    }
    Ok(Picture::new(NAME, scene, table(&histograms)))
}

/// The counts of a run, each depth once.
struct Histogram<'a> {
    run: &'a SampledDepths,
    counts: BTreeMap<usize, u64>,
    mass: BTreeMap<usize, f64>,
    steps: f64,
}

/// Middles of bars with their heights in percent.
struct Bars {
    shares: Vec<(f64, f64)>,
    mass: Vec<(f64, f64)>,
}

impl<'a> Histogram<'a> {
    fn of(run: &'a SampledDepths) -> Result<Self, FigureError> {
        let all = run.counts.iter().map(|(depth, _)| depth);
        let mut all = all.chain(run.mass.iter().map(|(depth, _)| depth));
        if let Some(depth) = all.find(|depth| !(1..=DEEPEST).contains(*depth)) {
            return Err(FigureError::Range {
                picture: NAME,
                what: format!("depth of run `{}`", run.name),
                allowed: format!("1 to {DEEPEST}"),
                found: depth.to_string(),
            });
        }
        let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
        for (depth, steps) in run.counts.iter().filter(|(_, steps)| *steps > 0) {
            let count = counts.entry(*depth).or_default();
            *count = count.saturating_add(*steps);
        }
        let steps: f64 = counts.values().map(|steps| *steps as f64).sum();
        if counts.is_empty() {
            let reason = format!("run `{}` has no sampled depths", run.name);
            return Err(FigureError::empty(NAME, reason));
        }
        Ok(Self {
            run,
            counts,
            mass: run.mass.iter().copied().collect(),
            steps,
        })
    }

    /// Returns the last depth that is shown.
    fn last(&self) -> usize {
        let peak = self.mass.values().copied().fold(0.0, f64::max);
        let likely = self.mass.iter().rev().find(|(_, p)| **p > TAIL * peak);
        let likely = likely.map_or(1, |(depth, _)| *depth);
        self.counts
            .keys()
            .last()
            .map_or(likely, |depth| likely.max(*depth))
    }

    fn mean(&self) -> f64 {
        let sum: f64 = self
            .counts
            .iter()
            .map(|(depth, n)| *depth as f64 * *n as f64)
            .sum();
        sum / self.steps
    }

    fn summary(&self) -> String {
        let sampled = format!("{} steps, mean {}", self.steps, number(self.mean()));
        match self.run.expected_mean {
            Some(expected) => format!("{sampled} (expected {})", number(expected)),
            None => sampled,
        }
    }

    /// Returns how many depths share a bar.
    fn together(&self, columns: usize) -> usize {
        self.last().div_ceil(MOST_BARS / columns)
    }

    /// Draws the panel of this run.
    fn draw(
        &self,
        scene: &mut Scene,
        place: Area,
        columns: usize,
        colour: Colour,
    ) -> Result<(), FigureError> {
        let together = self.together(columns);
        let Bars { shares, mass } = self.bars(together);
        let heights = shares.iter().chain(&mass).map(|(_, height)| *height);
        let highest = heights.filter(|y| y.is_finite()).fold(0.0, f64::max);
        let last = self.last().next_multiple_of(together);
        let x = Axis::counted("Recurrence Depth", 1, last, 24 / columns);
        let y = Axis::linear("Steps (%)", [0.0, 1.06 * highest], 0.0)
            .ok_or_else(|| FigureError::empty(NAME, "no share is finite"))?;
        let panel = Panel::fit(place, x, y).with_heading(&self.run.name, self.summary());
        panel.draw_grid(scene);
        panel.bars(scene, shares, 0.84 * together as f64, colour);
        panel.line(scene, &mass, Stroke::solid(INK, 2.4));
        panel.upright(scene, self.mean());
        panel.draw_frame(scene);
        Ok(())
    }

    /// Returns bars of so many depths each, from depth 1.
    fn bars(&self, together: usize) -> Bars {
        let middle = |bar: usize| (bar * together) as f64 + f64::midpoint(1.0, together as f64);
        let put_together = |values: &mut dyn Iterator<Item = (usize, f64)>| {
            let mut bars: BTreeMap<usize, f64> = BTreeMap::new();
            for (depth, share) in values.filter(|(depth, _)| *depth <= self.last()) {
                *bars.entry((depth - 1) / together).or_default() += 100.0 * share;
            }
            bars.into_iter()
                .map(|(bar, share)| (middle(bar), share))
                .collect()
        };
        let shares = self
            .counts
            .iter()
            .map(|(depth, n)| (*depth, *n as f64 / self.steps));
        let mass = self.mass.iter().map(|(depth, p)| (*depth, *p));
        Bars {
            shares: put_together(&mut { shares }),
            mass: put_together(&mut { mass }),
        }
    }
}

fn table(histograms: &[Histogram<'_>]) -> Table {
    let mut table = Table::new(["run", "depth", "steps", "share", "mass"]);
    for histogram in histograms {
        let Histogram {
            run, counts, mass, ..
        } = histogram;
        let mut depths: Vec<usize> = counts.keys().chain(mass.keys()).copied().collect();
        depths.sort_unstable();
        depths.dedup();
        for depth in depths {
            let steps = counts.get(&depth).copied().unwrap_or(0);
            table.row([
                table::text(&run.name),
                table::count(depth),
                steps.to_string(),
                table::number(steps as f64 / histogram.steps),
                mass.get(&depth)
                    .copied()
                    .map_or_else(String::new, table::number),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(counts: &[(usize, u64)], mass: &[(usize, f64)]) -> SampledDepths {
        SampledDepths {
            name: "main".into(),
            counts: counts.to_vec(),
            expected_mean: None,
            mass: mass.to_vec(),
        }
    }

    #[test]
    fn steps_are_counted_beside_their_probability() {
        let mut run = run(&[(3, 1), (1, 2), (3, 1)], &[(1, 0.5), (2, 0.25), (3, 0.25)]);
        run.expected_mean = Some(1.75);
        let picture = depth_histogram(&[run]).expect("a picture");
        let expected = "\
run,depth,steps,share,mass
main,1,2,0.5,0.5
main,2,0,0.0,0.25
main,3,2,0.5,0.25
";
        assert_eq!(picture.csv(), expected);
        let svg = picture.svg();
        // (2 · 1 + 2 · 3) / 4.
        let texts = [
            "4 steps, mean 2 (expected 1.75)",
            "main",
            "Recurrence Depth",
            "Steps (%)",
        ];
        for text in texts {
            assert!(svg.contains(&format!(">{text}<")), "{text}");
        }
        assert!(svg.contains("Line: the distribution"));
    }

    #[test]
    fn a_run_of_one_depth_is_one_bar_and_a_long_tail_is_put_together() {
        let svg = |counts: &[(usize, u64)]| {
            depth_histogram(&[run(counts, &[])])
                .expect("a picture")
                .svg()
        };
        assert!(svg(&[(8, 100)]).contains("100 steps, mean 8"));
        assert!(svg(&[(1, 5), (65_536, 1)]).contains("A bar is 342 depths in main."));
    }

    #[test]
    fn depths_that_no_loop_has_and_runs_without_steps_are_refused() {
        let refused = |runs: &[SampledDepths]| {
            let error = depth_histogram(runs).expect_err("a refusal");
            error.to_string()
        };
        assert_eq!(
            refused(&[run(&[(0, 1)], &[])]),
            "picture depth-histogram: depth of run `main`: must be 1 to 65536, found 0"
        );
        assert!(refused(&[run(&[(4, 0)], &[])]).ends_with("run `main` has no sampled depths"));
        assert!(refused(&[]).ends_with("no run is given"));
    }
}
