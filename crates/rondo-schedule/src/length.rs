//! A length of a run, and the run to which it is relative.
//!
//! A plain whole number counts steps; other units are written with a name: `40`,
//! `{ tokens = 1_000_000 }`, `{ fraction = 0.05 }`.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use rondo_config::Report;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The forms of a length, as a message lists them.
const FORMS: &str = "a whole number of steps, { tokens = N } or { fraction = X }";

/// The size of a run, which converts lengths to steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The number of steps T.
    pub steps: u64,
    /// The number of tokens in a step.
    pub tokens_per_step: u64,
}

/// A length of a part of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    /// This many steps.
    Steps(u64),
    /// The steps that this many tokens take, rounded up.
    Tokens(u64),
    /// This fraction of the run's steps, rounded to the nearest whole number. It is at least one
    /// step unless the fraction is 0.
    Fraction(f64),
}

impl Length {
    /// Returns the length in steps of `run`.
    pub fn steps(self, run: Run) -> u64 {
        match self {
            Self::Steps(steps) => steps,
            Self::Tokens(tokens) => tokens.div_ceil(run.tokens_per_step.max(1)),
            Self::Fraction(fraction) => {
                let steps = (fraction * run.steps as f64).round() as u64;
                steps.clamp(u64::from(fraction > 0.0), run.steps.max(1))
            }
        }
    }

    /// Returns whether the length is 0 in every run.
    pub(crate) fn is_zero(self) -> bool {
        match self {
            Self::Steps(count) | Self::Tokens(count) => count == 0,
            Self::Fraction(fraction) => fraction <= 0.0,
        }
    }

    /// Returns how two lengths compare in every run; `None` if the result depends on the run.
    pub(crate) fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Steps(one), Self::Steps(two)) | (Self::Tokens(one), Self::Tokens(two)) => {
                Some(one.cmp(&two))
            }
            (Self::Fraction(one), Self::Fraction(two)) => one.partial_cmp(&two),
            (one, two) if one.is_zero() => Some(match two.is_zero() {
                true => Ordering::Equal,
                false => Ordering::Less,
            }),
            (_, two) => two.is_zero().then_some(Ordering::Greater),
        }
    }

    /// Reports errors of the length under `key`.
    pub(crate) fn validate(self, key: &str, report: Report<'_>) {
        if let Self::Fraction(fraction) = self
            && !(0.0..=1.0).contains(&fraction)
        {
            report(
                &format!("{key}.fraction"),
                format!("must be 0 to 1, a part of the run, found {fraction}"),
            );
        }
    }
}

/// The units that are written with a name.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
struct Named {
    /// The steps that this many tokens take, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<u64>,
    /// This fraction of the run's steps, rounded to the nearest whole number.
    #[schemars(range(min = 0, max = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    fraction: Option<f64>,
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (tokens, fraction) = match *self {
            Self::Steps(steps) => return serializer.serialize_u64(steps),
            Self::Tokens(tokens) => (Some(tokens), None),
            Self::Fraction(fraction) => (None, Some(fraction)),
        };
        Named { tokens, fraction }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LengthVisitor)
    }
}

impl JsonSchema for Length {
    fn schema_name() -> Cow<'static, str> {
        "Length".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": FORMS,
            "description": "A stretch of a run.",
            "anyOf": [generator.subschema_for::<u64>(), Named::json_schema(generator)],
        })
    }
}

struct LengthVisitor;

impl<'de> Visitor<'de> for LengthVisitor {
    type Value = Length;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(FORMS)
    }

    fn visit_u64<E: Error>(self, steps: u64) -> Result<Length, E> {
        Ok(Length::Steps(steps))
    }

    fn visit_i64<E: Error>(self, steps: i64) -> Result<Length, E> {
        match u64::try_from(steps) {
            Ok(steps) => Ok(Length::Steps(steps)),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(steps), &self)),
        }
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Length, M::Error> {
        let named = Named::deserialize(MapAccessDeserializer::new(map))?;
        match (named.tokens, named.fraction) {
            (Some(tokens), None) => Ok(Length::Tokens(tokens)),
            (None, Some(fraction)) => Ok(Length::Fraction(fraction)),
            _ => Err(M::Error::custom("give either tokens or fraction")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Run = Run {
        steps: 200,
        tokens_per_step: 1000,
    };

    #[test]
    fn a_length_means_the_steps_that_it_takes() {
        for (length, steps) in [
            (Length::Steps(40), 40),
            (Length::Steps(u64::MAX), u64::MAX),
            (Length::Tokens(0), 0),
            (Length::Tokens(2000), 2),
            (Length::Tokens(2001), 3),
            (Length::Fraction(0.0), 0),
            (Length::Fraction(0.05), 10),
            (Length::Fraction(1e-9), 1),
            (Length::Fraction(1.0), 200),
        ] {
            assert_eq!(length.steps(RUN), steps, "{length:?}");
        }
    }

    #[test]
    fn a_whole_run_is_a_whole_run_however_long_it_is() {
        for steps in [1, 3, 1 << 53, u64::MAX] {
            let run = Run {
                steps,
                tokens_per_step: 0,
            };
            assert_eq!(Length::Fraction(1.0).steps(run), steps);
        }
    }

    #[test]
    fn lengths_of_one_unit_have_an_order_and_nothing_is_shorter_than_0() {
        let (steps, tokens) = (Length::Steps(5), Length::Tokens(4));
        assert_eq!(steps.order(Length::Steps(6)), Some(Ordering::Less));
        assert_eq!(steps.order(tokens), None);
        assert_eq!(steps.order(Length::Fraction(0.0)), Some(Ordering::Greater));
        assert_eq!(Length::Steps(0).order(tokens), Some(Ordering::Less));
        assert_eq!(
            Length::Steps(0).order(Length::Tokens(0)),
            Some(Ordering::Equal)
        );
    }
}
