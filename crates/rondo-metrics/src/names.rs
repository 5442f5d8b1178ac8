//! The table of every metric that a run writes, each as a constant with a [type](crate::typed); and
//! the spelling of names in records.
//!
//! Symbols: `s_i` is the state after iteration `i`, `r = n + k` the recurrence depth, `e` the
//! prelude's output, `n_f` the final norm, `y` the coda's output, `S` the sequence length, `V` the
//! vocabulary size. The formulas and the names come from Geiping et al. 2025, arXiv 2502.05171, so
//! results can be compared.

pub use crate::metric::{Kind, Metric, Presence, Shape};
use crate::typed::{
    Eval, PerDepth, PerIteration, PerLayer, PerSource, Scalar, SeriesPerDepth, Train,
};

/// Defines each metric, `NAME: type = name, unit, meaning, presence;`, and the list of all metrics.
/// A metric without a presence is in every record of its kind.
macro_rules! metrics {
    ($($constant:ident: $type:ty = $name:literal, $unit:literal, $meaning:literal $(, $presence:ident)?;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: $type =
                <$type>::new($name, $unit, $meaning)$(.only(Presence::$presence))?;
        )*

        /// Every metric, in the order in which the documentation lists them.
        pub static METRICS: &[Metric] = &[$($constant.metric()),*];
    };
}

