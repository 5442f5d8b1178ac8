//! Lists every key of a type with the contents of its schema, as `--help` does for arguments.

use schemars::JsonSchema;
use serde_json::Value as Json;

use crate::TAG;
use crate::compare::{Form, resolve};
use crate::schema::schema;

/// A key, or a section, of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The dotted key. `[]` follows an array of tables: `perturb[].at_step`.
    pub path: String,
    /// The variants that have the key, as assignments: `optimizer.kind = "muon"`. Empty if all
    /// variants have the key.
    pub variants: Vec<String>,
    /// What the key means: the documentation of its field.
    pub meaning: String,
    /// The form of a value: `a number`.
    pub form: String,
    /// The value that is used if the key is not written. `None` if the key is required, or if a
    /// missing key has a meaning of its own.
    pub default: Option<String>,
    /// Whether the key must be written.
    pub is_required: bool,
    /// The allowed values, as far as the schema contains them: `at least 1`.
    pub range: Option<String>,
    /// The words that the value, or its `kind`, may be, with their meanings.
    pub words: Vec<(String, String)>,
    /// Another key that has the same keys below it. Only that other key lists them.
    pub same_as: Option<String>,
    /// Whether the key has keys below it.
    pub is_section: bool,
}

/// Lists every key of a `T`, a section before its keys.
pub fn keys<T: JsonSchema>() -> Vec<Key> {
    let root = schema::<T>();
    let mut walk = Walk {
        root: &root,
        found: Vec::new(),
        open: Vec::new(),
    };
    walk.table(&root, "", None);
    walk.found
}

/// A walk through a schema.
struct Walk<'s> {
    root: &'s Json,
    found: Vec<Key>,
    /// The references that the walk has followed, each with the key at which it occurred first.
    open: Vec<(&'s str, String)>,
}

impl<'s> Walk<'s> {
    /// Lists the keys of a table. `variant` is the assignment that selects the table, if it is a
    /// variant.
    fn table(&mut self, schema: &'s Json, path: &str, variant: Option<&str>) {
        for (name, own) in schema["properties"].as_object().into_iter().flatten() {
            if name == TAG && own.get("const").is_some() {
                continue;
            }
            let path = match path.is_empty() {
                true => name.clone(),
                false => format!("{path}.{name}"),
            };
            let is_required = schema["required"]
                .as_array()
                .is_some_and(|keys| keys.iter().any(|key| key == name));
            self.key(own, path, variant, is_required);
        }
    }

    fn key(&mut self, own: &'s Json, path: String, variant: Option<&str>, is_required: bool) {
        let target = resolve(own, self.root);
        let form = Form::of(own, self.root);
        let (inner, path) = match &form {
            Form::Array(array) => match array.get("items") {
                Some(items) if is_table(&Form::of(items, self.root)) => {
                    (items, format!("{path}[]"))
                }
                _ => (own, path),
            },
            _ => (own, path),
        };
        let inner_form = Form::of(inner, self.root);
        let key = Key {
            variants: variant.map(str::to_owned).into_iter().collect(),
            meaning: text(own).or_else(|| text(target)).unwrap_or_default(),
            form: form.describe(),
            default: own.get("default").filter(|it| !it.is_object()).map(written),
            is_required,
            range: range(own).or_else(|| range(target)),
            words: words([target, resolve(inner, self.root)], self.root),
            same_as: None,
            is_section: is_table(&inner_form),
            path,
        };
        let Some(place) = self.list(key) else {
            return;
        };
        if let Form::Choice { forms, .. } = &inner_form {
            // The value is either a word or a table with further keys.
            let path = self.found[place].path.clone();
            for form in forms {
                if let Form::Variant(variants) = form {
                    self.variants(variants, &path);
                }
            }
        }
        if !self.found[place].is_section {
            return;
        }
        let path = self.found[place].path.clone();
        if let Some(name) = inner["$ref"].as_str() {
            let met = self
                .open
                .iter()
                .find(|(known, at)| *known == name && *at != path);
            if let Some((_, at)) = met {
                self.found[place].same_as = Some(at.clone());
                return;
            }
            self.open.push((name, path.clone()));
        }
        match inner_form {
            Form::Table(table) => self.table(table, &path, None),
            Form::Variant(variants) => self.variants(variants, &path),
            _ => {}
        }
    }

    /// Lists the keys of each variant of a table.
    fn variants(&mut self, variants: &'s [Json], path: &str) {
        for one in variants {
            let one = resolve(one, self.root);
            let kind = one["properties"][TAG]["const"].as_str().unwrap_or_default();
            self.table(one, path, Some(&format!("{path}.{TAG} = \"{kind}\"")));
        }
    }

    /// Adds a key and returns its index. If a key with the same content exists, adds only the
    /// variants to that key and returns `None`.
    fn list(&mut self, key: Key) -> Option<usize> {
        let known = self.found.iter_mut().find(|known| {
            known.path == key.path && known.meaning == key.meaning && known.default == key.default
        });
        if let Some(known) = known {
            known.variants.extend(key.variants);
            return None;
        }
        self.found.push(key);
        Some(self.found.len() - 1)
    }
}

