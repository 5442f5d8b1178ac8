//! The values that a logged step reads from the device.

use rondo_model::contraction::Contraction;
use rondo_model::gates::Density;

use crate::named::named;
use crate::plan::StepPlan;
use crate::telemetry::Telemetry;

named! {
    /// Loss and gradient norm of a step, on the device or read from it.
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
    /// Measurements of the last micro-batch of a logged step, on the device or read from it.
    pub(super) struct Observed<T> {
        values {
            /// Share of counted targets that are hit.
            pub(super) accuracy,
        }
        lists {
            /// Cross entropies after several iterations; empty if only the last one counts.
            pub(super) losses,
            /// The penalty; empty if the step has none.
            pub(super) penalty,
        }
        parts {
            pub(super) telemetry: Telemetry<T>,
            /// Open edges, if there are gates.
            pub(super) densities: Vec<Density<T>>,
            /// How much the state shrinks before an iteration; empty if the model does not report
            /// it.
            pub(super) contraction: Vec<Contraction<T>>,
        }
        beside {
            /// The iterations of `losses`.
            pub(super) read_out: Vec<usize>,
        }
    }
}

named! {
    /// Everything that a logged step reads.
    pub(super) struct Logged<T> {
        parts {
            /// The steps since the last logged one, this one last.
            pub(super) steps: Vec<StepValues<T>>,
            pub(super) observed: Observed<T>,
        }
    }
}
