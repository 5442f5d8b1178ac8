//! `model.injection`: a word, or a table with that word as `kind` and the options.
//!
//! A kind without options is written as a word, as in configurations that are older than the
//! options.

use rondo_config::Report;
use rondo_config::report::within;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The largest window of a history.
const MOST_LAGS: usize = 8;

/// The injection `A(s, e)` of the embedding e into the state s; [`crate::injection`] has the
/// formulas.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written", into = "Written")]
pub enum InjectionKind {
    /// `W · [s ; e]`.
    Linear,
    /// `s + e`.
    Add,
    /// `s ⊙ e`.
    Gate,
    /// The gated MLP on `[s ; e]`.
    Ffn,
    /// One learned number mixes s and e.
    Scalar(ScalarInjection),
    /// A decay for each channel, and a matrix for e.
    Diagonal(DiagonalInjection),
    /// Like diagonal, but the component of the state along the update is removed before the update
    /// is added.
    Orthogonal,
    /// Weighted differences to earlier states are added to s; then another injection injects e.
    History(HistoryInjection),
    /// `s`: e does not enter, so s_0 must be e.
    None,
}

/// Options of the scalar injection.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScalarInjection {
    /// The factor on the state.
    pub form: ScalarForm,
    /// α at the start of training.
    pub start: f64,
}

impl Default for ScalarInjection {
    fn default() -> Self {
        Self {
            form: ScalarForm::Mean,
            start: 0.5,
        }
    }
}

/// How one learned number mixes state and embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScalarForm {
    /// `(1 − α) s + α e`.
    Mean,
    /// `s + α e`.
    Sum,
}

/// Options of the diagonal injection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DiagonalInjection {
    /// The factor on `B e`.
    pub discretisation: Discretisation,
}

impl Default for DiagonalInjection {
    fn default() -> Self {
        Self {
            discretisation: Discretisation::Euler,
        }
    }
}

/// How the input of a linear system in continuous time is discretised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Discretisation {
    /// Δ, as in Parcae.
    Euler,
    /// `(1 − e^(−Δa)) / a`, exact for an input that is constant during the step.
    ZeroOrderHold,
}

/// Options of the history injection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryInjection {
    /// w, the largest number of earlier states that an iteration reads.
    #[schemars(range(min = 1, max = MOST_LAGS))]
    pub window: usize,
    /// The form of the coefficient of each difference.
    pub form: HistoryForm,
    /// How e enters after the differences.
    pub embedding: EmbeddingInjection,
}

impl Default for HistoryInjection {
    fn default() -> Self {
        Self {
            window: 1,
            form: HistoryForm::Channel,
            embedding: EmbeddingInjection::Linear,
        }
    }
}

/// The coefficient of the difference to an earlier state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryForm {
    /// A number for each lag.
    Scalar,
    /// A number for each lag and channel.
    Channel,
    /// A matrix for each lag.
    Dense,
}

/// How e enters together with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EmbeddingInjection {
    /// `W · [s ; e]`.
    Linear,
    /// `s + e`.
    Add,
    /// `s ⊙ e`.
    Gate,
    /// The gated MLP on `[s ; e]`.
    Ffn,
}

impl From<EmbeddingInjection> for InjectionKind {
    fn from(kind: EmbeddingInjection) -> Self {
        match kind {
            EmbeddingInjection::Linear => Self::Linear,
            EmbeddingInjection::Add => Self::Add,
            EmbeddingInjection::Gate => Self::Gate,
            EmbeddingInjection::Ffn => Self::Ffn,
        }
    }
}

