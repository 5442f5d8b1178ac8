//! The table of every metric that a run writes, and how its names are spelt in records.
//!
//! Symbols: `s_i` is the state after iteration `i`, `r = n + k` the recurrence depth, `e` the prelude's
//! output, `n_f` the final norm, `y` the coda's output, `S` the sequence length, `V` the vocabulary size.
//! Formulas: Geiping et al. 2025, arXiv 2502.05171; their names are kept so that results compare.

pub use crate::metric::{Kind, Metric, Presence, Shape};

const fn row(
    kind: Kind,
    shape: Shape,
    name: &'static str,
    unit: &'static str,
    meaning: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        shape,
        unit,
        presence: Presence::Always,
        meaning,
    }
}

const fn train(name: &'static str, unit: &'static str, meaning: &'static str) -> Metric {
    row(Kind::Train, Shape::Scalar, name, unit, meaning)
}

const fn iterations(name: &'static str, unit: &'static str, meaning: &'static str) -> Metric {
    row(Kind::Train, Shape::PerIteration, name, unit, meaning)
}

const fn eval(name: &'static str, unit: &'static str, meaning: &'static str) -> Metric {
    row(Kind::Eval, Shape::Scalar, name, unit, meaning)
}

const fn at_depth(name: &'static str, unit: &'static str, meaning: &'static str) -> Metric {
    row(Kind::Eval, Shape::PerDepth, name, unit, meaning)
}

