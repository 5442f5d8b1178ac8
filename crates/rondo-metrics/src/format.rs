//! Formats numbers for people. In place of a missing number this module prints [`MISSING`], never a
//! guess.

use crate::value::Value;

/// The text printed in place of a missing number.
pub const MISSING: &str = "n/a";

/// Formats a number if it exists: `or_missing(loss, |x| significant(x, 4))`.
pub fn or_missing(value: Option<f64>, format: impl FnOnce(f64) -> String) -> String {
    value.map_or_else(|| MISSING.to_owned(), format)
}

/// Formats a number with `digits` significant digits: `3.412`, `0.0512`, `258`. A number outside
/// 10⁻⁴ … 10⁶ is printed as `1.20e-5`. Digits before the point are never rounded away: with three
/// digits, 2581 stays `2581`.
pub fn significant(x: f64, digits: usize) -> String {
    let digits = digits.max(1);
    if x.is_nan() {
        return "NaN".to_owned();
    }
    if x == 0.0 || x.is_infinite() {
        return format!("{x}");
    }
    let scientific = format!("{x:.*e}", digits - 1);
    // Rounding may carry into the next power of ten, so the exponent is read from the rounded
    // number.
    let exponent = scientific
        .rsplit('e')
        .next()
        .and_then(|e| e.parse::<i32>().ok())
        .unwrap_or(0);
    if (-4..6).contains(&exponent) {
        let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
        format!("{x:.decimals$}")
    } else {
        scientific
    }
}

/// Formats a detail of an event: a whole number with all its digits, another number with four
/// significant digits, a series as its length.
pub fn value(value: &Value) -> String {
    match value {
        Value::Number(x) if x.fract() == 0.0 && x.abs() < 1e15 => format!("{x}"),
        Value::Number(x) => significant(*x, 4),
        Value::Null => MISSING.to_owned(),
        Value::Series(values) => format!("[{} values]", values.len()),
        Value::Text(text) => text.clone(),
    }
}

/// Formats a count with separators: `3,564,976,800`.
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a size: `512 B`, `1.50 KiB`, `12.3 MiB`, `4.00 GiB`.
pub fn bytes(count: u64) -> String {
    if count < 1024 {
        return format!("{count} B");
    }
    let (scaled, prefix) = scale(count as f64, 1024.0, ["Ki", "Mi", "Gi", "Ti", "Pi"]);
    format!("{scaled} {prefix}B")
}

/// Formats a rate: `12.3k tok/s` for 12,345 with the unit `tok`.
pub fn rate(per_second: f64, unit: &str) -> String {
    format!("{} {unit}/s", short(per_second))
}

/// Formats a number with three significant digits and a decimal prefix: `12.3k`, `3.56G`.
pub fn short(x: f64) -> String {
    if !x.is_finite() || x.abs() < 999.5 {
        return significant(x, 3);
    }
    let (scaled, prefix) = scale(x, 1000.0, ["k", "M", "G", "T", "P"]);
    format!("{scaled}{prefix}")
}

/// Divides the number by the base until at most three digits are before the point. Returns three
/// significant digits, and the prefix.
fn scale(x: f64, base: f64, prefixes: [&'static str; 5]) -> (String, &'static str) {
    let mut scaled = x / base;
    let mut index = 0;
    while scaled.abs() >= 999.5 && index + 1 < prefixes.len() {
        scaled /= base;
        index += 1;
    }
    (significant(scaled, 3), prefixes[index])
}

/// Formats a duration. From a minute on it shows the two largest units: `350ms`, `12.5s`, `4m 05s`,
/// `1h 02m`, `3d 04h`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return MISSING.to_owned();
    }
    let whole = seconds.round() as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86400);
    if seconds < 0.9995 {
        format!("{:.0}ms", seconds * 1000.0)
    } else if seconds < 59.95 {
        format!("{seconds:.1}s")
    } else if hours == 0 {
        format!("{minutes}m {:02}s", whole % 60)
    } else if days == 0 {
        format!("{hours}h {:02}m", minutes % 60)
    } else {
        format!("{days}d {:02}h", hours % 24)
    }
}

/// Formats a learning rate: `4.0e-5`.
pub fn learning_rate(rate: f64) -> String {
    if rate == 0.0 {
        "0".to_owned()
    } else {
        format!("{rate:.1e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn significant_digits_are_kept_and_never_invented() {
        for (x, digits, text) in [
            (3.41159, 4, "3.412"),
            (0.051_23, 3, "0.0512"),
            (258.4, 3, "258"),
            (2581.0, 3, "2581"),
            (9.999, 3, "10.0"),
            (0.000_1, 2, "0.00010"),
            (0.000_012, 3, "1.20e-5"),
            (999_999.7, 3, "1.00e6"),
            (-0.5, 1, "-0.5"),
            (0.0, 4, "0"),
            (f64::NAN, 4, "NaN"),
            (f64::NEG_INFINITY, 4, "-inf"),
        ] {
            assert_eq!(significant(x, digits), text);
        }
    }

    #[test]
    fn counts_have_separators() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (3_564_976_800, "3,564,976,800"),
        ] {
            assert_eq!(thousands(count), text);
        }
    }

    #[test]
    fn sizes_and_rates_have_three_digits_and_a_prefix() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.50 KiB"),
            (1_048_575, "1.00 MiB"),
            (4 << 30, "4.00 GiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        for (x, text) in [
            (12.0, "12.0 tok/s"),
            (999.7, "1.00k tok/s"),
            (12_345.0, "12.3k tok/s"),
        ] {
            assert_eq!(rate(x, "tok"), text);
        }
        assert_eq!(short(3_564_976_800.0), "3.56G");
    }

    #[test]
    fn durations_have_their_two_largest_units() {
        for (seconds, text) in [
            (0.35, "350ms"),
            (0.9999, "1.0s"),
            (12.5, "12.5s"),
            (59.99, "1m 00s"),
            (245.0, "4m 05s"),
            (3599.7, "1h 00m"),
            (3725.0, "1h 02m"),
            (273_600.0, "3d 04h"),
            (f64::NAN, MISSING),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn learning_rates_are_scientific() {
        assert_eq!(
            (learning_rate(4e-5), learning_rate(0.0)),
            ("4.0e-5".into(), "0".into())
        );
    }

    #[test]
    fn a_number_that_is_not_there_is_said_to_be_missing() {
        assert_eq!(or_missing(None, duration), "n/a");
        assert_eq!(or_missing(Some(2.0), |x| significant(x, 3)), "2.00");
    }
}
