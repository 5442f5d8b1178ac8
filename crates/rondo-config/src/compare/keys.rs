//! Lists every key of a schema.

use serde_json::Value as Json;

use super::form::resolve;
use crate::path::dotted;

/// The maximum nesting of listed sections, so that the list of a recursive type ends.
const DEEPEST: usize = 8;

/// The dotted keys of all values outside arrays. The keys of optional sections are included.
#[derive(Default)]
pub(super) struct Keys {
    /// The keys that do not depend on a `kind`.
    pub(super) of_all: Vec<String>,
    /// The keys that only some variants have, once for each variant.
    pub(super) of_variants: Vec<String>,
}

impl Keys {
    /// Lists the keys of a schema.
    pub(super) fn of(root: &Json) -> Self {
        let mut keys = Self::default();
        keys.collect(root, root, &mut Vec::new(), false);
        keys
    }

    fn collect(&mut self, schema: &Json, root: &Json, path: &mut Vec<String>, in_variant: bool) {
        let schema = resolve(schema, root);
        let variants = schema["oneOf"].as_array().into_iter().flatten();
        let variants = variants.map(|variant| (resolve(variant, root), true));
        let tables = std::iter::once((schema, in_variant)).chain(variants);
        let mut is_section = false;
        for (table, in_variant) in tables {
            for (key, schema) in table["properties"].as_object().into_iter().flatten() {
                is_section = true;
                if path.len() < DEEPEST {
                    path.push(key.clone());
                    self.collect(schema, root, path, in_variant);
                    path.pop();
                }
            }
        }
        match (is_section, in_variant) {
            (true, _) => {}
            (false, true) => self.of_variants.push(dotted(path)),
            (false, false) => self.of_all.push(dotted(path)),
        }
    }
}
