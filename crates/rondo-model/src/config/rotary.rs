//! The rotary embedding: the pairs of elements that it rotates, and the scaling of its frequencies.

use rondo_config::Report;
use rondo_config::report::{at_least_one, positive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which elements of a head the rotary embedding rotates as a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RopePairing {
    /// Neighbours, `(x_2j, x_2j+1)`, as in the original paper (Su et al. 2021) and in Huginn.
    Adjacent,
    /// One element of each half, `(x_j, x_{j + d_head/2})`, as in Llama, Qwen, OLMo 2 and Ouro.
    Halves,
}

/// How the frequencies of the rotary embedding are changed for contexts longer than in training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RopeScaling {
    /// Low frequencies are divided by `factor`, and high frequencies are unchanged. Between the
    /// two, the scaled frequency is interpolated linearly in the number of turns within the
    /// original context (Llama 3.1).
    Llama3 {
        /// The divisor of low frequencies.
        factor: f64,
        /// Frequencies with fewer turns than this within the original context are low.
        low_frequency: f64,
        /// Frequencies with more turns than this within the original context are high.
        high_frequency: f64,
        /// The length of the original context, in tokens.
        original_context: usize,
    },
}

impl RopeScaling {
    /// Returns the scaled value of an angular frequency, in radians per position.
    ///
    /// `ω` if `c > high`, `ω / factor` if `c < low`, otherwise `(1 − s)·ω / factor + s·ω` with
    /// `s = (c − low) / (high − low)`, where c = `original_context`·ω / 2π is the number of turns.
    pub fn scaled(self, frequency: f64) -> f64 {
        let Self::Llama3 {
            factor,
            low_frequency,
            high_frequency,
            original_context,
        } = self;
        let turns = original_context as f64 * frequency / std::f64::consts::TAU;
        if turns > high_frequency {
            frequency
        } else if turns < low_frequency {
            frequency / factor
        } else {
            let share = (turns - low_frequency) / (high_frequency - low_frequency);
            (1.0 - share) * frequency / factor + share * frequency
        }
    }

    /// Reports every violation by its key path below `[model.rope_scaling]`.
    pub fn validate(self, report: Report<'_>) {
        let Self::Llama3 {
            factor,
            low_frequency,
            high_frequency,
            original_context,
        } = self;
        positive("factor", factor, report);
        positive("low_frequency", low_frequency, report);
        at_least_one("original_context", original_context, report);
        // The comparison also fails if one of the numbers is NaN.
        if high_frequency.partial_cmp(&low_frequency) != Some(std::cmp::Ordering::Greater)
            || !high_frequency.is_finite()
        {
            let message =
                format!("must be above low_frequency = {low_frequency}, found {high_frequency}");
            report("high_frequency", message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_frequencies_are_divided_and_high_ones_stay() {
        let scaling = RopeScaling::Llama3 {
            factor: 8.0,
            low_frequency: 1.0,
            high_frequency: 4.0,
            original_context: 64,
        };
        let turns = |count: f64| count * std::f64::consts::TAU / 64.0;
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a}, not {b}");
        near(scaling.scaled(turns(5.0)), turns(5.0));
        near(scaling.scaled(turns(0.5)), turns(0.0625));
        // Halfway between the limits: half of 2.5 / 8 plus half of 2.5.
        near(scaling.scaled(turns(2.5)), turns(0.5 * 0.3125 + 0.5 * 2.5));
        // No jump at the seams.
        near(scaling.scaled(turns(4.0)), turns(4.0));
        near(scaling.scaled(turns(1.0)), turns(0.125));
    }
}
