//! Descriptions for `TensorBoard`: the meaning of each scalar, and the charts that group the
//! scalars.

use std::fmt;

use super::about::{plugin, summary};
use super::message::Message;
use super::tags::tag_of;
use crate::metric::Metric;
use crate::names::{
    ACCURACY, CONSTRAINT_EMA, DIFFICULTY, GRAD_NORM, HIDDEN_STATE_CORR, ITERATION_CORR,
    LAST_HIDDEN_NORM, LAST_HIDDEN_TOKEN_CORR, LOSS, LR, MEMORY_BYTES, NUM_STEPS_NO_GRAD,
    NUM_STEPS_WITH_GRAD, RECURRENCE, RECURRENT_DIFF, RECURRENT_RESIDUAL, RECURRENT_STATE_NORM,
    RECURRENT_STATE_TOKEN_CORR, REGULARISATION_STRENGTH, REL_RESIDUAL, SPARSITY, STEP_SECONDS,
    TARGET_CROSS_ENTROPY, TOKENS_PER_SECOND, VAL_ACCURACY, VAL_CROSS_ENTROPY, VAL_LOSS,
    VAL_PERPLEXITY, VAL_SPARSITY,
};
use crate::typed::{Measured, PerDepth, Scalar};

/// A pattern of tags, written as a regular expression.
#[derive(Clone, Copy)]
enum Pattern {
    /// The tag of this metric.
    Is(Metric),
    /// The tags of this metric at every depth.
    AtDepths(Metric),
    /// Every tag that begins with the tag of this metric.
    Begins(Metric),
}

const fn is<K: Measured>(metric: Scalar<K>) -> Pattern {
    Pattern::Is(metric.metric())
}

const fn at_depths<K: Measured>(metric: PerDepth<K>) -> Pattern {
    Pattern::AtDepths(metric.metric())
}

const fn begins<K: Measured>(metric: Scalar<K>) -> Pattern {
    Pattern::Begins(metric.metric())
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tag = |metric: &Metric| tag_of(metric.kind, metric.name, metric.name);
        match self {
            Self::Is(metric) => write!(f, "^{}$", tag(metric)),
            Self::AtDepths(metric) => write!(f, "^{}@", tag(metric)),
            Self::Begins(metric) => write!(f, "^{}", tag(metric)),
        }
    }
}

/// The title of a chart, and the patterns of the tags that the chart shows.
type Chart = (&'static str, &'static [Pattern]);

/// Charts that belong together.
struct Category {
    title: &'static str,
    /// Whether the category is folded at first. This suits categories whose scalars most runs do
    /// not have.
    closed: bool,
    charts: &'static [Chart],
}

/// The page of custom scalars: categories of charts. The categories that every run has come first.
const CATEGORIES: [Category; 6] = [
    Category {
        title: "Quality",
        closed: false,
        charts: &[
            ("Training loss", &[is(LOSS)]),
            // The loss is the logarithm of the perplexity, so a run that explodes does not hide the
            // other runs.
            ("Validation loss by recurrence", &[at_depths(VAL_LOSS)]),
            (
                "Validation perplexity by recurrence",
                &[at_depths(VAL_PERPLEXITY)],
            ),
        ],
    },
    Category {
        title: "Hidden states",
        closed: false,
        charts: &[
            (
                "Correlation",
                &[
                    is(HIDDEN_STATE_CORR),
                    is(RECURRENT_STATE_TOKEN_CORR),
                    is(LAST_HIDDEN_TOKEN_CORR),
                    is(ITERATION_CORR),
                ],
            ),
            ("Norm", &[is(RECURRENT_STATE_NORM), is(LAST_HIDDEN_NORM)]),
            (
                "Change of the state",
                &[is(RECURRENT_DIFF), is(RECURRENT_RESIDUAL), is(REL_RESIDUAL)],
            ),
        ],
    },
    Category {
        title: "Optimisation",
        closed: false,
        charts: &[
            ("Learning rate", &[is(LR)]),
            ("Gradient norm", &[is(GRAD_NORM)]),
            (
                "Iterations",
                &[
                    is(RECURRENCE),
                    is(NUM_STEPS_NO_GRAD),
                    is(NUM_STEPS_WITH_GRAD),
                ],
            ),
        ],
    },
    Category {
        title: "Speed",
        closed: false,
        charts: &[
            ("Tokens per second", &[is(TOKENS_PER_SECOND)]),
            ("Seconds per step", &[is(STEP_SECONDS)]),
            ("Memory", &[is(MEMORY_BYTES)]),
        ],
    },
    Category {
        title: "Tasks",
        closed: true,
        charts: &[
            ("Accuracy", &[is(ACCURACY), at_depths(VAL_ACCURACY)]),
            ("Difficulty", &[is(DIFFICULTY)]),
        ],
    },
    Category {
        title: "Sparsity",
        closed: true,
        charts: &[
            ("Edges kept", &[begins(SPARSITY), is(VAL_SPARSITY)]),
            ("Strength of the penalty", &[is(REGULARISATION_STRENGTH)]),
            (
                "Cross entropy and its target",
                &[
                    is(VAL_CROSS_ENTROPY),
                    is(TARGET_CROSS_ENTROPY),
                    is(CONSTRAINT_EMA),
                ],
            ),
        ],
    },
];

/// A `DataClass` of `summary.proto`.
const SCALAR: u64 = 1;
/// The type `DT_STRING` of `types.proto`.
const STRING: u64 = 7;

/// Returns the `SummaryMetadata` of a scalar:
/// `plugin_data = 1, summary_description = 3, data_class = 4`.
pub(super) fn described(metric: Option<&Metric>) -> Message {
    let mut metadata = plugin("scalars", &[]);
    if let Some(metric) = metric {
        let text = match metric.unit {
            "1" => metric.meaning.to_owned(),
            unit => format!("{} Unit: {unit}.", metric.meaning),
        };
        metadata.bytes(3, text.as_bytes());
    }
    metadata.integer(4, SCALAR);
    metadata
}

/// Returns a `Summary` with the layout of the charts: `Layout { category = 2 }`,
/// `Category { title = 1, chart = 2, closed = 3 }`, `Chart { title = 1, multiline = 2 }`,
/// `MultilineChartContent { tag = 1 }`.
pub(super) fn charts() -> Message {
    let mut layout = Message::default();
    for Category {
        title,
        closed,
        charts,
    } in CATEGORIES
    {
        let mut category = Message::default();
        category.bytes(1, title.as_bytes());
        for (title, patterns) in charts {
            let mut lines = Message::default();
            for pattern in *patterns {
                lines.bytes(1, pattern.to_string().as_bytes());
            }
            let mut chart = Message::default();
            chart.bytes(1, title.as_bytes());
            chart.bytes(2, &lines.0);
            category.bytes(2, &chart.0);
        }
        category.integer(3, u64::from(closed));
        layout.bytes(2, &category.0);
    }
    let mut tensor = Message::default();
    tensor.integer(1, STRING);
    tensor.bytes(2, &[]);
    tensor.bytes(8, &layout.0);
    summary(
        "custom_scalars__config__",
        &tensor,
        plugin("custom_scalars", &[]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_the_whole_tag_the_tag_before_a_depth_or_the_beginning_of_tags() {
        assert_eq!(is(LOSS).to_string(), "^train/loss$");
        assert_eq!(at_depths(VAL_LOSS).to_string(), "^val/loss@");
        assert_eq!(begins(SPARSITY).to_string(), "^sparsity/sparsity");
        assert_eq!(is(VAL_SPARSITY).to_string(), "^sparsity/val_sparsity$");
    }
}
