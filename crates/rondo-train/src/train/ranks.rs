//! The ranks of a run, as its session uses them.

use crate::distributed::{Share, World};

/// The ranks of a run, and the micro-batches of this rank.
#[derive(Clone)]
pub(super) struct Ranks {
    pub(super) world: World,
    pub(super) share: Share,
}

impl Ranks {
    /// Describes the ranks, for example `4 on 2 hosts (Open MPI 4.1.4), 2 of 8 micro-batches each`.
    /// `None` for a single process.
    pub(super) fn label(&self) -> Option<String> {
        let Share { count, total, .. } = self.share;
        let ranks = self.world.label()?;
        Some(format!("{ranks}, {count} of {total} micro-batches each"))
    }
}
