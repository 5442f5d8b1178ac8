//! The names of a sweep's settings: `mean=4,peak=1e-3`.
//!
//! A key is shortened to its last parts: as many as are needed to distinguish it from the other
//! keys of the sweep, so `peak` for `schedule.peak`. Keys with the same value in all settings are
//! omitted. Numbers are written in their shortest form; lists and tables are written as their
//! values: `1_4`, `trapezoid_0.2_linear`. Only letters, digits and `._+-=,` are used, because every
//! file system allows them. Values with other characters, and values that are too long, are
//! distinguished by the first digits of a hash.

use std::collections::{BTreeMap, BTreeSet};

use rondo_config::{TAG, path};

use crate::SEED_KEY;
use crate::same::form;

/// The longest key or value in a name, in characters.
const WORD: usize = 24;
/// The longest name of a setting, in characters. With a seed and a file extension it still fits
/// into a file name.
const NAME: usize = 100;
/// The number of hexadecimal digits of a hash in a name.
const DIGITS: usize = 8;
/// The context of the hash, which separates it from other uses of BLAKE3.
const CONTEXT: &str = "rondo sweep, the name of a setting, version 1";

/// The keys of a run with their values.
type Sets = Vec<(String, toml::Value)>;

/// Returns a name for each setting, in their order. All names differ, even if upper and lower case
/// are not distinguished. A name is empty if no key varies.
pub(crate) fn of_settings(settings: &[&Sets]) -> Vec<String> {
    let keys = shown_keys(settings);
    let mut names: Vec<String> = settings.iter().map(|sets| name(&keys, sets)).collect();
    // Equal names do not distinguish settings. A hash of the whole setting is added to each of
    // them.
    let shared = repeated(&names);
    for (name, sets) in names.iter_mut().zip(settings) {
        if shared.contains(&name.to_lowercase()) {
            *name = with(name, &hash(sets));
        }
    }
    // Several draws may give the same values.
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for name in &mut names {
        let times = times.entry(name.to_lowercase()).or_default();
        *times += 1;
        if *times > 1 {
            *name = with(name, &format!("draw{times}"));
        }
    }
    names
}

/// Appends a suffix to a name.
fn with(name: &str, more: &str) -> String {
    match name.is_empty() {
        true => more.to_owned(),
        false => format!("{name}-{more}"),
    }
}

/// Returns the names that occur more than once, in lower case.
fn repeated(names: &[String]) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let lower = names.iter().map(|name| name.to_lowercase());
    lower.filter(|name| !seen.insert(name.clone())).collect()
}

/// Returns the keys whose values differ between settings, each with its short name.
fn shown_keys(settings: &[&Sets]) -> BTreeMap<String, String> {
    let mut values: BTreeMap<&str, BTreeSet<Option<String>>> = BTreeMap::new();
    for (key, _) in settings.iter().copied().flatten() {
        values.entry(key).or_default();
    }
    for sets in settings {
        for (key, values) in &mut values {
            let set = sets.iter().find(|(set, _)| set == key);
            values.insert(set.map(|(_, value)| form(value)));
        }
    }
    let all: Vec<Vec<String>> = values
        .keys()
        .copied()
        .chain([SEED_KEY])
        .map(parts)
        .collect();
    let varying = values.iter().filter(|(_, values)| values.len() > 1);
    varying
        .map(|(key, _)| ((*key).to_owned(), word(&shortest(&parts(key), &all))))
        .collect()
}

fn parts(key: &str) -> Vec<String> {
    path::parse(key).unwrap_or_else(|| vec![key.to_owned()])
}

/// Returns the short name of a key among all keys of a sweep: the shortest end of the key that no
/// other key has.
pub(crate) fn of_key(key: &str, keys: &[String]) -> String {
    let others = keys.iter().map(String::as_str).chain([SEED_KEY]);
    shortest(&parts(key), &others.map(parts).collect::<Vec<_>>())
}

