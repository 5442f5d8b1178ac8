//! Reports a fitted law: its constants, and its errors on every curve.

use rondo_laws::{Curve, Fit, Score, Scores, score};
use rondo_metrics::Table;
use rondo_metrics::format::{or_missing, significant, thousands};
use serde_json::{Map, Value, json};

use super::curves::Given;
use super::optimise::Optimised;

/// The maximum length of a curve's name in a table. Longer names are shortened.
const NAME: usize = 24;

/// The results of a fit.
pub(super) struct Report<'a> {
    fit: &'a Fit,
    fitted: Scores,
    /// The scores of the predicted curves; `None` if the law was fitted to every curve.
    predicted: Option<Scores>,
    optimised: Option<&'a Optimised>,
}

impl<'a> Report<'a> {
    /// Scores the law on every curve.
    pub(super) fn new(fit: &'a Fit, given: &[Given], optimised: Option<&'a Optimised>) -> Self {
        let curves = |fitted: bool| -> Vec<Curve> {
            let chosen = given.iter().filter(|given| given.fitted == fitted);
            chosen.map(|given| given.curve.clone()).collect()
        };
        let predicted = curves(false);
        Self {
            fit,
            fitted: score(&fit.law, &curves(true)),
            predicted: (!predicted.is_empty()).then(|| score(&fit.law, &predicted)),
            optimised,
        }
    }

    /// Returns the law, its constants and its errors as JSON.
    pub(super) fn to_json(&self) -> Value {
        let parameters: Map<String, Value> = self
            .fit
            .estimates
            .iter()
            .map(|estimate| (estimate.symbol.to_owned(), json!(estimate.value)))
            .collect();
        let curves: Vec<Value> = self
            .rows()
            .map(|(fitted, score)| curve_json(fitted, score))
            .collect();
        json!({
            "law": self.fit.law.kind(),
            "parameters": parameters,
            "estimates": self.fit.estimates,
            "huber": self.fit.huber,
            "points": self.fit.points,
            "autocorrelation": self.fit.autocorrelation,
            "curves": curves,
            "mean": {
                "fitted": mean_json(&self.fitted),
                "predicted": self.predicted.as_ref().map(mean_json),
            },
            "pooled": {
                "fitted": pooled_json(&self.fitted),
                "predicted": self.predicted.as_ref().map(pooled_json),
            },
            "schedule": self.optimised.map(Optimised::to_json),
        })
    }

    /// Returns the report as tables.
    pub(super) fn text(&self) -> String {
        let fit = self.fit;
        let mut constants = Table::new(&["constant", "value", "error", "95 % interval", ""])
            .left(0)
            .left(4);
        for estimate in &fit.estimates {
            constants.row([
                estimate.symbol.to_owned(),
                significant(estimate.value, 5),
                significant(estimate.deviation, 2),
                format!(
                    "{} to {}",
                    significant(estimate.low, 4),
                    significant(estimate.high, 4)
                ),
                match estimate.loose {
                    true => "hardly determined".to_owned(),
                    false => String::new(),
                },
            ]);
        }
        let mut errors = Table::new(&["curve", "", "R²", "MAE", "RMSE", "PredE %", "WorstE %"])
            .left(0)
            .left(1);
        for (fitted, score) in self.rows() {
            errors.row([
                shortened(&score.name),
                word(fitted).to_owned(),
                or_missing(score.r2, |r2| format!("{r2:.4}")),
                format!("{:.5}", score.mae),
                format!("{:.5}", score.rmse),
                percent(score.mean_relative),
                percent(score.worst_relative),
            ]);
        }
        for (fitted, Scores { mean, .. }) in self.pools() {
            errors.row([
                "mean".to_owned(),
                word(fitted).to_owned(),
                or_missing(mean.r2, |r2| format!("{r2:.4}")),
                format!("{:.5}", mean.mae),
                format!("{:.5}", mean.rmse),
                percent(mean.mean_relative),
                percent(mean.worst_relative),
            ]);
        }
        for (fitted, scores) in self.pools() {
            errors.row([
                "all points".to_owned(),
                word(fitted).to_owned(),
                or_missing(scores.pooled_r2, |r2| format!("{r2:.4}")),
                String::new(),
                String::new(),
                String::new(),
                percent(scores.worst_relative),
            ]);
        }
        let title = format!(
            "{} law, {} points of {} curves",
            fit.law.kind(),
            thousands(fit.points as u64),
            self.fitted.curves.len(),
        );
        let parts = [title, constants.to_string(), errors.to_string()].into_iter();
        let parts = parts.chain(self.optimised.map(Optimised::text));
        parts.collect::<Vec<_>>().join("\n\n")
    }

    fn pools(&self) -> impl Iterator<Item = (bool, &Scores)> {
        let predicted = self.predicted.iter().map(|scores| (false, scores));
        std::iter::once((true, &self.fitted)).chain(predicted)
    }

    fn rows(&self) -> impl Iterator<Item = (bool, &Score)> {
        self.pools()
            .flat_map(|(fitted, scores)| scores.curves.iter().map(move |score| (fitted, score)))
    }
}

fn word(fitted: bool) -> &'static str {
    match fitted {
        true => "fitted",
        false => "predicted",
    }
}

fn curve_json(fitted: bool, score: &Score) -> Value {
    json!({
        "name": score.name,
        "fitted": fitted,
        "points": score.points,
        "r2": score.r2,
        "mae": score.mae,
        "rmse": score.rmse,
        "prede": score.mean_relative,
        "worste": score.worst_relative,
    })
}

fn mean_json(scores: &Scores) -> Value {
    let mean = scores.mean;
    json!({
        "r2": mean.r2,
        "mae": mean.mae,
        "rmse": mean.rmse,
        "prede": mean.mean_relative,
        "worste": mean.worst_relative,
    })
}

fn pooled_json(scores: &Scores) -> Value {
    json!({"r2": scores.pooled_r2, "worste": scores.worst_relative})
}

/// Formats a fraction as a number of percent.
fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

/// Shortens a long name by leaving out its middle.
fn shortened(name: &str) -> String {
    let length = name.chars().count();
    if length <= NAME {
        return name.to_owned();
    }
    let side = (NAME - 1) / 2;
    let start: String = name.chars().take(side).collect();
    let end: String = name.chars().skip(length - side).collect();
    format!("{start}…{end}")
}
