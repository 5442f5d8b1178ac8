//! Searches for the schedule whose final loss, as predicted by a law, is lowest. The schedule has
//! the form that a run's configuration uses.

use rondo_config::to_toml;
use rondo_laws::{Found, Horizon, Law, best_schedule};
use rondo_metrics::Table;
use rondo_metrics::format::{learning_rate, significant, thousands};
use rondo_schedule::{Decay, Length, Point, Run, Schedule, ScheduleConfig, Shape};
use rondo_train::config::RunConfig;
use rondo_train::error::{Error, Result};
use rondo_train::run_plan::{extent, warmup_steps};
use serde::Serialize;
use serde_json::{Value, json};

use super::curves::{Given, warmup_in};
use crate::cli::FitLawArgs;

/// The number of points at which a known schedule is sampled for the comparison.
const POINTS: u64 = 4096;

/// The result of a search for a schedule.
pub(super) struct Optimised {
    horizon: Horizon,
    found: Found,
    /// Other schedules of the same length, each with its predicted final loss.
    others: Vec<(String, f64)>,
    /// The configuration whose schedule was searched for; `None` if `--config` was not given.
    config: Option<RunConfig>,
}

/// The sections of the result, which a user can copy into a configuration.
#[derive(Serialize)]
struct Section {
    train: Steps,
    schedule: ScheduleConfig,
}

#[derive(Serialize)]
struct Steps {
    steps: u64,
}

impl Optimised {
    /// Searches for the best schedule of the run in `--config`. Without `--config`, the run has the
    /// length and the rates of the longest curve.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration is not valid, or no search is possible for it.
    pub(super) fn search(args: &FitLawArgs, given: &[Given], law: &Law) -> Result<Self> {
        let config = match &args.config {
            Some(path) => Some(RunConfig::load(path, &[])?),
            None => None,
        };
        let horizon = match &config {
            Some(config) => horizon_of(config)?,
            None => like_the_longest(args, given)?,
        };
        let found = best_schedule(law, &horizon)?;
        let mut others = Vec::new();
        if let Some(config) = &config {
            others.push(("the configuration's".to_owned(), config.schedule.clone()));
        }
        others.extend(usual(&horizon));
        let mut predicted = Vec::new();
        for (name, schedule) in others {
            predicted.push((name, final_loss(law, &horizon, &schedule)?));
        }
        Ok(Self {
            horizon,
            found,
            others: predicted,
            config,
        })
    }

    /// Returns a table of the predicted final losses.
    pub(super) fn text(&self) -> String {
        let mut table = Table::new(&["schedule", "predicted final loss"]).left(0);
        table.row(["searched".to_owned(), significant(self.found.loss, 6)]);
        for (name, loss) in &self.others {
            table.row([name.clone(), significant(*loss, 6)]);
        }
        let Horizon {
            warmup,
            steps,
            peak,
            floor,
        } = self.horizon;
        format!(
            "{} steps, peak {}, floor {}, warm-up {}\n{table}",
            thousands(steps),
            learning_rate(peak),
            learning_rate(floor),
            thousands(warmup)
        )
    }

    /// Returns the horizon, the pieces and the predicted losses as JSON.
    pub(super) fn to_json(&self) -> Value {
        let others = self.others.iter();
        let others: Vec<Value> = others
            .map(|(name, loss)| json!({"name": name, "predicted_loss": loss}))
            .collect();
        json!({
            "horizon": self.horizon,
            "points": self.found.pieces,
            "predicted_loss": self.found.loss,
            "others": others,
        })
    }

    /// Returns the sections `[train]` and `[schedule]` of a configuration, as TOML.
    ///
    /// # Errors
    ///
    /// Returns an error if the sections cannot be printed as TOML.
    pub(super) fn section(&self) -> Result<String> {
        let section = Section {
            train: Steps {
                steps: self.horizon.steps,
            },
            schedule: self.schedule(),
        };
        Ok(to_toml(&section).map_err(anyhow::Error::from)?)
    }

