//! `model.branch_scale`: the factors on the two sides of the residual connections in the core. The
//! value is a word, or a table with that word as `kind` and the options.

use rondo_config::Report;
use rondo_config::report::{positive, within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ModelConfig;
use crate::depth::MAX_RECURRENCE;

/// The factors on the two sides of the residual connections in the core; [`crate::block`] describes
/// their place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written", into = "Written")]
pub enum BranchScale {
    /// No factors: `x + f(x)`.
    #[default]
    None,
    /// `x + λ/(N √L) f(x)`, with N iterations and L layers in the core (Wang et al. 2026, arXiv
    /// 2606.18524).
    Loop(LoopScale),
    /// `α x + f(x)`, where some initial weights of f are multiplied by β (DeepLoop, arXiv
    /// 2607.13491).
    Deeploop(DeeploopScale),
}

/// Options of `loop`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoopScale {
    /// λ, a constant factor on every branch.
    pub lambda: f64,
    /// N, the number of iterations that the scale is computed for. Default: the mean recurrence.
    #[schemars(range(min = 1, max = MAX_RECURRENCE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<usize>,
}

impl Default for LoopScale {
    fn default() -> Self {
        Self {
            lambda: 1.0,
            iterations: None,
        }
    }
}

/// Options of `deeploop`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeeploopScale {
    /// The number of iterations that α and β are computed for. Default: the mean recurrence.
    #[schemars(range(min = 1, max = MAX_RECURRENCE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<usize>,
}

/// The factors of a [`BranchScale`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BranchFactors {
    /// The factor on x.
    pub skip: f64,
    /// The factor on f(x).
    pub branch: f64,
    /// β, the factor on the initial standard deviation of some matrices of f, which [`crate::init`]
    /// lists; `None` if there is no such factor.
    pub drawn: Option<f64>,
}

impl ModelConfig {
    /// Returns the factors on the two sides of the core's residual connections, if any are
    /// configured.
    pub fn branch_factors(&self) -> Option<BranchFactors> {
        let planned = self.recurrence.planned().total();
        let layers = self.layers.core as f64;
        match self.branch_scale {
            BranchScale::None => None,
            BranchScale::Loop(LoopScale { lambda, iterations }) => {
                let iterations = iterations.unwrap_or(planned) as f64;
                Some(BranchFactors {
                    skip: 1.0,
                    branch: lambda / (iterations * layers.sqrt()),
                    drawn: None,
                })
            }
            BranchScale::Deeploop(DeeploopScale { iterations }) => {
                let unrolled = iterations.unwrap_or(planned) as f64 * layers;
                Some(BranchFactors {
                    skip: (2.0 * unrolled).sqrt(),
                    branch: 1.0,
                    drawn: Some(1.0 / (8.0 * unrolled).sqrt()),
                })
            }
        }
    }
}

impl BranchScale {
    /// Returns the word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Loop(_) => "loop",
            Self::Deeploop(_) => "deeploop",
        }
    }

    /// Returns whether no factors are configured.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// Reports every violation by its key path below `[model.branch_scale]`.
    pub(super) fn validate(self, report: Report<'_>) {
        let iterations = match self {
            Self::None => return,
            Self::Loop(LoopScale { lambda, iterations }) => {
                positive("lambda", lambda, report);
                iterations
            }
            Self::Deeploop(DeeploopScale { iterations }) => iterations,
        };
        if let Some(iterations) = iterations {
            within("iterations", iterations, 1..=MAX_RECURRENCE, report);
        }
    }
}

/// The value in the configuration file: a word or a table.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    Word(Word),
    Table(Table),
}

/// The word alone, which selects the default of every option.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Word {
    /// `x + f(x)`.
    None,
    /// `x + λ/(N √L) f(x)`, with N iterations and L layers in the core.
    Loop,
    /// `α x + f(x)`, where some initial weights of f are multiplied by β: `α = √(2N)` and
    /// `β = 1/√(8N)`, where N is the number of layers in the core times the number of iterations.
    Deeploop,
}

/// A table with `kind` and the options.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Table {
    /// `x + f(x)`.
    None {},
    /// `x + λ/(N √L) f(x)`, with N iterations and L layers in the core.
    Loop(LoopScale),
    /// `α x + f(x)`, where some initial weights of f are multiplied by β.
    Deeploop(DeeploopScale),
}

impl From<Written> for BranchScale {
    fn from(written: Written) -> Self {
        match written {
            Written::Word(Word::None) | Written::Table(Table::None {}) => Self::None,
            Written::Word(Word::Loop) => Self::Loop(LoopScale::default()),
            Written::Word(Word::Deeploop) => Self::Deeploop(DeeploopScale::default()),
            Written::Table(Table::Loop(options)) => Self::Loop(options),
            Written::Table(Table::Deeploop(options)) => Self::Deeploop(options),
        }
    }
}

impl From<BranchScale> for Written {
    fn from(kind: BranchScale) -> Self {
        match kind {
            BranchScale::None => Self::Word(Word::None),
            BranchScale::Loop(options) => Self::Table(Table::Loop(options)),
            BranchScale::Deeploop(options) => Self::Table(Table::Deeploop(options)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LayersConfig;

    fn factors(branch_scale: BranchScale) -> BranchFactors {
        let mut config = ModelConfig {
            branch_scale,
            layers: LayersConfig {
                prelude: 1,
                core: 4,
                coda: 1,
            },
            ..ModelConfig::default()
        };
        config.recurrence.mean = 8;
        config.branch_factors().expect("it is configured")
    }

    #[test]
    fn the_scale_of_eight_loops_of_four_layers_is_a_sixteenth_and_that_of_two_loops_a_quarter() {
        let scale = |iterations| {
            factors(BranchScale::Loop(LoopScale {
                lambda: 1.0,
                iterations,
            }))
        };
        assert!((scale(None).branch - 1.0 / 16.0).abs() < 1e-15);
        assert!((scale(Some(2)).branch - 0.25).abs() < 1e-15);
        assert!((scale(None).skip - 1.0).abs() < 1e-15);
    }

    #[test]
    fn deeploop_at_thirty_two_unrolled_layers_multiplies_by_eight_and_draws_by_a_sixteenth() {
        let found = factors(BranchScale::Deeploop(DeeploopScale::default()));
        assert!((found.skip - 8.0).abs() < 1e-15 && (found.branch - 1.0).abs() < 1e-15);
        let drawn = found.drawn.expect("β");
        assert!((drawn - 1.0 / 16.0).abs() < 1e-15);
    }
}
