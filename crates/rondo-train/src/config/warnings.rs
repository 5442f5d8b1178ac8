//! Warnings before the first step. They concern configured values that have no effect in a run or
//! that are likely to make it fail.

use rondo_config::Report;
use rondo_config::report::section;
use rondo_data::Batch;
use rondo_model::config::InjectionKind;
use rondo_schedule::{Run, seam_warning};

use super::{ResolvedConfig, RunConfig};
use crate::optim::OptimizerConfig;

/// The width of the model (`d_model`) with which the rates below were measured.
const MEASURED_WIDTH: f64 = 64.0;
/// The lowest peak rate at which both published failures (hidden-state-collapse, ignored-state)
/// were seen with this width.
const FAILING_RATE: f64 = 1e-2;
/// The standard deviation of the mean loss over n tokens, times √n, in nats. It was measured on
/// unseen text with configs/main.toml after its 300 steps. The losses of single bytes vary by 1.7
/// nats. Losses of neighbouring bytes are similar, so the mean losses of rows of 64 bytes vary by
/// 0.34 = 2.75/√64 nats.
const TOKEN_SPREAD: f64 = 2.75;
/// A warning is given if the standard error of a validation loss is at least this many nats. At 0.2
/// nats the perplexity is uncertain by 22 %.
const UNCERTAIN: f64 = 0.2;
/// The number of validation tokens that a warning suggests.
const USUAL_TOKENS: usize = 4096;
/// The bound on the gradient's norm that a warning suggests.
const USUAL_CLIP: f64 = 1.0;
/// A peak rate at which models of the published structures learn and gain from depth with this
/// width.
const HEALTHY_RATE: f64 = 2e-3;

impl RunConfig {
    /// Returns a warning for each key that has no effect in `run` or is likely to make it fail.
    /// Each warning begins with the key.
    pub fn warnings(&self, run: Run) -> Vec<String> {
        let mut found = Vec::new();
        let report: Report<'_> = &mut |key, message| found.push(format!("{key}: {message}"));
        self.schedule
            .warnings(run, &mut section("schedule", report));
        if let Some(known) = self.known_to_fail() {
            report("schedule.peak", known);
        }
        if self.train.clip.max_norm().is_none() {
            report(
                "train.clip",
                format!(
                    "without a bound one large gradient of the loop can undo a run; try {USUAL_CLIP:.1}, which changes \
                     nothing where norms stay below it"
                ),
            );
        }
        if let Some(note) = self.model.conditioning.note(&self.eval.recurrence) {
            report("model.conditioning", note);
        }
        self.warn_of_objective(run.steps, report);
        let recurrence = &self.model.recurrence;
        recurrence.warnings(run, &mut section("model.recurrence", report));
        let largest = recurrence.largest();
        if self.model.injection == InjectionKind::None && largest.no_grad > 0 {
            report(
                "model.recurrence.backprop_depth",
                format!(
                    "with model.injection = \"none\" the tokens get no gradient in a step of more than {} iterations, \
                     and a draw may give {}; try {}, or sampler = \"full\"",
                    largest.with_grad,
                    largest.total(),
                    largest.total()
                ),
            );
        }
        for (index, one) in self.perturb.iter().enumerate() {
            if one.at_step() > run.steps {
                report(
                    &format!("perturb.{index}.at_step"),
                    format!(
                        "step {} is not reached: the run ends at step {}",
                        one.at_step(),
                        run.steps
                    ),
                );
            }
        }
        found
    }

    /// Returns a warning if the published structures fail at this peak rate. With widths 64 and
    /// 96 and the two forms of Adam, this happened at rates of 1e-2 and above (configs/LOG.md, "The
    /// scale and the peak rates"). If the width doubles, the bound is halved, like the rates in
    /// configs/gpu. Muon needs other rates, so it is not checked.
    fn known_to_fail(&self) -> Option<String> {
        if matches!(self.optimizer, OptimizerConfig::Muon(_)) {
            return None;
        }
        let share = MEASURED_WIDTH / self.model.d_model as f64;
        let (peak, failing) = (self.schedule.peak, FAILING_RATE * share);
        (peak >= failing).then(|| {
            format!(
                "at a rate of {failing:.1e} and above a model of this width is likely to lose its state \
                 (hidden-state-collapse, ignored-state); try {:.1e}",
                HEALTHY_RATE * share
            )
        })
    }

    /// Returns a warning if the learning rate more than doubles when a run resumes after step
    /// `step`. `before` is the configuration up to this step. An example is a finished cosine
    /// schedule that gets more steps. `run` is the length of the run with the new configuration.
    pub fn seam_warning(&self, run: Run, before: &Self, step: u64) -> Option<String> {
        let sequences = (self.train.batch * self.train.accumulation).max(1) as u64;
        // A resume changes neither batch nor data, so a step has the same number of tokens before
        // and after it.
        let seq = (run.tokens_per_step / sequences) as usize;
        let (before, now) = (before.rates(before.extent(seq)), self.rates(run));
        let next = step.saturating_add(1);
        let changed = before(next).to_bits() != now(next).to_bits();
        (changed && next <= run.steps)
            .then(|| seam_warning(step, before(step), now(next)))
            .flatten()
    }
}

