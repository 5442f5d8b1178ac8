//! Strict TOML: all violations are reported at once, with key path, line and a suggestion.
//!
//! A [`Document`] is parsed text in which every key has its origin. Overrides from the command line
//! are applied on top. The document is then compared with the JSON Schema of the type that is read
//! from it. The parts that fit the schema are read by `serde` and checked by the type's own rules,
//! so that one [`Violations`] lists every problem.
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
//! * [`violation`]: a problem, its place, and its printed form
//! * `value`: the tree of values with origins
//! * [`path`]: dotted keys
//! * [`document`]: converts text to the tree
//! * `overrides`: `key=value` assignments from the command line
//! * `layers`: puts one document on top of another, and removes keys
//! * `schema`: the JSON Schema of a type
//! * [`mod@reference`]: every key of a type with its meaning, default and range
//! * `compare`: compares a document with a schema
//! * `read`: converts the tree to a checked value
//! * [`report`]: how the rules of a section report violations, and rules that many sections share
//! * `suggest`: the nearest known word
//! * [`mod@print`]: the resolved configuration as text, and the differences of two configurations
//!
//! # Limits
//!
//! This crate reads no files and no environment variables, and writes no output. It does not depend
//! on the trainer. It has one convention: the key `kind` selects the variant of an internally
//! tagged enum. TOML dates are not supported; they are reported as values of a wrong type.

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
