//! The checkpoint layout of the reference implementation, seal-rg/recurrent-pretraining, whose
//! models are of Hugging Face's type `huginn_raven` (Geiping et al. 2025, arXiv 2502.05171).
//!
//! ```text
//! DIR/config.json                      sizes and structure
//! DIR/model.safetensors                every tensor, or
//! DIR/model.safetensors.index.json     which of model-*.safetensors holds which
//! ```
//!
//! A matrix is `[out, in]` there and `[in, out]` here; the two layouts hold the same numbers, so
//! that an import, an export and an import again are bitwise the same.
//!
//! In reading order:
//!
//! | module | what it holds |
//! |---|---|
//! | [`names`](Counterpart) | the name, shape and transposition of each parameter |
//! | `keys` | what each key of `config.json` means, and which values it may have |
//! | `settings` | `config.json` to [`ModelConfig`](rondo_model::config::ModelConfig) |
//! | [`special`](SpecialTokens) | where a text begins and generation stops |
//! | `description` | the way back, and what the layout cannot express |
//! | `archive` | the tensors of a folder, found without reading them |
//! | `element` | f32, bf16 and f16 as bytes |
//! | `copying` | one tensor from file to stream, converted, transposed and checked |
//! | `rotary` | the rotary tables, which exports hold |
//! | [`vanished`](Vanished) | weights that become 0 in 16 bits |
//! | [`import`](Import), [`export`](Export) | the two directions |
//! | [`error`](ReferenceError) | what can be wrong, by file and tensor or key |
//!
//! Absences: no burn tensor and no device (numbers go from file to file), no training, no run
//! directory, no tokenizer, no terminal. No tensor but the one being copied is in memory.

mod archive;
mod copying;
mod description;
mod element;
mod error;
mod export;
mod import;
mod keys;
mod names;
mod rotary;
mod settings;
mod special;
mod vanished;

pub use element::Element;
pub use error::ReferenceError;
pub use export::{Export, plain};
pub use import::Import;
pub use names::{Counterpart, counterpart};
pub use special::{Ids, SpecialTokens};
pub use vanished::Vanished;
