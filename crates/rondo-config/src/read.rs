//! The repair loop: read, note what is wrong, put something harmless in its place, read again.
//!
//! `serde` stops at the first error. Here each error is located, recorded, and repaired in a copy
//! of the tree, until the copy reads or nothing is left to repair. An unknown key is made absent;
//! a wrong or missing value gets the next of a list of stand-ins each time the same place fails,
//! and when the list is used up the table around it is set aside as a whole. Errors below a place
//! that was already repaired are consequences, not violations.

mod culprit;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::slice;

use serde::de::DeserializeOwned;

use crate::TAG;
use crate::de;
use crate::document::Document;
use crate::error::{Fault, ReadError};
use crate::path::dotted;
use crate::report::Report;
use crate::suggest;
use crate::value::{Node, Table, Value};
use crate::violation::{Origin, Violation};

/// The number of repairs after which the rest is left to the next reading.
const MAX_REPAIRS: usize = 256;

/// The number of values that all attempts together may go through, some tenths of a second; then too the rest is
/// left to the next reading.
const MAX_VISITS: usize = 1 << 22;

/// What a place is filled with, the next one each time it fails.
const STAND_INS: [fn() -> Value; 6] = [
    || Value::StandIn,
    || Value::Absent,
    || Value::Integer(1),
    || Value::String(String::new()),
    || Value::Boolean(false),
    || Value::Array(Vec::new()),
];

/// The index of the stand-in that leaves the key out.
const ABSENT: usize = 1;

type Path = Vec<String>;

/// Reads a document and checks what was read, or lists all that is wrong with it.
///
/// What cannot be read is left out before the check, so that `check` sees the defaults in its place;
/// what it says of such a place is a consequence.
pub(crate) fn read<T: DeserializeOwned>(
    document: &Document,
    check: Check<'_, T>,
) -> Result<T, Vec<Violation>> {
    let mut repair = Repair {
        document,
        tree: document.root.clone(),
        repaired: BTreeMap::new(),
        violations: Vec::new(),
        attempts_left: MAX_VISITS / count(&document.root) + 1,
    };
    for _ in 0..MAX_REPAIRS {
        if repair.attempts_left == 0 {
            break;
        }
        match repair.attempt::<T>() {
            Ok(value) if repair.violations.is_empty() => {
                let found = repair.check(&value, check);
                return if found.is_empty() {
                    Ok(value)
                } else {
                    Err(found)
                };
            }
            Ok(_) => {
                repair.leave_out();
                if let Ok(value) = repair.attempt::<T>() {
                    let found = repair.check(&value, check);
                    repair.violations.extend(found);
                }
                return Err(repair.violations);
            }
            Err(error) => {
                if !repair.mend::<T>(&error) {
                    return Err(repair.violations);
                }
            }
        }
    }
    let rest = "there may be more problems; correct these first".to_owned();
    repair.violations.push(document.violation("", rest));
    Err(repair.violations)
}

/// A check of a value by its own rules: it reports dotted keys and what is wrong with them.
pub type Check<'a, T> = &'a dyn Fn(&T, Report<'_>);

struct Repair<'a> {
    document: &'a Document,
    tree: Node,
    /// The places filled with stand-ins, each with the number of those it has used up.
    repaired: BTreeMap<Path, usize>,
    violations: Vec<Violation>,
    attempts_left: usize,
}

