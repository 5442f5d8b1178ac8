//! The ranks of a run, as its session knows them.

use crate::distributed::{Share, World};

/// The ranks of a run, and which micro-batches are this one's.
#[derive(Clone)]
pub(super) struct Ranks {
    pub(super) world: World,
    pub(super) share: Share,
}

impl Ranks {
    /// Describes them: `4 on 2 hosts (Open MPI 4.1.4), 2 of 8 micro-batches each`; none of a process by itself.
    pub(super) fn label(&self) -> Option<String> {
        let Share { count, total, .. } = self.share;
        let ranks = self.world.label()?;
        Some(format!("{ranks}, {count} of {total} micro-batches each"))
    }
}
