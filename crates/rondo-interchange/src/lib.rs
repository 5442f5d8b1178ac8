//! Import and export of models in the checkpoint layouts of other programs.
//!
//! ```text
//! DIR/config.json                      sizes and structure; `model_type` names the family
//! DIR/model.safetensors                every tensor, or
//! DIR/model.safetensors.index.json     the model-*.safetensors file of each tensor
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
//! | `archive` | an index of a folder's tensors; building it reads no tensor |
//! | [`element`](Element) | f32, bf16 and f16 as bytes |
//! | `copying` | the copy of one tensor from a file to a stream, with conversions |
//! | [`vanished`](Vanished) | weights that become 0 in 16 bits |
//! | [`import`](Import), [`export`](Export) | the two directions |
//! | [`tying`](Tying), [`looping`](Looping), `low_rank` | conversion of a stack into a loop |
//! | [`error`](InterchangeError) | the errors, with their file and tensor or key |
//!
//! To add a family, write a file beside `raven.rs` that implements `Layout`, and add a variant to
//! [`Family`]. A family that splits a parameter in another way needs a variant of [`Counterpart`].
//! A layout that cannot be written returns its reason from `Layout::express`.
//!
//! Limits: the crate uses no Burn tensor and no device (numbers go from file to file), no training,
//! no run directory, no tokenizer and no terminal. Memory holds only the parameter that is being
//! copied; when a stack becomes a loop, it also holds that parameter of the layers that share it.
//! Only `raven` and `llama` contain names of stored tensors and of keys. Exceptions are
//! `model_type` and the special tokens, whose names are the same in all families.

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
