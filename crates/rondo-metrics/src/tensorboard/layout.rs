//! What `TensorBoard` knows of the scalars besides their numbers: the meaning of each, and which belong together.

use super::message::Message;
use crate::names::Metric;

/// A title and the patterns of the names it shows.
type Chart = (&'static str, &'static [&'static str]);

/// Charts that belong together.
struct Category {
    title: &'static str,
    /// Folded: most runs have none of its scalars.
    closed: bool,
    charts: &'static [Chart],
}

/// The page of custom scalars: categories of charts, those at hand in every run first.
const CATEGORIES: [Category; 6] = [
    Category {
        title: "Quality",
        closed: false,
        charts: &[
            ("Training loss", &["^loss$"]),
            ("Validation perplexity by recurrence", &["^val_perplexity@"]),
            ("Validation loss by recurrence", &["^val_loss@"]),
        ],
    },
    Category {
        title: "Hidden states",
        closed: false,
        charts: &[
            (
                "Correlation",
                &[
                    "^hidden_state_corr$",
                    "^recurrent_state_token_corr$",
                    "^last_hidden_token_corr$",
                    "^iteration_corr$",
                ],
            ),
            ("Norm", &["^recurrent_state_norm$", "^last_hidden_norm$"]),
            (
                "Change of the state",
                &["^recurrent_diff$", "^recurrent_residual$", "^rel_residual$"],
            ),
        ],
    },
    Category {
        title: "Optimisation",
        closed: false,
        charts: &[
            ("Learning rate", &["^lr$"]),
            ("Gradient norm", &["^grad_norm$"]),
            (
                "Iterations",
                &[
                    "^recurrence$",
                    "^num_steps_no_grad$",
                    "^num_steps_with_grad$",
                ],
            ),
        ],
    },
    Category {
        title: "Speed",
        closed: false,
        charts: &[
            ("Tokens per second", &["^tokens_per_second$"]),
            ("Seconds per step", &["^step_seconds$"]),
            ("Memory", &["^memory_bytes$"]),
        ],
    },
    Category {
        title: "Tasks",
        closed: true,
        charts: &[
            ("Accuracy", &["^accuracy$", "^val_accuracy@"]),
            ("Difficulty", &["^difficulty$"]),
        ],
    },
    Category {
        title: "Sparsity",
        closed: true,
        charts: &[
            ("Edges kept", &["^sparsity"]),
            ("Strength of the penalty", &["^regularisation_strength$"]),
            (
                "Cross entropy and its target",
                &[
                    "^val_cross_entropy$",
                    "^target_cross_entropy$",
                    "^constraint_ema$",
                ],
            ),
        ],
    },
];

/// `DataClass` of `summary.proto`.
const SCALAR: u64 = 1;
const TENSOR: u64 = 2;
/// `DT_STRING` of `types.proto`.
const STRING: u64 = 7;

/// Returns the `SummaryMetadata` of a scalar: `plugin_data = 1, summary_description = 3, data_class = 4`.
pub(super) fn described(metric: Option<&Metric>) -> Message {
    let mut metadata = plugin("scalars");
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

/// Returns a `Summary` with the layout of the charts: `Layout { category = 2 }`, `Category { title = 1,
/// chart = 2, closed = 3 }`, `Chart { title = 1, multiline = 2 }`, `MultilineChartContent { tag = 1 }`.
pub(super) fn summary() -> Message {
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
                lines.bytes(1, pattern.as_bytes());
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
    let mut metadata = plugin("custom_scalars");
    metadata.integer(4, TENSOR);
    let mut value = Message::default();
    value.bytes(1, b"custom_scalars__config__");
    value.bytes(8, &tensor.0);
    value.bytes(9, &metadata.0);
    let mut summary = Message::default();
    summary.bytes(1, &value.0);
    summary
}

/// Starts a `SummaryMetadata` of a plugin: `plugin_data = 1 { plugin_name = 1 }`.
fn plugin(name: &str) -> Message {
    let mut data = Message::default();
    data.bytes(1, name.as_bytes());
    let mut metadata = Message::default();
    metadata.bytes(1, &data.0);
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::METRICS;

    #[test]
    fn every_pattern_is_a_name_of_the_table() {
        let charts = CATEGORIES.iter().flat_map(|category| category.charts);
        for pattern in charts.flat_map(|(_, patterns)| *patterns) {
            let name = pattern.trim_start_matches('^').trim_end_matches(['$', '@']);
            assert!(METRICS.iter().any(|metric| metric.name == name), "{name}");
        }
    }
}
