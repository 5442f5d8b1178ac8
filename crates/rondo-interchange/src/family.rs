//! The families of checkpoints that can be read and written.

use std::fmt;

use rondo_model::config::{InjectionKind, ModelConfig};
use rondo_model::init::ParameterSpec;

use crate::layout::{Counterpart, Layout};
use crate::llama::{Kind, Llama};
use crate::raven::Raven;

/// A family of checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The reference implementation's family.
    Raven,
    /// Llama, and models with its structure.
    Llama,
    /// Qwen2.
    Qwen2,
    /// Qwen3.
    Qwen3,
    /// OLMo 2.
    Olmo2,
    /// Ouro.
    Ouro,
}

impl Family {
    /// Every family.
    const ALL: [Self; 6] = [
        Self::Raven,
        Self::Llama,
        Self::Qwen2,
        Self::Qwen3,
        Self::Olmo2,
        Self::Ouro,
    ];

    /// Returns the family to which a model is exported: the one with the nearest structure.
    pub fn of_model(model: &ModelConfig) -> Self {
        if model.injection != InjectionKind::None {
            return Self::Raven;
        }
        match Kind::nearest(model) {
            Kind::Llama => Self::Llama,
            Kind::Qwen2 => Self::Qwen2,
            Kind::Qwen3 => Self::Qwen3,
            Kind::Olmo2 => Self::Olmo2,
            Kind::Ouro => Self::Ouro,
        }
    }

    /// Returns how a parameter of `model` is stored; `None` if the layout does not have it.
    pub fn counterpart(self, model: &ModelConfig, row: &ParameterSpec) -> Option<Counterpart> {
        self.layout().counterpart(model, row)
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

    /// Returns the layout of the family's checkpoints.
    pub(crate) fn layout(self) -> &'static dyn Layout {
        match self {
            Self::Raven => &Raven,
            Self::Llama => &Llama(Kind::Llama),
            Self::Qwen2 => &Llama(Kind::Qwen2),
            Self::Qwen3 => &Llama(Kind::Qwen3),
            Self::Olmo2 => &Llama(Kind::Olmo2),
            Self::Ouro => &Llama(Kind::Ouro),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raven => "the reference",
            Self::Llama => "Llama",
            Self::Qwen2 => "Qwen2",
            Self::Qwen3 => "Qwen3",
            Self::Olmo2 => "OLMo 2",
            Self::Ouro => "Ouro",
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
        assert_eq!(Family::of_model_type("gpt2"), None);
        assert!(Family::model_types().starts_with("\"huginn_raven\" or \"llama\" or "));
    }
}