/// Returns the name of a value: a text unchanged, a number in short form, a table as its values
/// with the kind first.
pub(crate) fn of_value(value: &toml::Value) -> String {
    let whole = plain_values(value).join(" ");
    match whole.is_empty() {
        true => value.to_string(),
        false => whole,
    }
}

/// Returns the shortest end of a key that is meaningful and that no other key has.
fn shortest(key: &[String], all: &[Vec<String>]) -> String {
    let says_nothing = |part: &String| part == TAG || part.chars().all(|c| c.is_ascii_digit());
    let is_enough = |count: &usize| {
        let end = &key[key.len() - count..];
        let others = all.iter().filter(|other| *other != key);
        !says_nothing(&end[0]) && !others.clone().any(|other| other.ends_with(end))
    };
    let count = (1..=key.len()).find(is_enough).unwrap_or(key.len());
    key[key.len() - count..].join(".")
}

fn name(keys: &BTreeMap<String, String>, sets: &Sets) -> String {
    let shown = sets.iter().filter_map(|(key, value)| {
        let key = keys.get(key)?;
        Some(format!("{key}={}", word_of(value)))
    });
    let name = shown.collect::<Vec<_>>().join(",");
    match name.len() <= NAME {
        true => name,
        false => format!("{}-{}", &name[..NAME - 1 - DIGITS], hash(sets)),
    }
}

/// Returns a value as one word.
fn word_of(value: &toml::Value) -> String {
    // A hash distinguishes values that differ only in omitted parts, such as the keys of a table.
    let whole = plain_values(value).join("_");
    match whole.is_empty() {
        true => "empty".to_owned(),
        false => word(&whole),
    }
}

/// Returns the values inside a value; the kind of a table is first.
fn plain_values(value: &toml::Value) -> Vec<String> {
    match value {
        toml::Value::String(text) => vec![text.clone()],
        toml::Value::Float(number) => vec![number_in_short(*number)],
        toml::Value::Array(values) => values.iter().flat_map(plain_values).collect(),
        toml::Value::Table(table) => {
            let kind = table.get(TAG).into_iter();
            let others = table.iter().filter(|(key, _)| *key != TAG);
            kind.chain(others.map(|(_, value)| value))
                .flat_map(plain_values)
                .collect()
        }
        _ => vec![value.to_string()],
    }
}

/// Returns the shorter of `0.001` and `1e-3`.
fn number_in_short(number: f64) -> String {
    let (plain, exponent) = (format!("{number}"), format!("{number:e}"));
    match exponent.len() < plain.len() {
        true => exponent,
        false => plain,
    }
}

/// Returns a text in characters that every file system allows, with a hash if it was changed or
/// cut.
fn word(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || "._+-".contains(c) {
            shown.push(c);
        } else if !shown.ends_with('_') {
            shown.push('_');
        }
    }
    if shown == text && shown.len() <= WORD {
        return shown;
    }
    shown.truncate(WORD - 1 - DIGITS);
    format!("{shown}-{}", digits(text.as_bytes()))
}

/// Returns the first digits of a hash of a whole setting.
fn hash(sets: &Sets) -> String {
    let set = |(key, value): &(String, toml::Value)| format!("{key}={}\n", form(value));
    let text: String = sets.iter().map(set).collect();
    digits(text.as_bytes())
}

