//! What a logged step reads from the device.

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
    /// What the last micro-batch of a logged step shows, on the device or read from it.
    pub(super) struct Observed<T> {
        values {
            /// Share of counted targets that were hit.
            pub(super) accuracy,
        }
        lists {
            /// Cross entropies after several iterations; none where the loss is of the last one alone.
            pub(super) losses,
            /// The penalty; nothing where the step has none.
            pub(super) penalty,
        }
        parts {
            pub(super) telemetry: Telemetry<T>,
            /// Open edges, where there are gates.
            pub(super) densities: Vec<Density<T>>,
            /// By how much the state is shrunk before an iteration; nothing where the model does not tell.
            pub(super) contraction: Vec<Contraction<T>>,
        }
        beside {
            /// The iterations of these cross entropies.
            pub(super) read_out: Vec<usize>,
        }
    }
}

named! {
    /// All that a logged step reads.
    pub(super) struct Logged<T> {
        parts {
            /// The steps since the last logged one, this one last.
            pub(super) steps: Vec<StepValues<T>>,
            pub(super) observed: Observed<T>,
        }
    }
}
