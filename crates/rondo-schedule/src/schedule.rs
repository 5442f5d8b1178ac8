//! A schedule in one run: the rate of each step.

use crate::config::ScheduleConfig;
use crate::cycle::Cycle;
use crate::decay::Decay;
use crate::length::Run;
use crate::points::Points;
use crate::shape::Shape;

/// The learning rate as a function of the step.
///
/// A shape that falls over the run is at the floor on step T and stays there. One that does not know T
/// goes on past it. A run no longer than its warm-up ends in it, and holds what it has reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    peak: f64,
    floor: f64,
    /// w.
    warmup: u64,
    /// The step from which on nothing changes.
    end: Option<u64>,
    curve: Curve,
}

/// A shape with its lengths in steps.
#[derive(Clone, Debug, PartialEq)]
enum Curve {
    Constant,
    /// From the peak after step `from` to the floor on step `to`.
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
enum Form {
    Decay(Decay),
    Polynomial(f64),
}

impl Schedule {
    /// Finds what `config` means in `run`.
    pub fn new(config: &ScheduleConfig, run: Run) -> Self {
        let warmup = config.warmup.steps(run);
        let fall = |form| Curve::Fall {
            from: warmup,
            to: run.steps,
            form,
        };
        let curve = match &config.shape {
            Shape::Constant {} => Curve::Constant,
            Shape::Linear {} => fall(Form::Polynomial(1.0)),
            Shape::Cosine {} => fall(Form::Decay(Decay::Cosine)),
            Shape::Polynomial { power } => fall(Form::Polynomial(*power)),
            Shape::Exponential {} => fall(Form::Decay(Decay::Exponential)),
            Shape::InverseSqrt {} => Curve::InverseSqrt,
            Shape::Step { every, factor } => Curve::Step {
                every: every.steps(run).max(1),
                factor: *factor,
            },
            Shape::MultiStep { at, factor } => Curve::MultiStep {
                at: at.iter().map(|at| at.steps(run)).collect(),
                factor: *factor,
            },
            Shape::Cyclic {
                wave,
                period,
                growth,
            } => Curve::Cyclic(Cycle::new(*wave, period.steps(run), *growth)),
            Shape::Trapezoid { cooldown, decay } => Curve::Fall {
                from: run.steps.saturating_sub(cooldown.steps(run)).max(warmup),
                to: run.steps,
                form: Form::Decay(*decay),
            },
            Shape::Piecewise { points } => Curve::Piecewise(Points::new(points, run)),
        };
        Self {
            peak: config.peak,
            floor: config.floor,
            warmup,
            end: matches!(curve, Curve::Fall { .. }).then_some(run.steps),
            curve,
        }
    }

    /// Returns the rate of step `step`, counted from 1.
    pub fn rate(&self, step: u64) -> f64 {
        let step = self.end.map_or(step, |end| step.min(end)).max(1);
        if step <= self.warmup {
            return self.peak * step as f64 / self.warmup as f64;
        }
        let since = step - self.warmup;
        let f = match &self.curve {
            Curve::Constant => 1.0,
            Curve::Fall { from, to, form } => {
                let length = to.saturating_sub(*from).max(1) as f64;
                let x = (step.saturating_sub(*from) as f64 / length).min(1.0);
                match form {
                    Form::Decay(decay) => return decay.rate(x, self.peak, self.floor),
                    Form::Polynomial(power) => (1.0 - x).powf(*power),
                }
            }
            Curve::InverseSqrt => {
                let rate = self.peak * (self.warmup as f64 / step as f64).sqrt();
                return rate.max(self.floor);
            }
            Curve::Step { every, factor } => factor.powf(((since - 1) / every) as f64),
            Curve::MultiStep { at, factor } => {
                let passed = at.iter().filter(|at| **at < step).count();
                factor.powf(passed as f64)
            }
            Curve::Cyclic(cycle) => cycle.at(since),
            Curve::Piecewise(points) => points.at(step, self.warmup),
        };
        self.floor + (self.peak - self.floor) * f
    }
}
