//! The mean and the standard deviation over the runs of a group.

use rondo_metrics::format::significant;
use serde::Serialize;

/// The mean and the sample standard deviation, `√(Σ (x − mean)² / (n − 1))`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Mean {
    #[serde(rename = "mean")]
    pub(super) value: f64,
    /// The standard deviation; `None` if there is only one value.
    pub(super) sd: Option<f64>,
    /// The number of values.
    pub(super) n: usize,
}

impl Mean {
    /// Returns the mean of the finite values, or `None` if there are none.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let finite: Vec<f64> = values
            .into_iter()
            .filter(|value| value.is_finite())
            .collect();
        let n = finite.len();
        let count = n as f64;
        let mean = finite.iter().sum::<f64>() / count;
        let squares: f64 = finite.iter().map(|value| (value - mean).powi(2)).sum();
        (n > 0).then(|| Self {
            value: mean,
            sd: (n > 1).then(|| (squares / (count - 1.0)).sqrt()),
            n,
        })
    }

    /// Formats the mean and the deviation, for example as `2.412 ± 0.051`; the mean has `digits`
    /// significant digits. If there are fewer values than `runs`, the number of values is appended,
    /// as in `(3 of 4)`.
    pub(super) fn text(self, runs: usize, digits: usize) -> String {
        let mean = significant(self.value, digits);
        let spread = match (self.sd, mean.split_once('.')) {
            (None, _) => String::new(),
            (Some(sd), Some((_, decimals))) if !mean.contains('e') => {
                let rounded = format!("{sd:.*}", decimals.len());
                let is_zero = rounded.chars().all(|c| matches!(c, '0' | '.'));
                match is_zero && sd > 0.0 {
                    true => format!(" ± {}", significant(sd, 1)),
                    false => format!(" ± {rounded}"),
                }
            }
            (Some(sd), _) => format!(" ± {}", significant(sd, 2)),
        };
        match self.n == runs {
            true => format!("{mean}{spread}"),
            false => format!("{mean}{spread} ({} of {runs})", self.n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        // The variance is (1 + 0 + 1) / (3 − 1) = 1.
        let mean = Mean::of([2.0, 3.0, 4.0]).expect("values");
        assert_eq!((mean.value, mean.sd, mean.n), (3.0, Some(1.0), 3));
        assert_eq!(mean.text(3, 4), "3.000 ± 1.000");
        assert_eq!(mean.text(4, 4), "3.000 ± 1.000 (3 of 4)");
    }

    #[test]
    fn values_that_are_not_finite_do_not_count() {
        let mean = Mean::of([f64::NAN, 5.0]).expect("a value");
        assert_eq!((mean.value, mean.sd, mean.n), (5.0, None, 1));
        assert_eq!(mean.text(2, 4), "5.000 (1 of 2)");
        assert_eq!(Mean::of([f64::INFINITY]), None);
    }

    #[test]
    fn a_deviation_has_the_decimals_of_its_mean_and_is_never_rounded_to_zero() {
        let text = |mean, sd| {
            Mean {
                value: mean,
                sd: Some(sd),
                n: 2,
            }
            .text(2, 4)
        };
        assert_eq!(text(12.345_6, 0.5), "12.35 ± 0.50");
        assert_eq!(text(2.5, 0.0), "2.500 ± 0.000");
        assert_eq!(text(2.5, 1e-5), "2.500 ± 1e-5");
        assert_eq!(text(54_321.0, 12.0), "54321 ± 12");
    }
}
