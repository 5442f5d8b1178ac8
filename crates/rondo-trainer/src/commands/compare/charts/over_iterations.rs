//! The effect of more iterations: perplexity against recurrence depth, and measures of the state
//! after each iteration.

use std::collections::BTreeSet;

use rondo_figures::IterationProfile;
use rondo_figures::chart::{Chart, ChartPoint, Curve, First, Look, Quantity};

use super::super::series::curves;
use super::{Drawing, Legend, Section, place};
use crate::pictures::runs::{curves as depth_curves, profiles};

/// Returns the values of one measure in a profile, one for each iteration.
type ByIteration = fn(&IterationProfile) -> &[f64];

impl Drawing<'_> {
    /// Draws the last evaluation and the last profile of several runs in one section. For a single
    /// run, draws several evaluations in one section and several steps in another.
    pub(super) fn over_iterations(&self) -> Vec<Section> {
        if self.runs.len() == 1 {
            return vec![self.depths_of_one_run(), self.loop_of_one_run()];
        }
        let drawn = depth_curves(self.runs);
        let of_run = |run: usize| by_depth(&drawn[run].points);
        let (x, y) = depth_axes(drawn.iter().flat_map(|curve| &curve.points));
        let lines = curves(self.subjects, &self.names, of_run);
        let mut charts = Vec::new();
        charts.extend(Chart::new(DEPTHS, &x, &y, lines));
        let profiles = profiles(self.runs);
        charts.extend(loop_charts(|values| {
            curves(self.subjects, &self.names, |run| {
                let of_run = profiles
                    .iter()
                    .find(|profile| profile.run == self.names[run]);
                of_run
                    .map(|profile| by_iteration(values(profile)))
                    .unwrap_or_default()
            })
        }));
        vec![Section {
            title: "Over the iterations, at the end of the runs",
            legend: self.legend(),
            charts,
            folded: false,
        }]
    }

    fn depths_of_one_run(&self) -> Section {
        let drawn = depth_curves(self.runs);
        let (x, y) = depth_axes(drawn.iter().flat_map(|curve| &curve.points));
        let lines = drawn.iter().enumerate().map(|(index, curve)| Curve {
            name: curve.name.clone(),
            look: Look::of_run(index),
            single: false,
            points: by_depth(&curve.points),
        });
        let lines: Vec<Curve> = lines.collect();
        let entries = lines.iter().map(|line| (line.look, line.name.clone()));
        Section {
            title: "Recurrence depth",
            legend: Legend {
                title: "Evaluation at",
                entries: entries.collect(),
            },
            charts: Chart::new(DEPTHS, &x, &y, lines).into_iter().collect(),
            folded: false,
        }
    }

    fn loop_of_one_run(&self) -> Section {
        let profiles = profiles(self.runs);
        let name = |profile: &IterationProfile| format!("step {}", profile.step);
        let charts = loop_charts(|values| {
            let lines = profiles.iter().enumerate().map(|(index, profile)| Curve {
                name: name(profile),
                look: Look::of_run(index),
                single: false,
                points: by_iteration(values(profile)),
            });
            lines.collect()
        });
        let entries = profiles.iter().enumerate();
        let entries = entries.map(|(index, profile)| (Look::of_run(index), name(profile)));
        Section {
            title: "Within the loop",
            legend: Legend {
                title: "Training at",
                entries: entries.collect(),
            },
            charts,
            folded: false,
        }
    }
}

const DEPTHS: &str = "Perplexity against recurrence depth";

/// Returns the axes of perplexity against depth, with a label at each depth.
fn depth_axes<'a>(points: impl Iterator<Item = &'a (usize, f64)>) -> (Quantity, Quantity) {
    let depths: BTreeSet<usize> = points.map(|(depth, _)| *depth).collect();
    let x = Quantity {
        labelled: depths.into_iter().map(|depth| depth as f64).collect(),
        ..Quantity::new("Recurrence depth", First::Log)
    };
    (x, Quantity::new("Perplexity", First::LogOverADecade))
}

/// Draws a chart for each measure of the profiles. `lines` returns the curves of a measure.
fn loop_charts(lines: impl Fn(ByIteration) -> Vec<Curve>) -> Vec<Chart> {
    let x = Quantity::new("Iteration", First::Linear);
    let correlation = Quantity {
        covered: vec![0.0, 1.0],
        ..Quantity::new("Correlation of tokens", First::Linear)
    };
    let residual = |name: &str| Quantity::new(name, First::Log);
    let norm = Quantity::new("Norm of the state", First::Linear);
    let parts: [(&str, Quantity, ByIteration); 4] = [
        ("Correlation of tokens by iteration", correlation, |p| {
            &p.token_corr
        }),
        ("Residual by iteration", residual("Residual"), |p| {
            &p.residual
        }),
        (
            "Relative residual by iteration",
            residual("Residual / norm"),
            |p| &p.rel_residual,
        ),
        ("Norm of the state by iteration", norm, |p| &p.state_norm),
    ];
    let chart = |(title, y, values): (&str, Quantity, ByIteration)| {
        Chart::new(title, &x, &y, lines(values))
    };
    parts.into_iter().filter_map(chart).collect()
}

fn by_depth(points: &[(usize, f64)]) -> Vec<ChartPoint> {
    points
        .iter()
        .map(|(depth, value)| place(*depth, *value))
        .collect()
}

fn by_iteration(values: &[f64]) -> Vec<ChartPoint> {
    let numbered = values.iter().enumerate();
    numbered
        .map(|(index, value)| place(index + 1, *value))
        .collect()
}
