//! What a family of checkpoints defines: settings, names, shapes and permutations.

use std::io::{self, Write};

use rondo_model::config::ModelConfig;
use rondo_model::init::ParameterSpec;
use serde::Serialize;
use serde_json::Value;

use crate::element::Element;
use crate::keys::{Keys, Unread};
use crate::special::SpecialTokens;

/// The layout of one family of checkpoints.
pub(crate) trait Layout {
    /// Returns the value of `model_type` in `config.json`.
    fn model_type(&self) -> &'static str;

    /// Reads a model from the keys of `config.json`; `None` if a size is missing. A value that is
    /// not supported becomes a problem of `keys`; an ignored value that a user should know about
    /// becomes a warning.
    fn model(&self, keys: &mut Keys<'_>, warnings: &mut Vec<String>) -> Option<ModelConfig>;

    /// Returns how the keys that [`Layout::model`] does not read are treated.
    fn unread(&self) -> Unread;

    /// Returns how a parameter of `model` is stored; `None` if the layout does not have it.
    fn counterpart(&self, model: &ModelConfig, row: &ParameterSpec) -> Option<Counterpart>;

    /// Returns why a checkpoint may lack a tensor; `None` if every checkpoint must have it.
    fn derived(&self, name: &str) -> Option<Derived>;

    /// Returns the tables that an export of `model` contains.
    fn tables(&self, model: &ModelConfig) -> Vec<Table>;

    /// Returns a model in the form that the layout can express.
    ///
    /// # Errors
    ///
    /// Returns every reason why the layout cannot express the model, each with its key.
    fn express(&self, model: &ModelConfig) -> Result<Expressed, Vec<String>>;

    /// Returns the whole `config.json` of a model from [`Layout::express`], with weights of the
    /// type `element`.
    fn describe(&self, model: &ModelConfig, element: Element, special: &SpecialTokens) -> Value;
}

/// A tensor of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The name of the tensor.
    pub name: String,
    /// The dimensions of the tensor.
    pub shape: Vec<usize>,
}

/// How a parameter of this program is assembled from stored tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counterpart {
    /// One tensor with the same numbers in the same order; its shape may differ.
    Same(Stored),
    /// One matrix whose rows are the parameter's columns.
    Transposed(Stored),
    /// Matrices whose rows are the parameter's columns, one matrix after another.
    SideBySide(Vec<Stored>),
    /// Vectors, joined end to end.
    Joined(Vec<Stored>),
}

impl Counterpart {
    /// Returns the stored tensors, in the order in which they form the parameter.
    pub fn parts(&self) -> &[Stored] {
        match self {
            Self::Same(stored) | Self::Transposed(stored) => std::slice::from_ref(stored),
            Self::SideBySide(parts) | Self::Joined(parts) => parts,
        }
    }

    /// Returns whether the rows of the stored matrices are the parameter's columns.
    pub fn is_transposed(&self) -> bool {
        match self {
            Self::Same(_) | Self::Joined(_) => false,
            Self::Transposed(_) | Self::SideBySide(_) => true,
        }
    }
}

/// Why a checkpoint may lack a stored tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Derived {
    /// The tensor is computed from `config.json`. An import does not read it.
    Table,
    /// This program does not support the tensor. An import omits it and warns.
    LeftOut {
        /// The reason.
        why: &'static str,
    },
    /// The tensor is the head. It equals the tensor `embedding` if `key` of `config.json` is true.
    TiedHead {
        embedding: &'static str,
        key: &'static str,
    },
}

/// A stored tensor that is computed from the configuration; exports contain it in f32.
pub(crate) struct Table {
    pub(crate) stored: Stored,
    /// Writes the elements of the table.
    pub(crate) write: fn(&ModelConfig, &mut dyn Write) -> io::Result<()>,
}

/// A model that a layout can express.
#[derive(Debug)]
pub(crate) struct Expressed {
    /// The model in the layout's form.
    pub(crate) model: ModelConfig,
    /// Warnings about how other programs that read the layout will treat the model differently.
    pub(crate) warnings: Vec<String>,
}

/// Returns the name under which a choice is serialized.
pub(crate) fn word(choice: &impl Serialize) -> String {
    match serde_json::to_value(choice) {
        Ok(Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => "unknown".to_owned(),
    }
}
