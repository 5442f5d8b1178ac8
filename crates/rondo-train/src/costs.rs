//! Counts the work, memory and disk space of a run, which are reported before the run's next step.
//! [`speed`] estimates the time.

pub mod speed;

use std::path::Path;

use rondo_data::Source;
use rondo_files::free_space;
use rondo_metrics::format::{bytes, significant, thousands};
use rondo_model::census::Census;
use rondo_model::depth::Unroll;
use rondo_model::init::Part;

use crate::capacity::{Capacity, Room};
use crate::config::{CheckpointConfig, ResolvedConfig};
use crate::step::fresh_optimizer;

/// The number of steps at which a curriculum of depths is sampled to estimate the FLOPs of a run.
const LOOKED_UP: u64 = 64;

/// The work that remains in a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// The number of remaining steps.
    pub steps: u64,
    /// The number of tokens of these steps. For a task, every row counts as the longest one.
    pub tokens: u64,
    /// The FLOPs of these steps, forward and backward, at the mean depth of each step.
    pub flops: f64,
    /// The number of remaining evaluations.
    pub evaluations: u64,
    /// The FLOPs of one evaluation.
    pub evaluation_flops: f64,
}

impl Work {
    /// Counts the work of a run after `step`. For a new run `step` is 0.
    pub fn after(config: &ResolvedConfig, step: u64) -> Self {
        let run = config.extent();
        let steps = run.steps.saturating_sub(step);
        let tokens = steps * run.tokens_per_step;
        Self {
            steps,
            tokens,
            flops: tokens as f64 * flops_per_token(config, step),
            evaluations: due(config.eval.every, step, run.steps) + u64::from(step == 0),
            evaluation_flops: evaluation_flops(config),
        }
    }

    /// Returns the FLOPs of all remaining evaluations.
    pub fn all_evaluation_flops(&self) -> f64 {
        self.evaluations as f64 * self.evaluation_flops
    }
}

/// The work, memory and disk space of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    /// The work that remains.
    pub work: Work,
    /// Whether the run has taken steps before.
    pub is_resumed: bool,
    /// The number of parameters of the model.
    pub parameters: usize,
    /// The number of training tokens of the corpus. `None` for a task, or if the data is not open.
    pub corpus_tokens: Option<u64>,
    /// The memory in bytes that the largest step needs on each rank.
    pub memory: u64,
    /// The memory that the device has for the run.
    pub room: Room,
    /// The size of a checkpoint in bytes: weights and optimizer moments.
    pub checkpoint: u64,
    /// The maximum number of checkpoints on the disk at one time.
    pub checkpoints: u64,
    /// The free space in bytes on the disk of the run directory, if the system reports it.
    pub free_disk: Option<u64>,
}

impl Costs {
    /// Counts what the steps after `step` of a run cost. The directory of the run is `run`. If
    /// `source` is open, it provides the size of the data.
    pub fn after(
        config: &ResolvedConfig,
        step: u64,
        source: Option<&Source>,
        capacity: &Capacity<'_>,
        run: &Path,
    ) -> Self {
        let text = match source {
            Some(Source::Text(text)) => Some(text.identity()),
            _ => None,
        };
        let mut work = Work::after(config, step);
        if let Some(text) = &text {
            // A text may have fewer validation tokens than the configuration asks for.
            work.evaluation_flops *= (text.val_tokens as f64 / config.eval.tokens as f64).min(1.0);
        }
        let parameters = Census::new(&config.model).total();
        let moments = fresh_optimizer(config).layout();
        let moments: usize = moments.iter().map(|moment| moment.count).sum();
        Self {
            work,
            is_resumed: step > 0,
            parameters,
            corpus_tokens: text.map(|text| text.train_tokens),
            memory: capacity.needed(config),
            room: capacity.room(),
            checkpoint: 4 * (parameters + moments) as u64,
            checkpoints: kept(&config.checkpoint, config.train.steps),
            free_disk: free_space(run),
        }
    }

    /// Returns the size in bytes of all checkpoints that are kept.
    pub fn disk(&self) -> u64 {
        self.checkpoints * self.checkpoint
    }

    /// Returns how many times the remaining steps read the whole corpus, or `None` if the size of
    /// the corpus is unknown.
    pub fn passes(&self) -> Option<f64> {
        let corpus = self.corpus_tokens.filter(|tokens| *tokens > 0)?;
        Some(self.work.tokens as f64 / corpus as f64)
    }

