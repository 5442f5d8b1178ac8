//! Where an error is: on its path, or somewhere in a table of which the path is lost.
//!
//! Internally tagged enums are read from a buffer, and an error in it does not say under which key. The keys that
//! could be at fault are then taken away one after the other, from the last to the first; the one with
//! which the error goes away is the culprit, because `serde` reads entries in order.

use std::mem;

use serde::de::DeserializeOwned;

use super::{Path, Repair};
use crate::error::{Fault, ReadError};
use crate::value::{Node, Value};

/// The number of keys of one buffered table that are tried in the search for a culprit.
const MAX_SUSPECTS: usize = 64;

impl Repair<'_> {
    /// Returns the path of the key at fault.
    pub(super) fn locate<T: DeserializeOwned>(&mut self, error: &ReadError) -> Path {
        let mut place = error.path();
        let culprit = if error.buffered {
            self.culprit::<T>(error, &place)
        } else {
            None
        };
        match (&error.fault, culprit) {
            (Fault::UnknownKey { .. }, Some(culprit)) => return culprit,
            (_, Some(culprit)) => place = culprit,
            (_, None) => {}
        }
        if let Fault::UnknownKey { name, .. } | Fault::Missing { name } = &error.fault {
            place.push(name.clone());
        }
        place
    }

    /// Searches the buffered table at `base` for the value whose absence changes the error.
    fn culprit<T: DeserializeOwned>(&mut self, error: &ReadError, base: &Path) -> Option<Path> {
        let mut suspects = Vec::new();
        collect_suspects(&error.fault, base, self.tree.get(base)?, &mut suspects);

        let mut taken: Vec<(Path, Value)> = Vec::new();
        let mut culprit = None;
        while let Some(path) = suspects.pop()
            && self.attempts_left > 0
        {
            let Some(node) = self.tree.get_mut(&path) else {
                break;
            };
            taken.push((path.clone(), mem::replace(&mut node.value, Value::Absent)));
            if self.attempt::<T>().err().as_ref() != Some(error) {
                culprit = Some(path);
                break;
            }
        }
        while let Some((path, value)) = taken.pop() {
            self.fill(&path, value);
        }
        culprit
    }
}

/// Lists what could be at fault, in the order in which it is read: the first of it, where it is much.
fn collect_suspects(fault: &Fault, path: &Path, node: &Node, suspects: &mut Vec<Path>) {
    if suspects.len() == MAX_SUSPECTS {
        return;
    }
    if fault.suspects(path.last(), &node.value) {
        suspects.push(path.clone());
    }
    for (key, child) in node.children() {
        let below = [path.as_slice(), &[key]].concat();
        collect_suspects(fault, &below, child, suspects);
    }
}
