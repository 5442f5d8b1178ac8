//! The families of checkpoints that can be read and written.

use std::fmt;

use rondo_model::init::ParameterSpec;

use crate::layout::{Counterpart, Layout};
use crate::raven::Raven;

/// A family of checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The reference implementation's.
    Raven,
}

impl Family {
    /// Every family.
    const ALL: [Self; 1] = [Self::Raven];

    /// Returns how a parameter of ours is stored; `None` where the layout has no place for it.
    pub fn counterpart(self, row: &ParameterSpec) -> Option<Counterpart> {
        self.layout().counterpart(row)
    }

    /// Finds the family of a `config.json` by its `model_type`.
    pub(crate) fn of_model_type(model_type: &str) -> Option<Self> {
        let mut families = Self::ALL.into_iter();
        families.find(|family| family.layout().model_type() == model_type)
    }

    /// Returns every `model_type` that can be imported, for a message.
    pub(crate) fn model_types() -> String {
        let quoted = Self::ALL.map(|family| format!("{:?}", family.layout().model_type()));
        quoted.join(" or ")
    }

    /// Returns the layout of its checkpoints.
    pub(crate) fn layout(self) -> &'static dyn Layout {
        match self {
            Self::Raven => &Raven,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raven => "the reference",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_found_by_its_model_type() {
        for family in Family::ALL {
            let model_type = family.layout().model_type();
            assert_eq!(Family::of_model_type(model_type), Some(family));
        }
        assert_eq!(Family::of_model_type("llama"), None);
        assert_eq!(Family::model_types(), "\"huginn_raven\"");
    }
}
