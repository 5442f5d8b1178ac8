//! What the layers of one pass share.

use std::ops::Range;

use burn::tensor::Device;

use crate::attention::{Rope, Segments};
use crate::config::ModelConfig;
use crate::gates::Gates;

/// What the layers of one pass share: the angles of its positions with the segments of its rows, and how its gates
/// open.
#[derive(Clone, Debug)]
pub struct Pass {
    /// The angles of the positions, and the segments of the rows where these are cut.
    pub rope: Rope,
    /// How gates open.
    pub gates: Gates,
}

/// A pass as each of its layers is given it.
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a> {
    /// The angles of the positions.
    pub(crate) rope: &'a Rope,
    /// How gates open.
    pub(crate) gates: Gates,
    /// The factor of the density of one application of a layer in the loss.
    pub(crate) weight: f64,
}

impl Shared<'_> {
    /// Returns the same for layers whose density is no part of the loss.
    pub(crate) fn unpenalised(self) -> Self {
        Self {
            weight: 0.0,
            ..self
        }
    }
}

impl Pass {
    /// Prepares a pass over the positions `0..seq` with hard gates.
    pub fn new(config: &ModelConfig, seq: usize, device: &Device) -> Self {
        Self {
            rope: Rope::new(config, seq, device),
            gates: Gates::hard(),
        }
    }

    /// Returns the same for a batch whose rows are cut into segments: a token attends within its own segment alone, and
    /// positions start anew in each. Layers with gates see whole rows alone.
    ///
    /// # Panics
    ///
    /// As [`Rope::within`].
    #[must_use]
    pub fn within(self, segments: Segments) -> Self {
        Self {
            rope: self.rope.within(segments),
            ..self
        }
    }

    /// Returns the same for the positions `range`.
    ///
    /// # Panics
    ///
    /// Panics where rows are cut into segments.
    #[must_use]
    pub fn positions(&self, range: Range<usize>) -> Self {
        Self {
            rope: self.rope.positions(range),
            gates: self.gates,
        }
    }

    /// Returns what the layers are given where no density is a part of the loss.
    pub fn shared(&self) -> Shared<'_> {
        Shared {
            rope: &self.rope,
            gates: self.gates,
            weight: 0.0,
        }
    }

    /// Returns what the layers are given where the mean of `densities` densities is a part of the loss.
    pub(crate) fn penalised(&self, densities: usize) -> Shared<'_> {
        Shared {
            weight: self.gates.weight(densities),
            ..self.shared()
        }
    }
}
