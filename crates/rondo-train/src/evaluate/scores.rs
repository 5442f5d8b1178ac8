//! What an evaluation reads of a batch.

use rondo_model::gates::Density;

use crate::named::named;

named! {
    /// What a batch gives at one depth, on the device or read from it.
    pub(super) struct DepthScore<T> {
        values {
            /// Σ of the cross entropies of counted tokens.
            pub(super) loss,
        }
        parts {
            /// Counted targets hit, by position; tasks only.
            pub(super) hits: Option<T>,
        }
    }
}

named! {
    /// What a batch gives under one criterion, on the device or read from it.
    pub(super) struct ExitScore<T> {
        values {
            /// Σ of the cross entropies of counted tokens at their exits.
            pub(super) loss,
            /// Counted targets hit.
            pub(super) hits,
        }
        lists {
            /// Tokens that took 1, 2, … iterations.
            pub(super) taken,
        }
    }
}

named! {
    /// All that an evaluation reads of a batch.
    pub(super) struct Scores<T> {
        parts {
            /// In the order of the depths.
            pub(super) depths: Vec<DepthScore<T>>,
            /// In the order of the exits.
            pub(super) exits: Vec<ExitScore<T>>,
            pub(super) densities: Vec<Density<T>>,
        }
    }
}