metrics! {
    LOSS: Scalar<Train> = "loss", "nat/token", "Mean next-token cross entropy of the step's batch after its last iteration, before its update: `-mean(ln p(target))`.";
    PERPLEXITY: Scalar<Train> = "perplexity", "1", "`exp(loss)`.";
    ACCURACY: Scalar<Train> = "accuracy", "1", "Fraction of the batch's answer tokens whose most probable prediction is right.", Tasks;
    DIFFICULTY: Scalar<Train> = "difficulty", "1", "Length or depth of the task instances that the curriculum hands out at this step.", Tasks;
    GRAD_NORM: Scalar<Train> = "grad_norm", "1", "L2 norm of all gradients together, before clipping.";
    LR: Scalar<Train> = "lr", "1", "Learning rate of this update.";
    LR_SUM: Scalar<Train> = "lr_sum", "1", "Sum of the learning rates of all updates that were made so far, this one included; a skipped update adds nothing.";
    TOKENS_PER_SECOND: Scalar<Train> = "tokens_per_second", "token/s", "Training tokens per second since the previous logged step, pauses for evaluation and checkpoints left out.";
    STEP_SECONDS: Scalar<Train> = "step_seconds", "s", "Mean seconds of one step since the previous logged step, pauses for evaluation and checkpoints left out.";
    MFU: Scalar<Train> = "mfu", "1", "Model FLOP utilisation: FLOPs per second of the drawn unrolls over the peak of its device, or of all its devices.", Device;
    MEMORY_BYTES: Scalar<Train> = "memory_bytes", "byte", "Memory in use by the run on its device; of the rank that uses most.", Device;
    WORLD_SIZE: Scalar<Train> = "world_size", "1", "Ranks that share the step's micro-batches.", Ranks;
    REDUCE_SECONDS: Scalar<Train> = "reduce_seconds", "s", "Mean seconds of a step's reduction of gradients since the previous logged step, on the rank that waits least in it.", Ranks;
    WAIT_SECONDS: Scalar<Train> = "wait_seconds", "s", "Mean seconds since the previous logged step that the slowest rank comes to a step's reduction after the median one.", Ranks;
    NUM_STEPS_NO_GRAD: Scalar<Train> = "num_steps_no_grad", "iteration", "Iterations `n` without gradient.";
    NUM_STEPS_WITH_GRAD: Scalar<Train> = "num_steps_with_grad", "iteration", "Iterations `k` with gradient.";
    RECURRENCE: Scalar<Train> = "recurrence", "iteration", "Recurrence depth `r = n + k`.";
    HIDDEN_STATE_CORR: Scalar<Train> = "hidden_state_corr", "1", "Mean correlation between two different tokens' final states, `c · S/(S-1)` with `c` = `recurrent_state_token_corr`; exactly 1 when every token has one state.";
    RECURRENT_STATE_TOKEN_CORR: Scalar<Train> = "recurrent_state_token_corr", "1", "`c` of `n_f(s_r)`: mean over all token pairs `(i, j)` of the dot product of the centred, normalised states, minus `1/S`.";
    LAST_HIDDEN_TOKEN_CORR: Scalar<Train> = "last_hidden_token_corr", "1", "The same `c` of `n_f(y)`.";
    ITERATION_CORR: Scalar<Train> = "iteration_corr", "1", "Mean over `i >= 2` of `iterations.state_corr`; null at `r = 1`.";
    RECURRENT_STATE_NORM: Scalar<Train> = "recurrent_state_norm", "1", "`||n_f(s_r)||`, mean over tokens.";
    LAST_HIDDEN_NORM: Scalar<Train> = "last_hidden_norm", "1", "`||n_f(y)||`, mean over tokens.";
    RECURRENT_DIFF: Scalar<Train> = "recurrent_diff", "1", "`||n_f(s_r) - e||`, mean over tokens.";
    RECURRENT_RESIDUAL: Scalar<Train> = "recurrent_residual", "1", "`||n_f(s_r) - s_(r-1)||`, mean over tokens.";
    REL_RESIDUAL: Scalar<Train> = "rel_residual", "1", "`||n_f(s_r) - s_(r-1)|| / ||n_f(s_r)||`, mean over tokens.";
    ITERATIONS_TOKEN_CORR: PerIteration<Train> = "iterations.token_corr", "1", "`c` of the raw state `s_i`.";
    ITERATIONS_STATE_CORR: PerIteration<Train> = "iterations.state_corr", "1", "Pearson correlation over features of `s_i` and `s_(i-1)`, mean over tokens; null at `i = 1`.";
    ITERATIONS_RESIDUAL: PerIteration<Train> = "iterations.residual", "1", "`||s_i - s_(i-1)||`, mean over tokens.";
    ITERATIONS_REL_RESIDUAL: PerIteration<Train> = "iterations.rel_residual", "1", "`||s_i - s_(i-1)|| / ||s_i||`, mean over tokens.";
    ITERATIONS_STATE_NORM: PerIteration<Train> = "iterations.state_norm", "1", "`||s_i||`, mean over tokens.";
    ITERATIONS_LOSS: PerIteration<Train> = "iterations.loss", "nat/token", "Mean next-token cross entropy of the step's last micro-batch after iteration `i`; null where it is no part of the loss.", Depths;
    PENALTY: Scalar<Train> = "penalty", "1", "The penalty on the last state of the loop in the step's last micro-batch, without its weight; null within its warm-up.", Penalty;
    PENALTY_WEIGHT: Scalar<Train> = "penalty_weight", "1", "`w`: the step's gradient is that of `(1 - w)` times the cross entropy and `w` times the penalty; 0 within the warm-up.", Penalty;
    CONTRACTION: Scalar<Train> = "contraction", "1", "By how much the state is multiplied on its way into an iteration, mean over channels: `exp(-Δ·a)` of a diagonal or orthogonal injection, `|1 - α|` or 1 of a scalar one, `|1 - Σ_j B_j|` of a history (of matrices their diagonals).", Contraction;
    CONTRACTION_MAX: Scalar<Train> = "contraction_max", "1", "The largest of these factors over the channels.", Contraction;
    SPARSITY: Scalar<Train> = "sparsity", "1", "Fraction of causal edges that are kept: those whose gate's logit is positive, without noise; mean over gated layers, heads and the iterations with gradient.", Gates;
    SPARSITY_EXPECTED: Scalar<Train> = "sparsity_expected", "1", "Expected fraction of open edges, the mean of `sigmoid(g)` over the same edges.", Gates;
    ITERATIONS_SPARSITY: PerIteration<Train> = "iterations.sparsity", "1", "`sparsity` of the core's layers at iteration `i`; null without gradient.", Gates;
    REGULARISATION_STRENGTH: Scalar<Train> = "regularisation_strength", "nat/token", "`R`, the factor of the expected fraction of open edges in the loss.", Controller;
    CONSTRAINT_EMA: Scalar<Train> = "constraint_ema", "nat/token", "Moving average of cross entropy minus target, as the controller has it.", Controller;
    VAL_LOSS: PerDepth<Eval> = "val_loss", "nat/token", "Mean next-token cross entropy of the validation set at recurrence depth `r`.";
    VAL_PERPLEXITY: PerDepth<Eval> = "val_perplexity", "1", "`exp(val_loss@r)`.";
    VAL_ACCURACY: PerDepth<Eval> = "val_accuracy", "1", "Fraction of the validation set's answer tokens predicted right at recurrence depth `r`.", Tasks;
    VAL_ACCURACY_BY_POSITION: SeriesPerDepth<Eval> = "val_accuracy_by_position", "1", "The same for each position of the answer, first position first.", Tasks;
    VAL_CROSS_ENTROPY: Scalar<Eval> = "val_cross_entropy", "nat/token", "Mean next-token cross entropy of the validation set at the mean recurrence depth.";
    VAL_CROSS_ENTROPY_SOURCE: PerSource<Eval> = "val_cross_entropy.source", "nat/token", "The same over the validation rows of one source of a mixture.", Mixture;
    VAL_BITS_PER_BYTE: Scalar<Eval> = "val_bits_per_byte", "bit/byte", "`val_cross_entropy · tokens / (bytes · ln 2)`, over the evaluated targets: their number and the bytes of text that they stand for, none for the end of a text.", Text;
    VAL_SPARSITY: Scalar<Eval> = "sparsity", "1", "Fraction of causal edges that are kept on the validation set; mean over gated layers, heads and the iterations up to the mean recurrence.", Gates;
    VAL_SPARSITY_LAYER: PerLayer<Eval> = "sparsity.layer", "1", "The same for one gated layer.", Gates;
    TARGET_CROSS_ENTROPY: Scalar<Eval> = "target_cross_entropy", "nat/token", "The controller's target; null until it is known.", Controller;
    VAL_UNIGRAM_CROSS_ENTROPY: Scalar<Eval> = "val_unigram_cross_entropy", "nat/token", "Cross entropy of the validation set under the training set's token frequencies; a model that ignores its context stalls here.", Once;
}

