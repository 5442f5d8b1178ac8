//! Models in the checkpoint layouts of other programs: read into ours, written from ours.
//!
//! ```text
//! DIR/config.json                      sizes and structure; `model_type` names the family
//! DIR/model.safetensors                every tensor, or
//! DIR/model.safetensors.index.json     which of model-*.safetensors holds which
//! ```
//!
//! In reading order:
//!
//! | module | what it holds |
//! |---|---|
//! | [`layout`](Counterpart) | what a family defines: settings, names, shapes and permutations |
//! | [`family`](Family) | the families, and which of them a `config.json` is of |
//! | `raven` | the layout of the reference implementation |
//! | `llama` | the layouts of Llama, Qwen2, Qwen3, OLMo 2 and Ouro |
//! | `keys` | typed reading of the keys of `config.json` |
//! | `settings` | `config.json` to [`ModelConfig`](rondo_model::config::ModelConfig) |
//! | [`special`](SpecialTokens) | where a text begins and generation stops |
//! | `archive` | the tensors of a folder, found without reading them |
//! | [`element`](Element) | f32, bf16 and f16 as bytes |
//! | `copying` | one tensor from file to stream, converted, transposed and checked |
//! | [`vanished`](Vanished) | weights that become 0 in 16 bits |
//! | [`import`](Import), [`export`](Export) | the two directions |
//! | [`tying`](Tying), [`looping`](Looping), `low_rank` | a stack that becomes a loop: which layers share what, and what each iteration has beyond it |
//! | [`error`](InterchangeError) | what can be wrong, by file and tensor or key |
//!
//! To add a family, write a file beside `raven.rs` that implements `Layout`, and a variant of
//! [`Family`]. A family that stores a parameter in another way (as several tensors with rows of
//! both, say) needs a variant of [`Counterpart`]. A layout that cannot be written gives its reason in `Layout::express`.
//!
//! Absences: no burn tensor and no device (numbers go from file to file), no training, no run
//! directory, no tokenizer, no terminal. No parameter but the one being copied is in memory, and those of the
//! layers that share it where a stack becomes a loop. Only
//! `raven` and `llama` know the names of stored tensors and of keys, except `model_type` and the special tokens,
//! which all families name alike.

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
