//! How schedules are written in TOML.

use rondo_config::{Document, to_toml};

use super::*;
use crate::{CurriculumConfig, Ramp, Rise};

fn read(text: &str) -> ScheduleConfig {
    let document = Document::parse("run.toml", text).expect("TOML");
    document.read().expect("a schedule")
}

fn warmup(text: &str) -> Length {
    read(&format!("warmup = {text}")).warmup
}

#[test]
fn a_plain_number_is_a_number_of_steps_and_other_units_are_named() {
    assert_eq!(warmup("40"), Length::Steps(40));
    assert_eq!(warmup("{ tokens = 800_000 }"), Length::Tokens(800_000));
    assert_eq!(warmup("{ fraction = 0.05 }"), Length::Fraction(0.05));
    assert_eq!(warmup("{ fraction = 1 }"), Length::Fraction(1.0));
}

#[test]
fn what_needs_no_new_word_is_printed_without_one() {
    let text = "peak = 0.002
floor = 0.0
warmup = 50

[shape]
kind = \"trapezoid\"
cooldown = 200
";
    let config = read(text);
    assert_eq!(config.shape, trapezoid(200, Decay::Linear));
    assert_eq!(to_toml(&config).expect("TOML"), text);
}

#[test]
fn every_shape_is_read_from_its_kind() {
    let two = Length::Steps(2);
    let half = Length::Fraction(0.5);
    let cyclic = |wave, growth| Shape::Cyclic {
        wave,
        period: two,
        growth,
    };
    for (text, shape) in [
        ("constant'", Shape::Constant {}),
        ("linear'", Shape::Linear {}),
        ("cosine'", Shape::Cosine {}),
        ("polynomial', power = 2", Shape::Polynomial { power: 2.0 }),
        ("exponential'", Shape::Exponential {}),
        ("inverse-sqrt'", Shape::InverseSqrt {}),
        (
            "step', every = 2, factor = 0.5",
            Shape::Step {
                every: two,
                factor: 0.5,
            },
        ),
        (
            "multi-step', at = [{ fraction = 0.5 }], factor = 0.1",
            Shape::MultiStep {
                at: vec![half],
                factor: 0.1,
            },
        ),
        ("cyclic', period = 2", cyclic(Wave::Triangular, 1)),
        (
            "cyclic', wave = 'cosine', period = 2, growth = 3",
            cyclic(Wave::Cosine, 3),
        ),
        (
            "trapezoid', cooldown = 2, decay = '1-sqrt'",
            trapezoid(2, Decay::OneMinusSqrt),
        ),
        (
            "trapezoid', cooldown = 2, decay = 'mirror-cosine'",
            trapezoid(2, Decay::MirrorCosine),
        ),
        (
            "piecewise', points = [[0, 1], [{ fraction = 0.5 }, 0.3]]",
            Shape::Piecewise {
                points: vec![Point(Length::Steps(0), 1.0), Point(half, 0.3)],
            },
        ),
    ] {
        assert_eq!(read(&format!("shape = {{ kind = '{text} }}")).shape, shape);
    }
}

#[test]
fn a_printed_schedule_is_read_as_the_same_one() {
    let lengths = [
        Length::Steps(0),
        Length::Tokens(7),
        Length::Fraction(0.1 + 0.2),
    ];
    for shape in all() {
        for warmup in lengths {
            let config = ScheduleConfig {
                warmup,
                ..config(shape.clone())
            };
            assert_eq!(read(&to_toml(&config).expect("TOML")), config);
        }
    }
}

#[test]
fn a_curriculum_is_read_and_printed() {
    let text = "[mean]
from = 1
over = 200
shape = \"1-sqrt\"

[backprop_depth]
from = 2
shape = \"linear\"

[backprop_depth.over]
fraction = 0.25
";
    let document = Document::parse("run.toml", text).expect("TOML");
    let curriculum: CurriculumConfig = document.read().expect("a curriculum");
    let expected = CurriculumConfig {
        mean: Some(Ramp {
            from: 1,
            over: Length::Steps(200),
            shape: Rise::OneMinusSqrt,
        }),
        backprop_depth: Some(Ramp {
            from: 2,
            over: Length::Fraction(0.25),
            shape: Rise::Linear,
        }),
    };
    assert_eq!(curriculum, expected);
    assert!(!curriculum.is_empty());
    assert!(CurriculumConfig::default().is_empty());
    assert_eq!(to_toml(&curriculum).expect("TOML"), text);
}
