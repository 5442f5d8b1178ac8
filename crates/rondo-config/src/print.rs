//! Prints the resolved configuration as text, and compares two configurations.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use thiserror::Error;

use crate::document::Document;
use crate::path;
use crate::value::{Node, Value};
use crate::violation::Violations;

/// Why a value cannot be written as a configuration.
#[derive(Debug, Error)]
pub enum PrintError {
    /// TOML cannot express the value.
    #[error("the configuration cannot be written as TOML")]
    NoForm(#[from] toml::ser::Error),
    /// The value was written as TOML, but this crate cannot read the result.
    #[error("the written configuration cannot be read back")]
    NotRead(#[from] Violations),
}

/// A key whose printed values differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The dotted key.
    pub key: String,
    /// The printed value on the left; `None` if the key is missing there.
    pub left: Option<String>,
    /// The printed value on the right; `None` if the key is missing there.
    pub right: Option<String>,
}

/// Writes a value as TOML that [`Document`] reads back to an equal value.
///
/// Fields keep their order, tables follow scalars, and `None` is omitted. Floats are written with
/// the fewest digits that read back to the same value. An `f32` is rounded twice when it is read
/// back, which changes about one value in 10⁹.
///
/// # Errors
/// Returns an error for values that TOML cannot express, such as a single number or array.
pub fn to_toml<T: Serialize>(value: &T) -> Result<String, PrintError> {
    Ok(toml::to_string(value)?)
}

/// Lists the leaves of a configuration: dotted key and printed value.
///
/// Arrays of tables are split into their leaves; other arrays and empty tables are leaves.
///
/// # Errors
/// Those of [`to_toml`]. Also returns an error if the value is nested deeper than a [`Document`]
/// allows.
pub fn flatten<T: Serialize>(value: &T) -> Result<BTreeMap<String, String>, PrintError> {
    Ok(Document::parse("the configuration", &to_toml(value)?)?.flatten())
}

/// Lists the keys in which two configurations differ, sorted.
///
/// # Errors
/// Those of [`flatten`].
pub fn difference<T: Serialize>(left: &T, right: &T) -> Result<Vec<Difference>, PrintError> {
    let (mut left, mut right) = (flatten(left)?, flatten(right)?);
    let keys: BTreeSet<String> = left.keys().chain(right.keys()).cloned().collect();
    let sides = keys.into_iter().map(|key| Difference {
        left: left.remove(&key),
        right: right.remove(&key),
        key,
    });
    Ok(sides.filter(|sides| sides.left != sides.right).collect())
}

impl Document {
    /// Lists the leaves of the document as [`flatten`] does.
    pub fn flatten(&self) -> BTreeMap<String, String> {
        let mut leaves = BTreeMap::new();
        collect_leaves(&self.root, &[], &mut leaves);
        leaves
    }
}

fn collect_leaves(node: &Node, path: &[String], leaves: &mut BTreeMap<String, String>) {
    let children = node.children();
    let of_tables = children
        .iter()
        .all(|(_, child)| matches!(child.value, Value::Table(_)));
    if children.is_empty() || (matches!(node.value, Value::Array(_)) && !of_tables) {
        if !path.is_empty() {
            leaves.insert(path::dotted(path), node.value.to_string());
        }
        return;
    }
    for (key, child) in children {
        collect_leaves(child, &[path, &[key]].concat(), leaves);
    }
}
