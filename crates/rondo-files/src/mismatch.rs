//! The difference between the tensors that a model expects and those in a checkpoint.

use std::collections::BTreeMap;
use std::fmt;

/// The difference between two sets of named shapes; each list is sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Mismatch {
    /// Tensors that were expected but not found, with the expected shape.
    pub missing: Vec<(String, Vec<usize>)>,
    /// Tensors that were found but not expected, with the found shape.
    pub unexpected: Vec<(String, Vec<usize>)>,
    /// Tensors that were found with another shape than expected.
    pub misshaped: Vec<Misshaped>,
}

/// One tensor whose shapes differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misshaped {
    /// The name of the tensor.
    pub name: String,
    /// The shape in the model.
    pub expected: Vec<usize>,
    /// The shape in the checkpoint.
    pub found: Vec<usize>,
}

/// Compares the expected and the found tensors by name and shape; their order is irrelevant.
pub fn compare(expected: &[(String, Vec<usize>)], found: &[(String, Vec<usize>)]) -> Mismatch {
    let mut unmatched: BTreeMap<_, _> = found.iter().map(|(name, shape)| (name, shape)).collect();
    let expected: BTreeMap<_, _> = expected.iter().map(|(name, shape)| (name, shape)).collect();
    let mut mismatch = Mismatch::default();
    for (name, shape) in expected {
        match unmatched.remove(name) {
            None => mismatch.missing.push((name.clone(), shape.clone())),
            Some(found) if found != shape => mismatch.misshaped.push(Misshaped {
                name: name.clone(),
                expected: shape.clone(),
                found: found.clone(),
            }),
            Some(_) => {}
        }
    }
    mismatch.unexpected = unmatched
        .into_iter()
        .map(|(name, shape)| (name.clone(), shape.clone()))
        .collect();
    mismatch
}

impl Mismatch {
    /// Whether the two sets are equal.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshaped.is_empty()
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the checkpoint is of another model: {} missing, {} unexpected, {} mis-shaped tensors",
            self.missing.len(),
            self.unexpected.len(),
            self.misshaped.len()
        )?;
        for (name, shape) in &self.missing {
            write!(f, "\n  missing     {name} {shape:?}")?;
        }
        for (name, shape) in &self.unexpected {
            write!(f, "\n  unexpected  {name} {shape:?}")?;
        }
        for Misshaped {
            name,
            expected,
            found,
        } in &self.misshaped
        {
            write!(
                f,
                "\n  mis-shaped  {name}: expected {expected:?}, found {found:?}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(tensors: &[(&str, &[usize])]) -> Vec<(String, Vec<usize>)> {
        tensors
            .iter()
            .map(|(name, shape)| ((*name).to_owned(), shape.to_vec()))
            .collect()
    }

    #[test]
    fn equal_sets_in_any_order_do_not_differ() {
        let ab = shapes(&[("a", &[2, 3]), ("b", &[])]);
        let ba = shapes(&[("b", &[]), ("a", &[2, 3])]);
        assert!(compare(&ab, &ba).is_empty());
    }

    #[test]
    fn the_message_lists_every_difference_of_every_kind() {
        let expected = shapes(&[("head", &[8, 4]), ("norm", &[4]), ("bias", &[8])]);
        let found = shapes(&[
            ("head", &[9, 4]),
            ("norm", &[4]),
            ("gate", &[1]),
            ("skip", &[2, 2]),
        ]);
        let mismatch = compare(&expected, &found);
        assert_eq!(
            mismatch.to_string(),
            "the checkpoint is of another model: 1 missing, 2 unexpected, 1 mis-shaped tensors\n  \
             missing     bias [8]\n  \
             unexpected  gate [1]\n  \
             unexpected  skip [2, 2]\n  \
             mis-shaped  head: expected [8, 4], found [9, 4]"
        );
    }
}
