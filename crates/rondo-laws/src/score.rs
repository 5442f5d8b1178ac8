//! How well a law predicts curves.

use serde::Serialize;

use crate::curve::Curve;
use crate::law::Law;

/// The errors of a law's predictions for one curve. Losses are in nat/token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The curve's name.
    pub name: String,
    /// The curve's number of points.
    pub points: usize,
    /// `1 − Σ(L − L̂)² / Σ(L − mean L)²`; `None` if the loss is constant.
    pub r2: Option<f64>,
    /// The mean absolute error.
    pub mae: f64,
    /// The root of the mean squared error.
    pub rmse: f64,
    /// The mean relative error, called PredE by the authors of the Multi-Power Law.
    pub mean_relative: f64,
    /// The largest relative error, called WorstE by the same authors.
    pub worst_relative: f64,
}

/// The mean of several curves' scores with equal weights, as the authors of the Multi-Power Law
/// report it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MeanScore {
    /// The mean R² of the curves whose loss is not constant.
    pub r2: Option<f64>,
    /// The mean of the curves' mean absolute errors.
    pub mae: f64,
    /// The mean of the curves' roots of the mean squared errors.
    pub rmse: f64,
    /// The mean of the curves' mean relative errors.
    pub mean_relative: f64,
    /// The mean of the curves' largest relative errors.
    pub worst_relative: f64,
}

/// The scores of several curves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// The score of each curve, in the given order.
    pub curves: Vec<Score>,
    /// The mean of the curves' scores.
    pub mean: MeanScore,
    /// R² of the points of all curves taken together, around their common mean; `None` if the loss
    /// is constant.
    pub pooled_r2: Option<f64>,
    /// The largest relative error among all points of all curves.
    pub worst_relative: f64,
}

impl MeanScore {
    fn of(curves: &[Score]) -> Self {
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let all = |value: fn(&Score) -> f64| mean(curves.iter().map(value).collect());
        let known: Vec<f64> = curves.iter().filter_map(|curve| curve.r2).collect();
        Self {
            r2: (!known.is_empty()).then(|| mean(known)),
            mae: all(|curve| curve.mae),
            rmse: all(|curve| curve.rmse),
            mean_relative: all(|curve| curve.mean_relative),
            worst_relative: all(|curve| curve.worst_relative),
        }
    }
}

/// Compares a law's predictions with curves. The curves need not be those to which the law was
/// fitted.
pub fn score(law: &Law, curves: &[Curve]) -> Scores {
    let mut all = (Vec::new(), Vec::new());
    let scores = curves.iter().map(|curve| {
        let predicted = law.predict(curve.schedule());
        let score = score_of(curve.name(), curve.losses(), &predicted);
        all.0.extend_from_slice(curve.losses());
        all.1.extend(predicted);
        score
    });
    let curves: Vec<Score> = scores.collect();
    let worst = curves.iter().map(|score| score.worst_relative);
    Scores {
        pooled_r2: r2(&all.0, &all.1),
        worst_relative: worst.fold(0.0, f64::max),
        mean: MeanScore::of(&curves),
        curves,
    }
}

fn score_of(name: &str, losses: &[f64], predicted: &[f64]) -> Score {
    let count = losses.len() as f64;
    let errors = || {
        losses
            .iter()
            .zip(predicted)
            .map(|(loss, value)| (value - loss).abs())
    };
    let relative = || errors().zip(losses).map(|(error, loss)| error / loss);
    Score {
        name: name.to_owned(),
        points: losses.len(),
        r2: r2(losses, predicted),
        mae: errors().sum::<f64>() / count,
        rmse: (errors().map(|error| error * error).sum::<f64>() / count).sqrt(),
        mean_relative: relative().sum::<f64>() / count,
        worst_relative: relative().fold(0.0, f64::max),
    }
}

fn r2(losses: &[f64], predicted: &[f64]) -> Option<f64> {
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    let total: f64 = losses.iter().map(|loss| (loss - mean).powi(2)).sum();
    let missed: f64 = losses
        .iter()
        .zip(predicted)
        .map(|(loss, value)| (loss - value).powi(2))
        .sum();
    (total > 0.0).then(|| 1.0 - missed / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_mean_each_curve_counts_alike_and_a_constant_one_has_no_r2() {
        // R² of the first curve is 1 − 4/8. R² of the second curve is 1, because it is predicted
        // exactly.
        let curves = [
            score_of("a", &[1.0, 5.0], &[1.0, 3.0]),
            score_of("b", &[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, 3.0, 4.0]),
            score_of("c", &[2.0], &[2.5]),
        ];
        let mean = MeanScore::of(&curves);
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}");
        near(mean.r2.expect("two curves with a spread"), 0.75);
        near(mean.mae, (1.0 + 0.0 + 0.5) / 3.0);
        near(mean.rmse, (2.0_f64.sqrt() + 0.5) / 3.0);
        near(mean.mean_relative, (0.2 + 0.0 + 0.25) / 3.0);
        near(mean.worst_relative, (0.4 + 0.0 + 0.25) / 3.0);
        assert_eq!(MeanScore::of(&curves[2..]).r2, None);
    }

    #[test]
    fn three_points_are_scored_as_by_hand() {
        // The errors are 0.5, 0 and 1. The mean loss is 3, and the squared deviations from it are 1
        // + 1 + 4.
        let score = score_of("a", &[2.0, 2.0, 5.0], &[2.5, 2.0, 4.0]);
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}");
        near(score.r2.expect("a spread"), 1.0 - 1.25 / 6.0);
        near(score.mae, 0.5);
        near(score.rmse, (1.25_f64 / 3.0).sqrt());
        near(score.mean_relative, (0.25 + 0.2) / 3.0);
        near(score.worst_relative, 0.25);
        assert_eq!(score_of("a", &[2.0, 2.0], &[2.0, 3.0]).r2, None);
    }
}
