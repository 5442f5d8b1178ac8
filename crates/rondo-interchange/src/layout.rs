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

    /// Reads a model from the keys of `config.json`; `None` where a size is missing. A value that
    /// cannot be represented becomes a problem of `keys`; what is not used and worth knowing becomes
    /// a warning.
    fn model(&self, keys: &mut Keys<'_>, warnings: &mut Vec<String>) -> Option<ModelConfig>;

    /// Returns the meaning of the keys that [`Layout::model`] does not read.
    fn unread(&self) -> Unread;

    /// Returns how a parameter of `model` is stored; `None` where the layout has no place for it.
    fn counterpart(&self, model: &ModelConfig, row: &ParameterSpec) -> Option<Counterpart>;

    /// Returns what a stored tensor follows from; `None` for one that every checkpoint must hold.
    fn derived(&self, name: &str) -> Option<Derived>;

    /// Returns the tables that an export of `model` holds.
    fn tables(&self, model: &ModelConfig) -> Vec<Table>;

    /// Returns a model as the layout can express it.
    ///
    /// # Errors
    ///
    /// With every reason why the layout has no place for the model, each with its key.
    fn express(&self, model: &ModelConfig) -> Result<Expressed, Vec<String>>;

    /// Returns the whole `config.json` of a model as [`Layout::express`] gives it, with weights of
    /// the type `element`.
    fn describe(&self, model: &ModelConfig, element: Element, special: &SpecialTokens) -> Value;
}

/// A tensor of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
}

/// How a parameter of ours is made of what a layout stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counterpart {
    /// One tensor with the same numbers in the same order; its shape may differ.
    Same(Stored),
    /// One matrix whose rows are our columns.
    Transposed(Stored),
    /// Matrices whose rows are our columns, one after another.
    SideBySide(Vec<Stored>),
    /// Vectors, one after another.
    Joined(Vec<Stored>),
}

impl Counterpart {
    /// Returns the stored tensors, in the order in which they make up ours.
    pub fn parts(&self) -> &[Stored] {
        match self {
            Self::Same(stored) | Self::Transposed(stored) => std::slice::from_ref(stored),
            Self::SideBySide(parts) | Self::Joined(parts) => parts,
        }
    }

    /// Returns whether the stored tensors are matrices whose rows are our columns.
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
    /// It is a function of `config.json`, and an import does not read it.
    Table,
    /// It has no place here; an import leaves it out and says why.
    LeftOut {
        /// The reason.
        why: &'static str,
    },
    /// It is the head, which repeats the tensor `embedding` where `key` of `config.json` is true.
    TiedHead {
        embedding: &'static str,
        key: &'static str,
    },
}

/// A stored tensor that is a function of the configuration; exports hold it in f32.
pub(crate) struct Table {
    pub(crate) stored: Stored,
    /// Writes its elements.
    pub(crate) write: fn(&ModelConfig, &mut dyn Write) -> io::Result<()>,
}

/// A model that a layout can express.
#[derive(Debug)]
pub(crate) struct Expressed {
    /// The model as the layout has it.
    pub(crate) model: ModelConfig,
    /// What programs that read the layout do otherwise with it.
    pub(crate) warnings: Vec<String>,
}

/// Returns the name of one of our choices.
pub(crate) fn word(choice: &impl Serialize) -> String {
    match serde_json::to_value(choice) {
        Ok(Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => "unknown".to_owned(),
    }
}
