//! The labelled places of an axis, and the format of their numbers.

use crate::font::superscript;

/// The maximum number of labels on a log axis. If there would be more, only powers of ten are
/// labelled.
pub(crate) const MOST: usize = 8;

/// A labelled place on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) value: f64,
    pub(crate) text: String,
}

impl Tick {
    /// Makes a tick whose label is the value itself.
    pub(crate) fn of(value: f64) -> Self {
        Self {
            value,
            text: number(value),
        }
    }
}

/// Returns about `most` round numbers in a range. They are the multiples of 1, 2 or 5 times a power
/// of ten.
pub(crate) fn round_ticks(low: f64, high: f64, most: usize) -> Vec<Tick> {
    let raw = (high - low) / most as f64;
    let magnitude = raw.log10().floor() as i32;
    let power = 10.0_f64.powi(magnitude);
    let (factor, carry) = [(1.0, 0), (2.0, 0), (5.0, 0), (10.0, 1)]
        .into_iter()
        .find(|(factor, _)| factor * power >= raw * (1.0 - 1e-9))
        .unwrap_or((10.0, 1));
    let step = factor * power;
    let decimals = usize::try_from(-(magnitude + carry)).unwrap_or(0);
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    let largest = low.abs().max(high.abs());
    (0..=(last - first).max(0.0) as usize)
        .map(|index| {
            let value = (first + index as f64) * step;
            let text = if (1e-4..1e5).contains(&largest) && decimals <= 6 {
                minus(&format!("{value:.decimals$}"))
            } else {
                number(value)
            };
            Tick { value, text }
        })
        .collect()
}

/// Returns the labelled and the unlabelled places of a log axis.
///
/// The labels are multiples of powers of ten. The first of these sets of factors is used that gives
/// at least three labels and not too many: 1 to 9, or 1, 2, 3, 5 and 7 (each with at most `most`
/// labels and at most six); 1, 2 and 5 (at most `most` labels, or any number if the range has fewer
/// than two powers of ten). If no set fits, only powers of ten are labelled, or round numbers if
/// the range has fewer than two powers of ten.
pub(crate) fn log_ticks(low: f64, high: f64, most: usize) -> (Vec<Tick>, Vec<f64>) {
    let slack = 1.0 + 1e-9;
    let inside = |value: &f64| (low / slack..=high * slack).contains(value);
    let exponents = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let multiples = |factors: &[f64]| -> Vec<f64> {
        exponents
            .clone()
            .flat_map(|e| factors.iter().map(move |factor| factor * 10.0_f64.powi(e)))
            .filter(inside)
            .collect()
    };
    let every = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    let powers: Vec<i32> = exponents
        .clone()
        .filter(|e| inside(&10.0_f64.powi(*e)))
        .collect();
    let some = [
        (&every[..], most.min(6)),
        (&[1.0, 2.0, 3.0, 5.0, 7.0], most.min(6)),
        (
            &[1.0, 2.0, 5.0],
            if powers.len() < 2 { usize::MAX } else { most },
        ),
    ]
    .into_iter()
    .map(|(factors, most)| (multiples(factors), most))
    .find(|(labelled, most)| (3..=*most).contains(&labelled.len()));
    if let Some((labelled, _)) = some {
        return (
            labelled.into_iter().map(Tick::of).collect(),
            multiples(&every),
        );
    }
    if powers.len() >= 2 {
        let stride = powers.len().div_ceil(9);
        let labelled = powers.iter().step_by(stride).map(|e| Tick {
            value: 10.0_f64.powi(*e),
            text: format!("10{}", superscript(*e)),
        });
        let minor = match powers.len() {
            0..=6 => multiples(&every),
            _ => Vec::new(),
        };
        return (labelled.collect(), minor);
    }
    (round_ticks(low, high, 5), Vec::new())
}

/// Formats a number with three significant digits. Numbers far from 1 are written like `2×10⁻⁵`.
pub(crate) fn number(value: f64) -> String {
    if (1e-3..1e5).contains(&value.abs()) || value.abs() <= 0.0 {
        return plain(value);
    }
    let scientific = format!("{value:.2e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = trimmed(digits);
    let power = format!("10{}", superscript(exponent.parse().unwrap_or(0)));
    match digits {
        "1" => power,
        digits => minus(&format!("{digits}×{power}")),
    }
}

/// Formats a number without an exponent. If it has decimals, it has three significant digits.
pub(crate) fn plain(value: f64) -> String {
    let whole_digits = value.abs().max(1e-9).log10().floor() as i32;
    let decimals = usize::try_from(2 - whole_digits).unwrap_or(0);
    minus(trimmed(&format!("{value:.decimals$}")))
}

fn trimmed(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

/// Replaces hyphens by minus signs. A number that rounds to zero has no sign.
fn minus(text: &str) -> String {
    let zero = text.chars().all(|c| matches!(c, '-' | '0' | '.'));
    text.replace('-', if zero { "" } else { "−" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_log_axis(low: f64, high: f64, most: usize) -> String {
        let (ticks, _) = log_ticks(low, high, most);
        let texts: Vec<String> = ticks.into_iter().map(|tick| tick.text).collect();
        texts.join(" ")
    }

    #[test]
    fn round_numbers_lie_inside() {
        let texts: Vec<String> = round_ticks(-0.31, 0.72, 6)
            .into_iter()
            .map(|tick| tick.text)
            .collect();
        assert_eq!(texts, ["−0.2", "0.0", "0.2", "0.4", "0.6"]);
    }

    #[test]
    fn a_few_decades_have_labels_between_the_powers_of_ten() {
        assert_eq!(on_a_log_axis(1.2, 30.0, MOST), "2 5 10 20");
        assert_eq!(on_a_log_axis(0.1, 1.0, MOST), "0.1 0.2 0.3 0.5 0.7 1");
        assert_eq!(on_a_log_axis(2.3, 7.4, MOST), "3 4 5 6 7");
        let perplexities = "10 20 50 100 200 500 1000";
        assert_eq!(on_a_log_axis(9.0, 1300.0, MOST), perplexities);
    }

    #[test]
    fn many_decades_have_powers_of_ten_and_a_part_of_one_has_round_numbers() {
        assert_eq!(on_a_log_axis(1.0, 1300.0, MOST), "10⁰ 10¹ 10² 10³");
        assert_eq!(on_a_log_axis(9.0, 1300.0, 4), "10¹ 10² 10³");
        assert_eq!(on_a_log_axis(10.7, 13.6, MOST), "11 12 13");
    }

    #[test]
    fn numbers_far_from_one_have_an_exponent() {
        for (value, text) in [
            (0.0, "0"),
            (12.5, "12.5"),
            (-0.004, "−0.004"),
            (1e-5, "10⁻⁵"),
            (2.5e7, "2.5×10⁷"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
