//! The scores that an evaluation reads from the device for a batch.

use rondo_model::gates::Density;

use crate::named::named;

named! {
    /// The scores of a batch at one depth, on the device or read from it.
    pub(super) struct DepthScore<T> {
        values {
            /// Sum of the cross entropies of counted tokens.
            pub(super) loss,
        }
        parts {
            /// Number of counted targets that are hit, by position; tasks only.
            pub(super) hits: Option<T>,
        }
    }
}

named! {
    /// The scores of a batch under one exit criterion, on the device or read from it.
    pub(super) struct ExitScore<T> {
        values {
            /// Sum of the cross entropies of counted tokens at their exits.
            pub(super) loss,
            /// Number of counted targets that are hit.
            pub(super) hits,
        }
        lists {
            /// Number of tokens that took 1, 2, … iterations.
            pub(super) taken,
        }
    }
}

named! {
    /// All scores of a batch.
    pub(super) struct Scores<T> {
        parts {
            /// By depth, in the order of the depths.
            pub(super) depths: Vec<DepthScore<T>>,
            /// By exit, in the order of the exits.
            pub(super) exits: Vec<ExitScore<T>>,
            pub(super) densities: Vec<Density<T>>,
        }
    }
}