fn is_table(form: &Form<'_>) -> bool {
    matches!(form, Form::Table(_) | Form::Variant(_))
}

fn text(schema: &Json) -> Option<String> {
    schema["description"].as_str().map(unbroken)
}

/// Joins the lines of each paragraph; paragraphs stay separate.
fn unbroken(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|one| one.replace('\n', " "));
    paragraphs.collect::<Vec<_>>().join("\n")
}

/// Writes a default value as TOML.
fn written(value: &Json) -> String {
    match value {
        Json::Array(values) => {
            let values: Vec<String> = values.iter().map(written).collect();
            format!("[{}]", values.join(", "))
        }
        Json::Number(number) if number.is_f64() => {
            let number = number.as_f64().unwrap_or_default();
            match number != 0.0 && !(1e-3..1e5).contains(&number.abs()) {
                true => format!("{number:e}"),
                false => format!("{number:?}"),
            }
        }
        other => other.to_string(),
    }
}

fn range(schema: &Json) -> Option<String> {
    let bound = |name: &str| schema.get(name).map(written);
    let low = match (bound("minimum"), bound("exclusiveMinimum")) {
        (_, Some(low)) => Some(format!("above {low}")),
        (Some(low), None) if low != "0" => Some(format!("at least {low}")),
        (_, None) => None,
    };
    let high = match (bound("maximum"), bound("exclusiveMaximum")) {
        (_, Some(high)) => Some(format!("below {high}")),
        (Some(high), None) => Some(format!("at most {high}")),
        (None, None) => None,
    };
    match (low, high) {
        (Some(low), Some(high)) => Some(format!("{low}, {high}")),
        (low, high) => low.or(high),
    }
}

/// Returns the words of an enumeration, or the kinds of a table, with their meanings.
fn words(schemas: [&Json; 2], root: &Json) -> Vec<(String, String)> {
    // If the value may be a word or a table, the first choice that lists words provides them.
    let either = |one: &Json| {
        let choices = one["anyOf"].as_array().into_iter().flatten();
        let mut choices = choices.map(|choice| resolve(choice, root));
        choices.find_map(|choice| choice["oneOf"].as_array().cloned())
    };
    let choices = schemas
        .into_iter()
        .find_map(|one| one["oneOf"].as_array().cloned().or_else(|| either(one)));
    let named = choices.into_iter().flatten().filter_map(|choice| {
        let word = choice["const"].as_str();
        let word = word.or_else(|| choice["properties"][TAG]["const"].as_str())?;
        Some((word.to_owned(), text(&choice).unwrap_or_default()))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cooking recipe.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Recipe {
        /// Minutes in the oven.
        #[schemars(range(min = 1, max = 90))]
        #[serde(default = "half_an_hour")]
        minutes: u8,
        /// How it is heated.
        heat: Heat,
        /// What comes
        /// beside it.
        sides: Option<Vec<Side>>,
    }

    fn half_an_hour() -> u8 {
        30
    }

    #[derive(JsonSchema)]
    #[serde(tag = "kind", rename_all = "kebab-case")]
    #[expect(dead_code, reason = "only its schema is looked at")]
    enum Heat {
        /// By gas.
        Gas {
            /// The mark.
            level: u8,
        },
        /// By electricity.
        Electric {
            /// The mark.
            level: u8,
            /// Whether air moves.
            fan: bool,
        },
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Side {
        /// Its own heat.
        heat: Heat,
    }

    fn key<'k>(keys: &'k [Key], path: &str) -> &'k Key {
        keys.iter().find(|key| key.path == path).expect(path)
    }

    #[test]
    fn every_key_has_its_meaning_default_and_range() {
        let keys = keys::<Recipe>();
        let minutes = key(&keys, "minutes");
        assert_eq!(minutes.meaning, "Minutes in the oven.");
        assert_eq!(minutes.default.as_deref(), Some("30"));
        assert_eq!(minutes.range.as_deref(), Some("at least 1, at most 90"));
        assert!(!minutes.is_required);
        assert!(key(&keys, "heat").is_required);
        assert_eq!(key(&keys, "sides[]").meaning, "What comes beside it.");
    }

    #[test]
    fn keys_of_variants_name_them_and_those_of_all_are_listed_once() {
        let keys = keys::<Recipe>();
        let level = key(&keys, "heat.level");
        assert_eq!(
            level.variants,
            ["heat.kind = \"gas\"", "heat.kind = \"electric\""]
        );
        assert_eq!(
            key(&keys, "heat.fan").variants,
            ["heat.kind = \"electric\""]
        );
        let kinds: Vec<&str> = key(&keys, "heat")
            .words
            .iter()
            .map(|(word, _)| word.as_str())
            .collect();
        assert_eq!(kinds, ["gas", "electric"]);
        assert_eq!(
            keys.iter().filter(|key| key.path == "heat.level").count(),
            1
        );
    }

    #[test]
    fn a_section_of_a_type_that_was_listed_refers_to_it() {
        let keys = keys::<Recipe>();
        assert_eq!(key(&keys, "sides[].heat").same_as.as_deref(), Some("heat"));
        assert!(!keys.iter().any(|key| key.path == "sides[].heat.level"));
    }
}
