//! Puts one document on top of another, and removes keys.

use crate::TAG;
use crate::document::Document;
use crate::path;
use crate::value::{Node, Table, Value};
use crate::violation::Origin;

impl Document {
    /// Moves those of the given top-level keys that exist into a separate document.
    #[must_use]
    pub fn split_off(&mut self, keys: &[&str]) -> Self {
        let mut taken = Self {
            root: Node {
                value: Value::Table(Table::new()),
                origin: Origin::Missing,
            },
            problems: Vec::new(),
            ..self.clone()
        };
        if let (Value::Table(from), Value::Table(to)) =
            (&mut self.root.value, &mut taken.root.value)
        {
            let moved = keys.iter().filter_map(|key| from.remove_entry(*key));
            to.extend(moved);
        }
        taken
    }

    /// Puts the document on top of `base`: tables are merged, and every other value replaces the
    /// value of the base.
    ///
    /// If both tables have a `kind` and the kinds differ, the other keys of the base's table belong
    /// to the old variant and are dropped. In tables given to [`Document::with_plain_tables`], they
    /// stay. Messages about values of the base name the base's file.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        let Self {
            name,
            root: mut below,
            problems,
            ..
        } = base;
        mark(&mut below, &name);
        let mut layered = self;
        let above = std::mem::replace(
            &mut layered.root,
            Node {
                value: Value::Table(Table::new()),
                origin: Origin::Missing,
            },
        );
        layered.root = lay(above, below, &mut Vec::new(), &layered.plain);
        layered.problems.extend(problems);
        layered
    }

    /// Removes the value at a dotted key and returns whether it existed.
    pub fn unset(&mut self, key: &str) -> bool {
        path::parse(key).is_some_and(|keys| self.remove(&keys))
    }

    /// Removes the value at a path and returns whether it existed.
    pub(crate) fn remove(&mut self, keys: &[String]) -> bool {
        let Some((last, parent)) = keys.split_last() else {
            return false;
        };
        match self.root.get_mut(parent).map(|node| &mut node.value) {
            Some(Value::Table(table)) => table.remove(last).is_some(),
            _ => false,
        }
    }

    /// Records that the value of a key cannot be used; [`Document::read`] reports it with all other
    /// violations.
    pub fn refuse(&mut self, key: &str, message: String) {
        let violation = self.violation(key, message);
        self.problems.push(violation);
    }

    /// Returns the keys that overrides have removed.
    pub fn unset_keys(&self) -> &[String] {
        &self.unset
    }
}

/// Puts the node `above` on top of the node `below`.
fn lay(above: Node, below: Node, path: &mut Vec<String>, plain: &[String]) -> Node {
    let (Value::Table(above_table), Value::Table(mut below_table)) = (&above.value, below.value)
    else {
        return above;
    };
    let kind = |table: &Table| table.get(TAG).map(|node| node.value.to_string());
    let changes = match (kind(above_table), kind(&below_table)) {
        (Some(new), Some(old)) => new != old,
        _ => false,
    };
    if changes && !plain.contains(&path::dotted(path)) {
        return above;
    }
    let Node {
        value: Value::Table(above_table),
        origin,
    } = above
    else {
        unreachable!("it was a table above");
    };
    for (key, node) in above_table {
        let joined = match below_table.remove(&key) {
            Some(under) => {
                path.push(key.clone());
                let joined = lay(node, under, path, plain);
                path.pop();
                joined
            }
            None => node,
        };
        below_table.insert(key, joined);
    }
    Node {
        value: Value::Table(below_table),
        origin,
    }
}

/// Adds the name of the file to all origins inside a node.
fn mark(node: &mut Node, name: &str) {
    if let Origin::File { line } = node.origin {
        node.origin = Origin::Base {
            name: name.to_owned(),
            line,
        };
    }
    match &mut node.value {
        Value::Table(table) => table.values_mut().for_each(|inner| mark(inner, name)),
        Value::Array(nodes) => nodes.iter_mut().for_each(|inner| mark(inner, name)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, text: &str) -> Document {
        Document::parse(name, text).expect("TOML")
    }

    fn flat(document: &Document) -> Vec<String> {
        let leaves = document.flatten();
        leaves
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect()
    }

    #[test]
    fn a_document_replaces_values_of_its_base_and_keeps_the_rest() {
        let base = parse("base.toml", "a = 1\n[t]\nx = 1\ny = [1, 2]\n");
        let over = parse("over.toml", "[t]\ny = [3]\nz = 4\n").over(base);
        assert_eq!(flat(&over), ["a=1", "t.x=1", "t.y=[3]", "t.z=4"]);
    }

    #[test]
    fn another_kind_leaves_out_what_the_base_wrote_beside_its_own() {
        let base = parse(
            "base.toml",
            "[o]\nkind = 'adamw'\neps = 1e-9\n[device]\nkind = 'flex'\nthreads = 2\n",
        );
        let over = parse("over.toml", "[o]\nkind = 'muon'\n[device]\nkind = 'wgpu'\n")
            .with_plain_tables(&["device"])
            .over(base);
        assert_eq!(
            flat(&over),
            [
                "device.kind=\"wgpu\"",
                "device.threads=2",
                "o.kind=\"muon\""
            ]
        );
    }

    #[test]
    fn a_violation_in_the_base_names_its_file() {
        let base = parse("base.toml", "\nbad = 1\n");
        let over = parse("over.toml", "a = 1\n").over(base);
        assert_eq!(
            over.violation("bad", "unknown key".to_owned()).origin,
            Origin::Base {
                name: "base.toml".to_owned(),
                line: 2
            }
        );
    }

    #[test]
    fn null_unsets_a_key_and_refuses_one_that_is_not_set() {
        let mut document = parse("a.toml", "[train]\nsteps = 5\n");
        document.set("train.steps=null");
        document.set("train.tokens=9");
        assert_eq!(flat(&document), ["train.tokens=9"]);
        assert_eq!(document.unset_keys(), ["train.steps"]);
        document.set("train.steps=null");
        let told = document.table().expect_err("nothing to unset").to_string();
        assert!(told.contains("train.steps=null: it is not set"), "{told}");
    }

    #[test]
    fn keys_at_the_top_are_split_off() {
        let mut document = parse("a.toml", "base = 'b.toml'\nx = 1\n");
        let head = document.split_off(&["base", "unset"]);
        assert_eq!(flat(&head), ["base=\"b.toml\""]);
        assert_eq!(flat(&document), ["x=1"]);
    }
}
