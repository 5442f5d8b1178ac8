//! These tests read whole documents into a typical configuration.

mod hostile;
mod overrides;
mod printing;
mod violations;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Document, Origin, Violations};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Run {
    name: Option<String>,
    seed: u64,
    model: Model,
    optimizer: Optimizer,
    schedule: Schedule,
    train: Train,
    perturb: Vec<Perturb>,
    #[serde(skip_serializing)]
    limits: Limits,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Model {
    width: usize,
    heads: u8,
    bias: bool,
    activation: Activation,
    recurrence: Recurrence,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Activation {
    #[default]
    Relu,
    SiluGate,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Recurrence {
    mean: f64,
    sigma: f64,
    offset: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Optimizer {
    Adamw {
        weight_decay: f64,
        betas: Option<[f64; 2]>,
        clip: Option<Clip>,
    },
    Muon {
        momentum: f64,
        steps: u32,
        activation: Activation,
    },
    Sgd {},
}

impl Default for Optimizer {
    fn default() -> Self {
        Self::Sgd {}
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Clip {
    Norm { limit: f64 },
    Value { limit: f64, each: bool },
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Schedule {
    knots: Vec<f64>,
    names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Train {
    steps: u64,
    lr: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Perturb {
    Noise { at: u64, scale: f64 },
    Rate { at: u64 },
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Limits {
    even: Even,
    clip: Option<Switch>,
    span: Option<Span>,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(try_from = "u64")]
struct Even(u64);

impl TryFrom<u64> for Even {
    type Error = String;

    fn try_from(number: u64) -> Result<Self, String> {
        match number.is_multiple_of(2) {
            true => Ok(Self(number)),
            false => Err(format!("{number} is odd")),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Switch {
    Off(bool),
    At(f64),
}

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "a number of steps or { tokens = N }")]
enum Span {
    Steps(u64),
    Named(Named),
}

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
struct Named {
    tokens: Option<u64>,
    share: Option<f64>,
}

/// A configuration in which every key is required.
#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Strict {
    optimizer: Optimizer,
    path: String,
    pair: (u64, Activation),
    inner: StrictInner,
    steps: u64,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StrictInner {
    perturb: Perturb,
    width: u64,
}

const VALID: &str = r#"# A line number counts comments like this too.
name = "main"
seed = 18446744073709551615

[model]
width = 64
heads = 4
bias = true
activation = "silu-gate"

[model.recurrence]
mean = 16
sigma = 0.5
offset = -3

[optimizer]
kind = "adamw"
weight_decay = 0.1
betas = [0.9, 0.95]
clip = { kind = "norm", limit = 1 }

[schedule]
knots = [1, 2.5]
names = ["a", "b"]

[train]
steps = 1_000
lr = 1e-3

[[perturb]]
kind = "noise"
at = 5
scale = 0.25

[[perturb]]
kind = "rate"
at = 7
"#;

fn valid() -> Run {
    Document::parse("valid.toml", VALID)
        .expect("VALID is TOML")
        .read()
        .expect("VALID fits Run")
}

/// Reads a text with overrides and returns its violations as `place key: message; suggestion`.
fn check_as<T: DeserializeOwned + JsonSchema>(text: &str, overrides: &[&str]) -> Vec<String> {
    let read = |()| {
        let mut document = Document::parse("run.toml", text)?;
        for assignment in overrides {
            document.set(assignment);
        }
        document.read::<T>()
    };
    let list = |violations: Violations| {
        let text = violations.to_string();
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        violations
            .iter()
            .map(|violation| {
                let line = match &violation.origin {
                    Origin::File { line } => line.to_string(),
                    Origin::Base { name, line } => format!("{name} {line}"),
                    Origin::Override { .. } => "--set".to_owned(),
                    Origin::Missing => "-".to_owned(),
                };
                format!("{line} {violation}")
            })
            .collect()
    };
    read(()).err().map(list).unwrap_or_default()
}

fn check(text: &str, overrides: &[&str], expected: &[&str]) {
    assert_eq!(
        check_as::<Run>(text, overrides),
        expected,
        "{text}\n{overrides:?}"
    );
}
