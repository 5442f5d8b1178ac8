//! Finite groups as permutations, and their multiplication tables.
//!
//! No table is written by hand: each group is the closure of its generators. Its elements are the
//! permutations in lexicographic order, so element 0 is the identity.

use std::collections::{BTreeMap, BTreeSet};

use rondo_config::Report;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A finite group, named by its family and size.
///
/// In TOML: `group = { kind = "symmetric", n = 3 }`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Group {
    /// `Z_n`, the rotations of `n` points. It is abelian, so counting solves the word problem: the
    /// easy control.
    Cyclic {
        /// Number of points, which is also the number of elements.
        n: usize,
    },
    /// `S_n`, all permutations of `n` points, of order `n!`.
    Symmetric {
        /// Number of points.
        n: usize,
    },
    /// `A_n`, the even permutations of `n` points, of order `n! / 2`; `A_5` is not solvable.
    Alternating {
        /// Number of points.
        n: usize,
    },
    /// `D_n`, the symmetries of a regular polygon with `n` corners, of order `2 n`.
    Dihedral {
        /// Number of corners.
        n: usize,
    },
}

impl Group {
    /// Returns the smallest and largest `n` of the family. The largest `n` keeps the multiplication
    /// table below 720² entries.
    fn bounds(self) -> (usize, usize) {
        match self {
            Self::Cyclic { .. } => (2, 128),
            Self::Symmetric { .. } => (2, 6),
            Self::Alternating { .. } => (3, 6),
            Self::Dihedral { .. } => (3, 64),
        }
    }

    fn n(self) -> usize {
        match self {
            Self::Cyclic { n }
            | Self::Symmetric { n }
            | Self::Alternating { n }
            | Self::Dihedral { n } => n,
        }
    }

    /// Reports an `n` that is out of bounds for the family.
    pub(crate) fn validate(self, report: Report<'_>) {
        let (min, max) = self.bounds();
        if !(min..=max).contains(&self.n()) {
            let message = format!("must lie between {min} and {max}, is {}", self.n());
            report("group.n", message);
        }
    }

    fn generators(self) -> Vec<Permutation> {
        let rotation = |n: usize| (0..n).map(|i| (i + 1) % n).collect();
        match self {
            Self::Cyclic { n } => vec![rotation(n)],
            Self::Symmetric { n } => {
                let mut swap: Permutation = (0..n).collect();
                swap.swap(0, 1);
                vec![rotation(n), swap]
            }
            Self::Alternating { n } => (2..n)
                .map(|k| {
                    let mut three_cycle: Permutation = (0..n).collect();
                    (three_cycle[0], three_cycle[1], three_cycle[k]) = (1, k, 0);
                    three_cycle
                })
                .collect(),
            Self::Dihedral { n } => vec![rotation(n), (0..n).rev().collect()],
        }
    }

    /// Computes the multiplication table.
    ///
    /// # Panics
    ///
    /// When `n` lies outside the bounds that [`crate::DataConfig::validate`] checks.
    pub(crate) fn table(self) -> GroupTable {
        let (min, max) = self.bounds();
        assert!(
            (min..=max).contains(&self.n()),
            "{self:?} was not validated"
        );
        let elements = closure(self.n(), &self.generators());
        let index: BTreeMap<&Permutation, u32> = elements.iter().zip(0..).collect();
        let products = elements
            .iter()
            .flat_map(|a| elements.iter().map(move |b| compose(a, b)))
            .map(|product| index[&product])
            .collect();
        GroupTable {
            order: elements.len(),
            products,
        }
    }
}

/// `p[i]` is the image of point `i`.
type Permutation = Vec<usize>;

/// Returns `a · b`, with `(a · b)(i) = a(b(i))`: first `b` is applied, then `a`.
fn compose(a: &[usize], b: &[usize]) -> Permutation {
    b.iter().map(|&i| a[i]).collect()
}

/// Returns every product of the generators, sorted.
fn closure(points: usize, generators: &[Permutation]) -> BTreeSet<Permutation> {
    let identity: Permutation = (0..points).collect();
    let mut elements = BTreeSet::from([identity.clone()]);
    let mut frontier = vec![identity];
    while let Some(element) = frontier.pop() {
        for generator in generators {
            let product = compose(generator, &element);
            if elements.insert(product.clone()) {
                frontier.push(product);
            }
        }
    }
    elements
}

/// The multiplication (Cayley) table of a group; element 0 is the identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupTable {
    order: usize,
    /// `products[a * order + b] = a · b`.
    products: Vec<u32>,
}

impl GroupTable {
    /// Returns the number of elements.
    pub(crate) fn order(&self) -> usize {
        self.order
    }

    /// Returns `a · b`.
    ///
    /// # Panics
    ///
    /// When `a` or `b` is not an element.
    pub(crate) fn product(&self, a: u32, b: u32) -> u32 {
        self.products[a as usize * self.order + b as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_axioms(group: Group) -> GroupTable {
        let table = group.table();
        let all = 0..table.order() as u32;
        for a in all.clone() {
            assert_eq!((table.product(0, a), table.product(a, 0)), (a, a));
            assert_eq!(
                all.clone().filter(|&b| table.product(a, b) == 0).count(),
                1,
                "{a} of {group:?} has one inverse"
            );
            for b in all.clone().take(12) {
                for c in all.clone().rev().take(12) {
                    assert_eq!(
                        table.product(table.product(a, b), c),
                        table.product(a, table.product(b, c))
                    );
                }
            }
        }
        table
    }

    fn commutes(table: &GroupTable) -> bool {
        let all = 0..table.order() as u32;
        all.clone().all(|a| {
            all.clone()
                .all(|b| table.product(a, b) == table.product(b, a))
        })
    }

    #[test]
    fn groups_keep_the_axioms_and_have_their_order_and_only_cyclic_ones_commute() {
        for (group, order, abelian) in [
            (Group::Cyclic { n: 5 }, 5, true),
            (Group::Cyclic { n: 128 }, 128, true),
            (Group::Symmetric { n: 2 }, 2, true),
            (Group::Symmetric { n: 3 }, 6, false),
            (Group::Symmetric { n: 4 }, 24, false),
            (Group::Symmetric { n: 5 }, 120, false),
            (Group::Alternating { n: 3 }, 3, true),
            (Group::Alternating { n: 4 }, 12, false),
            (Group::Alternating { n: 5 }, 60, false),
            (Group::Dihedral { n: 3 }, 6, false),
            (Group::Dihedral { n: 4 }, 8, false),
            (Group::Dihedral { n: 64 }, 128, false),
        ] {
            let table = assert_axioms(group);
            assert_eq!(table.order(), order, "{group:?}");
            assert_eq!(commutes(&table), abelian, "{group:?}");
        }
    }

    #[test]
    fn the_cyclic_group_adds() {
        let table = Group::Cyclic { n: 7 }.table();
        assert_eq!(table.product(5, 4), 2);
    }

    #[test]
    fn three_times_a_rotation_of_s3_is_the_identity_and_twice_a_swap_too() {
        let table = Group::Symmetric { n: 3 }.table();
        let orders: Vec<usize> = (0..6)
            .map(|a| {
                let powers = std::iter::successors(Some(a), |&p| Some(table.product(p, a)));
                powers.take_while(|&p| p != 0).count() + 1
            })
            .collect();
        assert_eq!(orders, [1, 2, 2, 3, 3, 2]);
    }
}
