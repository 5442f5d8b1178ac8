//! Data shared by the layers of a pass.

use std::ops::Range;

use burn::tensor::Device;

use crate::attention::{Rope, Segments};
use crate::config::ModelConfig;
use crate::gates::Gates;

/// Data shared by the layers of a pass: the rotary angles of the positions, the segments of the
/// rows, and how gates open.
#[derive(Clone, Debug)]
pub struct Pass {
    /// The rotary angles of the positions, and the segments of the rows, if any.
    pub rope: Rope,
    /// How gates open.
    pub gates: Gates,
}

/// The view of a pass that every layer receives.
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a> {
    /// The rotary angles of the positions, and the segments of the rows, if any.
    pub(crate) rope: &'a Rope,
    /// How gates open.
    pub(crate) gates: Gates,
    /// The weight that the density of one application of a layer has in the loss.
    pub(crate) weight: f64,
}

impl Shared<'_> {
    /// Returns a copy in which densities have weight 0 in the loss.
    pub(crate) fn unpenalised(self) -> Self {
        Self {
            weight: 0.0,
            ..self
        }
    }
}

impl Pass {
    /// Prepares a pass over the positions `0..seq` whose gates open by threshold.
    pub fn new(config: &ModelConfig, seq: usize, device: &Device) -> Self {
        Self {
            rope: Rope::new(config, seq, device),
            gates: Gates::hard(),
        }
    }

    /// Returns the pass for a batch whose rows are divided into segments. A token attends only
    /// within its own segment, and positions restart in each segment. Layers with gates do not
    /// support segments.
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

    /// Returns the pass for the positions `range`.
    ///
    /// # Panics
    ///
    /// Panics if rows are divided into segments.
    #[must_use]
    pub fn positions(&self, range: Range<usize>) -> Self {
        Self {
            rope: self.rope.positions(range),
            gates: self.gates,
        }
    }

    /// Returns the view for a pass whose densities have weight 0 in the loss.
    pub fn shared(&self) -> Shared<'_> {
        Shared {
            rope: &self.rope,
            gates: self.gates,
            weight: 0.0,
        }
    }

    /// Returns the view for a pass whose loss includes the mean of `densities` densities.
    pub(crate) fn penalised(&self, densities: usize) -> Shared<'_> {
        Shared {
            weight: self.gates.weight(densities),
            ..self.shared()
        }
    }
}
