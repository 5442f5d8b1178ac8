//! Overrides from the command line: `model.recurrence.mean=16`.

use std::slice;

use toml::de::DeValue;

use crate::TAG;
use crate::document::{Document, MAX_DEPTH, value, with_deep_stack};
use crate::path;
use crate::value::{Node, Table, Value};
use crate::violation::{Origin, Violation};

/// The word that removes a key. TOML has no null value.
const NOTHING: &str = "null";

impl Document {
    /// Applies the assignment `a.b.c=value` on top of earlier values.
    ///
    /// The value is read as TOML. Text that is not TOML is a string, so `device.kind=flex` needs no
    /// quotes. The bare word `null` removes a key. Missing tables are created, and an element of an
    /// array is addressed by its index.
    ///
    /// If an override changes `kind`, the table may have other keys than before. The table's other
    /// keys from the file belong to the old variant and are dropped; keys set by overrides stay.
    /// The dotted names of the dropped keys are returned, so that the caller can report them. In
    /// tables given to [`Document::with_plain_tables`], `kind` is an ordinary key and all keys
    /// stay.
    ///
    /// A bad assignment is recorded; [`Document::read`] reports it with all other violations.
    pub fn set(&mut self, assignment: &str) -> Vec<String> {
        match self.assign(assignment) {
            Ok(dropped) => dropped,
            Err(violation) => {
                self.problems.push(violation);
                Vec::new()
            }
        }
    }

    fn assign(&mut self, assignment: &str) -> Result<Vec<String>, Violation> {
        let origin = Origin::Override {
            text: assignment.to_owned(),
        };
        let refuse = |key: &str, message: String| Violation {
            key: key.to_owned(),
            origin: origin.clone(),
            message,
            suggestion: None,
        };
        let Some((key, text)) = assignment.split_once('=') else {
            return Err(refuse("", "expected key=value".to_owned()));
        };
        let (key, text) = (key.trim(), text.trim());
        let Some(keys) = path::parse(key) else {
            return Err(refuse(
                "",
                "the part before `=` is not a dotted key".to_owned(),
            ));
        };
        if text.is_empty() {
            return Err(refuse(key, "nothing follows `=`".to_owned()));
        }
        if keys.len() > MAX_DEPTH {
            return Err(refuse(
                key,
                format!("nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        if text == NOTHING {
            if !self.remove(&keys) {
                return Err(refuse(key, "it is not set".to_owned()));
            }
            self.unset.push(path::dotted(&keys));
            return Ok(Vec::new());
        }
        let value = with_deep_stack(|| match DeValue::parse(text) {
            Ok(parsed) => value(&parsed, &|_| origin.clone(), keys.len()),
            Err(_) => Ok(Value::String(text.to_owned())),
        })?;

        let dropped = self.leave_variant(&keys, &value);
        let place = make_place(&mut self.root, &keys, &origin);
        let place = place.map_err(|message| refuse(key, message))?;
        *place = Node { value, origin };
        Ok(dropped)
    }

    /// If an assignment to `kind` replaces a variant, drops the file's keys of the old variant and
    /// returns them.
    fn leave_variant(&mut self, keys: &[String], value: &Value) -> Vec<String> {
        let (Some((tag, parent)), Value::String(kind)) = (keys.split_last(), value) else {
            return Vec::new();
        };
        if tag != TAG || self.plain.contains(&path::dotted(parent)) {
            return Vec::new();
        }
        match self.root.get_mut(parent).map(|node| &mut node.value) {
            Some(Value::Table(table)) => change_kind(table, kind, parent),
            _ => Vec::new(),
        }
    }
}

/// Returns the node of a dotted key, and creates missing tables on the way. If another value stands
/// on the way, returns a message about that value.
fn make_place<'a>(
    root: &'a mut Node,
    keys: &[String],
    origin: &Origin,
) -> Result<&'a mut Node, String> {
    let mut place = root;
    for (depth, name) in keys.iter().enumerate() {
        let parent = || path::dotted(&keys[..depth]);
        place = match &mut place.value {
            Value::Table(table) => table.entry(name.clone()).or_insert_with(|| Node {
                value: Value::Table(Table::new()),
                origin: origin.clone(),
            }),
            Value::Array(nodes) => {
                let length = nodes.len();
                let index = name.parse::<usize>().ok();
                let node = index.and_then(|index| nodes.get_mut(index));
                node.ok_or_else(|| format!("{} has {length} elements, counted from 0", parent()))?
            }
            scalar => {
                let found = scalar.describe();
                return Err(format!("{} is {found}, not a table", parent()));
            }
        };
    }
    Ok(place)
}

/// Drops the file's keys of a table whose `kind` changes to `kind`; returns the dropped keys.
fn change_kind(table: &mut Table, kind: &str, parent: &[String]) -> Vec<String> {
    let mut dropped = Vec::new();
    if let Some(Node {
        value: Value::String(before),
        ..
    }) = table.get(TAG)
        && before != kind
    {
        keep_overrides(table, parent, &mut dropped);
        let tag = path::dotted(&[parent, &[TAG.to_owned()]].concat());
        dropped.retain(|key| *key != tag);
    }
    dropped
}

/// Drops all keys except the keys that overrides have set, and the tables that contain these keys.
fn keep_overrides(table: &mut Table, parent: &[String], dropped: &mut Vec<String>) {
    table.retain(|key, node| {
        let path = [parent, slice::from_ref(key)].concat();
        if matches!(node.origin, Origin::Override { .. }) {
            return true;
        }
        if let Value::Table(inner) = &mut node.value {
            keep_overrides(inner, &path, dropped);
            if !inner.is_empty() {
                return true;
            }
        }
        dropped.push(path::dotted(&path));
        false
    });
}
