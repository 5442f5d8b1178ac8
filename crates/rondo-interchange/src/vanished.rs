//! Counts weights that the type of an export rounds to 0.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use crate::element::Element;

/// Nonzero weights that became 0 while a stream was written.
#[derive(Debug, Default)]
pub struct Vanished {
    count: Cell<u64>,
    /// The bits of the largest of these weights, without its sign. Compared as integers, the bits
    /// have the same order as the numbers, even if the processor treats subnormal numbers as 0.
    largest: Cell<u32>,
    tensors: RefCell<BTreeSet<String>>,
}

impl Vanished {
    /// Counts one weight of a tensor.
    pub(crate) fn add(&self, tensor: &str, value: f32) {
        self.count.set(self.count.get() + 1);
        let size = value.to_bits() & !(1 << 31);
        self.largest.set(self.largest.get().max(size));
        let mut tensors = self.tensors.borrow_mut();
        if !tensors.contains(tensor) {
            tensors.insert(tensor.to_owned());
        }
    }

    /// Returns a warning about an export as `element`; `None` if no weight became 0.
    pub fn warning(&self, element: Element) -> Option<String> {
        let (count, tensors) = (self.count.get(), self.tensors.borrow());
        let first = tensors.first()?;
        let weights = match count {
            1 => "1 weight is".to_owned(),
            count => format!("{count} weights are"),
        };
        let place = match tensors.len() {
            1 => format!("in tensor {first}"),
            more => format!("in {more} tensors (the first is {first})"),
        };
        let remedy = match element {
            Element::F16 => "bf16 or f32",
            Element::Bf16 | Element::F32 => "f32",
        };
        Some(format!(
            "{weights} 0 in {element} but not in the run, {place}; the largest is {:e}. \
             --dtype {remedy} keeps such weights",
            f32::from_bits(self.largest.get())
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vanished_is_told_with_its_number_its_place_and_its_size() {
        let vanished = Vanished::default();
        assert_eq!(vanished.warning(Element::F16), None);
        vanished.add("a", -2e-8);
        let one = vanished.warning(Element::F16).expect("one");
        assert!(
            one.contains("1 weight is 0 in f16") && one.contains("tensor a"),
            "{one}"
        );
        vanished.add("a", 1e-8);
        vanished.add("b", 1e-40);
        let three = vanished.warning(Element::F16).expect("three");
        for part in [
            "3 weights are 0",
            "2 tensors",
            "2e-8",
            "--dtype bf16 or f32",
        ] {
            assert!(three.contains(part), "{three}");
        }
    }
}
