//! Data shared by the layers of a pass.

use std::ops::Range;

use burn::tensor::Device;

use crate::attention::{Rope, Segments};
use crate::config::ModelConfig;
use crate::gates::Gates;

/// Data shared by the layers of a pass: the rotary angles of its positions, the segments of its
/// rows, and the opening of its gates.
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
    /// The angles of the positions.
    pub(crate) rope: &'a Rope,
    /// How gates open.
    pub(crate) gates: Gates,
    /// The weight in the loss of the density of one application of a layer.
    pub(crate) weight: f64,
}

impl Shared<'_> {
    /// Returns a copy without densities in the loss.
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

    /// Returns the view for layers without densities in the loss.
    pub fn shared(&self) -> Shared<'_> {
        Shared {
            rope: &self.rope,
            gates: self.gates,
            weight: 0.0,
        }
    }

    /// Returns the view for layers if the mean of `densities` densities is part of the loss.
    pub(crate) fn penalised(&self, densities: usize) -> Shared<'_> {
        Shared {
            weight: self.gates.weight(densities),
            ..self.shared()
        }
    }
}
