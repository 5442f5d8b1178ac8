//! Explains verdicts and terms: their meaning, how they look in metrics and pictures, and their
//! remedies.

use serde_json::{Value, json};

/// A verdict or a term that can be explained but is not a key.
pub(super) struct Topic {
    pub(super) name: &'static str,
    /// Other names of the topic.
    also: &'static [&'static str],
    /// The line that describes the topic in the list of topics.
    pub(super) summary: &'static str,
    /// What the verdict or term means.
    what: &'static str,
    /// How the verdict or term looks in metrics and pictures.
    looks: Option<&'static str>,
    /// What to do against the failure.
    cure: Option<&'static str>,
    /// The command that shows an example or a measurement of the topic.
    show: Option<&'static str>,
    /// The paper that the topic comes from.
    source: Option<&'static str>,
}

impl Topic {
    /// Returns whether `word` is a name of the topic. Underscores and spaces in `word` count as
    /// hyphens.
    pub(super) fn is_called(&self, word: &str) -> bool {
        let word = word.trim().to_lowercase().replace(['_', ' '], "-");
        self.name == word || self.also.contains(&word.as_str())
    }

    /// Returns the texts of the topic, each with its label.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let parts = [
            ("what", Some(self.what)),
            ("looks", self.looks),
            ("cure", self.cure),
            ("show", self.show),
            ("source", self.source),
        ];
        parts
            .into_iter()
            .filter_map(|(label, text)| Some((label, text?)))
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "what": self.what,
            "looks": self.looks,
            "cure": self.cure,
            "show": self.show,
            "source": self.source,
        })
    }
}

const GEIPING: Option<&str> = Some("Geiping et al. 2025, arXiv 2502.05171");

