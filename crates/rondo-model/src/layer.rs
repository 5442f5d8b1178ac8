//! The place of a layer in the model, and the place of an application of a layer in a pass.

/// A part of the model with layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stack {
    /// Before the loop.
    Prelude,
    /// Inside the loop.
    Core,
    /// After the loop.
    Coda,
}

impl Stack {
    /// Returns the name in the module tree, for example `core`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prelude => "prelude",
            Self::Core => "core",
            Self::Coda => "coda",
        }
    }
}

/// A layer of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Layer {
    /// The part of the model.
    pub stack: Stack,
    /// The index of the layer in this part, from 0.
    pub index: usize,
}

impl Layer {
    /// Returns the path in the module tree, for example `core.0`.
    pub fn name(self) -> String {
        format!("{}.{}", self.stack.name(), self.index)
    }
}

/// One application of a layer in a pass, ordered by layer, then by iteration or depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// In the prelude, once per pass.
    Prelude {
        /// The layer's index in the prelude, from 0.
        layer: usize,
    },
    /// In the core, once per iteration.
    Core {
        /// The layer's index in the core, from 0.
        layer: usize,
        /// The iteration i, from 1.
        iteration: usize,
    },
    /// In the coda, once per readout.
    Coda {
        /// The layer's index in the coda, from 0.
        layer: usize,
        /// The number of iterations before the readout.
        depth: usize,
    },
}

impl At {
    /// Returns the applied layer.
    pub fn layer(self) -> Layer {
        let (stack, index) = match self {
            Self::Prelude { layer } => (Stack::Prelude, layer),
            Self::Core { layer, .. } => (Stack::Core, layer),
            Self::Coda { layer, .. } => (Stack::Coda, layer),
        };
        Layer { stack, index }
    }

    /// Returns the iteration, or `None` outside the loop.
    pub fn iteration(self) -> Option<usize> {
        match self {
            Self::Core { iteration, .. } => Some(iteration),
            Self::Prelude { .. } | Self::Coda { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_are_in_order_of_layers_and_then_of_iterations() {
        let core = |layer, iteration| At::Core { layer, iteration };
        let in_order = [
            At::Prelude { layer: 0 },
            At::Prelude { layer: 1 },
            core(0, 1),
            core(0, 2),
            core(1, 1),
            At::Coda { layer: 0, depth: 1 },
            At::Coda { layer: 0, depth: 4 },
        ];
        assert!(in_order.is_sorted());
        assert!(in_order.map(At::layer).is_sorted());
        assert_eq!(core(1, 3).layer().name(), "core.1");
        assert_eq!(core(1, 3).iteration(), Some(3));
        assert_eq!(At::Coda { layer: 0, depth: 3 }.iteration(), None);
    }
}