/// Returns a warning if the `batches` of an evaluation have too few tokens for a precise loss.
/// Tasks are not checked, because they are judged by their hits.
pub(crate) fn validation_warning(config: &ResolvedConfig, batches: &[Batch]) -> Option<String> {
    if config.data.is_task() {
        return None;
    }
    let tokens: usize = batches.iter().map(|batch| batch.batch * batch.seq).sum();
    let error = TOKEN_SPREAD / (tokens.max(1) as f64).sqrt();
    if error < UNCERTAIN {
        return None;
    }
    let asked = config.eval.tokens;
    // An evaluation of text uses whole rows only.
    let (key, cure) = match asked > 2 * tokens && asked >= config.train.seq {
        true => (
            "data.val_fraction",
            format!(
                "the validation text has no more for the {asked} of eval.tokens; try a larger fraction or more text"
            ),
        ),
        false => ("eval.tokens", format!("try {USUAL_TOKENS}")),
    };
    Some(format!(
        "{key}: an evaluation of {tokens} tokens has a standard error of about {error:.2} nats, {:.0} % of a perplexity; {cure}",
        100.0 * error.exp_m1()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(rows: usize) -> Vec<Batch> {
        let tokens = vec![0; rows * 8];
        vec![Batch {
            inputs: tokens.clone(),
            targets: tokens,
            batch: rows,
            seq: 8,
            document_end: None,
        }]
    }

    #[test]
    fn few_validation_tokens_are_told_with_their_error_and_the_key() {
        let told = |rows: usize, eval_tokens: usize| {
            let config = read(&format!(
                "[train]\nsteps = 20\nseq = 8\n[eval]\ntokens = {eval_tokens}\n"
            ));
            validation_warning(&config.resolve_for(16, 8), &batches(rows))
        };
        // The message contains 2.75 / √64 = 0.34 nats.
        let few = told(8, 64).expect("64 tokens are few");
        assert!(
            few.starts_with("eval.tokens: an evaluation of 64 tokens has a standard error of about 0.34 nats, 41 %")
                && few.ends_with("try 4096"),
            "{few}"
        );
        let short = told(8, 16_384).expect("64 tokens are few");
        assert!(short.starts_with("data.val_fraction: "), "{short}");
        assert_eq!(told(32, 256), None);
    }

    #[test]
    fn a_gradient_without_a_bound_is_told_with_one() {
        let config = read("[train]\nsteps = 20\nseq = 8\nclip = false\n");
        let found = config.warnings(config.extent(8));
        assert!(
            found.len() == 1
                && found[0].starts_with("train.clip: ")
                && found[0].contains("try 1.0"),
            "{found:?}"
        );
    }

    fn read(text: &str) -> RunConfig {
        RunConfig::read("test.toml", text, &[]).expect("valid")
    }

    fn cosine(steps: u64) -> RunConfig {
        read(&format!(
            "[train]\nsteps = {steps}\nseq = 8\n[schedule]\npeak = 1e-3\nshape = {{ kind = 'cosine' }}\n"
        ))
    }

    #[test]
    fn every_section_names_its_keys() {
        let config = read(
            "[train]\nsteps = 20\nseq = 8\n[schedule]\nwarmup = 1000\n\
             [model.recurrence]\nmean = 4\nmax = 16\nbackprop_depth = 32\n\
             [[perturb]]\nkind = 'optimizer-reset'\nat_step = 20\n\
             [[perturb]]\nkind = 'optimizer-reset'\nat_step = 21\n",
        );
        let found = config.warnings(config.extent(8));
        let keys: Vec<&str> = found
            .iter()
            .filter_map(|one| Some(one.split_once(": ")?.0))
            .collect();
        let expected = [
            "schedule.warmup",
            "model.recurrence.backprop_depth",
            "perturb.1.at_step",
        ];
        assert_eq!(keys, expected, "{found:?}");
        assert!(cosine(20).warnings(cosine(20).extent(8)).is_empty());
    }

    #[test]
    fn a_rate_at_which_models_of_the_width_failed_is_told_with_one_that_works() {
        let told = |peak: f64, width: usize, rest: &str| {
            let config = read(&format!(
                "[train]\nsteps = 20\nseq = 8\n[schedule]\npeak = {peak}\n[model]\nd_model = {width}\n{rest}"
            ));
            config.warnings(config.extent(8))
        };
        let found = told(2e-2, 64, "");
        assert!(
            found[0].starts_with("schedule.peak: ") && found[0].ends_with("try 2.0e-3"),
            "{found:?}"
        );
        assert!(told(9e-3, 64, "").is_empty());
        // With twice the width, half the rate is reported.
        assert_eq!(told(5e-3, 128, "").len(), 1);
        assert!(told(2e-2, 64, "[optimizer]\nkind = 'muon'\n").is_empty());
    }

    #[test]
    fn a_seam_is_told_where_the_schedule_has_changed() {
        let seam = |before: u64, now: u64, step| {
            let now = cosine(now);
            now.seam_warning(now.extent(8), &cosine(before), step)
        };
        let told = seam(20, 40, 20).expect("a warning");
        assert!(told.contains("0.000e0 at step 20"), "{told}");
        // There is no warning if the schedule is unchanged, if the run resumes from the middle of
        // the schedule, or if no step follows.
        assert_eq!(seam(40, 40, 20), None);
        assert_eq!(seam(40, 60, 20), None);
        assert_eq!(seam(40, 20, 20), None);
        // A longer schedule in tokens is reported too. A warm restart that both schedules have is
        // not reported.
        let tokens = |count: u64| {
            let text = format!(
                "[train]\ntokens = {count}\nseq = 8\n[schedule]\nshape = {{ kind = 'linear' }}\n"
            );
            read(&text)
        };
        let now = tokens(40 * 64);
        assert!(
            now.seam_warning(now.extent(8), &tokens(20 * 64), 20)
                .is_some()
        );
        let restarts = read(
            "[train]\nsteps = 40\nseq = 8\n[schedule]\nshape = { kind = 'cyclic', wave = 'cosine', period = 20 }\n",
        );
        assert_eq!(
            restarts.seam_warning(restarts.extent(8), &restarts, 20),
            None
        );
    }
}
