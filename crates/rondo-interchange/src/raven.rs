//! The layout of the reference implementation, seal-rg/recurrent-pretraining, whose Hugging Face
//! type is `huginn_raven` (Geiping et al. 2025, arXiv 2502.05171).
//!
//! A matrix is `[out, in]` in the reference and `[in, out]` in this program. Both layouts contain
//! the same numbers, so import, export and import again give the same bits.
//!
//! | module | what it holds |
//! |---|---|
//! | `names` | the name, shape and transposition of each parameter |
//! | `keys` | the treatment of keys of `config.json` that are not read |
//! | `settings` | conversion of `config.json` to [`ModelConfig`] |
//! | `limits` | what the layout cannot express, and where the reference behaves differently |
//! | `description` | conversion of [`ModelConfig`] to `config.json` |
//! | `rotary` | the rotary tables that exports contain |

mod description;
mod keys;
mod limits;
mod names;
mod rotary;
mod settings;

use rondo_model::config::ModelConfig;
use rondo_model::init::ParameterSpec;
use serde_json::Value;

use crate::element::Element;
use crate::keys::{Keys, Unread};
use crate::layout::{Counterpart, Derived, Expressed, Layout, Stored, Table};
use crate::special::SpecialTokens;

/// The value of `model_type`.
const MODEL_TYPE: &str = "huginn_raven";

/// The reference's layout.
pub(crate) struct Raven;

impl Layout for Raven {
    fn model_type(&self) -> &'static str {
        MODEL_TYPE
    }

    fn model(&self, keys: &mut Keys<'_>, warnings: &mut Vec<String>) -> Option<ModelConfig> {
        settings::model(keys, warnings)
    }

    fn unread(&self) -> Unread {
        Unread {
            harmless: &keys::HARMLESS,
            off: &keys::OFF,
        }
    }

    fn counterpart(&self, _: &ModelConfig, row: &ParameterSpec) -> Option<Counterpart> {
        names::counterpart(row)
    }

    fn derived(&self, name: &str) -> Option<Derived> {
        names::derived(name)
    }

    fn tables(&self, model: &ModelConfig) -> Vec<Table> {
        vec![Table {
            stored: Stored {
                name: names::ROTARY.to_owned(),
                shape: rotary::shape(model),
            },
            write: rotary::write,
        }]
    }

    fn express(&self, model: &ModelConfig) -> Result<Expressed, Vec<String>> {
        let reasons = limits::inexpressible(model);
        if !reasons.is_empty() {
            return Err(reasons);
        }
        Ok(Expressed {
            model: limits::there(model),
            warnings: limits::differences(model),
        })
    }

    fn describe(&self, model: &ModelConfig, element: Element, special: &SpecialTokens) -> Value {
        description::describe(model, element, special)
    }
}