/// Every metric, in the order in which the documentation lists them.
#[rustfmt::skip]
pub static METRICS: &[Metric] = &[
    train("loss", "nat/token", "Mean next-token cross entropy of the step's batch, before its update: `-mean(ln p(target))`."),
    train("perplexity", "1", "`exp(loss)`."),
    train("accuracy", "1", "Fraction of the batch's answer tokens whose most probable prediction is right.").only(Presence::Tasks),
    train("difficulty", "1", "Length or depth of the task instances that the curriculum hands out at this step.").only(Presence::Tasks),
    train("grad_norm", "1", "L2 norm of all gradients together, before clipping."),
    train("lr", "1", "Learning rate of this update."),
    train("lr_sum", "1", "Sum of the learning rates of all updates that were made so far, this one included; a skipped update adds nothing."),
    train("tokens_per_second", "token/s", "Training tokens per second since the previous logged step, pauses for evaluation and checkpoints left out."),
    train("step_seconds", "s", "Mean seconds of one step since the previous logged step, pauses for evaluation and checkpoints left out."),
    train("mfu", "1", "Model FLOP utilisation: FLOPs per second of the drawn unrolls over the device's peak.").only(Presence::Device),
    train("memory_bytes", "byte", "Memory in use by the run on its device.").only(Presence::Device),
    train("num_steps_no_grad", "iteration", "Iterations `n` without gradient."),
    train("num_steps_with_grad", "iteration", "Iterations `k` with gradient."),
    train("recurrence", "iteration", "Recurrence depth `r = n + k`."),
    train("hidden_state_corr", "1", "Mean correlation between two different tokens' final states, `c · S/(S-1)` with `c` = `recurrent_state_token_corr`; exactly 1 when every token has one state."),
    train("recurrent_state_token_corr", "1", "`c` of `n_f(s_r)`: mean over all token pairs `(i, j)` of the dot product of the centred, normalised states, minus `1/S`."),
    train("last_hidden_token_corr", "1", "The same `c` of `n_f(y)`."),
    train("iteration_corr", "1", "Mean over `i >= 2` of `iterations.state_corr`; null at `r = 1`."),
    train("recurrent_state_norm", "1", "`||n_f(s_r)||`, mean over tokens."),
    train("last_hidden_norm", "1", "`||n_f(y)||`, mean over tokens."),
    train("recurrent_diff", "1", "`||n_f(s_r) - e||`, mean over tokens."),
    train("recurrent_residual", "1", "`||n_f(s_r) - s_(r-1)||`, mean over tokens."),
    train("rel_residual", "1", "`||n_f(s_r) - s_(r-1)|| / ||n_f(s_r)||`, mean over tokens."),
    iterations("iterations.token_corr", "1", "`c` of the raw state `s_i`."),
    iterations("iterations.state_corr", "1", "Pearson correlation over features of `s_i` and `s_(i-1)`, mean over tokens; null at `i = 1`."),
    iterations("iterations.residual", "1", "`||s_i - s_(i-1)||`, mean over tokens."),
    iterations("iterations.rel_residual", "1", "`||s_i - s_(i-1)|| / ||s_i||`, mean over tokens."),
    iterations("iterations.state_norm", "1", "`||s_i||`, mean over tokens."),
    train("sparsity", "1", "Fraction of causal edges that are kept: those whose gate's logit is positive, without noise; mean over gated layers, heads and the iterations with gradient.").only(Presence::Gates),
    train("sparsity_expected", "1", "Expected fraction of open edges, the mean of `sigmoid(g)` over the same edges.").only(Presence::Gates),
    iterations("iterations.sparsity", "1", "`sparsity` of the core's layers at iteration `i`; null without gradient.").only(Presence::Gates),
    train("regularisation_strength", "nat/token", "`R`, the factor of the expected fraction of open edges in the loss.").only(Presence::Controller),
    train("constraint_ema", "nat/token", "Moving average of cross entropy minus target, as the controller has it.").only(Presence::Controller),
    at_depth("val_loss", "nat/token", "Mean next-token cross entropy of the validation set at recurrence depth `r`."),
    at_depth("val_perplexity", "1", "`exp(val_loss@r)`."),
    at_depth("val_accuracy", "1", "Fraction of the validation set's answer tokens predicted right at recurrence depth `r`.").only(Presence::Tasks),
    row(Kind::Eval, Shape::SeriesPerDepth, "val_accuracy_by_position", "1", "The same for each position of the answer, first position first.").only(Presence::Tasks),
    eval("val_cross_entropy", "nat/token", "Mean next-token cross entropy of the validation set at the mean recurrence depth."),
    eval("val_bits_per_byte", "bit/byte", "`val_cross_entropy · tokens / (bytes · ln 2)`, over the evaluated targets: their number and the bytes of text that they stand for, none for the end of a text.").only(Presence::Text),
    eval("sparsity", "1", "Fraction of causal edges that are kept on the validation set; mean over gated layers, heads and the iterations up to the mean recurrence.").only(Presence::Gates),
    row(Kind::Eval, Shape::PerLayer, "sparsity.layer", "1", "The same for one gated layer.").only(Presence::Gates),
    eval("target_cross_entropy", "nat/token", "The controller's target; null until it is known.").only(Presence::Controller),
    eval("val_unigram_cross_entropy", "nat/token", "Cross entropy of the validation set under the training set's token frequencies; a model that ignores its context stalls here.").only(Presence::Once),
];

/// Finds the table row of a name written in records of a kind: `loss`, `val_loss@16` for a metric per
/// depth, `sparsity.layer.core.0` for one per layer. A metric per depth without its depth is not a
/// written name, nor is `loss@16`.
pub fn describe(kind: Kind, name: &str) -> Option<&'static Metric> {
    let (base, depth) = split_depth(name);
    let matches = |m: &&Metric| match m.shape {
        Shape::PerLayer => layer_of(m.name, name).is_some(),
        _ => m.name == base && m.shape.has_depth() == depth.is_some(),
    };
    METRICS.iter().filter(|m| m.kind == kind).find(matches)
}

/// Returns the layer of a written name of the metric per layer `base`: `core.0` of `sparsity.layer.core.0`.
fn layer_of<'a>(base: &str, name: &'a str) -> Option<&'a str> {
    let layer = name.strip_prefix(base)?.strip_prefix('.')?;
    (!layer.is_empty()).then_some(layer)
}

/// Writes the name of a metric at recurrence depth `r`: `val_loss@16`.
pub fn name_at(name: &str, recurrence: usize) -> String {
    format!("{name}@{recurrence}")
}

