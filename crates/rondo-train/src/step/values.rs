//! The values that a logged step reads from the device.

use rondo_model::contraction::Contraction;
use rondo_model::gates::Density;

use crate::named::named;
use crate::plan::StepPlan;
use crate::telemetry::Telemetry;

named! {
    /// Loss and gradient norm of a step. `T` is a tensor on the device or a number read from it.
    #[derive(Clone)]
    pub(super) struct StepValues<T> {
        values {
            pub(super) loss,
            pub(super) grad_norm,
        }
        beside {
            pub(super) plan: StepPlan,
        }
    }
}

named! {
    /// Measurements of the last micro-batch of a logged step. `T` is a tensor on the device or a
    /// number read from it.
    pub(super) struct Observed<T> {
        values {
            /// The share of targets that the model predicts correctly.
            pub(super) accuracy,
        }
        lists {
            /// The cross entropies after the iterations in `read_out`. Empty if only the last
            /// iteration counts.
            pub(super) losses,
            /// The value of the penalty. Empty if the step has none.
            pub(super) penalty,
        }
        parts {
            pub(super) telemetry: Telemetry<T>,
            /// The shares of open edges. Empty if there are no gates.
            pub(super) densities: Vec<Density<T>>,
            /// The factor by which the state shrinks before an iteration. Empty if the model does
            /// not report it.
            pub(super) contraction: Vec<Contraction<T>>,
        }
        beside {
            /// The numbers of the iterations whose cross entropies are in `losses`.
            pub(super) read_out: Vec<usize>,
        }
    }
}

named! {
    /// All values that a logged step reads.
    pub(super) struct Logged<T> {
        parts {
            /// The steps since the last logged one, up to this step.
            pub(super) steps: Vec<StepValues<T>>,
            pub(super) observed: Observed<T>,
        }
    }
}
