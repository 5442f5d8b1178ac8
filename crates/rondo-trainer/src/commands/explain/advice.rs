//! Advice for each key: when to change it, the unit of its value, and the paper it comes from. The
//! advice is read from `advice.toml`.

use std::collections::BTreeMap;

use rondo_config::reference::Key;
use serde::Deserialize;

const TEXT: &str = include_str!("advice.toml");

/// The advice for a key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// When to change the key, and what the change costs.
    pub(super) when: String,
    /// The unit of the key's value.
    pub(super) unit: Option<String>,
    /// The paper that the key comes from.
    pub(super) source: Option<String>,
}

/// The advice for each key, by dotted key.
pub(super) struct Advice(BTreeMap<String, Entry>);

impl Advice {
    pub(super) fn new() -> Self {
        Self(toml::from_str(TEXT).expect("the file is part of the program, and a test reads it"))
    }

    /// Returns the advice for a key. For a section that selects a variant, it is the advice for
    /// `KEY.kind`.
    pub(super) fn of(&self, key: &Key) -> Option<&Entry> {
        let own = self.0.get(&key.path);
        own.or_else(|| self.0.get(&format!("{}.kind", key.path)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rondo_config::reference::keys;
    use rondo_sweep::SweepFile;
    use rondo_train::config::RunConfig;
    use rondo_train::config::file::FileHead;

    use super::*;

    fn all() -> Vec<Key> {
        [keys::<FileHead>(), keys::<RunConfig>(), keys::<SweepFile>()].concat()
    }

    #[test]
    fn every_key_has_a_meaning_and_an_entry() {
        let advice = Advice::new();
        let lacking: Vec<String> = all()
            .into_iter()
            .filter(|key| key.meaning.is_empty() || !(key.is_section || advice.of(key).is_some()))
            .map(|key| key.path)
            .collect();
        assert!(lacking.is_empty(), "{lacking:?}");
    }

    #[test]
    fn every_entry_is_of_a_key_and_its_texts_are_sentences() {
        let keys: BTreeSet<String> = all().into_iter().map(|key| key.path).collect();
        for (path, entry) in Advice::new().0 {
            let section = path.strip_suffix(".kind").unwrap_or(&path);
            assert!(keys.contains(&path) || keys.contains(section), "{path}");
            assert!(entry.when.ends_with('.'), "{path}: {}", entry.when);
        }
    }
}