    /// Returns the configuration of `--config` with the found schedule, as TOML.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration cannot be printed as TOML.
    pub(super) fn config(&self) -> Result<Option<String>> {
        let with_schedule = |config: &RunConfig| RunConfig {
            schedule: self.schedule(),
            ..config.clone()
        };
        let config = self.config.as_ref().map(with_schedule);
        config.map(|config| config.to_toml()).transpose()
    }

    /// Returns the found schedule. It is piecewise after the warm-up.
    fn schedule(&self) -> ScheduleConfig {
        let Horizon {
            warmup,
            peak,
            floor,
            ..
        } = self.horizon;
        let span = peak - floor;
        let share = |rate: f64| match span > 0.0 {
            true => ((rate - floor) / span).clamp(0.0, 1.0),
            false => 1.0,
        };
        let after = self.found.pieces.iter().filter(|(step, _)| *step > warmup);
        ScheduleConfig {
            peak,
            floor,
            warmup: Length::Steps(warmup),
            shape: Shape::Piecewise {
                points: after
                    .map(|(step, rate)| Point(Length::Steps(*step), share(*rate)))
                    .collect(),
            },
        }
    }
}

fn horizon_of(config: &RunConfig) -> Result<Horizon> {
    Ok(Horizon {
        warmup: warmup_steps(config)?,
        steps: extent(config)?.steps,
        peak: config.schedule.peak,
        floor: config.schedule.floor,
    })
}

/// Returns the horizon of the longest curve, changed by the arguments.
fn like_the_longest(args: &FitLawArgs, given: &[Given]) -> Result<Horizon> {
    let last = |given: &Given| given.curve.schedule().points().last().map(|point| point.0);
    let longest = given.iter().max_by_key(|given| last(given));
    let Some(longest) = longest else {
        return Err(Error::Usage("no curve to take the horizon from".to_owned()));
    };
    let rates = longest
        .curve
        .schedule()
        .points()
        .iter()
        .map(|point| point.1);
    let peak = args.peak.unwrap_or_else(|| rates.fold(0.0, f64::max));
    let warmup = match args.warmup {
        Some(steps) => steps,
        None if longest.path.is_dir() => warmup_in(&longest.path)?,
        None => warmup_in(longest.path.parent().unwrap_or(&longest.path))?,
    };
    Ok(Horizon {
        warmup,
        steps: args.steps.or_else(|| last(longest)).unwrap_or(0),
        peak,
        floor: args.floor.unwrap_or(0.0),
    })
}

/// Returns common schedules, with which the found schedule is compared.
fn usual(horizon: &Horizon) -> Vec<(String, ScheduleConfig)> {
    let shapes = [
        ("constant", Shape::Constant {}),
        ("linear", Shape::Linear {}),
        ("cosine", Shape::Cosine {}),
        (
            "trapezoid, last fifth linear",
            Shape::Trapezoid {
                cooldown: Length::Fraction(0.2),
                decay: Decay::Linear,
            },
        ),
    ];
    let with = |(name, shape): (&str, Shape)| {
        let schedule = ScheduleConfig {
            peak: horizon.peak,
            floor: horizon.floor,
            warmup: Length::Steps(horizon.warmup),
            shape,
        };
        (name.to_owned(), schedule)
    };
    shapes.into_iter().map(with).collect()
}

fn final_loss(law: &Law, horizon: &Horizon, schedule: &ScheduleConfig) -> Result<f64> {
    let run = Run {
        steps: horizon.steps,
        tokens_per_step: 1,
    };
    let rates = Schedule::new(schedule, run);
    let first = horizon.warmup.max(1);
    let length = horizon.steps - first;
    let count = length.clamp(1, POINTS);
    let place = |i: u64| first + (u128::from(length) * u128::from(i) / u128::from(count)) as u64;
    let mut steps: Vec<u64> = (0..=count).map(place).collect();
    steps.dedup();
    let pieces: Vec<(u64, f64)> = steps
        .into_iter()
        .map(|step| (step, rates.rate(step)))
        .collect();
    let losses = law.predict(&horizon.schedule(&pieces)?);
    Ok(losses.last().copied().unwrap_or(f64::NAN))
}
