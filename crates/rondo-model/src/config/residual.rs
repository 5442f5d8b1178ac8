//! `model.loop_residual`: how the next state is computed from the core's output. The value is a
//! word, or a table with that word as `kind` and the options.

use rondo_config::Report;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the next state is computed from the core's output z; [`crate::residual`] has the formulas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written", into = "Written")]
pub enum ResidualKind {
    /// z is the next state.
    #[default]
    CarryLast,
    /// The next state is a weighted average of the outputs z of all iterations so far.
    Infiloop(InfiloopResidual),
}

/// Options of InfiLoop's residual.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InfiloopResidual {
    /// β, the factor by which every iteration multiplies the weights of earlier outputs. If β is
    /// learned, this is its initial value.
    #[schemars(range(min = 0, max = 1))]
    pub beta: f64,
    /// Whether β is learned, as the logistic function of a parameter. Otherwise β is constant.
    pub learned: bool,
}

impl Default for InfiloopResidual {
    fn default() -> Self {
        Self {
            beta: 0.9,
            learned: true,
        }
    }
}

impl ResidualKind {
    /// Returns the word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::CarryLast => "carry-last",
            Self::Infiloop(_) => "infiloop",
        }
    }

    /// Returns whether the core's output is the next state.
    pub fn is_plain(&self) -> bool {
        *self == Self::CarryLast
    }

    /// Reports every violation by its key path below `[model.loop_residual]`.
    pub(super) fn validate(self, report: Report<'_>) {
        let Self::Infiloop(InfiloopResidual { beta, learned }) = self else {
            return;
        };
        if learned && !(beta > 0.0 && beta < 1.0) {
            report(
                "beta",
                format!(
                    "a learned β starts between 0 and 1, found {beta}; learned = false allows both ends"
                ),
            );
        } else if !(0.0..=1.0).contains(&beta) {
            report("beta", format!("must be from 0 to 1, found {beta}"));
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
    /// z is the next state.
    CarryLast,
    /// `Σ β^(i−j) e^(s_j) z_j / Σ β^(i−j) e^(s_j)` over the iterations j so far, where z_j is the
    /// output of iteration j, `s_j = ⟨q, z_j⟩ / rms(z_j)`, and q is learned.
    Infiloop,
}

/// A table with `kind` and the options.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Table {
    /// z is the next state.
    CarryLast {},
    /// The next state is a weighted average of the outputs z of all iterations so far.
    Infiloop(InfiloopResidual),
}

impl From<Written> for ResidualKind {
    fn from(written: Written) -> Self {
        match written {
            Written::Word(Word::CarryLast) | Written::Table(Table::CarryLast {}) => Self::CarryLast,
            Written::Word(Word::Infiloop) => Self::Infiloop(InfiloopResidual::default()),
            Written::Table(Table::Infiloop(options)) => Self::Infiloop(options),
        }
    }
}

impl From<ResidualKind> for Written {
    fn from(kind: ResidualKind) -> Self {
        match kind {
            ResidualKind::CarryLast => Self::Word(Word::CarryLast),
            ResidualKind::Infiloop(options) => Self::Table(Table::Infiloop(options)),
        }
    }
}
