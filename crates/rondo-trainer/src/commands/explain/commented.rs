//! Prints a resolved configuration with a comment above each key that states the meaning of the
//! key. A list of the keys that are not set is added.

use std::collections::{BTreeMap, BTreeSet};

use rondo_config::TAG;
use rondo_config::reference::{Key, keys};
use rondo_train::config::RunConfig;

use super::paragraph::paragraph;

/// Adds comments to `text`, a printed configuration.
pub(crate) fn commented(text: &str) -> String {
    let keys = keys::<RunConfig>();
    let written = Written::of(text);
    let mut lines = vec!["# `trainer explain KEY` says when to change a key.".to_owned()];
    let mut section = String::new();
    for line in text.lines() {
        if let Some(header) = header(line) {
            lines.extend(not_set(&keys, &section, &written));
            if lines.last().is_some_and(|last| !last.is_empty()) {
                lines.push(String::new());
            }
            section = header;
            if let Some(key) = keys.iter().find(|key| key.path == section) {
                lines.extend(comment(&key.meaning));
            }
        } else if let Some((name, _)) = line.split_once(" = ") {
            let path = below(&section, name);
            let key = keys
                .iter()
                .find(|key| key.path == path && written.has_variant(key));
            lines.extend(key.map(|key| comment(&key.meaning)).unwrap_or_default());
        } else if line.is_empty() {
            continue;
        }
        lines.push(line.to_owned());
    }
    lines.extend(not_set(&keys, &section, &written));
    let absent = absent_sections(&keys, &written);
    if !absent.is_empty() {
        lines.push(String::new());
        lines.push("# Sections that are not set:".to_owned());
        lines.extend(absent);
    }
    lines.join("\n")
}

/// The keys of a printed configuration.
struct Written {
    paths: BTreeSet<String>,
    /// The value of each `kind`, by the path of the table.
    kinds: BTreeMap<String, String>,
}

impl Written {
    fn of(text: &str) -> Self {
        let (mut paths, mut kinds) = (BTreeSet::new(), BTreeMap::new());
        let mut section = String::new();
        for line in text.lines() {
            if let Some(header) = header(line) {
                paths.insert(header.clone());
                section = header;
            } else if let Some((name, value)) = line.split_once(" = ") {
                paths.insert(below(&section, name));
                if name == TAG {
                    kinds.insert(section.clone(), value.trim_matches('"').to_owned());
                }
            }
        }
        Self { paths, kinds }
    }

    /// Whether a key belongs to a variant that the configuration selects.
    fn has_variant(&self, key: &Key) -> bool {
        key.variants.is_empty()
            || key.variants.iter().any(|variant| {
                let (table, kind) = variant
                    .split_once(&format!(".{TAG} = "))
                    .unwrap_or_default();
                self.kinds
                    .get(table)
                    .is_some_and(|known| kind.trim_matches('"') == known)
            })
    }
}

/// Lists the keys of a section that are not set.
fn not_set(keys: &[Key], section: &str, written: &Written) -> Vec<String> {
    let of_section = |key: &&Key| match key.path.rsplit_once('.') {
        Some((parent, _)) => parent == section,
        None => false,
    };
    keys.iter()
        .filter(of_section)
        .filter(|key| {
            !key.is_section && !written.paths.contains(&key.path) && written.has_variant(key)
        })
        .flat_map(|key| {
            let name = key.path.rsplit('.').next().unwrap_or(&key.path);
            let mut lines = comment(&key.meaning);
            lines.push(format!("# {name}: not set ({})", key.form));
            lines
        })
        .collect()
}

/// Lists the outermost sections that are not in the configuration.
fn absent_sections(keys: &[Key], written: &Written) -> Vec<String> {
    let is_absent = |key: &&Key| {
        let parent = key.path.rsplit_once('.').map_or("", |(parent, _)| parent);
        let stands = parent.is_empty() || written.paths.contains(parent);
        key.is_section
            && stands
            && !written.paths.contains(&key.path)
            && written.has_variant(key)
            && !written
                .paths
                .iter()
                .any(|path| path.starts_with(&format!("{}.", key.path)))
    };
    let line = |key: &Key| paragraph(&key.meaning, &format!("# [{}]: ", key.path), "#     ");
    keys.iter().filter(is_absent).flat_map(line).collect()
}

/// Returns the path in the header line of a table; `None` for other lines.
fn header(line: &str) -> Option<String> {
    let inner = line.strip_prefix('[')?;
    match inner.strip_prefix('[') {
        Some(array) => Some(format!("{}[]", array.split_once("]]")?.0)),
        None => Some(inner.split_once(']')?.0.to_owned()),
    }
}

fn below(section: &str, name: &str) -> String {
    match section.is_empty() {
        true => name.to_owned(),
        false => format!("{section}.{name}"),
    }
}

/// Returns a meaning as comment lines. A line that contains only the name of the section is left
/// out.
fn comment(meaning: &str) -> Vec<String> {
    let says_more = |text: &&str| !(text.starts_with("`[") && text.ends_with("]`."));
    let texts = meaning.lines().filter(says_more);
    texts.flat_map(|text| paragraph(text, "# ", "# ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> RunConfig {
        RunConfig::read(
            "test.toml",
            "[train]\nsteps = 5\nseq = 8\n[optimizer]\nkind = 'adamw'",
            &[],
        )
        .expect("valid")
    }

    #[test]
    fn a_commented_configuration_reads_back_equal() {
        let config = example();
        let text = commented(&config.to_toml().expect("TOML"));
        assert_eq!(
            RunConfig::read("commented.toml", &text, &[]).expect("valid"),
            config
        );
    }

    #[test]
    fn every_value_has_a_comment_and_what_is_not_set_is_named() {
        let text = commented(&example().to_toml().expect("TOML"));
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2) {
            if pair[1].contains(" = ") && !pair[1].starts_with('#') && !pair[1].starts_with("kind")
            {
                assert!(pair[0].starts_with('#'), "{pair:?}");
            }
        }
        for part in [
            "# tokens: not set (a positive whole number)",
            "# [controller]: ",
            "# [train.skip_spikes]: ",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
