//! The sections of the page and their charts. This file holds curves over training; its submodules
//! hold curves over depths and iterations.

mod by_depth;
mod over_iterations;

use std::collections::BTreeSet;

use rondo_figures::chart::{Chart, ChartPoint, First, Look, Quantity};
use rondo_metrics::Reading;
use rondo_metrics::names::{HIDDEN_STATE_CORR, LOSS, VAL_ACCURACY, VAL_PERPLEXITY};
use rondo_metrics::typed::{Eval, PerDepth};
use rondo_train::run_history::RunHistory;

use super::groups::Subject;
use super::series::{curves, mean_name};

/// The range of correlations that the axis always covers.
const CORRELATIONS: [f64; 2] = [0.1, 1.0];
/// The lowest correlation that is drawn. Lower values are noise around zero.
const LOWEST_CORRELATION: f64 = 1e-3;

/// Charts under a common heading.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) legend: Legend,
    pub(super) charts: Vec<Chart>,
    /// Whether the charts are hidden until the reader opens the section.
    pub(super) folded: bool,
}

/// The legend: the meaning of the lines.
#[derive(Default)]
pub(super) struct Legend {
    pub(super) title: &'static str,
    pub(super) entries: Vec<(Look, String)>,
}

/// Returns the sections that have at least one chart.
pub(super) fn sections(runs: &[RunHistory], subjects: &[Subject]) -> Vec<Section> {
    let page = Drawing::of(runs, subjects);
    let mut all = vec![page.over_training(), page.by_depth()];
    all.extend(page.over_iterations());
    all.into_iter()
        .filter(|section| !section.charts.is_empty())
        .collect()
}

/// The compared runs, and the x axis of their curves over training.
struct Drawing<'a> {
    runs: &'a [RunHistory],
    subjects: &'a [Subject],
    names: Vec<&'a str>,
    /// The x axis: tokens, or steps if a run did not count tokens.
    x: Quantity,
    tokens: bool,
}

impl<'a> Drawing<'a> {
    fn of(runs: &'a [RunHistory], subjects: &'a [Subject]) -> Self {
        let losses: Vec<Vec<Reading>> = runs.iter().map(|run| run.history.series(LOSS)).collect();
        let counted = |readings: &Vec<Reading>| readings.iter().any(|reading| reading.tokens > 0);
        let tokens = losses
            .iter()
            .all(|readings| readings.is_empty() || counted(readings))
            && losses.iter().any(counted);
        // The x axis starts at the first step of any run, even if that step was not logged.
        let start = match tokens {
            true => losses
                .iter()
                .flatten()
                .filter(|reading| reading.step > 0 && reading.tokens > 0)
                .map(|reading| reading.tokens as f64 / reading.step as f64)
                .fold(f64::INFINITY, f64::min),
            false => 1.0,
        };
        let name = if tokens { "Tokens" } else { "Step" };
        Self {
            runs,
            subjects,
            names: runs.iter().map(|run| run.name.as_str()).collect(),
            x: Quantity {
                covered: vec![start],
                lowest: Some(start),
                ..Quantity::new(name, First::Log)
            },
            tokens,
        }
    }

    fn against(&self) -> &'static str {
        if self.tokens { "tokens" } else { "steps" }
    }

    fn points(&self, readings: &[Reading]) -> Vec<ChartPoint> {
        let point = |reading: &Reading| ChartPoint {
            x: match self.tokens {
                true => reading.tokens as f64,
                false => reading.step as f64,
            },
            step: self.tokens.then_some(reading.step),
            y: reading.value,
            spread: None,
        };
        readings.iter().map(point).collect()
    }

    fn legend(&self) -> Legend {
        let entry = |(index, subject)| (Look::of_run(index), mean_name(subject));
        Legend {
            title: "Runs",
            entries: self.subjects.iter().enumerate().map(entry).collect(),
        }
    }

    /// Draws a curve for each subject.
    fn chart(
        &self,
        title: &str,
        y: &Quantity,
        readings: impl Fn(&RunHistory) -> Vec<Reading>,
    ) -> Option<Chart> {
        let points = |run: usize| self.points(&readings(&self.runs[run]));
        Chart::new(
            title,
            &self.x,
            y,
            curves(self.subjects, &self.names, points),
        )
    }

    /// Draws the loss, the correlation, and the validation metrics. The validation metrics are
    /// shown at the depth that [`Self::common_depth`] returns.
    fn over_training(&self) -> Section {
        let against = self.against();
        let correlation = Quantity {
            covered: CORRELATIONS.to_vec(),
            lowest: Some(LOWEST_CORRELATION),
            ..Quantity::new("Correlation", First::Log)
        };
        let loss = Quantity::new("Loss", First::LogOverADecade);
        let mut charts = Vec::new();
        charts.extend(
            self.chart(&format!("Loss against {against}"), &loss, |run| {
                run.history.series(LOSS)
            }),
        );
        let title = format!("Correlation of hidden states against {against}");
        charts.extend(self.chart(&title, &correlation, |run| {
            run.history.series(HIDDEN_STATE_CORR)
        }));
        for (metric, name, first) in MEASURES {
            let depth = self.common_depth(metric);
            charts.extend(depth.and_then(|depth| {
                let title = format!("{name} at {} against {against}", iterations(depth));
                self.chart(&title, &Quantity::new(name, first), |run| {
                    at_depth(run, metric, depth)
                })
            }));
        }
        Section {
            title: "Training and validation",
            legend: self.legend(),
            charts,
            folded: false,
        }
    }

    /// Returns the depth at which most runs were evaluated. Of several such depths, returns the
    /// largest.
    fn common_depth(&self, metric: PerDepth<Eval>) -> Option<usize> {
        let of_runs: Vec<BTreeSet<usize>> = self
            .runs
            .iter()
            .map(|run| run.history.per_depth(metric).into_keys().collect())
            .collect();
        let all: BTreeSet<usize> = of_runs.iter().flatten().copied().collect();
        let runs = |depth: &usize| {
            of_runs
                .iter()
                .filter(|depths| depths.contains(depth))
                .count()
        };
        all.into_iter().max_by_key(|depth| (runs(depth), *depth))
    }
}

/// The metrics that are measured at each depth, their names, and the scale that the page shows
/// first.
const MEASURES: [(PerDepth<Eval>, &str, First); 2] = [
    (VAL_PERPLEXITY, "Perplexity", First::Log),
    (VAL_ACCURACY, "Accuracy", First::Linear),
];

fn at_depth(run: &RunHistory, metric: PerDepth<Eval>, depth: usize) -> Vec<Reading> {
    run.history
        .per_depth(metric)
        .remove(&depth)
        .unwrap_or_default()
}

/// Returns a number of iterations in words.
fn iterations(depth: usize) -> String {
    match depth {
        1 => "1 iteration".to_owned(),
        depth => format!("{depth} iterations"),
    }
}

/// Returns a point at `x` iterations.
fn place(x: usize, y: f64) -> ChartPoint {
    ChartPoint {
        x: x as f64,
        step: None,
        y,
        spread: None,
    }
}
