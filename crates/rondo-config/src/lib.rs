//! Strict TOML: every violation at once, with key path, line and a suggestion.
//!
//! A [`Document`] is parsed text in which every key remembers where it came from. Overrides from
//! the command line are laid over it. It is compared with the JSON Schema of the type that it is read
//! as, and what fits is read by `serde` and checked by the type's own rules, so that one
//! [`Violations`] names everything that is wrong.
//!
//! ```
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Train {
//!     steps: u64,
//! }
//!
//! let mut document = rondo_config::Document::parse("run.toml", "steps = 10\nsed = 1").unwrap();
//! document.set("steps=many");
//! let violations = document.read::<Train>().err().unwrap();
//! assert_eq!(violations.len(), 2);
//! ```
//!
//! The modules in reading order:
//!
//! * [`violation`]: what is wrong, where, and how it is printed
//! * `value`: the tree of values with origins
//! * [`path`]: dotted keys
//! * [`document`]: from text to the tree
//! * `overrides`: `key=value` from the command line
//! * `layers`: a document over another, and keys that are unset
//! * `schema`: the JSON Schema of a type
//! * [`mod@reference`]: every key of a type with its meaning, default and range
//! * `compare`: a document against a schema
//! * `read`: from the tree to a checked value
//! * [`report`]: how a section's rules report what breaks them, and the rules that many sections share
//! * `suggest`: the nearest known word
//! * [`mod@print`]: the resolved configuration as text, and how two of them differ
//!
//! # Absences
//!
//! This crate knows no trainer, opens no file, reads no environment and prints nothing. It has one
//! convention: the key `kind` names the variant of an internally tagged enum. TOML dates are not
//! values here; they are reported as a wrong type.

mod compare;
pub mod document;
mod layers;
mod overrides;
pub mod path;
pub mod print;
mod read;
pub mod reference;
pub mod report;
mod schema;
mod suggest;
#[cfg(test)]
mod tests;
mod value;
pub mod violation;

pub use document::Document;
pub use print::{Difference, PrintError, difference, flatten, to_toml};
pub use read::Check;
pub use report::Report;
pub use schema::schema;
pub use suggest::nearest;
pub use violation::{Origin, Violation, Violations};

/// The key that names the variant of an internally tagged enum.
pub const TAG: &str = "kind";
