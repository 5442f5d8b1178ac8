//! A metric's value and its form in JSON.
//!
//! A finite number is written with the fewest digits from which the same `f64` is read back, bit
//! for bit. JSON has only finite numbers, but a loss that became NaN must stay visible and
//! readable. Numbers that are not finite are therefore written as the strings `"NaN"`, `"inf"` and
//! `"-inf"`, and these strings are read as numbers. A text that is exactly one of the three strings
//! is also read as a number.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The value of one metric, or of one detail of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number, finite or not.
    Number(f64),
    /// An undefined number, for example the correlation of a single token or the residual at depth
    /// 0.
    Null,
    /// A number per iteration or per position; `None` where the number is undefined.
    Series(Vec<Option<f64>>),
    /// A text. Only events contain texts.
    Text(String),
}

impl Value {
    /// Returns the number; `None` if the value is not a number.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(x) => Some(*x),
            Self::Null | Self::Series(_) | Self::Text(_) => None,
        }
    }

    /// Returns the series; `None` if the value is not a series.
    pub fn as_series(&self) -> Option<&[Option<f64>]> {
        match self {
            Self::Series(values) => Some(values),
            Self::Null | Self::Number(_) | Self::Text(_) => None,
        }
    }

    /// Returns the text; `None` if the value is not a text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Number(_) | Self::Series(_) => None,
        }
    }
}

impl From<f64> for Value {
    fn from(x: f64) -> Self {
        Self::Number(x)
    }
}

impl From<u64> for Value {
    fn from(x: u64) -> Self {
        Self::Number(x as f64)
    }
}

impl From<usize> for Value {
    fn from(x: usize) -> Self {
        Self::Number(x as f64)
    }
}

impl From<Option<f64>> for Value {
    fn from(x: Option<f64>) -> Self {
        x.map_or(Self::Null, Self::Number)
    }
}

impl From<Vec<Option<f64>>> for Value {
    fn from(values: Vec<Option<f64>>) -> Self {
        Self::Series(values)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// One number in its JSON form.
struct Real(f64);

impl Serialize for Real {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            x if x.is_finite() => serializer.serialize_f64(x),
            x if x.is_nan() => serializer.serialize_str("NaN"),
            x if x > 0.0 => serializer.serialize_str("inf"),
            _ => serializer.serialize_str("-inf"),
        }
    }
}

fn nonfinite(word: &str) -> Option<f64> {
    match word {
        "NaN" => Some(f64::NAN),
        "inf" => Some(f64::INFINITY),
        "-inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Number(x) => Ok(Self(x)),
            Value::Null | Value::Series(_) | Value::Text(_) => {
                Err(de::Error::custom("a series holds numbers and nulls only"))
            }
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(x) => Real(*x).serialize(serializer),
            Self::Null => serializer.serialize_unit(),
            Self::Series(values) => serializer.collect_seq(values.iter().map(|v| v.map(Real))),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, null, a list of numbers, or a text")
    }

    fn visit_f64<E: de::Error>(self, x: f64) -> Result<Value, E> {
        Ok(Value::Number(x))
    }

    fn visit_u64<E: de::Error>(self, x: u64) -> Result<Value, E> {
        Ok(Value::Number(x as f64))
    }

    fn visit_i64<E: de::Error>(self, x: i64) -> Result<Value, E> {
        Ok(Value::Number(x as f64))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(nonfinite(text).map_or_else(|| Value::from(text), Value::Number))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element::<Option<Real>>()? {
            values.push(value.map(|Real(x)| x));
        }
        Ok(Value::Series(values))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse must fail the test")]

    use super::*;

    fn round_trip(value: &Value) -> Value {
        serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
    }

    #[test]
    fn every_finite_number_reads_back_bit_for_bit() {
        let mut bits: u64 = 0x9e37_79b9_7f4a_7c15;
        let edges = [
            0.0,
            -0.0,
            f64::MIN_POSITIVE,
            5e-324,
            f64::MAX,
            0.1,
            1e22,
            3_564_976_800.0,
        ];
        let random = (0..20_000).map(|_| {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            f64::from_bits(bits)
        });
        for x in edges.into_iter().chain(random).filter(|x| x.is_finite()) {
            let back = round_trip(&Value::Number(x)).as_number().unwrap();
            assert_eq!(back.to_bits(), x.to_bits(), "{x:e}");
        }
    }

    #[test]
    fn a_number_that_is_not_finite_stays_visible_and_reads_back() {
        assert_eq!(
            serde_json::to_string(&Value::Number(f64::NAN)).unwrap(),
            r#""NaN""#
        );
        assert!(
            round_trip(&Value::Number(f64::NAN))
                .as_number()
                .unwrap()
                .is_nan()
        );
        for x in [f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(round_trip(&Value::Number(x)), Value::Number(x));
        }
    }

    #[test]
    fn series_keep_their_holes() {
        let series = Value::Series(vec![None, Some(0.5), Some(f64::INFINITY)]);
        assert_eq!(
            serde_json::to_string(&series).unwrap(),
            r#"[null,0.5,"inf"]"#
        );
        assert_eq!(round_trip(&series), series);
        assert_eq!(round_trip(&Value::Null), Value::Null);
        assert_eq!(round_trip(&Value::from("loss")), Value::from("loss"));
    }

    #[test]
    fn a_whole_number_is_a_number() {
        assert_eq!(
            serde_json::from_str::<Value>("-3").unwrap(),
            Value::Number(-3.0)
        );
    }

    #[test]
    fn nested_values_are_refused() {
        for text in ["[[1]]", r#"["a"]"#, "true", r#"{"a":1}"#] {
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
        }
    }
}
