//! The progress of a run, for the message of a rank that gives up waiting.

use std::sync::atomic::{AtomicU64, Ordering};

use rondo_collective::Late;

/// Stands for a step that is not known.
const NONE: u64 = u64::MAX;

/// The last step that was taken, and the step from which the run can resume.
#[derive(Debug)]
pub(super) struct Standing {
    step: AtomicU64,
    saved: AtomicU64,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            step: AtomicU64::new(NONE),
            saved: AtomicU64::new(NONE),
        }
    }
}

impl Standing {
    pub(super) fn stands_at(&self, step: u64) {
        self.step.store(step, Ordering::Relaxed);
    }

    pub(super) fn has_saved(&self, step: u64) {
        self.saved.store(step, Ordering::Relaxed);
    }

    /// Returns the message about a missing rank. The message says how to resume the run.
    pub(super) fn describe(&self, late: &Late) -> String {
        self.end(&late.to_string())
    }

    /// Returns the message of ranks that end for the reason `why`. The message says how to resume
    /// the run.
    pub(super) fn end(&self, why: &str) -> String {
        let known = |step: &AtomicU64| Some(step.load(Ordering::Relaxed)).filter(|s| *s != NONE);
        let Some(step) = known(&self.step) else {
            return format!(
                "start: {why}; all ranks end, and nothing has been trained; start again"
            );
        };
        let next = match known(&self.saved) {
            Some(saved) => format!("the run resumes from step {saved}"),
            None => "the run resumes from its newest checkpoint".to_owned(),
        };
        format!("step {}: {why}; all ranks end, {next}", step + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_and_the_way_on_are_named() {
        let standing = Standing::default();
        let why = "300 s without rank 3 (node07, pid 4711)";
        assert!(standing.end(why).starts_with("start: 300 s without"));
        standing.stands_at(811);
        let end = "newest checkpoint";
        assert!(standing.end(why).ends_with(end), "{}", standing.end(why));
        standing.has_saved(800);
        assert_eq!(
            standing.end(why),
            format!("step 812: {why}; all ranks end, the run resumes from step 800")
        );
    }
}
