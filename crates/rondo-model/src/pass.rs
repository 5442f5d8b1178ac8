//! What the layers of one pass share.

use std::ops::Range;

use burn::tensor::Device;

use crate::attention::Rope;
use crate::config::ModelConfig;
use crate::sparsity::Gates;

/// What the layers of one pass share: the angles of its positions, and the gates of its edges.
#[derive(Clone, Debug)]
pub struct Pass {
    /// The angles of the positions.
    pub rope: Rope,
    /// How gates open, and what they leave behind.
    pub gates: Gates,
}

impl Pass {
    /// Prepares a pass over the positions `0..seq` with hard gates.
    pub fn new(config: &ModelConfig, seq: usize, device: &Device) -> Self {
        Self {
            rope: Rope::new(config, seq, device),
            gates: Gates::hard(),
        }
    }

    /// Returns the same for the positions `range`.
    #[must_use]
    pub fn positions(&self, range: Range<usize>) -> Self {
        Self {
            rope: self.rope.positions(range),
            gates: self.gates.clone(),
        }
    }
}
