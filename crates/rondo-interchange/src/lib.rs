//! Import and export of models in the checkpoint layouts of other programs.
//!
//! ```text
//! DIR/config.json                      sizes and structure; `model_type` names the family
//! DIR/model.safetensors                all tensors, if they are in one file
//! DIR/model-*.safetensors              all tensors, if they are in several files
//! DIR/model.safetensors.index.json     the file name of each tensor, if there are several files
//! ```
//!
//! In reading order:
//!
//! | module | what it holds |
//! |---|---|
//! | [`layout`](Counterpart) | what a family defines: settings, names, shapes and permutations |
//! | [`family`](Family) | the families, and the choice of one by `config.json` |
//! | `raven` | the layout of the reference implementation |
//! | `llama` | the layouts of Llama, Qwen2, Qwen3, OLMo 2 and Ouro |
//! | `keys` | typed reading of the keys of `config.json` |
//! | `settings` | converts `config.json` to [`ModelConfig`](rondo_model::config::ModelConfig) |
//! | [`special`](SpecialTokens) | the ids of the tokens that begin a text and stop generation |
//! | `archive` | an index of the tensors in a folder, built without reading a tensor |
//! | [`element`](Element) | f32, bf16 and f16 as bytes |
//! | `copying` | the copy of one tensor from a file to a stream, with conversions |
//! | [`vanished`](Vanished) | weights that become 0 in 16 bits |
//! | [`import`](Import), [`export`](Export) | the two directions |
//! | [`tying`](Tying), [`looping`](Looping), `low_rank` | conversion of a stack into a loop |
//! | [`error`](InterchangeError) | the errors, with their file and tensor or key |
//!
//! To add a family, write a file beside `raven.rs` that implements `Layout`, and add a variant to
//! [`Family`]. A family that splits a parameter in another way needs a variant of [`Counterpart`].
//! If a layout cannot express a model, `Layout::express` returns the reasons and the export fails.
//!
//! Limits: the crate uses no Burn tensor and no device, because numbers are copied from file to
//! file. The crate uses no training, no run directory, no tokenizer and no terminal. An import or
//! export holds at most one parameter in memory. The conversion of a stack into a loop also holds
//! the same parameter of all layers that share weights, and the low-rank pairs of one matrix.
//!
//! Only `raven` and `llama` contain the names of tensors in files and the keys of `config.json`.
//! The exceptions are `model_type` and the keys of the special tokens, which are the same in all
//! families.

mod archive;
mod copying;
mod element;
mod error;
mod export;
mod family;
mod import;
mod keys;
mod layout;
mod llama;
mod looping;
mod low_rank;
mod raven;
mod settings;
mod special;
mod tying;
mod vanished;

pub use element::Element;
pub use error::InterchangeError;
pub use export::{Export, plain};
pub use family::Family;
pub use import::Import;
pub use layout::{Counterpart, Stored};
pub use looping::Looping;
pub use special::{Ids, SpecialTokens};
pub use tying::{Group, Shares, Start, Tying};
pub use vanished::Vanished;
