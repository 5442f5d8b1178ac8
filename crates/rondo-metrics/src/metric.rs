//! A row of the table of metrics: kind, shape, unit, presence and meaning.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of thing that a record reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A measurement on a training step.
    Train,
    /// A measurement on the validation set.
    Eval,
    /// Something happened; see [`Event`](crate::Event).
    Event,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Eval => "eval",
            Self::Event => "event",
        })
    }
}

/// How many numbers a metric holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// One number.
    Scalar,
    /// One number per iteration, for iterations 1, 2, …, r.
    PerIteration,
    /// One number, written once per evaluated recurrence depth as `name@r`.
    PerDepth,
    /// A series of numbers, written once per evaluated recurrence depth as `name@r`.
    SeriesPerDepth,
    /// One number, written once per layer as `name.core.0`.
    PerLayer,
    /// One number, written once per source of a mixture as `name.web`.
    PerSource,
}

impl Shape {
    /// Returns whether a written name carries an `@r` suffix.
    pub fn has_depth(self) -> bool {
        matches!(self, Self::PerDepth | Self::SeriesPerDepth)
    }

    /// Returns whether a value is a series rather than one number.
    pub fn is_series(self) -> bool {
        matches!(self, Self::PerIteration | Self::SeriesPerDepth)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "number",
            Self::PerIteration => "number per iteration",
            Self::PerDepth => "number per depth",
            Self::SeriesPerDepth => "series per depth",
            Self::PerLayer => "number per layer",
            Self::PerSource => "number per source",
        })
    }
}

/// The condition under which records of its kind contain a metric. An undefined value of a present
/// metric (for example the correlation of a single token) is null, not absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presence {
    /// The metric is in every record of its kind.
    Always,
    /// The metric is only in runs on synthetic tasks.
    Tasks,
    /// The metric is only in runs on text, where a token stands for bytes.
    Text,
    /// The metric is present only if the device reports its memory use, or if its peak rate is
    /// known.
    Device,
    /// The metric is only in the first record of its kind, because it does not depend on the model.
    Once,
    /// The metric is present only if the injection, or a history of states, multiplies the state by
    /// factors that are known.
    Contraction,
    /// The metric is present only if the loss has terms after several iterations.
    Depths,
    /// The metric is present only if the loss has a penalty on the last state of the loop.
    Penalty,
    /// The metric is present only if layers have gates.
    Gates,
    /// The metric is present only if a controller sets the strength of the gates' penalty.
    Controller,
    /// The metric is only in runs of several ranks.
    Ranks,
    /// The metric is present only if the data is a mixture.
    Mixture,
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::Tasks => "tasks only",
            Self::Text => "text only",
            Self::Device => "where the device gives it",
            Self::Once => "once",
            Self::Contraction => "with factors on the state",
            Self::Depths => "with a mean loss",
            Self::Penalty => "with a penalty",
            Self::Gates => "with gates",
            Self::Controller => "with a controller",
            Self::Ranks => "several ranks only",
            Self::Mixture => "mixtures",
        })
    }
}

/// One row of the table of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name without an `@r` suffix.
    pub name: &'static str,
    /// The kind of the records that contain the metric.
    pub kind: Kind,
    /// How many numbers the metric holds.
    pub shape: Shape,
    /// The unit; `1` for a pure number.
    pub unit: &'static str,
    /// When the metric is written.
    pub presence: Presence,
    /// The meaning in one sentence, with the formula if there is one.
    pub meaning: &'static str,
}
