//! The layouts of Hugging Face's Llama and of four families that use its names: Qwen2, Qwen3, OLMo
//! 2 and Ouro. A stack of layers is a core without prelude, coda and injection. Ouro runs it
//! several times, the other families once.
//!
//! These layouts store queries, keys and values as three matrices, and gate and up as two. This
//! program stores queries, keys and values in one matrix, and gate and up in one matrix.
//!
//! | module | what it holds |
//! |---|---|
//! | `kind` | the five families: `model_type`, structure, defaults |
//! | `names` | the names, shapes and transpositions of each parameter |
//! | `keys` | the treatment of keys of `config.json` that are not read |
//! | `settings` | conversion of `config.json` to [`ModelConfig`] |
//! | `limits` | what a family cannot express |
//! | `description` | conversion of [`ModelConfig`] to `config.json` |

mod description;
mod keys;
mod kind;
mod limits;
mod names;
mod settings;

use std::io::{self, Write};

use rondo_model::config::ModelConfig;
use rondo_model::init::ParameterSpec;
use serde_json::Value;

pub(crate) use self::kind::Kind;
use crate::element::Element;
use crate::keys::{Keys, Unread};
use crate::layout::{Counterpart, Derived, Expressed, Layout, Stored, Table};
use crate::special::SpecialTokens;

/// The layout of one of the families.
pub(crate) struct Llama(pub(crate) Kind);

impl Layout for Llama {
    fn model_type(&self) -> &'static str {
        self.0.model_type()
    }

    fn model(&self, keys: &mut Keys<'_>, warnings: &mut Vec<String>) -> Option<ModelConfig> {
        settings::model(self.0, keys, warnings)
    }

    fn unread(&self) -> Unread {
        Unread {
            harmless: &keys::HARMLESS,
            off: &keys::OFF,
        }
    }

    fn counterpart(&self, model: &ModelConfig, row: &ParameterSpec) -> Option<Counterpart> {
        names::counterpart(self.0, model, row)
    }

    fn derived(&self, name: &str) -> Option<Derived> {
        names::derived(self.0, name)
    }

    fn tables(&self, model: &ModelConfig) -> Vec<Table> {
        let gate = |name: &str, shape: Vec<usize>, write| Table {
            stored: Stored {
                name: name.to_owned(),
                shape,
            },
            write,
        };
        match self.0 {
            Kind::Ouro => vec![
                gate(names::GATE_WEIGHT, vec![1, model.d_model], |model, out| {
                    zeros(model.d_model, out)
                }),
                gate(names::GATE_BIAS, vec![1], |_, out| zeros(1, out)),
            ],
            Kind::Llama | Kind::Qwen2 | Kind::Qwen3 | Kind::Olmo2 => Vec::new(),
        }
    }

    fn express(&self, model: &ModelConfig) -> Result<Expressed, Vec<String>> {
        limits::express(self.0, model)
    }

    fn describe(&self, model: &ModelConfig, element: Element, special: &SpecialTokens) -> Value {
        description::describe(self.0, model, element, special)
    }
}

/// Writes zeros as f32.
fn zeros(count: usize, out: &mut dyn Write) -> io::Result<()> {
    (0..count).try_for_each(|_| out.write_all(&0_f32.to_le_bytes()))
}
