//! The shapes of a schedule after the warm-up: their keys, their checks and their formulas.

use std::cmp::Ordering;

use rondo_config::Report;
use rondo_config::report::{at_least_one, positive, positive_fraction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cycle::{Cycle, Wave};
use crate::decay::Decay;
use crate::length::{Length, Run};
use crate::points::{Point, Points};

/// The shape f of a schedule after its warm-up. With step t, warm-up w and last step T,
/// `p = (t − w) / (T − w)`.
///
/// A rate is `η_min + (η − η_min)·f`, unless the shape defines the rate itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Shape {
    /// `f = 1`, also after T.
    Constant {},
    /// `f = 1 − p`.
    Linear {},
    /// `f = (1 + cos πp) / 2`.
    Cosine {},
    /// `f = (1 − p)^q`.
    Polynomial {
        /// q.
        power: f64,
    },
    /// The rate `η·(η_min/η)^p`.
    Exponential {},
    /// The rate `max(η_min, η·√(w/t))`, also after T.
    InverseSqrt {},
    /// `f = γ^n`, with n the number of complete intervals from the end of the warm-up to the step
    /// before t.
    Step {
        /// The length of an interval.
        every: Length,
        /// γ.
        factor: f64,
    },
    /// `f = γ^n`, with n the number of listed steps before step t.
    MultiStep {
        /// The last step of each level, counted from the start of the run.
        at: Vec<Length>,
        /// γ.
        factor: f64,
    },
    /// A wave that starts at the peak, at the end of the warm-up.
    Cyclic {
        /// The form of a cycle.
        #[serde(default)]
        wave: Wave,
        /// The length of the first cycle.
        period: Length,
        /// The length of each cycle as a multiple of the cycle before.
        #[serde(default = "one")]
        growth: u64,
    },
    /// `f = 1`, then a fall that ends with the run.
    Trapezoid {
        /// The length of the fall, at most the number of steps after the warm-up.
        cooldown: Length,
        /// The form of the fall.
        #[serde(default, skip_serializing_if = "is_default")]
        decay: Decay,
    },
    /// `f` runs in straight lines from 1 at the end of the warm-up through the points. After the
    /// last point it is constant.
    Piecewise {
        /// Pairs of place and f. With two pairs at the same place, `f` jumps directly after it.
        points: Vec<Point>,
    },
}

fn one() -> u64 {
    1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Shape {
    /// Lists the lengths, each with its key path below `[schedule.shape]`.
    pub(crate) fn lengths(&self) -> Vec<(String, Length)> {
        let single = |key: &str, length: &Length| vec![(key.to_owned(), *length)];
        match self {
            Self::Step { every, .. } => single("every", every),
            Self::Cyclic { period, .. } => single("period", period),
            Self::Trapezoid { cooldown, .. } => single("cooldown", cooldown),
            Self::MultiStep { at, .. } => {
                let places = at.iter().enumerate();
                places.map(|(i, at)| (format!("at.{i}"), *at)).collect()
            }
            Self::Piecewise { points } => {
                let places = points.iter().enumerate();
                places
                    .map(|(i, Point(at, _))| (format!("points.{i}.0"), *at))
                    .collect()
            }
            Self::Constant {}
            | Self::Linear {}
            | Self::Cosine {}
            | Self::Polynomial { .. }
            | Self::Exponential {}
            | Self::InverseSqrt {} => Vec::new(),
        }
    }

    /// Returns whether the shape falls exponentially, which needs a floor above 0.
    pub(crate) fn is_exponential(&self) -> bool {
        match self {
            Self::Exponential {} => true,
            Self::Trapezoid { decay, .. } => *decay == Decay::Exponential,
            _ => false,
        }
    }

    /// Reports every violation, each with its key path below `[schedule.shape]`. Violations of a
    /// single length are reported elsewhere.
    pub(crate) fn validate(&self, report: Report<'_>) {
        match self {
            Self::Polynomial { power } => positive("power", *power, report),
            Self::Step { every, factor } => {
                not_zero("every", *every, report);
                positive_fraction("factor", *factor, report);
            }
            Self::MultiStep { at, factor } => {
                if at.is_empty() {
                    report("at", "must name at least one place".into());
                }
                positive_fraction("factor", *factor, report);
                ascending(&self.lengths(), Ordering::is_lt, report);
            }
            Self::Cyclic { period, growth, .. } => {
                not_zero("period", *period, report);
                at_least_one("growth", *growth, report);
            }
            Self::Piecewise { points } => {
                if points.is_empty() {
                    report("points", "must name at least one point".into());
                }
                for (i, Point(_, f)) in points.iter().enumerate() {
                    if !(0.0..=1.0).contains(f) {
                        report(
                            &format!("points.{i}.1"),
                            format!(
                                "must be 0 to 1, a part of the way from floor to peak, found {f}"
                            ),
                        );
                    }
                }
                ascending(&self.lengths(), Ordering::is_le, report);
            }
            Self::Constant {}
            | Self::Linear {}
            | Self::Cosine {}
            | Self::Exponential {}
            | Self::InverseSqrt {}
            | Self::Trapezoid { .. } => {}
        }
    }
}

/// A shape with its lengths in steps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Curve {
    Constant,
    /// A fall from the peak at step `from` to the floor at step `to`.
    Fall {
        from: u64,
        to: u64,
        form: Form,
    },
    InverseSqrt,
    Step {
        every: u64,
        factor: f64,
    },
    MultiStep {
        at: Vec<u64>,
        factor: f64,
    },
    Cyclic(Cycle),
    Piecewise(Points),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    Decay(Decay),
    Polynomial(f64),
}

