//! The tree of values. Every node has an origin.

use std::collections::BTreeMap;
use std::fmt;

use crate::path::quoted_key;
use crate::violation::Origin;

/// How many characters of a long string a message shows.
const SHOWN: usize = 40;

/// The entries of a table, sorted by key, so that no result depends on their order in the file.
pub(crate) type Table = BTreeMap<String, Node>;

/// A value and its origin.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// One TOML value.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    String(String),
    /// A number within the combined range of `i64` and `u64`.
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Array(Vec<Node>),
    Table(Table),
    /// A date, or a number outside the ranges of `i64`, `u64` and `f64`. The text describes the
    /// value in messages; the value itself cannot be used.
    Unreadable(String),
}

impl Node {
    /// Returns the node at a path of keys and array indices.
    pub(crate) fn get(&self, path: &[String]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| match &node.value {
            Value::Table(table) => table.get(key),
            Value::Array(nodes) => nodes.get(key.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Returns the node at a path, mutably.
    pub(crate) fn get_mut(&mut self, path: &[String]) -> Option<&mut Node> {
        path.iter()
            .try_fold(self, |node, key| match &mut node.value {
                Value::Table(table) => table.get_mut(key),
                Value::Array(nodes) => nodes.get_mut(key.parse::<usize>().ok()?),
                _ => None,
            })
    }

    /// Returns the direct children, each with its key or index.
    pub(crate) fn children(&self) -> Vec<(String, &Node)> {
        match &self.value {
            Value::Table(table) => table
                .iter()
                .map(|(key, node)| (key.clone(), node))
                .collect(),
            Value::Array(nodes) => nodes
                .iter()
                .enumerate()
                .map(|(index, node)| (index.to_string(), node))
                .collect(),
            _ => Vec::new(),
        }
    }
}

impl Value {
    /// Describes the value in a message: `the string "many"`, `3`, `a table`.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::String(text) if text.chars().count() > SHOWN => {
                let shown: String = text.chars().take(SHOWN).collect();
                format!("the string {}...", Self::String(shown))
            }
            Self::String(_) => format!("the string {self}"),
            Self::Array(_) => "an array".to_owned(),
            Self::Table(_) => "a table".to_owned(),
            _ => self.to_string(),
        }
    }
}

/// Writes the value as TOML on one line.
impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => write!(out, "{}", toml::Value::from(text.as_str())),
            Self::Integer(number) => write!(out, "{number}"),
            Self::Float(number) => write!(out, "{}", toml::Value::from(*number)),
            Self::Boolean(truth) => write!(out, "{truth}"),
            Self::Array(nodes) => {
                let items: Vec<String> = nodes.iter().map(|node| node.value.to_string()).collect();
                write!(out, "[{}]", items.join(", "))
            }
            Self::Table(table) if table.is_empty() => out.write_str("{}"),
            Self::Table(table) => {
                let entry =
                    |(key, node): (&String, &Node)| format!("{} = {}", quoted_key(key), node.value);
                let entries: Vec<String> = table.iter().map(entry).collect();
                write!(out, "{{ {} }}", entries.join(", "))
            }
            Self::Unreadable(words) => out.write_str(words),
        }
    }
}
