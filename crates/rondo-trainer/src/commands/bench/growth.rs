//! Measures how the time of a step grows with the size of the step.
//!
//! The time is expected to grow like the FLOPs of a step: its number of tokens times
//! [`ResolvedConfig::flops_per_token`]. If the time grows faster, a part of the step other than the
//! matrix products grows too fast. If it grows more slowly, a part of the cost is fixed.

use rondo_metrics::format::significant;
use rondo_model::depth::Unroll;
use rondo_train::config::ResolvedConfig;
use rondo_train::device::Listed;
use rondo_train::distributed::World;
use rondo_train::error::Result;
use serde_json::{Value, json};

use super::rows::{self, BenchRow};
use super::samples::Samples;
use super::subject::{Subject, Work};
use crate::cli::{Axis, BenchArgs};

/// The sizes that grow if none is chosen.
const AXES: [Axis; 4] = [Axis::N, Axis::K, Axis::Seq, Axis::Width];

/// A step of a given size.
#[derive(Clone, Debug)]
struct Point {
    value: usize,
    config: ResolvedConfig,
    unroll: Unroll,
}

/// The measurement of one step. Its growth is relative to the first step of the same axis.
struct Row {
    axis: Axis,
    value: usize,
    samples: Samples,
    growth: f64,
    expected: f64,
}

/// Times steps along each axis. The first step of each axis has the configuration's own size.
///
/// # Errors
///
/// Returns an error if the device fails.
pub(super) fn command(
    name: &str,
    config: &ResolvedConfig,
    listed: &Listed,
    args: &BenchArgs,
) -> Result<()> {
    let axes = match args.grow.as_slice() {
        [] => &AXES,
        chosen => chosen,
    };
    let mut rows: Vec<Row> = Vec::new();
    for axis in axes {
        let mut first = None;
        for point in axis.points(config) {
            let mut subject = point.subject(listed)?;
            let samples = subject.time(args.rounds())?;
            let now = (samples.median(), point.flops());
            let (seconds, flops) = *first.get_or_insert(now);
            rows.push(Row {
                axis: *axis,
                value: point.value,
                growth: now.0 / seconds,
                expected: now.1 / flops,
                samples,
            });
        }
    }
    rows::print(
        name,
        "a step as one of its sizes grows; expected by its FLOPs",
        &rows,
        listed,
        args,
    )
}

impl Axis {
    /// Returns the configuration's own step, followed by larger steps along this axis.
    fn points(self, config: &ResolvedConfig) -> Vec<Point> {
        let planned = config.model.recurrence.planned();
        let own = Point {
            value: 0,
            config: config.clone(),
            unroll: planned,
        };
        let (from, doublings) = match self {
            Self::N if planned.no_grad == 0 => {
                let some = (0..3).map(|doubling| planned.with_grad << doubling);
                return [0].into_iter().chain(some).map(|n| own.with_n(n)).collect();
            }
            Self::N => (planned.no_grad, 3),
            Self::K => (planned.with_grad, 2),
            Self::Seq => (config.train.seq, 2),
            Self::Width => (config.model.d_model, 2),
        };
        (0..=doublings)
            .map(|doubling| match self {
                Self::N => own.with_n(from << doubling),
                Self::K => own.with_k(from << doubling),
                Self::Seq => own.with_seq(from << doubling),
                Self::Width => own.wider(1 << doubling),
            })
            .collect()
    }
}

impl Point {
    fn with_n(&self, n: usize) -> Self {
        let mut point = self.clone();
        (point.value, point.unroll.no_grad) = (n, n);
        point
    }

    fn with_k(&self, k: usize) -> Self {
        let mut point = self.clone();
        (point.value, point.unroll.with_grad) = (k, k);
        point
    }

    fn with_seq(&self, seq: usize) -> Self {
        let mut point = self.clone();
        (point.value, point.config.train.seq) = (seq, seq);
        point
    }

    /// Multiplies every width by `factor`; the width of a head stays the same.
    fn wider(&self, factor: usize) -> Self {
        let mut point = self.clone();
        let model = &mut point.config.model;
        model.d_model *= factor;
        model.d_ff *= factor;
        model.n_heads *= factor;
        model.n_kv_heads *= factor;
        point.value = model.d_model;
        point
    }

    fn subject<'a>(&'a self, listed: &'a Listed) -> Result<Subject<'a>> {
        let alone = World::alone();
        Subject::new(&self.config, Work::Step, self.unroll, listed, &alone)
    }

    /// Returns the FLOPs of a step.
    fn flops(&self) -> f64 {
        let config = &self.config;
        let per_token = config.flops_per_token(self.unroll);
        per_token * config.tokens_per_step() as f64
    }
}

impl BenchRow for Row {
    const HEADER: &'static [&'static str] =
        &["grows", "to", "ms/step", "spread", "growth", "expected"];
    const KEY: &'static str = "growth";

    fn json(&self) -> Value {
        json!({
            "grows": self.axis.name(),
            "to": self.value,
            "step_seconds": self.samples.median(),
            "spread": self.samples.spread(),
            "growth": self.growth,
            "expected": self.expected,
        })
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.axis.name().to_owned(),
            self.value.to_string(),
            significant(1e3 * self.samples.median(), 4),
            format!("{:.1} %", 100.0 * self.samples.spread()),
            significant(self.growth, 3),
            significant(self.expected, 3),
        ]
    }
}

#[cfg(test)]
mod tests {
    use rondo_train::config::RunConfig;

    use super::*;

    fn points(axis: Axis, further: &str) -> Vec<Point> {
        let text = format!(
            "[model]\nvocab_size = 16\nd_model = 8\nn_heads = 2\nd_ff = 12\n\
             [model.recurrence]\nsampler = \"fixed\"\n{further}\n[train]\nsteps = 1\nseq = 4\n"
        );
        let config = RunConfig::read("test.toml", &text, &[]).expect("valid");
        axis.points(&config.resolve_for(16, 4))
    }

    fn values(points: &[Point]) -> Vec<usize> {
        points.iter().map(|point| point.value).collect()
    }

    #[test]
    fn every_axis_starts_at_the_configuration_and_doubles() {
        let deep = "mean = 5\nbackprop_depth = 2";
        for (axis, expected) in [
            (Axis::N, vec![3, 6, 12, 24]),
            (Axis::K, vec![2, 4, 8]),
            (Axis::Seq, vec![4, 8, 16]),
            (Axis::Width, vec![8, 16, 32]),
        ] {
            assert_eq!(values(&points(axis, deep)), expected);
        }
        let all = points(Axis::N, "mean = 2\nbackprop_depth = 2");
        assert_eq!(values(&all), [0, 2, 4, 8]);
    }

    #[test]
    fn flops_grow_linearly_in_iterations_and_with_a_quadratic_part_in_the_sequence() {
        let flops = |axis| -> Vec<f64> {
            let all = points(axis, "mean = 5\nbackprop_depth = 2");
            all.iter().map(Point::flops).collect()
        };
        for axis in [Axis::N, Axis::K] {
            let of = flops(axis);
            assert!((of[2] - of[1] - 2.0 * (of[1] - of[0])).abs() < 1e-6 * of[0]);
        }
        for axis in [Axis::Seq, Axis::Width] {
            let of = flops(axis);
            assert!(of[1] > 2.0 * of[0] && of[2] > 2.0 * of[1]);
        }
    }
}
