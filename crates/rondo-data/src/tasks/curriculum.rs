//! A difficulty that rises when it is mastered: the length of a word, the depth of a tree.

use rondo_config::Report;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When and how far the difficulty of a task rises.
///
/// Without a curriculum both tasks are learnt far more slowly: the long rows give no signal before
/// the short ones are solved.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Curriculum {
    /// Difficulty of the training rows at the first step.
    pub start: usize,
    /// By how much the difficulty rises.
    pub step: usize,
    /// Largest difficulty. The validation rows have this difficulty.
    pub max: usize,
    /// Training accuracy from which the current difficulty counts as mastered, in `0..=1`.
    #[serde(default = "pass_accuracy")]
    pub pass_accuracy: f64,
    /// Steps with fewer iterations than this recurrence depth do not count: a shallow step cannot
    /// be expected to solve a deep row.
    #[serde(default = "pass_recurrence")]
    pub pass_recurrence: usize,
}

fn pass_accuracy() -> f64 {
    0.97
}

fn pass_recurrence() -> usize {
    8
}

impl Curriculum {
    /// Returns the curriculum that rises from `start` by `step` to `max`, with the default
    /// thresholds.
    pub fn new(start: usize, step: usize, max: usize) -> Self {
        Self {
            start,
            step,
            max,
            pass_accuracy: pass_accuracy(),
            pass_recurrence: pass_recurrence(),
        }
    }

    /// Reports every violated rule; `limit` is the largest difficulty of the task.
    pub(crate) fn validate(&self, limit: usize, report: Report<'_>) {
        if self.start == 0 || self.start > self.max {
            let message = format!(
                "must lie between 1 and curriculum.max = {}, is {}",
                self.max, self.start
            );
            report("curriculum.start", message);
        }
        if self.step == 0 {
            report("curriculum.step", "must be at least 1, is 0".to_owned());
        }
        if self.max == 0 || self.max > limit {
            let message = format!("must lie between 1 and {limit}, is {}", self.max);
            report("curriculum.max", message);
        }
        if !(self.pass_accuracy > 0.0 && self.pass_accuracy <= 1.0) {
            let message = format!(
                "must lie above 0 and not above 1, is {}",
                self.pass_accuracy
            );
            report("curriculum.pass_accuracy", message);
        }
        if self.pass_recurrence == 0 {
            let message = "must be at least 1, is 0".to_owned();
            report("curriculum.pass_recurrence", message);
        }
    }
}

/// The state of a run's curriculum, which is the only state of a task and is stored in the
/// checkpoint.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct CurriculumState {
    /// Difficulty of the training rows from now on.
    pub difficulty: usize,
}

impl CurriculumState {
    /// Returns the state before the first step.
    pub fn start(curriculum: &Curriculum) -> Self {
        Self {
            difficulty: curriculum.start,
        }
    }

    /// Returns the next state if a step with `recurrence` iterations and this training `accuracy`
    /// has mastered the current difficulty. `None` if it has not, or if the difficulty is the
    /// largest.
    #[must_use]
    pub fn advance(
        &self,
        curriculum: &Curriculum,
        accuracy: f64,
        recurrence: usize,
    ) -> Option<Self> {
        let mastered =
            recurrence >= curriculum.pass_recurrence && accuracy >= curriculum.pass_accuracy;
        (mastered && self.difficulty < curriculum.max).then(|| Self {
            difficulty: curriculum
                .max
                .min(self.difficulty.saturating_add(curriculum.step)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difficulty_rises_only_on_a_mastered_deep_step_and_stops_at_the_maximum() {
        let curriculum = Curriculum::new(4, 4, 10);
        let state = CurriculumState::start(&curriculum);
        assert_eq!(state.advance(&curriculum, 0.96, 8), None);
        assert_eq!(state.advance(&curriculum, 1.0, 7), None);
        assert_eq!(state.advance(&curriculum, f64::NAN, 8), None);
        let mut reached = Vec::new();
        let mut next = Some(state);
        while let Some(state) = next {
            reached.push(state.difficulty);
            next = state.advance(&curriculum, 0.97, 8);
        }
        assert_eq!(reached, [4, 8, 10]);
    }

    #[test]
    fn every_broken_rule_is_reported() {
        let broken = Curriculum {
            start: 0,
            step: 0,
            max: 9,
            pass_accuracy: f64::NAN,
            pass_recurrence: 0,
        };
        let mut keys = Vec::new();
        broken.validate(8, &mut |key, _| keys.push(key.to_owned()));
        assert_eq!(
            keys,
            ["start", "step", "max", "pass_accuracy", "pass_recurrence"]
                .map(|key| format!("curriculum.{key}"))
        );
    }
}
