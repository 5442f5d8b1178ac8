//! Typed reading of the keys of `config.json`, and the treatment of all other keys.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The largest size that is accepted, for a width, a vocabulary or a context.
pub(crate) const MAX_SIZE: usize = 1 << 28;

/// A key that would change the function of the model, a value at which the key has no effect, and
/// what the key would add. The key must be off: absent, `null`, `false`, 0, empty, or the given
/// value.
pub(crate) type Off = (&'static str, Option<f64>, &'static str);

/// How a layout treats keys that it does not read. Each remaining unknown key causes a warning.
#[derive(Clone, Copy)]
pub(crate) struct Unread {
    /// Keys that do not change the function of the model.
    pub(crate) harmless: &'static [&'static str],
    /// Keys that would change the function of the model.
    pub(crate) off: &'static [Off],
}

/// The keys of one file, which of them were read, and the problems found.
pub(crate) struct Keys<'a> {
    map: &'a Map<String, Value>,
    read: BTreeSet<&'static str>,
    pub(crate) problems: Vec<String>,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(map: &'a Map<String, Value>) -> Self {
        Self {
            map,
            read: BTreeSet::new(),
            problems: Vec::new(),
        }
    }

    /// Reports a problem of a key.
    pub(crate) fn refuse(&mut self, key: &str, problem: &str) {
        self.problems.push(format!("{key} {problem}"));
    }

    /// Reads a key that may be absent or null.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<&'a Value> {
        self.read.insert(key);
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Reads a size, at most `most`.
    pub(crate) fn size(&mut self, key: &'static str, most: usize) -> Option<usize> {
        let value = self.get(key)?;
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        let size = size.filter(|size| *size <= most);
        if size.is_none() {
            self.refuse(
                key,
                &format!("must be a whole number up to {most}, is {value}"),
            );
        }
        size
    }

    /// Reads a required size. It may also be given under the key `alias`; if it is given twice,
    /// both values must agree.
    pub(crate) fn needed(
        &mut self,
        key: &'static str,
        alias: Option<&'static str>,
        most: usize,
    ) -> Option<usize> {
        let known = self.problems.len();
        let size = self.size(key, most);
        let other = alias.and_then(|alias| self.size(alias, most));
        match (size, other, alias) {
            (Some(one), Some(other), Some(alias)) if one != other => {
                self.refuse(key, &format!("is {one}, but {alias} is {other}"));
            }
            (None, None, _) if self.problems.len() == known => self.refuse(key, "is missing"),
            _ => {}
        }
        size.or(other)
    }

    /// Reads a number.
    pub(crate) fn number(&mut self, key: &'static str) -> Option<f64> {
        let value = self.get(key)?;
        let number = value.as_f64();
        if number.is_none() {
            self.refuse(key, &format!("must be a number, is {value}"));
        }
        number
    }

    /// Reads a switch.
    pub(crate) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        let flag = value.as_bool();
        if flag.is_none() {
            self.refuse(key, &format!("must be true or false, is {value}"));
        }
        flag
    }

    /// Reads a word.
    pub(crate) fn word(&mut self, key: &'static str) -> Option<&'a str> {
        let value = self.get(key)?;
        let word = value.as_str();
        if word.is_none() {
            self.refuse(key, &format!("must be a word, is {value}"));
        }
        word
    }

    /// Refuses every word except the allowed ones.
    pub(crate) fn one_of(&mut self, key: &'static str, allowed: &[&str]) {
        if let Some(word) = self.word(key)
            && !allowed.contains(&word)
        {
            let allowed = allowed.join(" or ");
            self.refuse(
                key,
                &format!("is {word:?}; only {allowed} can be represented"),
            );
        }
    }

    /// Refuses the values of unread keys that would change the function, and returns the unknown
    /// keys.
    pub(crate) fn rest(&mut self, unread: Unread) -> Vec<&'a str> {
        let mut unknown = Vec::new();
        for (key, value) in self.map {
            if unread.harmless.contains(&key.as_str()) || self.read.contains(key.as_str()) {
                continue;
            }
            match unread.off.iter().find(|(name, ..)| name == key) {
                Some((_, neutral, what)) if !is_off(value, *neutral) => {
                    self.refuse(key, &format!("is {value}; {what} cannot be represented"));
                }
                Some(_) => {}
                None => unknown.push(key.as_str()),
            }
        }
        unknown
    }
}

fn is_off(value: &Value, neutral: Option<f64>) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number
            .as_f64()
            .is_some_and(|x| x.to_bits() == neutral.unwrap_or(0.0).to_bits()),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}
