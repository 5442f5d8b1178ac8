//! How a change of a configuration key affects a run.

/// What the value of a configuration key affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bearing {
    /// Where the run computes, and which files it keeps. No numbers of the run change.
    Output,
    /// The length of the run.
    Budget,
    /// The measurements, and the rules that stop the run.
    Watch,
    /// The steps after the change.
    Course,
    /// Every step. These are the keys of model, data, optimizer, batches and seed.
    Identity,
}

/// The keys that may change when a run resumes. All other keys are part of the identity of the run.
/// A name that ends with a dot stands for a whole section.
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

    /// Returns whether a run may resume with another value of the key.
    pub(super) fn may_change(self) -> bool {
        self != Self::Identity
    }

    /// Returns whether another value of the key makes a finished run a different run than the
    /// requested one.
    pub(super) fn matters_at_the_end(self) -> bool {
        self != Self::Output
    }

    /// Returns whether the default name of a run includes the key when it is set. The name includes
    /// keys that change what the run computes, and leaves out keys that change only its length, its
    /// measurements or its files.
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
