//! Which layers of a stack share weights, and the initial values of the shared weights
//! (Mixture-of-Recursions, arXiv 2507.10524).
//!
//! | rule | groups of six layers, three loops | initial values of a group |
//! |---|---|---|
//! | cycle-average | {0, 2, 4}, {1, 3, 5} | the mean of its layers |
//! | cycle-stepwise | {0, 2, 4}, {1, 3, 5} | layers 0 and 5, spread evenly over the stack |
//! | sequence-average | {0, 1, 2}, {3, 4, 5} | the mean of its layers |
//!
//! `middle_cycle-lower` keeps the first and the last layer separate and groups the others as a
//! cycle does; the initial values of a group are the weights of its first layer.

/// A published rule of sharing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tying {
    /// Layers at the same position in different iterations share weights. The weights start as the
    /// mean of these layers.
    CycleAverage,
    /// Layers at the same position in different iterations share weights. The weights of each group
    /// start as one layer of the stack; these layers are spread evenly over the stack.
    CycleStepwise,
    /// Neighbouring layers share weights. The weights start as the mean of these layers.
    SequenceAverage,
    /// Like a cycle, without the first and the last layer. The weights of each group start as its
    /// first layer.
    MiddleCycleLower,
}

/// Layers that share weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The indices of these layers in the stack, in ascending order.
    pub layers: Vec<usize>,
    /// The initial values of the shared weights.
    pub start: Start,
}

/// The initial values of a group's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The mean of the group's layers.
    Mean,
    /// One layer of the stack, which may belong to another group.
    Layer(usize),
}

/// The groups of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Whether the first and the last layer share weights with no other layer.
    pub ends_alone: bool,
    /// The groups, in the order in which a loop runs them.
    pub groups: Vec<Group>,
}

impl Tying {
    /// Returns the groups of a stack of `layers` layers that becomes `loops` loops.
    ///
    /// # Errors
    ///
    /// Returns an error if the layers cannot be divided evenly among the loops.
    pub fn share(self, layers: usize, loops: usize) -> Result<Shares, String> {
        let ends_alone = self == Self::MiddleCycleLower;
        let inner = layers.saturating_sub(if ends_alone { 2 } else { 0 });
        if loops == 0 || inner == 0 || !inner.is_multiple_of(loops) {
            let without = if ends_alone {
                " without its first and last layer"
            } else {
                ""
            };
            return Err(format!(
                "a stack of {layers} layers{without} cannot be divided evenly among {loops} loops"
            ));
        }
        let (size, first) = (inner / loops, usize::from(ends_alone));
        let cycle = |index: usize| (0..loops).map(|turn| first + index + turn * size).collect();
        let group = |index: usize| match self {
            Self::CycleAverage => Group {
                layers: cycle(index),
                start: Start::Mean,
            },
            Self::CycleStepwise => Group {
                layers: cycle(index),
                start: Start::Layer(evenly(index, size, layers)),
            },
            Self::SequenceAverage => Group {
                layers: (index * loops..(index + 1) * loops).collect(),
                start: Start::Mean,
            },
            Self::MiddleCycleLower => Group {
                layers: cycle(index),
                start: Start::Layer(first + index),
            },
        };
        Ok(Shares {
            ends_alone,
            groups: (0..size).map(group).collect(),
        })
    }
}

/// Returns layer `index` of `steps` layers that are spread evenly from the first to the last.
fn evenly(index: usize, steps: usize, layers: usize) -> usize {
    match steps {
        0 | 1 => 0,
        _ => {
            let place = index as f64 * (layers - 1) as f64 / (steps - 1) as f64;
            place.round_ties_even() as usize
        }
    }
}

/// Returns the mean of vectors of the same length, for each element separately.
pub(crate) fn mean(of: &[Vec<f32>]) -> Vec<f32> {
    let length = of.first().map_or(0, Vec::len);
    let count = of.len() as f64;
    let sum = |place: usize| of.iter().map(|one| f64::from(one[place])).sum::<f64>();
    (0..length)
        .map(|place| (sum(place) / count) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(rule: Tying, loops: usize) -> (bool, Vec<(Vec<usize>, Start)>) {
        let Shares { ends_alone, groups } = rule.share(6, loops).expect("six layers are shared");
        let groups = groups.into_iter().map(|group| (group.layers, group.start));
        (ends_alone, groups.collect())
    }

    #[test]
    fn six_layers_are_shared_as_published() {
        let (mean, layer) = (Start::Mean, Start::Layer);
        let cycle = |starts: [Start; 2]| {
            let [first, second] = starts;
            (false, vec![(vec![0, 2, 4], first), (vec![1, 3, 5], second)])
        };
        assert_eq!(shares(Tying::CycleAverage, 3), cycle([mean, mean]));
        assert_eq!(shares(Tying::CycleStepwise, 3), cycle([layer(0), layer(5)]));
        assert_eq!(
            shares(Tying::SequenceAverage, 3),
            (false, vec![(vec![0, 1, 2], mean), (vec![3, 4, 5], mean)])
        );
        assert_eq!(
            shares(Tying::MiddleCycleLower, 2),
            (true, vec![(vec![1, 3], layer(1)), (vec![2, 4], layer(2))])
        );
    }

    #[test]
    fn layers_that_loops_do_not_share_evenly_are_refused() {
        for (rule, layers, loops) in [
            (Tying::CycleAverage, 6, 4),
            (Tying::CycleAverage, 6, 0),
            (Tying::MiddleCycleLower, 6, 3),
            (Tying::MiddleCycleLower, 2, 1),
        ] {
            let reason = rule.share(layers, loops).expect_err("not evenly");
            assert!(reason.contains("evenly"), "{reason}");
        }
    }

    #[test]
    fn the_mean_is_of_each_element_by_itself() {
        assert_eq!(mean(&[vec![1.0, 2.0], vec![3.0, 6.0]]), [2.0, 4.0]);
    }
}
