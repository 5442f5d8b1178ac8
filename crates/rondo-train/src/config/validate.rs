//! Rules that involve more than one section of a run's configuration, and the rules of `[train]`
//! and `[eval]`.

use rondo_config::Report;
use rondo_config::report::{at_least_one, positive, section};
use rondo_model::depth::MAX_EVALUATED;
use rondo_schedule::Length;

use super::{Clip, RunConfig};

impl RunConfig {
    /// Reports every violation with its dotted key.
    pub(super) fn validate(&self, report: Report<'_>) {
        self.data.validate(&mut section("data", report));
        self.model.validate(&mut section("model", report));
        self.optimizer.validate(&mut section("optimizer", report));
        self.validate_train(&mut section("train", report));
        self.validate_eval(&mut section("eval", report));
        self.schedule.validate(&mut section("schedule", report));
        self.diagnosis.validate(&mut section("diagnosis", report));
        self.distributed
            .validate(&mut section("distributed", report));
        if self.data.is_task() {
            let lengths = self.schedule.lengths();
            refuse_tokens(lengths, &mut section("schedule", report));
            let lengths = self.model.recurrence.curriculum.lengths();
            let name = "model.recurrence.curriculum";
            refuse_tokens(lengths, &mut section(name, report));
        }
        self.refuse_gates_within_documents(report);
        self.validate_objective(&mut section("train", report));
        if let Some(controller) = &self.controller {
            controller.validate(&mut section("controller", report));
            if self.model.sparsity.is_none() {
                report(
                    "controller",
                    "there are no gates whose penalty it could set; add [model.sparsity]".into(),
                );
            }
        }
        for (index, one) in self.perturb.iter().enumerate() {
            one.validate(&mut section(&format!("perturb.{index}"), report));
        }
        let kept = &self.checkpoint;
        at_least_one("checkpoint.every", kept.every, report);
        at_least_one("checkpoint.keep_last", kept.keep_last, report);
        at_least_one(
            "checkpoint.keep_every",
            kept.keep_every.unwrap_or(1),
            report,
        );
        at_least_one("device.threads", self.device.threads.unwrap_or(1), report);
        if let Some(peak) = self.metrics.peak_flops {
            positive("metrics.peak_flops", peak, report);
        }
    }

    /// Reports a configuration with both gates and attention within documents: noise, densities and
    /// penalty of gates are defined only for whole rows.
    fn refuse_gates_within_documents(&self, report: Report<'_>) {
        if self.model.sparsity.is_none() {
            return;
        }
        let own = std::iter::once(("data".to_owned(), &self.data));
        let switched = self.perturb.iter().enumerate().filter_map(|(index, one)| {
            let data = one.switched_data()?;
            Some((format!("perturb.{index}.data"), data))
        });
        for (key, _) in own.chain(switched).filter(|(_, data)| data.document_mask()) {
            report(
                &format!("{key}.document_mask"),
                "not with gates: [model.sparsity] counts the edges of whole rows; remove one of the two".into(),
            );
        }
    }

    fn validate_train(&self, report: Report<'_>) {
        let train = &self.train;
        train.nonfinite.validate(&mut section("nonfinite", report));
        if let Some(rule) = &train.skip_spikes {
            rule.validate(&mut section("skip_spikes", report));
        }
        match (train.steps, train.tokens) {
            (Some(_), Some(_)) => report("tokens", "give either steps or tokens, not both".into()),
            (None, None) if self.data.is_nothing() => {}
            (None, None) => report("steps", "missing; give a budget in steps or tokens".into()),
            (None, Some(1..)) if self.data.is_task() => {
                report(
                    "tokens",
                    "a task's length changes; give its budget in steps".into(),
                );
            }
            (Some(steps), None) => at_least_one("steps", steps, report),
            (None, Some(tokens)) => at_least_one("tokens", tokens, report),
        }
        at_least_one("batch", train.batch, report);
        at_least_one("accumulation", train.accumulation, report);
        at_least_one("log_every", train.log_every, report);
        match (train.seq, self.data.is_task()) {
            (None, false) if self.data.is_nothing() => {}
            (None, false) => report("seq", "missing; give the tokens in a sequence".into()),
            (Some(_), true) => report("seq", "a task has its own length; remove this key".into()),
            (Some(seq), false) if seq > self.model.context => {
                let context = self.model.context;
                report(
                    "seq",
                    format!("must not exceed model.context = {context}, found {seq}"),
                );
            }
            (Some(seq), false) => at_least_one("seq", seq, report),
            (None, true) => {}
        }
        match train.clip {
            Clip::Switch(true) => report("clip", "give the bound as a number, or false".into()),
            Clip::Norm(norm) if !(norm.is_finite() && norm > 0.0) => {
                report(
                    "clip",
                    format!("must be a positive number or false, found {norm}"),
                );
            }
            Clip::Switch(false) | Clip::Norm(_) => {}
        }
    }

    /// Returns the maximum recurrence depth, if the model refuses deeper passes.
    pub(super) fn deepest(&self) -> Option<usize> {
        let lora = self.model.lora.as_ref()?;
        lora.deepest(&self.model.recurrence)
    }

    fn validate_eval(&self, report: Report<'_>) {
        let eval = &self.eval;
        if eval.recurrence.is_empty() {
            report("recurrence", "must name at least one depth".into());
        }
        for depth in eval
            .recurrence
            .iter()
            .filter(|depth| !(1..=MAX_EVALUATED).contains(*depth))
        {
            report(
                "recurrence",
                format!("each depth must be 1 to {MAX_EVALUATED}, found {depth}"),
            );
        }
        if let Some(deepest) = self.deepest() {
            for depth in eval.recurrence.iter().filter(|depth| **depth > deepest) {
                report("recurrence", beyond(*depth, deepest));
            }
        }
        at_least_one("every", eval.every, report);
        at_least_one("batch", eval.batch.unwrap_or(1), report);
        self.validate_prompts(report);
        if let Some(seq) = self.train.seq.filter(|seq| eval.tokens < *seq) {
            report(
                "tokens",
                format!(
                    "must hold one sequence of {seq} tokens, found {}",
                    eval.tokens
                ),
            );
        }
    }
}

/// Reports lengths given in tokens. A task cannot have them, because its rows have no fixed length.
fn refuse_tokens(lengths: Vec<(String, Length)>, report: Report<'_>) {
    for (key, length) in lengths {
        if matches!(length, Length::Tokens(_)) {
            report(
                &key,
                "a task's length changes; give this in steps or as a fraction".into(),
            );
        }
    }
}

/// Returns the message about a depth for which the model has no LoRA pair.
pub(super) fn beyond(depth: usize, deepest: usize) -> String {
    format!(
        "model.lora has pairs for {deepest} iterations and beyond = \"refuse\"; each depth must be at most that, found {depth}"
    )
}
