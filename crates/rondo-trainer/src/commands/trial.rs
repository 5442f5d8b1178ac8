//! A trial: some steps of a configuration on made-up tokens, for what a run of it will take.

use std::time::Instant;

use rondo_train::config::ResolvedConfig;
use rondo_train::device::Listed;
use rondo_train::error::Result;
use rondo_train::plan::StepPlan;
use rondo_train::step::Learner;

use super::dry_run::counting_batch;

/// Steps of a trial; the fastest of those after the first counts.
const TRIED: u64 = 4;

/// Returns the seconds of a step at the mean depth.
///
/// # Errors
///
/// Where the device fails.
pub(super) fn seconds_per_step(config: &ResolvedConfig, listed: &Listed) -> Result<f64> {
    let mut learner = Learner::fresh(config, listed);
    let train = &config.train;
    let batch = counting_batch(config);
    let batches = vec![batch; train.accumulation];
    let mut fastest = f64::INFINITY;
    for step in 1..=TRIED {
        let mut plan = StepPlan::new(config, step);
        plan.draw.unroll = config.model.recurrence.planned();
        plan.logged = true;
        let started = Instant::now();
        learner.step(&plan, &batches)?;
        if step > 1 {
            fastest = fastest.min(started.elapsed().as_secs_f64());
        }
    }
    Ok(fastest)
}