/// Splits `val_loss@16` into `val_loss` and 16; a name without a well-formed depth stays whole.
/// A depth is a positive decimal number without sign or leading zero.
pub(crate) fn split_depth(name: &str) -> (&str, Option<usize>) {
    let depth = name.split_once('@').and_then(|(base, digits)| {
        let canonical =
            !digits.starts_with('0') && digits.bytes().all(|digit| digit.is_ascii_digit());
        let depth = digits.parse().ok().filter(|_| canonical)?;
        Some((base, depth))
    });
    depth.map_or((name, None), |(base, depth)| (base, Some(depth)))
}

/// Returns a name as it is written, with `r` for a recurrence depth: `val_loss@r`.
pub fn pattern(metric: &Metric) -> String {
    match metric.shape {
        Shape::PerDepth | Shape::SeriesPerDepth => format!("{}@r", metric.name),
        Shape::PerLayer => format!("{}.LAYER", metric.name),
        Shape::Scalar | Shape::PerIteration => metric.name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAIN: &str = "loss, perplexity, grad_norm, lr, lr_sum, tokens_per_second, step_seconds, \
        mfu, memory_bytes, num_steps_no_grad, num_steps_with_grad, recurrence, hidden_state_corr, \
        recurrent_state_token_corr, last_hidden_token_corr, iteration_corr, recurrent_state_norm, \
        last_hidden_norm, recurrent_diff, recurrent_residual, rel_residual, iterations.token_corr, \
        iterations.state_corr, iterations.residual, iterations.rel_residual, \
        iterations.state_norm, accuracy, difficulty, sparsity, sparsity_expected, \
        iterations.sparsity, regularisation_strength, constraint_ema";
    const EVAL: &str = "val_loss@16, val_perplexity@16, val_accuracy@16, \
        val_accuracy_by_position@16, val_cross_entropy, val_bits_per_byte, \
        val_unigram_cross_entropy, sparsity, sparsity.layer.core.0, target_cross_entropy";

    #[test]
    fn the_table_holds_exactly_the_promised_metrics() {
        for (kind, names) in [(Kind::Train, TRAIN), (Kind::Eval, EVAL)] {
            let names: Vec<&str> = names.split(", ").collect();
            for name in &names {
                let metric =
                    describe(kind, name).unwrap_or_else(|| panic!("{name} is in the table"));
                assert_eq!(metric.kind, kind, "{name}");
            }
            assert_eq!(
                METRICS.iter().filter(|m| m.kind == kind).count(),
                names.len(),
                "{kind}"
            );
        }
    }

    #[test]
    fn no_name_appears_twice_and_every_meaning_is_one_sentence() {
        for (index, metric) in METRICS.iter().enumerate() {
            assert!(
                METRICS[..index]
                    .iter()
                    .all(|other| (other.kind, other.name) != (metric.kind, metric.name)),
                "{metric:?}"
            );
            assert!(metric.meaning.ends_with('.'), "{metric:?}");
            assert!(
                !metric.unit.is_empty() && !metric.name.contains('@'),
                "{metric:?}"
            );
        }
    }

    #[test]
    fn only_written_names_are_described() {
        let eval = |name| describe(Kind::Eval, name).map(|m| m.name);
        assert_eq!(eval("val_loss@16"), Some("val_loss"));
        assert_eq!(eval("sparsity.layer.core.0"), Some("sparsity.layer"));
        for name in [
            "val_loss",
            "val_loss@",
            "val_loss@0",
            "val_loss@016",
            "val_loss@+4",
            "loss@4",
            "loss",
            "sparsity.layer",
            "sparsity.layer.",
            "val_loss@99999999999999999999999",
        ] {
            assert_eq!(eval(name), None, "{name}");
        }
        assert_eq!(describe(Kind::Train, "lss"), None);
    }

    #[test]
    fn a_name_at_a_depth_splits_back() {
        assert_eq!(
            split_depth(&name_at("val_loss", 64)),
            ("val_loss", Some(64))
        );
        assert_eq!(split_depth("loss"), ("loss", None));
    }

    #[test]
    fn a_pattern_tells_where_the_depth_stands() {
        let of = |kind, name| describe(kind, name).map(pattern);
        assert_eq!(of(Kind::Eval, "val_loss@4").as_deref(), Some("val_loss@r"));
        assert_eq!(of(Kind::Train, "loss").as_deref(), Some("loss"));
    }
}