    /// Formats four lines, each with a label: tokens and corpus, FLOPs, memory, and disk.
    pub fn lines(&self) -> [String; 4] {
        let Work { steps, tokens, .. } = self.work;
        let left = if self.is_resumed { " more" } else { "" };
        let corpus = self.passes().map(|passes| match passes < 1.0 {
            true => format!(": {} % of the corpus", significant(100.0 * passes, 2)),
            false => format!(": {} passes over the corpus", significant(passes, 2)),
        });
        let each = significant(tokens as f64 / self.parameters.max(1) as f64, 2);
        let evaluations = match self.work.evaluations {
            1 => "an evaluation".to_owned(),
            n => format!("{} evaluations", thousands(n)),
        };
        let checkpoints = match self.checkpoints {
            1 => "1 checkpoint".to_owned(),
            n => format!(
                "{} checkpoints of {} each",
                thousands(n),
                bytes(self.checkpoint)
            ),
        };
        [
            format!(
                "data    {}{left} steps, {} tokens{}, {each} a parameter",
                thousands(steps),
                thousands(tokens),
                corpus.unwrap_or_default(),
            ),
            format!(
                "work    {} FLOPs at the mean depth, {} in {evaluations}",
                significant(self.work.flops, 3),
                significant(self.work.all_evaluation_flops(), 3),
            ),
            format!("memory  {} needed, {}", bytes(self.memory), self.room),
            format!(
                "disk    {} for {checkpoints}, {}",
                bytes(self.disk()),
                free(self.free_disk)
            ),
        ]
    }

    /// Returns a warning if the checkpoints need more disk than is free.
    pub fn warning(&self) -> Option<String> {
        let free = self.free_disk.filter(|free| *free < self.disk())?;
        Some(format!(
            "checkpoint.keep_last: {} checkpoints of {} each do not fit on the disk, where {} are free; \
             try 1, without keep_every, or another --out",
            self.checkpoints,
            bytes(self.checkpoint),
            bytes(free)
        ))
    }
}

fn free(size: Option<u64>) -> String {
    size.map_or(Room::Unknown, Room::Free).to_string()
}

/// Counts the steps after `step` that are multiples of `every`, up to `last`. The step `last`
/// itself always counts.
fn due(every: u64, step: u64, last: u64) -> u64 {
    if step >= last {
        return 0;
    }
    let every = every.max(1);
    last / every - step / every + u64::from(!last.is_multiple_of(every))
}

/// Returns the maximum number of checkpoints that a run of `steps` steps has at one time.
fn kept(config: &CheckpointConfig, steps: u64) -> u64 {
    let all = due(config.every, 0, steps);
    let marked = config.keep_every.map_or(0, |every| steps / every.max(1));
    let most = config.keep_last as u64 + marked + u64::from(config.keep_best);
    most.min(all)
}

/// Returns the mean FLOPs per token over the steps after `step`. Each step counts with its own mean
/// depth.
fn flops_per_token(config: &ResolvedConfig, step: u64) -> f64 {
    let run = config.extent();
    let left = run.steps.saturating_sub(step);
    let looked_up = left.clamp(1, LOOKED_UP);
    let at = |index: u64| {
        let mut recurrence = config.model.recurrence.clone();
        // Samples the middle of each of `looked_up` equal parts of the remaining steps.
        let step = step + (2 * index + 1) * left / (2 * looked_up) + 1;
        let step = step.min(run.steps.max(1));
        let (mean, backprop_depth) = recurrence.at(step, run);
        (recurrence.mean, recurrence.backprop_depth) = (mean, backprop_depth);
        config.flops_per_token_at(step, recurrence.planned(), config.train.seq)
    };
    (0..looked_up).map(at).sum::<f64>() / looked_up as f64
}