impl InjectionKind {
    /// Returns the word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Add => "add",
            Self::Gate => "gate",
            Self::Ffn => "ffn",
            Self::Scalar(_) => "scalar",
            Self::Diagonal(_) => "diagonal",
            Self::Orthogonal => "orthogonal",
            Self::History(_) => "history",
            Self::None => "none",
        }
    }

    /// Returns how e enters: for a history the kind in its `embedding`, otherwise this kind itself.
    #[must_use]
    pub fn of_embedding(self) -> Self {
        match self {
            Self::History(history) => history.embedding.into(),
            other => other,
        }
    }

    /// Returns the history of states that an iteration reads, if any.
    pub fn history(self) -> Option<HistoryInjection> {
        match self {
            Self::History(history) => Some(history),
            _ => None,
        }
    }

    /// Returns whether a matrix multiplies e alone, once for all iterations of a pass.
    pub(crate) fn has_matrix_of_embedding_alone(self) -> bool {
        matches!(self.of_embedding(), Self::Diagonal(_) | Self::Orthogonal)
    }

    /// Returns an upper bound of the number of states that an iteration keeps for the backward
    /// pass, in addition to the states that a linear injection keeps.
    pub(crate) fn kept_states(self, is_fused: bool) -> usize {
        let history = self.history().map_or(0, |history| 2 * history.window);
        let own = match self.of_embedding() {
            Self::Linear | Self::Add | Self::Gate | Self::Ffn | Self::History(_) | Self::None => 0,
            Self::Scalar(_) | Self::Diagonal(_) => usize::from(!is_fused),
            Self::Orthogonal if is_fused => 0,
            // r, c u and r − c u.
            Self::Orthogonal => 3,
        };
        history + own
    }

    /// Reports every violation by its key path below `[model.injection]`.
    pub(super) fn validate(self, report: Report<'_>) {
        match self {
            Self::Scalar(scalar) if !scalar.start.is_finite() => {
                report(
                    "start",
                    format!("must be a finite number, found {}", scalar.start),
                );
            }
            Self::History(history) => within("window", history.window, 1..=MOST_LAGS, report),
            _ => {}
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
    /// `W · [s ; e]`, where W is the adapter, without a bias. The state comes first.
    Linear,
    /// `s + e`.
    Add,
    /// `s ⊙ e`.
    Gate,
    /// The gated MLP on `[s ; e]`, with the inner width `d_ff`.
    Ffn,
    /// `(1 − α) s + α e`, where α is one learned number.
    Scalar,
    /// `e^(−Δa) ⊙ s + Δ ⊙ B e`, with a learned Δ and a learned a for each channel, and a learned
    /// matrix B.
    Diagonal,
    /// `(r − c u) + u` with `r = e^(−Δa) ⊙ s`, `u = Δ ⊙ W e`, and c chosen so that r − c u is
    /// orthogonal to u.
    Orthogonal,
    /// `s + Σ_j B_j (s_(−j) − s)`, where s_(−j) is the j-th state before s; then another injection
    /// injects e.
    History,
    /// `s`: the embedding does not enter, so the loop must start from it (`state_init = "input"`).
    None,
}

/// A table with `kind` and the options.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Table {
    /// `W · [s ; e]`, where W is the adapter, without a bias. The state comes first.
    Linear {},
    /// `s + e`.
    Add {},
    /// `s ⊙ e`.
    Gate {},
    /// The gated MLP on `[s ; e]`, with the inner width `d_ff`.
    Ffn {},
    /// One learned number mixes s and e.
    Scalar(ScalarInjection),
    /// A decay for each channel, and a matrix for e.
    Diagonal(DiagonalInjection),
    /// Like diagonal, but the component of the state along the update is removed before the update
    /// is added.
    Orthogonal {},
    /// Weighted differences to earlier states are added to s; then another injection injects e.
    History(HistoryInjection),
    /// `s`: the embedding does not enter.
    None {},
}

impl From<Written> for InjectionKind {
    fn from(written: Written) -> Self {
        match written {
            Written::Word(Word::Linear) | Written::Table(Table::Linear {}) => Self::Linear,
            Written::Word(Word::Add) | Written::Table(Table::Add {}) => Self::Add,
            Written::Word(Word::Gate) | Written::Table(Table::Gate {}) => Self::Gate,
            Written::Word(Word::Ffn) | Written::Table(Table::Ffn {}) => Self::Ffn,
            Written::Word(Word::Orthogonal) | Written::Table(Table::Orthogonal {}) => {
                Self::Orthogonal
            }
            Written::Word(Word::None) | Written::Table(Table::None {}) => Self::None,
            Written::Word(Word::Scalar) => Self::Scalar(ScalarInjection::default()),
            Written::Word(Word::Diagonal) => Self::Diagonal(DiagonalInjection::default()),
            Written::Word(Word::History) => Self::History(HistoryInjection::default()),
            Written::Table(Table::Scalar(options)) => Self::Scalar(options),
            Written::Table(Table::Diagonal(options)) => Self::Diagonal(options),
            Written::Table(Table::History(options)) => Self::History(options),
        }
    }
}

impl From<InjectionKind> for Written {
    fn from(kind: InjectionKind) -> Self {
        match kind {
            InjectionKind::Linear => Self::Word(Word::Linear),
            InjectionKind::Add => Self::Word(Word::Add),
            InjectionKind::Gate => Self::Word(Word::Gate),
            InjectionKind::Ffn => Self::Word(Word::Ffn),
            InjectionKind::Orthogonal => Self::Word(Word::Orthogonal),
            InjectionKind::None => Self::Word(Word::None),
            InjectionKind::Scalar(options) => Self::Table(Table::Scalar(options)),
            InjectionKind::Diagonal(options) => Self::Table(Table::Diagonal(options)),
            InjectionKind::History(options) => Self::Table(Table::History(options)),
        }
    }
}