impl Repair<'_> {
    fn attempt<T: DeserializeOwned>(&mut self) -> Result<T, ReadError> {
        self.attempts_left = self.attempts_left.saturating_sub(1);
        de::read(PhantomData, &self.tree.value)
    }

    /// Leaves out every place that was repaired.
    fn leave_out(&mut self) {
        for path in self.repaired.keys() {
            if let Some(node) = self.tree.get_mut(path) {
                node.value = Value::Absent;
            }
        }
    }

    /// Runs a check and returns its violations of places that were not repaired.
    fn check<T>(&self, value: &T, check: Check<'_, T>) -> Vec<Violation> {
        let repaired: Vec<String> = self.repaired.keys().map(|path| dotted(path)).collect();
        let mut found = Vec::new();
        check(value, &mut |key, message| {
            let is_below = |place: &String| {
                key.strip_prefix(place.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            if !repaired.iter().any(is_below) {
                found.push(self.document.violation(key, message));
            }
        });
        found
    }

    /// Records an error and repairs its place. Returns whether there was anything to repair.
    fn mend<T: DeserializeOwned>(&mut self, error: &ReadError) -> bool {
        let place = self.locate::<T>(error);
        if !self.is_consequence(&place, &error.fault) {
            let violation = self.describe(&place, &error.fault);
            self.violations.push(violation);
        }
        match &error.fault {
            Fault::UnknownKey { .. } => self.fill(&place, Value::Absent),
            Fault::UnknownVariant {
                expected: [first, ..],
                ..
            } if self.is_repaired(&place) => self.choose_variant(place, first),
            _ => self.stand_in(place),
        }
    }

    /// Tells whether the place, or a table around it, was repaired before.
    fn is_repaired(&self, place: &[String]) -> bool {
        (0..=place.len()).any(|length| self.repaired.contains_key(&place[..length]))
    }

    /// Tells whether the error may come from a repair: at, below or, for checks of a whole, around it.
    fn is_consequence(&self, place: &Path, fault: &Fault) -> bool {
        let checks_a_whole = matches!(fault, Fault::Custom(_) | Fault::WrongLength { .. });
        self.is_repaired(place)
            || (checks_a_whole && self.repaired.keys().any(|below| below.starts_with(place)))
    }

    /// Writes the violation, with what was probably meant.
    fn describe(&mut self, place: &Path, fault: &Fault) -> Violation {
        let key = dotted(place);
        let mut violation = self.document.violation(&key, fault.to_string());
        match fault {
            Fault::UnknownKey { name, expected } => {
                let sibling = suggest::nearest(name, expected.iter().copied());
                if let Some(sibling) = &sibling {
                    // A misspelt key is not also a missing one.
                    let meant = [&place[..place.len() - 1], slice::from_ref(sibling)].concat();
                    if self.tree.get(&meant).is_none() {
                        self.repaired.insert(meant, 0);
                    }
                } else if !expected.is_empty() {
                    violation.message = format!("{fault} (known here: {})", expected.join(", "));
                }
                violation.suggestion = sibling.or_else(|| {
                    suggest::elsewhere(name, &self.document.known_keys)
                        .filter(|other| *other != key)
                });
            }
            Fault::UnknownVariant { name, expected } => {
                violation.suggestion = suggest::nearest(name, expected.iter().copied());
            }
            Fault::WrongType { .. } if fault.wants_whole_number() => {
                if let Some(Node {
                    value: Value::Float(number),
                    ..
                }) = self.tree.get(place)
                    && number.fract() == 0.0
                {
                    violation.suggestion = Some(format!("{number:.0}"));
                }
            }
            _ => {}
        }
        violation
    }

    /// Puts the next stand-in at the place, or at the nearest table around it that has one left.
    fn stand_in(&mut self, mut place: Path) -> bool {
        if place.last().is_some_and(|key| key == TAG) {
            // Without its tag nothing is known about the keys of a table.
            place.pop();
        }
        // Inside a stand-in there is nothing to repair, only the stand-in itself.
        let filled = |length: &usize| {
            self.repaired.contains_key(&place[..*length])
                && self
                    .tree
                    .get(&place[..*length])
                    .is_some_and(|node| node.children().is_empty())
        };
        if let Some(length) = (0..place.len()).find(filled) {
            place.truncate(length);
        }
        while let Some((_, parent)) = place.split_last() {
            let parent = self.tree.get(parent).map(|node| &node.value);
            let in_array = matches!(parent, Some(Value::Array(_)));
            let used = self.repaired.entry(place.clone()).or_insert(0);
            if in_array && *used == ABSENT {
                // One element less would only be a wrong length.
                *used += 1;
            }
            if let Some(value) = STAND_INS.get(*used) {
                *used += 1;
                if self.fill(&place, value()) {
                    return true;
                }
            }
            place.pop();
        }
        false
    }

    /// Gives a stand-in that must name a variant the first one there is.
    fn choose_variant(&mut self, mut place: Path, variant: &str) -> bool {
        let name = Value::String(variant.to_owned());
        if place.last().is_some_and(|key| key == TAG) {
            place.pop();
            let tag = Node {
                value: name,
                origin: Origin::Missing,
            };
            let seen = self.repaired.entry(place.clone()).or_insert(0);
            *seen += 1;
            self.fill(&place, Value::Table(Table::from([(TAG.to_owned(), tag)])))
        } else {
            self.fill(&place, name)
        }
    }

    /// Puts a value at a place, making tables on the way out of stand-ins.
    fn fill(&mut self, place: &[String], value: Value) -> bool {
        let mut node = &mut self.tree;
        for key in place {
            if matches!(node.value, Value::StandIn | Value::Absent) {
                node.value = Value::Table(Table::new());
            }
            node = match &mut node.value {
                Value::Table(table) => table.entry(key.clone()).or_insert_with(|| Node {
                    value: Value::StandIn,
                    origin: Origin::Missing,
                }),
                Value::Array(nodes) => {
                    let index = key.parse::<usize>().ok();
                    match index.and_then(|index| nodes.get_mut(index)) {
                        Some(node) => node,
                        None => return false,
                    }
                }
                _ => return false,
            };
        }
        node.value = value;
        true
    }
}

/// Counts a value and all that is in it.
fn count(node: &Node) -> usize {
    let below: usize = match &node.value {
        Value::Table(table) => table.values().map(count).sum(),
        Value::Array(nodes) => nodes.iter().map(count).sum(),
        _ => 0,
    };
    1 + below
}
