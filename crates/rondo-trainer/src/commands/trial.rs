//! A trial run: some steps of a configuration on artificial tokens, to estimate the costs of a run.

use std::time::Instant;

use rondo_data::Batch;
use rondo_model::depth::{Draw, Unroll};
use rondo_train::config::ResolvedConfig;
use rondo_train::device::Listed;
use rondo_train::distributed::Share;
use rondo_train::error::Result;
use rondo_train::plan::StepPlan;
use rondo_train::step::Learner;

/// The number of timed steps at the mean depth. The fastest step determines the result.
const TIMED: u64 = 3;

/// A model that takes steps of a configuration on artificial tokens.
pub(super) struct Trial<'a> {
    config: &'a ResolvedConfig,
    learner: Learner,
    batches: Vec<Batch>,
    steps: u64,
}

impl<'a> Trial<'a> {
    /// Makes the model and a batch of artificial tokens. In a run of several ranks, the model
    /// computes the micro-batches of one rank.
    pub(super) fn new(config: &'a ResolvedConfig, share: Share, listed: &Listed) -> Self {
        let batch = counting_batch(config);
        Self {
            config,
            learner: Learner::fresh(config, listed),
            batches: vec![batch; share.count],
            steps: 0,
        }
    }

    /// Takes one step, and returns how many seconds it took.
    ///
    /// # Errors
    ///
    /// Returns an error if the device fails.
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

    /// Returns the seconds of a step at the mean depth. At least one step must have been taken
    /// before.
    ///
    /// # Errors
    ///
    /// Returns an error if the device fails.
    pub(super) fn seconds_per_step(&mut self) -> Result<f64> {
        let planned = self.config.model.recurrence.planned();
        (0..TIMED).try_fold(f64::INFINITY, |fastest, _| {
            Ok(self.step(planned)?.min(fastest))
        })
    }
}

/// Makes a trial and returns the seconds of a step at the mean depth.
///
/// # Errors
///
/// Returns an error if the device fails.
pub(super) fn seconds_per_step(config: &ResolvedConfig, listed: &Listed) -> Result<f64> {
    let share = Share::of(config.train.accumulation, 0, 1)?;
    let mut trial = Trial::new(config, share, listed);
    trial.step(config.model.recurrence.planned())?;
    trial.seconds_per_step()
}

/// Returns a batch whose tokens count upwards through the vocabulary, for measurements that do not
/// depend on the content. If attention stays within documents, the last token of the vocabulary is
/// the end of a document.
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