fn digits(bytes: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(bytes);
    hasher.finalize().to_hex()[..DIGITS].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the names of settings, which are given as inline tables.
    fn named(settings: &[&str]) -> Vec<String> {
        let sets = |text: &&str| -> Sets {
            let table: toml::Table = toml::from_str(&format!("v = {text}")).expect("TOML");
            let entries = table["v"].as_table().expect("a table").clone();
            entries.into_iter().collect()
        };
        let settings: Vec<Sets> = settings.iter().map(sets).collect();
        of_settings(&settings.iter().collect::<Vec<_>>())
    }

    #[test]
    fn keys_are_as_short_as_they_are_clear_and_numbers_too() {
        let found = named(&[
            "{ 'schedule.peak' = 0.001, 'train.batch' = 1000, 'train.steps' = 9 }",
            "{ 'schedule.peak' = 0.01, 'train.batch' = 1000000, 'train.steps' = 9 }",
            "{ 'schedule.peak' = 2.0, 'train.batch' = 8, 'train.steps' = 9 }",
        ]);
        assert_eq!(
            found,
            [
                "peak=1e-3,batch=1000",
                "peak=0.01,batch=1000000",
                "peak=2,batch=8"
            ]
        );
        let found = named(&[
            "{ 'optimizer.kind' = 'muon', 'a.b.mean' = 1, 'a.c.mean' = 1, 'data.seed' = 1 }",
            "{ 'optimizer.kind' = 'adamw', 'a.b.mean' = 2, 'a.c.mean' = 2, 'data.seed' = 2 }",
        ]);
        assert_eq!(
            found[0],
            "b.mean=1,c.mean=1,data.seed=1,optimizer.kind=muon"
        );
    }

    #[test]
    fn tables_and_lists_are_their_values_the_kind_first() {
        let found = named(&[
            "{ shape = { cooldown = { fraction = 0.2 }, decay = 'linear', kind = 'trapezoid' } }",
            "{ shape = { kind = 'cosine' } }",
            "{ shape = [1, 4] }",
            "{ shape = {} }",
            "{ other = true }",
        ]);
        assert_eq!(found[0], "shape=trapezoid_0.2_linear");
        assert_eq!(found[1..3], ["shape=cosine", "shape=1_4"]);
        assert_eq!(found[3..], ["shape=empty", "other=true"]);
    }

    #[test]
    fn what_is_odd_or_long_is_told_apart_by_a_hash() {
        let long = "x".repeat(300);
        let found = named(&[
            "{ a = 'x/y' }",
            "{ a = 'x_y' }",
            "{ a = '../x' }",
            "{ a = 'ü' }",
            &format!("{{ a = '{long}1' }}"),
            &format!("{{ a = '{long}2' }}"),
        ]);
        assert_eq!(found[1], "a=x_y");
        assert!(found[0].starts_with("a=x_y-"), "{found:?}");
        let names: BTreeSet<&String> = found.iter().collect();
        assert_eq!(names.len(), found.len());
        for name in &found {
            let safe = |c: char| c.is_ascii_alphanumeric() || "._+-=,".contains(c);
            assert!(name.chars().all(safe) && name.len() <= 2 + WORD, "{name}");
        }
        let many = |last: usize| {
            let keys: Vec<String> = (0..50).map(|i| format!("key_{i} = {last}")).collect();
            format!("{{ {} }}", keys.join(", "))
        };
        let found = named(&[&many(1), &many(2)]);
        assert_ne!(found[0], found[1]);
        assert_eq!(found[0].len(), NAME);
    }

    #[test]
    fn names_that_would_be_the_same_are_told_apart() {
        // The second setting has the same values with other keys; the third has the same letters in
        // capitals.
        let found = named(&[
            "{ a = { kind = 'x', by = 1 } }",
            "{ a = { kind = 'x', at = 1 } }",
            "{ a = { kind = 'X', at = 1 } }",
            "{ a = 2 }",
        ]);
        let lower: BTreeSet<String> = found.iter().map(|name| name.to_lowercase()).collect();
        assert_eq!(lower.len(), 4, "{found:?}");
        assert!(
            found
                .iter()
                .take(3)
                .all(|name| name.len() == 5 + 1 + DIGITS)
        );
        assert_eq!(found[3], "a=2");
        // Two draws give the same value.
        let found = named(&["{ a = 1 }", "{ a = 1 }", "{ a = 2 }"]);
        let hashed = format!(
            "a=1-{}",
            hash(&vec![("a".to_owned(), toml::Value::from(1))])
        );
        assert_eq!(
            found,
            [hashed.clone(), format!("{hashed}-draw2"), "a=2".to_owned()]
        );
        assert_eq!(named(&["{}"]), [""]);
    }
}