/// Every topic: the verdicts first.
pub(super) const TOPICS: [Topic; 17] = [
    Topic {
        name: "hidden-state-collapse",
        also: &["collapse"],
        summary: "The states of all tokens have become identical.",
        what: "The core block maps the states of all tokens to the same state. Tokens can no longer be told apart, the gradient through the \
               iterations vanishes, and the model predicts token frequencies.",
        looks: Some(
            "hidden_state_corr stays near 1, perplexity is the same at every depth, and the loss stays at val_unigram_cross_entropy.",
        ),
        cure: Some(
            "Start again with a lower peak: --set schedule.peak=2e-3 fixes configs/bad-run-1.toml. A longer schedule.warmup, \
             model.block=sandwich and model.norm.learned=true help too. A collapsed run does not recover at the same learning rate.",
        ),
        show: Some("trainer figure training-dynamics RUN --out figures"),
        source: Some("Geiping et al. 2025, arXiv 2502.05171, section 4.3, first failed run"),
    },
    Topic {
        name: "ignored-state",
        also: &[],
        summary: "The model has learned to predict without its state.",
        what: "The embedding e alone is enough to lower the loss, and the iterations only learn to pass it on, so more iterations change nothing.",
        looks: Some(
            "The loss falls, and val_perplexity@r is the same at depth 1 and at depth 32. hidden_state_corr peaks early and falls.",
        ),
        cure: Some(
            "Start again with a lower peak: --set schedule.peak=2e-3 fixes configs/bad-run-2.toml. model.block=sandwich helps too. \
             With more steps such a run can start to use its state again.",
        ),
        show: Some("trainer figure depth-perplexity RUN --out figures"),
        source: Some("Geiping et al. 2025, arXiv 2502.05171, section 4.3, second failed run"),
    },
    Topic {
        name: "divergence",
        also: &["diverged", "nan", "nonfinite"],
        summary: "The loss rises and does not come back, or is not finite.",
        what: "The updates are too large for the loss surface: the loss rises from its lowest values and does not return.",
        looks: Some(
            "loss rises by diagnosis.divergence.rise and stays high; grad_norm grows before that.",
        ),
        cure: Some(
            "Halve schedule.peak, lengthen schedule.warmup, lower train.clip, or resume from an earlier checkpoint: \
             --resume RUN/checkpoints/step-N with --set schedule.peak=….",
        ),
        show: Some("trainer figure loss-vs-tokens RUN --out figures"),
        source: None,
    },
    Topic {
        name: "loss-spike",
        also: &["spike"],
        summary: "The loss rises far above its recent values for a moment.",
        what: "A single update, or an unusual batch, has disturbed the model. A run is healthy once the spike has passed.",
        looks: Some("One or a few losses far above the recent median."),
        cure: Some(
            "If spikes are frequent: add [train.skip_spikes], lower train.clip or optimizer.beta2, or lower schedule.peak.",
        ),
        show: Some("trainer figure loss-vs-tokens RUN --out figures"),
        source: None,
    },
    Topic {
        name: "healthy",
        also: &[],
        summary: "No failure is present at the end of the run.",
        what: "None of the rules of [diagnosis] holds at the last reading. This does not say that the model is good.",
        looks: None,
        cure: None,
        show: Some("trainer compare RUN.."),
        source: None,
    },
    Topic {
        name: "recurrent-depth",
        also: &["looped", "recurrence", "depth"],
        summary: "A transformer whose core block is applied r times with the same weights.",
        what: "Prelude, core block and coda. The prelude turns tokens into an embedding e, the core block maps state and e to the next \
               state r times, the coda turns the last state into a prediction. More iterations are more computation with the same \
               parameters.",
        looks: None,
        cure: None,
        show: Some("trainer eval RUN --recurrence 1,4,8,16,32,64"),
        source: GEIPING,
    },
    Topic {
        name: "prelude",
        also: &[],
        summary: "The layers before the loop.",
        what: "It turns token embeddings into the embedding e that enters each iteration. model.layers.prelude is its number of layers.",
        looks: None,
        cure: None,
        show: None,
        source: GEIPING,
    },
    Topic {
        name: "core",
        also: &["core-block"],
        summary: "The layers that are repeated.",
        what: "s_i = R(A(s_(i-1), e)): the injection A joins state and embedding, the core block R makes the next state, with the same \
               weights in each iteration.",
        looks: None,
        cure: None,
        show: None,
        source: GEIPING,
    },
    Topic {
        name: "coda",
        also: &[],
        summary: "The layers after the loop.",
        what: "It turns the last state into the logits of the next token. model.layers.coda is its number of layers.",
        looks: None,
        cure: None,
        show: None,
        source: GEIPING,
    },
    Topic {
        name: "injection",
        also: &["adapter"],
        summary: "How the embedding e enters each iteration.",
        what: "Without it the loop would forget its input. The published one is linear: a matrix over state and embedding side by side. \
               model.injection chooses.",
        looks: None,
        cure: None,
        show: None,
        source: GEIPING,
    },
    Topic {
        name: "n+k",
        also: &["n-k", "unroll", "backprop-depth"],
        summary: "The iterations of a step without gradient, and those with it.",
        what: "A training step draws a depth r, runs n = r - k iterations without gradient and k with it (truncated backpropagation). The \
               console shows them as r 14+8.",
        looks: None,
        cure: None,
        show: None,
        source: GEIPING,
    },
    Topic {
        name: "filling",
        also: &["poisson-lognormal-filling", "sampler"],
        summary: "The distribution of depths in the published run.",
        what: "The total depth is drawn from a log-normal Poisson distribution with mean r̄. The iterations with gradient are filled first, up to \
               k̄; the rest runs without gradient.",
        looks: None,
        cure: None,
        show: Some("trainer figure depth-histogram RUN --out figures"),
        source: GEIPING,
    },
    Topic {
        name: "takase",
        also: &["scaled"],
        summary: "The published initialisation.",
        what: "Standard deviations decrease with the width. Those of output matrices also decrease with the effective depth, so that states do \
               not grow. The embedding is multiplied by the square root of the width.",
        looks: None,
        cure: None,
        show: None,
        source: Some("Takase et al. 2024, arXiv 2312.16903"),
    },
    Topic {
        name: "raven-adam",
        also: &[],
        summary: "The optimizer of the published run.",
        what: "Adam with an arctangent in place of ε, update clipping per tensor, and a weight decay per step.",
        looks: None,
        cure: None,
        show: None,
        source: GEIPING,
    },
    Topic {
        name: "flex",
        also: &[],
        summary: "The CPU.",
        what: "Burn's kernels for a CPU, with Rondo's own fused operations: AVX-512, AVX2 or NEON, chosen at run time. Its results are \
               bitwise equal for any number of threads.",
        looks: None,
        cure: None,
        show: Some("trainer devices"),
        source: None,
    },
    Topic {
        name: "resume",
        also: &[],
        summary: "How an interrupted run continues.",
        what: "The same command resumes an interrupted run from its newest undamaged checkpoint. train.steps may grow; schedule, \
               clipping and measurements may change, and each change is recorded. --overwrite starts again.",
        looks: None,
        cure: None,
        show: Some("trainer checkpoints RUN --verify"),
        source: None,
    },
    Topic {
        name: "exit-codes",
        also: &["exit-code", "exit"],
        summary: "The meaning of the program's exit codes.",
        what: "0 ok, 1 anything else, 2 usage or configuration, 3 data, 4 checkpoint or tensors, 5 stopped by a rule, 6 device or memory, \
               7 a rank is missing and the run can be resumed, 75 interrupted and resumable.",
        looks: None,
        cure: None,
        show: None,
        source: None,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rondo_diagnosis::{Failure, Verdict};

    use super::*;

    #[test]
    fn every_verdict_is_explained_and_every_failure_has_a_cure() {
        let find = |name: &str| TOPICS.iter().find(|topic| topic.name == name);
        assert!(find(Verdict::Healthy.name()).is_some());
        for failure in Failure::ALL {
            let topic = find(&failure.to_string()).expect("a topic");
            assert!(topic.cure.is_some() && topic.looks.is_some(), "{failure}");
        }
    }

    #[test]
    fn every_name_has_one_topic() {
        let mut names = BTreeSet::new();
        for topic in &TOPICS {
            for name in std::iter::once(&topic.name).chain(topic.also) {
                assert!(names.insert(*name), "{name}");
            }
        }
    }
}
