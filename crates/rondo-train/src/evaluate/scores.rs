//! The scores of a batch that an evaluation reads from the device.

use rondo_model::gates::Density;

use crate::named::named;

named! {
    /// The scores of a batch at one depth. `T` is a tensor on the device or a number read from it.
    pub(super) struct DepthScore<T> {
        values {
            /// The sum of the cross entropies over targets that count.
            pub(super) loss,
        }
        parts {
            /// At each position, the number of targets that count and are predicted correctly. Only
            /// for tasks.
            pub(super) hits: Option<T>,
        }
    }
}

named! {
    /// The scores of a batch under one exit criterion. `T` is a tensor on the device or a number
    /// read from it.
    pub(super) struct ExitScore<T> {
        values {
            /// The sum of the cross entropies over targets that count, each at the exit of its
            /// token.
            pub(super) loss,
            /// The number of targets that count and are predicted correctly.
            pub(super) hits,
        }
        lists {
            /// The number of tokens that took 1, 2, … iterations.
            pub(super) taken,
        }
    }
}

named! {
    /// All scores of a batch.
    pub(super) struct Scores<T> {
        parts {
            /// The scores at each depth, in the order of depths.
            pub(super) depths: Vec<DepthScore<T>>,
            /// The scores under each exit criterion, in the order of criteria.
            pub(super) exits: Vec<ExitScore<T>>,
            pub(super) densities: Vec<Density<T>>,
        }
    }
}
