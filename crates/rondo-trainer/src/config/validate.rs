//! The rules that a run's configuration has to keep, besides those of its sections.

use rondo_model::depth::MAX_RECURRENCE;
use rondo_model::schedule::Length;

use super::{Clip, RunConfig};

/// Reports the violations of one section by its own keys.
type Check<'a> = &'a dyn Fn(&mut dyn FnMut(&str, String));

impl RunConfig {
    /// Reports every violation by its dotted key.
    pub(super) fn validate(&self, report: &mut dyn FnMut(&str, String)) {
        let mut section = |name: &str, check: Check<'_>| {
            check(&mut |key, message| report(&format!("{name}.{key}"), message));
        };
        section("data", &|report| self.data.validate(report));
        section("model", &|report| self.model.validate(report));
        section("optimizer", &|report| self.optimizer.validate(report));
        section("train", &|report| self.validate_train(report));
        section("eval", &|report| self.validate_eval(report));
        section("schedule", &|report| self.schedule.validate(report));
        section("diagnosis", &|report| self.diagnosis.validate(report));
        if self.data.is_task() {
            section("schedule", &|report| {
                refuse_tokens(self.schedule.lengths(), report);
            });
            section("model.recurrence.curriculum", &|report| {
                refuse_tokens(self.model.recurrence.curriculum.lengths(), report);
            });
        }
        if let Some(controller) = &self.controller {
            section("controller", &|report| controller.validate(report));
            if self.model.sparsity.is_none() {
                report(
                    "controller",
                    "there are no gates whose penalty it could set; add [model.sparsity]".into(),
                );
            }
        }
        for (index, one) in self.perturb.iter().enumerate() {
            one.validate(&mut |key, message| report(&format!("perturb.{index}.{key}"), message));
        }
        let kept = &self.checkpoint;
        let threads = self.device.threads.map(|threads| threads as u64);
        refuse_zeros(
            &[
                ("checkpoint.every", Some(kept.every)),
                ("checkpoint.keep_last", Some(kept.keep_last as u64)),
                ("checkpoint.keep_every", kept.keep_every),
                ("device.threads", threads),
            ],
            report,
        );
        if let Some(peak) = self
            .metrics
            .peak_flops
            .filter(|peak| !(peak.is_finite() && *peak > 0.0))
        {
            report(
                "metrics.peak_flops",
                format!("must be a positive number, found {peak}"),
            );
        }
    }

    fn validate_train(&self, report: &mut dyn FnMut(&str, String)) {
        let train = &self.train;
        train
            .nonfinite
            .validate(&mut |key, message| report(&format!("nonfinite.{key}"), message));
        if let Some(rule) = &train.skip_spikes {
            rule.validate(&mut |key, message| report(&format!("skip_spikes.{key}"), message));
        }
        match (train.steps, train.tokens) {
            (Some(_), Some(_)) => report("tokens", "give either steps or tokens, not both".into()),
            (None, None) if self.data.is_nothing() => {}
            (None, None) => report("steps", "missing; give a budget in steps or tokens".into()),
            (Some(0), None) => report("steps", "must be at least 1, found 0".into()),
            (None, Some(0)) => report("tokens", "must be at least 1, found 0".into()),
            (None, Some(_)) if self.data.is_task() => {
                report(
                    "tokens",
                    "a task's length changes; give its budget in steps".into(),
                );
            }
            _ => {}
        }
        refuse_zeros(
            &[
                ("batch", Some(train.batch as u64)),
                ("accumulation", Some(train.accumulation as u64)),
                ("log_every", Some(train.log_every)),
            ],
            report,
        );
        match (train.seq, self.data.is_task()) {
            (None, false) if self.data.is_nothing() => {}
            (None, false) => report("seq", "missing; give the tokens in a sequence".into()),
            (Some(_), true) => report("seq", "a task has its own length; remove this key".into()),
            (Some(0), false) => report("seq", "must be at least 1, found 0".into()),
            (Some(seq), false) if seq > self.model.context => {
                let context = self.model.context;
                report(
                    "seq",
                    format!("must not exceed model.context = {context}, found {seq}"),
                );
            }
            _ => {}
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

    fn validate_eval(&self, report: &mut dyn FnMut(&str, String)) {
        let eval = &self.eval;
        if eval.recurrence.is_empty() {
            report("recurrence", "must name at least one depth".into());
        }
        for depth in eval
            .recurrence
            .iter()
            .filter(|depth| !(1..=MAX_RECURRENCE).contains(*depth))
        {
            report(
                "recurrence",
                format!("each depth must be 1 to {MAX_RECURRENCE}, found {depth}"),
            );
        }
        refuse_zeros(
            &[
                ("every", Some(eval.every)),
                ("batch", eval.batch.map(|batch| batch as u64)),
            ],
            report,
        );
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

/// Reports keys that must be at least 1, or not there, and are 0.
fn refuse_zeros(numbers: &[(&str, Option<u64>)], report: &mut dyn FnMut(&str, String)) {
    for &(key, number) in numbers {
        if number == Some(0) {
            report(key, "must be at least 1, found 0".into());
        }
    }
}

/// Reports the lengths that a task, whose rows have no fixed length, cannot have.
fn refuse_tokens(lengths: Vec<(String, Length)>, report: &mut dyn FnMut(&str, String)) {
    for (key, length) in lengths {
        if matches!(length, Length::Tokens(_)) {
            report(
                &key,
                "a task's length changes; give this in steps or as a fraction".into(),
            );
        }
    }
}
