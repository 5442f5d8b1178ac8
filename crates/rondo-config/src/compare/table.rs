//! Compares tables: selects the variant by its tag, and checks the allowed and the required keys.

use serde_json::Value as Json;

use super::form::Form;
use super::keys::Keys;
use super::{ANYTHING, Comparison};
use crate::TAG;
use crate::path::{self, dotted};
use crate::suggest;
use crate::value::{Table, Value};

/// The message about a missing required key.
const REQUIRED: &str = "a value is required";

impl<'s> Comparison<'s> {
    /// Compares a table with the variant that its tag selects.
    pub(super) fn variant(&mut self, variants: &'s [Json], table: &mut Table) -> bool {
        let kinds: Vec<&str> = variants.iter().filter_map(kind).collect();
        let mut chosen = None;
        self.path.push(TAG.to_owned());
        match table.get(TAG).map(|node| &node.value) {
            None => {
                self.report(REQUIRED.to_owned(), None);
            }
            Some(Value::String(word)) if self.word(word, &kinds) => {
                chosen = variants.iter().find(|one| kind(one) == Some(word.as_str()));
            }
            Some(Value::String(_)) => {}
            Some(other) => {
                self.wrong_type(&Form::Word(kinds), other);
            }
        }
        self.path.pop();
        chosen.is_some_and(|variant| self.table(variant, variants, table))
    }

    /// Compares the keys of a table and their values. `variants` are all variants of the table, so
    /// that the message about an unknown key can name other variants that have this key.
    pub(super) fn table(
        &mut self,
        schema: &'s Json,
        variants: &'s [Json],
        table: &mut Table,
    ) -> bool {
        let written = table.len();
        let mut meant = Vec::new();
        table.retain(|key, node| {
            self.path.push(key.clone());
            let others = schema.get("additionalProperties").unwrap_or(&ANYTHING);
            let own = schema["properties"].get(key).unwrap_or(others);
            let fits = match own {
                Json::Bool(false) => {
                    meant.extend(self.unknown_key(key, schema, variants));
                    false
                }
                own => self.schema(own, &mut node.value),
            };
            if !fits {
                self.left_out.insert(self.path.clone());
            }
            self.path.pop();
            fits
        });
        for key in meant.into_iter().filter(|key| !table.contains_key(key)) {
            self.left_out.insert([&self.path[..], &[key]].concat());
        }
        self.is_whole(schema, written, table)
    }

    /// Reports missing required keys, and returns whether the table has all required keys.
    fn is_whole(&mut self, schema: &Json, written: usize, table: &Table) -> bool {
        let required = schema["required"].as_array().into_iter().flatten();
        let missing = required
            .filter_map(Json::as_str)
            .filter(|key| !table.contains_key(*key));
        let mut is_whole = true;
        for key in missing {
            is_whole = false;
            self.path.push(key.to_owned());
            if !self.left_out.contains(&self.path) {
                self.report(REQUIRED.to_owned(), None);
            }
            self.path.pop();
        }
        if schema["maxProperties"] == 1 && table.len() != 1 {
            is_whole = false;
            if table.len() > 1 || written == 0 {
                let listed = properties(schema).collect::<Vec<_>>().join(", ");
                self.report(format!("give one of {listed}"), None);
            }
        }
        is_whole
    }

    /// Reports an unknown key and returns the sibling key that was probably meant.
    fn unknown_key(&mut self, key: &str, schema: &Json, variants: &[Json]) -> Option<String> {
        if self.is_full() {
            return None;
        }
        let written = dotted(&self.path);
        if let Some(here) = (self.document.alias)(&written).filter(|here| *here != written) {
            self.report(format!("unknown key; here it is `{here}`"), None);
            // The check's findings about that key are consequences of this violation.
            self.left_out.extend(path::parse(here));
            return None;
        }
        let owners: Vec<String> = variants
            .iter()
            .filter(|variant| variant["properties"].get(key).is_some())
            .filter_map(kind)
            .map(|kind| format!("{TAG} = \"{kind}\""))
            .collect();
        if let (Some(kind), [_, ..]) = (kind(schema), &owners[..]) {
            let owners = owners.join(", ");
            let message = format!("unknown key of {TAG} = \"{kind}\" (a key of {owners})");
            self.report(message, None);
            return None;
        }
        let siblings: Vec<&str> = properties(schema)
            .filter(|key| variants.is_empty() || *key != TAG)
            .collect();
        let meant = suggest::nearest(key, siblings.iter().copied());
        let message = match meant.is_some() || siblings.is_empty() {
            true => "unknown key".to_owned(),
            false => format!("unknown key (known here: {})", siblings.join(", ")),
        };
        let elsewhere = || {
            let keys = Keys::of(self.root);
            let find = |known: &[String]| suggest::elsewhere(key, known);
            let found = find(&keys.of_all).or_else(|| find(&keys.of_variants));
            found.filter(|other| *other != dotted(&self.path))
        };
        let suggestion = meant.clone().or_else(elsewhere);
        self.report(message, suggestion);
        meant
    }
}

/// Returns the value of the tag that selects a variant.
fn kind(variant: &Json) -> Option<&str> {
    variant["properties"][TAG]["const"].as_str()
}

/// Returns the keys that a table may have, except deprecated keys.
fn properties(schema: &Json) -> impl Iterator<Item = &str> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .filter(|(_, own)| own["deprecated"] != true)
        .map(|(key, _)| key.as_str())
}
