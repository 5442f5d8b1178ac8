//! A trial: some steps of a configuration on made-up tokens, to estimate the costs of a run.

use std::time::Instant;

use rondo_data::Batch;
use rondo_model::depth::{Draw, Unroll};
use rondo_train::config::ResolvedConfig;
use rondo_train::device::Listed;
use rondo_train::distributed::Share;
use rondo_train::error::Result;
use rondo_train::plan::StepPlan;
use rondo_train::step::Learner;

/// Number of timed steps at the mean depth in a trial; the fastest counts.
const TIMED: u64 = 3;

/// A model that takes steps of a configuration. It learns nothing useful.
pub(super) struct Trial<'a> {
    config: &'a ResolvedConfig,
    learner: Learner,
    batches: Vec<Batch>,
    steps: u64,
}

impl<'a> Trial<'a> {
    /// Makes the model. In a run of several ranks, it takes the micro-batches of one rank. Tokens
    /// count upwards.
    pub(super) fn new(config: &'a ResolvedConfig, share: Share, listed: &Listed) -> Self {
        let batch = counting_batch(config);
        Self {
            config,
            learner: Learner::fresh(config, listed),
            batches: vec![batch; share.count],
            steps: 0,
        }
    }

    /// Takes a step and returns its seconds.
    ///
    /// # Errors
    ///
    /// If the device fails.
    pub(super) fn step(&mut self, unroll: Unroll) -> Result<f64> {
        self.steps += 1;
        let plan = StepPlan {
            draw: Draw {
                unroll,
                clamped_from: None,
            },
            logged: true,
            ..StepPlan::new(self.config, self.config.train.past_warmup(self.steps))
        };
        let started = Instant::now();
        self.learner.step(&plan, &self.batches)?;
        Ok(started.elapsed().as_secs_f64())
    }

    /// Returns the seconds of a step at the mean depth. A step must have been taken before.
    ///
    /// # Errors
    ///
    /// If the device fails.
    pub(super) fn seconds_per_step(&mut self) -> Result<f64> {
        let planned = self.config.model.recurrence.planned();
        (0..TIMED).try_fold(f64::INFINITY, |fastest, _| {
            Ok(self.step(planned)?.min(fastest))
        })
    }
}

/// Returns the seconds of a step at the mean depth.
///
/// # Errors
///
/// If the device fails.
pub(super) fn seconds_per_step(config: &ResolvedConfig, listed: &Listed) -> Result<f64> {
    let share = Share::of(config.train.accumulation, 0, 1)?;
    let mut trial = Trial::new(config, share, listed);
    trial.step(config.model.recurrence.planned())?;
    trial.seconds_per_step()
}

/// Returns a batch whose tokens count through the vocabulary, for measurements that do not depend
/// on the content. If attention stays within documents, the last token of the vocabulary ends a
/// document.
pub(crate) fn counting_batch(config: &ResolvedConfig) -> Batch {
    let (batch, seq, vocab) = (
        config.train.batch,
        config.train.seq,
        config.model.vocab_size,
    );
    let token = |i: usize| (i % vocab) as u32;
    let counting = Batch {
        inputs: (0..batch * seq).map(token).collect(),
        targets: (1..=batch * seq).map(token).collect(),
        batch,
        seq,
        document_end: None,
    };
    match config.data.document_mask() {
        true => counting.within_documents(token(vocab - 1)),
        false => counting,
    }
}