/// Finds the table row for a name in records of a kind. Valid names are, for example, `loss`,
/// `val_loss@16` for a metric per depth, and `sparsity.layer.core.0` for a metric per layer. A
/// metric per depth needs its depth, and other metrics must not have one: `val_loss` and `loss@16`
/// are not valid.
pub fn describe(kind: Kind, name: &str) -> Option<&'static Metric> {
    let (base, depth) = split_depth(name);
    let matches = |m: &&Metric| match m.shape {
        Shape::PerLayer | Shape::PerSource => part_of(m.name, name).is_some(),
        _ => m.name == base && m.shape.has_depth() == depth.is_some(),
    };
    METRICS.iter().filter(|m| m.kind == kind).find(matches)
}

/// Returns the layer or the source in a name of the metric `base`, for example `core.0` in
/// `sparsity.layer.core.0`.
fn part_of<'a>(base: &str, name: &'a str) -> Option<&'a str> {
    let layer = name.strip_prefix(base)?.strip_prefix('.')?;
    (!layer.is_empty()).then_some(layer)
}

/// Splits `val_loss@16` into `val_loss` and 16. A name without a valid depth is returned whole. A
/// depth is a positive decimal number without a sign or a leading zero.
pub(crate) fn split_depth(name: &str) -> (&str, Option<usize>) {
    let depth = name.split_once('@').and_then(|(base, digits)| {
        let canonical =
            !digits.starts_with('0') && digits.bytes().all(|digit| digit.is_ascii_digit());
        let depth = digits.parse().ok().filter(|_| canonical)?;
        Some((base, depth))
    });
    depth.map_or((name, None), |(base, depth)| (base, Some(depth)))
}

/// Returns the pattern of a metric's names in records, for example `val_loss@r` with `r` for a
/// recurrence depth.
pub fn pattern(metric: &Metric) -> String {
    match metric.shape {
        Shape::PerDepth | Shape::SeriesPerDepth => format!("{}@r", metric.name),
        Shape::PerLayer => format!("{}.LAYER", metric.name),
        Shape::PerSource => format!("{}.SOURCE", metric.name),
        Shape::Scalar | Shape::PerIteration => metric.name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            split_depth(&VAL_LOSS.at(64).into_name()),
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
