//! How a change of a configuration key affects a run.

/// What a key affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bearing {
    /// Where the run computes, and what it keeps and where; none of its numbers.
    Output,
    /// The length of the run.
    Budget,
    /// Measurements, and rules that stop the run.
    Watch,
    /// The remaining steps.
    Course,
    /// Every step: model, data, optimizer, batches, seed.
    Identity,
}

/// The keys that a resume may change; all other keys are the identity of the run. A name that ends
/// with a dot is a section.
const KEYS: [(&str, Bearing); 14] = [
    ("device.precision", Bearing::Course),
    ("device.", Bearing::Output),
    ("metrics.", Bearing::Output),
    ("checkpoint.", Bearing::Output),
    ("distributed.", Bearing::Output),
    ("data.cache", Bearing::Output),
    ("model.recurrence.recompute", Bearing::Output),
    ("train.steps", Bearing::Budget),
    ("train.tokens", Bearing::Budget),
    ("train.log_every", Bearing::Watch),
    ("eval.", Bearing::Watch),
    ("diagnosis.", Bearing::Watch),
    ("train.clip", Bearing::Course),
    ("schedule.", Bearing::Course),
];

impl Bearing {
    /// Returns what a dotted key affects.
    pub(super) fn of(key: &str) -> Self {
        let covers = |known: &str| match known.ends_with('.') {
            true => key.starts_with(known) || key == known.trim_end_matches('.'),
            false => key == known,
        };
        let found = KEYS.iter().find(|(known, _)| covers(known));
        found.map_or(Self::Identity, |(_, bearing)| *bearing)
    }

    /// Returns whether a run may be resumed with another value.
    pub(super) fn may_change(self) -> bool {
        self != Self::Identity
    }

    /// Returns whether a finished run with another value is a different run from the requested one.
    pub(super) fn matters_at_the_end(self) -> bool {
        self != Self::Output
    }

    /// Returns whether the name of a run includes the key if it is set. This is so if it changes
    /// what is computed, not only the length or the measurements.
    pub(super) fn names_a_run(self) -> bool {
        matches!(self, Self::Course | Self::Identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_cover_their_keys_and_nothing_else() {
        for (key, bearing) in [
            ("device.threads", Bearing::Output),
            ("device.precision", Bearing::Course),
            ("data.cache", Bearing::Output),
            ("distributed.reduce", Bearing::Output),
            ("data.paths", Bearing::Identity),
            ("model.recurrence.recompute", Bearing::Output),
            ("model.recurrence.mean", Bearing::Identity),
            ("train.steps", Bearing::Budget),
            ("train.batch", Bearing::Identity),
            ("eval.recurrence", Bearing::Watch),
            ("diagnosis.divergence.policy", Bearing::Watch),
            ("schedule.shape.kind", Bearing::Course),
            ("metrics", Bearing::Output),
            ("metricsx.a", Bearing::Identity),
        ] {
            assert_eq!(Bearing::of(key), bearing, "{key}");
        }
    }
}
