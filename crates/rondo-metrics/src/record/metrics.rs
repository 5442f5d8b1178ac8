//! The named values of a record, and their form in JSON: an object whose keys keep their order.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::RecordError;
use crate::names;
use crate::value::Value;

/// Named values in the order in which they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(Vec<(String, Value)>);

impl Metrics {
    /// Adds a value under a new name.
    pub(super) fn push(&mut self, name: String, value: Value) {
        self.0.push((name, value));
    }

    /// Returns the value under a name.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.iter()
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    /// Iterates over the names and values in the order in which they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Iterates over the depths `r` for which `name@r` exists, with the value at each depth.
    pub(super) fn per_depth(&self, name: &'static str) -> impl Iterator<Item = (usize, &Value)> {
        self.iter()
            .filter_map(move |(key, value)| match names::split_depth(key) {
                (base, Some(depth)) if base == name => Some((depth, value)),
                _ => None,
            })
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MetricsVisitor)
    }
}

struct MetricsVisitor;

impl<'de> Visitor<'de> for MetricsVisitor {
    type Value = Metrics;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of named values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metrics, A::Error> {
        let mut metrics = Metrics::default();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            metrics.0.push((name, value));
        }
        let mut names: Vec<&str> = metrics.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(de::Error::custom(RecordError::Duplicate {
                name: pair[0].to_owned(),
            })),
            None => Ok(metrics),
        }
    }
}
