//! Properties that every shape has in every kind of run.

mod extremes;
mod forms;
mod resume;
mod seams;
mod violations;
mod warnings;

use crate::{Decay, Length, Point, Run, Schedule, ScheduleConfig, Shape, Wave};

const DECAYS: [Decay; 6] = [
    Decay::Linear,
    Decay::OneMinusSqrt,
    Decay::Cosine,
    Decay::Square,
    Decay::MirrorCosine,
    Decay::Exponential,
];

/// Returns a run of `steps` steps, each of 1000 tokens.
fn run(steps: u64) -> Run {
    Run {
        steps,
        tokens_per_step: 1000,
    }
}

/// Returns a schedule whose rate goes from 0.5 to 0.1 in the given shape, after a warm-up of 10
/// steps.
fn config(shape: Shape) -> ScheduleConfig {
    ScheduleConfig {
        peak: 0.5,
        floor: 0.1,
        warmup: Length::Steps(10),
        shape,
    }
}

fn trapezoid(cooldown: u64, decay: Decay) -> Shape {
    Shape::Trapezoid {
        cooldown: Length::Steps(cooldown),
        decay,
    }
}

/// Returns every shape that reaches the floor on the last step.
fn falling() -> Vec<Shape> {
    let mut shapes = vec![
        Shape::Linear {},
        Shape::Cosine {},
        Shape::Polynomial { power: 2.0 },
        Shape::Polynomial { power: 0.5 },
        Shape::Exponential {},
    ];
    shapes.extend(DECAYS.map(|decay| trapezoid(30, decay)));
    shapes
}

/// Returns every shape.
fn all() -> Vec<Shape> {
    let cyclic = |wave, growth| Shape::Cyclic {
        wave,
        period: Length::Steps(20),
        growth,
    };
    let mut shapes = falling();
    shapes.extend([
        Shape::Constant {},
        Shape::InverseSqrt {},
        Shape::Step {
            every: Length::Steps(30),
            factor: 0.5,
        },
        Shape::MultiStep {
            at: vec![Length::Fraction(0.4), Length::Fraction(0.8)],
            factor: 0.25,
        },
        cyclic(Wave::Triangular, 1),
        cyclic(Wave::Cosine, 2),
        Shape::Piecewise {
            points: vec![
                Point(Length::Tokens(30_000), 0.5),
                Point(Length::Tokens(60_000), 0.25),
            ],
        },
    ]);
    shapes
}

fn rates(config: &ScheduleConfig, run: Run, steps: u64) -> Vec<f64> {
    let schedule = Schedule::new(config, run);
    (1..=steps).map(|step| schedule.rate(step)).collect()
}

fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (one, other) in found.iter().zip(expected) {
        assert!((one - other).abs() < 1e-12, "{found:?}");
    }
}