/// The peak η and the floor η_min of a schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) peak: f64,
    pub(crate) floor: f64,
}

impl Shape {
    /// Resolves the shape for `run` after a warm-up of `warmup` steps.
    pub(crate) fn curve(&self, warmup: u64, run: Run) -> Curve {
        let fall = |form| Curve::Fall {
            from: warmup,
            to: run.steps,
            form,
        };
        match self {
            Self::Constant {} => Curve::Constant,
            Self::Linear {} => fall(Form::Polynomial(1.0)),
            Self::Cosine {} => fall(Form::Decay(Decay::Cosine)),
            Self::Polynomial { power } => fall(Form::Polynomial(*power)),
            Self::Exponential {} => fall(Form::Decay(Decay::Exponential)),
            Self::InverseSqrt {} => Curve::InverseSqrt,
            Self::Step { every, factor } => Curve::Step {
                every: every.steps(run).max(1),
                factor: *factor,
            },
            Self::MultiStep { at, factor } => Curve::MultiStep {
                at: at.iter().map(|at| at.steps(run)).collect(),
                factor: *factor,
            },
            Self::Cyclic {
                wave,
                period,
                growth,
            } => Curve::Cyclic(Cycle::new(*wave, period.steps(run), *growth)),
            Self::Trapezoid { cooldown, decay } => Curve::Fall {
                from: run.steps.saturating_sub(cooldown.steps(run)).max(warmup),
                to: run.steps,
                form: Form::Decay(*decay),
            },
            Self::Piecewise { points } => Curve::Piecewise(Points::new(points, run)),
        }
    }
}

impl Curve {
    /// Returns whether the shape ends on the last step of the run. After this step the rate is
    /// constant.
    pub(crate) fn ends_with_the_run(&self) -> bool {
        matches!(self, Self::Fall { .. })
    }

    /// Returns the rate of a step after the warm-up: `η_min + (η − η_min)·f`, unless the shape
    /// defines the rate itself.
    pub(crate) fn rate(&self, step: u64, warmup: u64, rates: Rates) -> f64 {
        let Rates { peak, floor } = rates;
        let since = step - warmup;
        let f = match self {
            Self::Constant => 1.0,
            Self::Fall { from, to, form } => {
                let length = to.saturating_sub(*from).max(1) as f64;
                let x = (step.saturating_sub(*from) as f64 / length).min(1.0);
                match form {
                    Form::Decay(decay) => return decay.rate(x, peak, floor),
                    Form::Polynomial(power) => (1.0 - x).powf(*power),
                }
            }
            Self::InverseSqrt => {
                let rate = peak * (warmup as f64 / step as f64).sqrt();
                return rate.max(floor);
            }
            Self::Step { every, factor } => factor.powf(((since - 1) / every) as f64),
            Self::MultiStep { at, factor } => {
                let passed = at.iter().filter(|at| **at < step).count();
                factor.powf(passed as f64)
            }
            Self::Cyclic(cycle) => cycle.at(since),
            Self::Piecewise(points) => points.at(step, warmup),
        };
        floor + (peak - floor) * f
    }
}

fn not_zero(key: &str, length: Length, report: Report<'_>) {
    if length.is_zero() {
        report(key, "must not be 0".into());
    }
}

/// Reports the places that are not in ascending order.
fn ascending(places: &[(String, Length)], follows: fn(Ordering) -> bool, report: Report<'_>) {
    for pair in places.windows(2) {
        let [(_, before), (key, length)] = pair else {
            continue;
        };
        match before.order(*length) {
            None => report(
                key,
                "must be in the unit of the place before it: both in steps, tokens or fractions"
                    .into(),
            ),
            Some(order) if !follows(order) => {
                report(key, "must come after the place before it".into());
            }
            Some(_) => {}
        }
    }
}
