//! How the rules of a configuration section report violations, and rules that many sections share.
//!
//! The `validate` function of a section gets a [`Report`] and calls it once for each violation,
//! with the key relative to the section. The message contains the value found. NaN violates every
//! rule about real numbers.

use std::fmt::Display;
use std::ops::RangeInclusive;

/// Receives one violation: the key path relative to the section, and the message.
pub type Report<'a> = &'a mut dyn FnMut(&str, String);

/// Returns the report of a section, which prefixes each key with `name` and a dot.
pub fn section(name: &str, report: Report<'_>) -> impl FnMut(&str, String) {
    move |key: &str, message: String| report(&format!("{name}.{key}"), message)
}

/// Reports a value that is infinite or NaN.
pub fn finite(key: &str, value: f64, report: Report<'_>) {
    if !value.is_finite() {
        report(key, format!("must be a number, found {value}"));
    }
}

/// Reports a value that is not a finite number above 0.
pub fn positive(key: &str, value: f64, report: Report<'_>) {
    if !(value.is_finite() && value > 0.0) {
        report(key, format!("must be a positive number, found {value}"));
    }
}

/// Reports a value outside `0 ≤ value < 1`.
pub fn fraction(key: &str, value: f64, report: Report<'_>) {
    if !(0.0..1.0).contains(&value) {
        report(
            key,
            format!("must be at least 0 and below 1, found {value}"),
        );
    }
}

/// Reports a value outside `0 < value ≤ 1`.
pub fn positive_fraction(key: &str, value: f64, report: Report<'_>) {
    if !(value > 0.0 && value <= 1.0) {
        report(key, format!("must be above 0 and at most 1, found {value}"));
    }
}

/// Reports a count that is 0.
pub fn at_least_one<N: Copy + PartialEq + From<u8>>(key: &str, count: N, report: Report<'_>) {
    if count == N::from(0) {
        report(key, "must be at least 1, found 0".to_owned());
    }
}

/// Reports a value outside a range; both ends belong to the range.
pub fn within<N: Copy + Display + PartialOrd>(
    key: &str,
    value: N,
    range: RangeInclusive<N>,
    report: Report<'_>,
) {
    if !range.contains(&value) {
        let (low, high) = range.into_inner();
        report(key, format!("must be {low} to {high}, found {value}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the reported violations as `key: message`.
    fn reported(check: impl Fn(Report<'_>)) -> Vec<String> {
        let mut found = Vec::new();
        check(&mut |key, message| found.push(format!("{key}: {message}")));
        found
    }

    #[test]
    fn a_section_stands_before_its_keys() {
        let found = reported(|report| {
            positive(
                "above",
                0.0,
                &mut section("inner", &mut section("outer", report)),
            );
            at_least_one("beside", 0_u64, report);
        });
        let expected = [
            "outer.inner.above: must be a positive number, found 0",
            "beside: must be at least 1, found 0",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_ends_of_a_range_are_in_it_or_not_as_its_name_says() {
        for (value, found) in [
            (
                f64::NAN,
                "finite positive fraction positive_fraction within",
            ),
            (
                f64::INFINITY,
                "finite positive fraction positive_fraction within",
            ),
            (-1.0, "positive fraction positive_fraction within"),
            (0.0, "positive positive_fraction"),
            (0.5, ""),
            (1.0, "fraction"),
            (2.0, "fraction positive_fraction within"),
        ] {
            let mut keys = Vec::new();
            let report: Report<'_> = &mut |key, _| keys.push(key.to_owned());
            finite("finite", value, report);
            positive("positive", value, report);
            fraction("fraction", value, report);
            positive_fraction("positive_fraction", value, report);
            within("within", value, 0.0..=1.0, report);
            assert_eq!(keys.join(" "), found, "{value}");
        }
    }

    #[test]
    fn what_is_found_is_told_with_what_may_be() {
        let found = reported(|report| {
            finite("a", f64::NAN, report);
            fraction("b", 1.5, report);
            positive_fraction("c", 0.0, report);
            within("d", 65_usize, 1..=64, report);
            at_least_one("e", 1_usize, report);
        });
        let expected = [
            "a: must be a number, found NaN",
            "b: must be at least 0 and below 1, found 1.5",
            "c: must be above 0 and at most 1, found 0",
            "d: must be 1 to 64, found 65",
        ];
        assert_eq!(found, expected);
    }
}
