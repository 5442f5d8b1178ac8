//! Chooses and removes old checkpoints.

use rondo_files::Disk;

use crate::error::CheckpointError;
use crate::layout::{Layout, candidates, newest_of_each};
use crate::open::is_whole;
use crate::repair::discard;

/// Which checkpoints to keep. A checkpoint is kept if at least one of these rules keeps it.
///
/// If `keep_last` is greater than 1, at least two whole checkpoints stay: the newest, and one more.
/// If all other checkpoints that the rules keep are damaged, the newest whole one among the
/// remaining checkpoints stays too. For this check, a save that removes a checkpoint reads at least
/// one other checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The number of newest checkpoints to keep. 0 has the same effect as 1, because the newest
    /// checkpoint always stays.
    pub keep_last: usize,
    /// Keeps every step that is divisible by this number. 0 keeps only step 0.
    pub keep_every: Option<u64>,
    /// The step of the best checkpoint so far, by the caller's own measure. The caller sets this
    /// step for each save. When the step changes, this rule no longer keeps the former best
    /// checkpoint. A step without a checkpoint has no effect.
    pub keep_best: Option<u64>,
}

/// Returns the steps of `steps` to remove, in ascending order. The newest step is never among them.
fn to_remove(steps: &[u64], retention: &Retention) -> Vec<u64> {
    let mut old = steps.to_vec();
    old.sort_unstable();
    old.dedup();
    old.truncate(old.len().saturating_sub(retention.keep_last.max(1)));
    old.retain(|&step| {
        retention.keep_best != Some(step)
            && !retention
                .keep_every
                .is_some_and(|every| step.is_multiple_of(every))
    });
    old
}

/// Removes the checkpoints up to step `newest` that `retention` does not keep. The checkpoint of
/// step `newest` was just saved.
///
/// # Errors
/// [`CheckpointError::Io`] where a checkpoint cannot be removed. Later checkpoints that should have
/// been removed then still exist.
pub(crate) fn retain(
    disk: &impl Disk,
    layout: &Layout,
    newest: u64,
    retention: &Retention,
) -> Result<(), CheckpointError> {
    let mut found = newest_of_each(candidates(layout)?);
    found.retain(|&step, _| step <= newest);
    let steps: Vec<u64> = found.keys().copied().collect();
    let mut obsolete = to_remove(&steps, retention);
    if retention.keep_last > 1 && !obsolete.is_empty() {
        let is_whole = |step: &u64| found.get(step).is_some_and(|path| is_whole(path));
        let stays = |step: &u64| *step != newest && !obsolete.contains(step);
        if !steps.iter().rev().any(|step| stays(step) && is_whole(step))
            && let Some(spared) = obsolete.iter().rposition(is_whole)
        {
            obsolete.remove(spared);
        }
    }
    for step in obsolete {
        discard(disk, &layout.step_dir(step), &layout.aside(step))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [u64; 5] = [30, 10, 50, 20, 40];
    const NONE: [u64; 0] = [];

    fn keep(keep_last: usize, keep_every: Option<u64>, keep_best: Option<u64>) -> Retention {
        Retention {
            keep_last,
            keep_every,
            keep_best,
        }
    }

    #[test]
    fn the_newest_stay() {
        assert_eq!(to_remove(&STEPS, &keep(2, None, None)), [10, 20, 30]);
        assert_eq!(to_remove(&STEPS, &keep(9, None, None)), NONE);
    }

    #[test]
    fn the_best_and_the_regular_ones_stay_too() {
        assert_eq!(to_remove(&STEPS, &keep(1, Some(20), Some(10))), [30]);
    }

    #[test]
    fn a_best_step_among_the_newest_or_without_a_checkpoint_changes_nothing() {
        for best in [40, 50, 35, 0] {
            assert_eq!(to_remove(&STEPS, &keep(2, None, Some(best))), [10, 20, 30]);
        }
    }

    #[test]
    fn neither_the_newest_nor_the_only_one_ever_goes() {
        for keep_last in 0..3 {
            for every in [None, Some(0), Some(7)] {
                assert!(!to_remove(&STEPS, &keep(keep_last, every, None)).contains(&50));
                assert_eq!(to_remove(&[5], &keep(keep_last, every, None)), NONE);
            }
        }
        assert_eq!(to_remove(&[], &keep(0, None, None)), NONE);
    }
}