/// Returns the FLOPs of an evaluation: one forward pass to the deepest depth, with coda and head at
/// each depth. If the model reads its depth, the core is computed again from the start for each
/// depth.
fn evaluation_flops(config: &ResolvedConfig) -> f64 {
    let (model, seq) = (&config.model, config.train.seq);
    let census = Census::new(model);
    let free = |no_grad| {
        let unroll = Unroll {
            no_grad,
            with_grad: 0,
        };
        census.flops_per_token(unroll, seq)
    };
    let mean = model.recurrence.planned().total();
    let mut depths = config.eval.recurrence.clone();
    depths.push(mean);
    depths.sort_unstable();
    depths.dedup();
    // `free(0)` counts prelude, coda and head, forward and backward. This is three times their
    // forward pass.
    let once = free(0) / 3.0;
    let loops = |depth: usize| free(depth) - free(0);
    let forward = once
        + match model.conditioning.reads_depth() {
            true => depths.iter().copied().map(loops).sum::<f64>(),
            false => loops(depths.last().copied().unwrap_or(mean)),
        };
    let coda = census.part(Part::Coda) + model.vocab_size * model.d_model;
    let again = 2.0 * coda as f64 + 4.0 * (model.layers.coda * seq * model.d_model) as f64;
    let tokens = config.eval.tokens as f64;
    tokens * (forward + (depths.len() - 1) as f64 * again)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;
    use crate::device::{DeviceKind, choose_kind};

    fn config(rest: &str) -> ResolvedConfig {
        let text = format!(
            "[train]\nsteps = 10\nseq = 8\nbatch = 2\n[eval]\nevery = 4\ntokens = 64\n[checkpoint]\nevery = 4\n{rest}"
        );
        let written = RunConfig::read("a.toml", &text, &[]).expect("valid");
        written.resolve_for(16, 8)
    }

    #[test]
    fn what_is_left_is_counted_from_the_step_that_the_run_is_at() {
        let config = config("");
        let (whole, rest) = (Work::after(&config, 0), Work::after(&config, 5));
        // Evaluations come before step 1 and after steps 4, 8 and 10. After step 5, the evaluations
        // at steps 8 and 10 remain.
        assert_eq!((whole.evaluations, rest.evaluations), (4, 2));
        assert_eq!((whole.steps, whole.tokens), (10, 160));
        assert_eq!((rest.steps, rest.tokens), (5, 80));
        assert!((whole.flops / rest.flops - 2.0).abs() < 1e-12);
        assert_eq!(Work::after(&config, 10).evaluations, 0);
    }

    #[test]
    fn a_curriculum_of_depths_costs_what_its_steps_cost() {
        let flops = |rest: &str| Work::after(&config(rest), 0).flops;
        let from = |from: usize| {
            format!("[model.recurrence.curriculum]\nmean = {{ from = {from}, over = 10 }}\n")
        };
        let recurrence = "[model.recurrence]\nmean = 9\nbackprop_depth = 1\n";
        let low = flops("[model.recurrence]\nmean = 1\nbackprop_depth = 1\n");
        let high = flops(recurrence);
        let ramp = flops(&format!("{recurrence}{}", from(1)));
        assert!(low < ramp && ramp < high, "{low} {ramp} {high}");
    }

    #[test]
    fn checkpoints_that_are_kept_are_never_more_than_are_taken() {
        let kept = |rest: &str, steps| {
            let text = format!("[checkpoint]\nevery = 4\n{rest}[train]\nsteps = 1\nseq = 8\n");
            let config = RunConfig::read("a.toml", &text, &[]).expect("valid");
            super::kept(&config.checkpoint, steps)
        };
        // Checkpoints are saved after steps 4, 8 and 10. The two newest and the best one are kept.
        assert_eq!(kept("", 10), 3);
        assert_eq!(kept("keep_best = false\n", 10), 2);
        assert_eq!(kept("", 4), 1);
        assert_eq!(kept("keep_every = 20\n", 100), 8);
    }

    #[test]
    fn four_lines_tell_data_work_memory_and_disk() {
        let costs = Costs {
            work: Work {
                steps: 300,
                tokens: 153_600,
                flops: 2.5e12,
                evaluations: 7,
                evaluation_flops: 1e11,
            },
            is_resumed: false,
            parameters: 307_200,
            corpus_tokens: Some(7_680_000),
            memory: 262 << 20,
            room: Room::Free(20 << 30),
            checkpoint: 4 << 20,
            checkpoints: 2,
            free_disk: Some(5 << 20),
        };
        assert_eq!(
            costs.lines(),
            [
                "data    300 steps, 153,600 tokens: 2.0 % of the corpus, 0.50 a parameter",
                "work    2.50e12 FLOPs at the mean depth, 7.00e11 in 7 evaluations",
                "memory  262 MiB needed, 20.0 GiB free",
                "disk    8.00 MiB for 2 checkpoints of 4.00 MiB each, 5.00 MiB free",
            ]
        );
        let warning = costs.warning().expect("the disk is too small");
        assert!(
            warning.starts_with("checkpoint.keep_last: 2 checkpoints"),
            "{warning}"
        );
        let resumed = Costs {
            is_resumed: true,
            room: Room::Unknown,
            ..costs
        };
        assert!(resumed.lines()[0].starts_with("data    300 more steps, "));
        assert!(resumed.lines()[2].ends_with("the free amount is unknown"));
    }

    #[test]
    fn a_checkpoint_has_weights_and_moments() {
        let config = config("[optimizer]\nkind = 'adamw'\n");
        let (listed, _) = choose_kind(DeviceKind::Flex).expect("flex is always there");
        let here = Path::new(".");
        let costs = Costs::after(&config, 0, None, &Capacity::of(&listed), here);
        // AdamW has two moments for each weight.
        assert_eq!(costs.checkpoint, 12 * costs.parameters as u64);
        assert_eq!(costs.passes(), None);
    }
}
