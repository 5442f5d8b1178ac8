//! Validation metrics over training: a chart for each run or group, with a line for each recurrence
//! depth.

use std::collections::BTreeSet;

use rondo_figures::chart::{Chart, ChartPoint, Curve, Look, Quantity};
use rondo_train::run_history::RunHistory;

use super::super::series::{mean, mean_name};
use super::{Drawing, Legend, MEASURES, Section, at_depth, iterations};

/// With more charts than this, the section is folded.
const MOST_OPEN: usize = 6;

impl Drawing<'_> {
    /// Draws a chart for each subject. Each chart has a line for each recurrence depth.
    pub(super) fn by_depth(&self) -> Section {
        let depths: BTreeSet<usize> = MEASURES
            .iter()
            .flat_map(|(metric, ..)| {
                let of_run = |run: &RunHistory| run.history.per_depth(*metric).into_keys();
                self.runs.iter().flat_map(of_run).collect::<Vec<_>>()
            })
            .collect();
        let looks: Vec<(usize, Look)> = depths
            .iter()
            .enumerate()
            .map(|(index, depth)| (*depth, Look::of_depth(index, *depth)))
            .collect();
        let mut charts = Vec::new();
        for (metric, name, first) in MEASURES {
            for subject in self.subjects {
                let lines = looks.iter().map(|(depth, look)| {
                    let of_run =
                        |run: &usize| self.points(&at_depth(&self.runs[*run], metric, *depth));
                    let series: Vec<Vec<ChartPoint>> = subject.members.iter().map(of_run).collect();
                    let points = match series.as_slice() {
                        [points] => points.clone(),
                        several => mean(several),
                    };
                    Curve {
                        name: iterations(*depth),
                        look: *look,
                        single: false,
                        points,
                    }
                });
                let title = format!("{name} of {}", mean_name(subject));
                charts.extend(Chart::new(
                    &title,
                    &self.x,
                    &Quantity::new(name, first),
                    lines.collect(),
                ));
            }
        }
        let entries = looks
            .into_iter()
            .map(|(depth, look)| (look, depth.to_string()));
        Section {
            title: "Validation at each recurrence depth",
            legend: Legend {
                title: "Recurrence",
                entries: entries.collect(),
            },
            folded: charts.len() > MOST_OPEN,
            charts,
        }
    }
}
