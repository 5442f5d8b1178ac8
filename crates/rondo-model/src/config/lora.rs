//! `[model.lora]`: what each iteration adds to the core's matrices.

use rondo_config::Report;
use rondo_config::report::{at_least_one, within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ModelConfig;
use crate::depth::{MAX_RECURRENCE, RecurrenceConfig};

/// What each iteration adds to the core's matrices, of low rank; [`crate::lora`] has the formulas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// The rank of what is added; at most the smaller side of a matrix.
    #[schemars(range(min = 1))]
    pub rank: usize,
    /// Iterations with pairs of their own. Without it the mean recurrence.
    #[schemars(range(min = 1, max = MAX_RECURRENCE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<usize>,
    /// What iterations beyond those with pairs of their own do.
    pub beyond: Beyond,
    /// The matrices that something is added to.
    pub matrices: Vec<LoraMatrix>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            rank: 8,
            iterations: None,
            beyond: Beyond::Repeat,
            matrices: LoraMatrix::ALL.into(),
        }
    }
}

/// What an iteration does that has no row of its own in a table over iterations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Beyond {
    /// It takes the last row.
    Repeat,
    /// The rows come again from the first.
    Cycle,
    /// There is none: a deeper pass is refused.
    Refuse,
}

impl Beyond {
    /// Returns the row of an iteration, counted from 0, among so many rows.
    pub fn row(self, iteration: usize, rows: usize) -> usize {
        match self {
            Self::Repeat | Self::Refuse => iteration.min(rows - 1),
            Self::Cycle => iteration % rows,
        }
    }
}

/// A matrix of a layer.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum LoraMatrix {
    /// That of the queries.
    Query,
    /// That of the keys.
    Key,
    /// That of the values.
    Value,
    /// The projection after attention.
    Output,
    /// The half of the MLP's first matrix that goes through SiLU.
    Gate,
    /// Its other half.
    Up,
    /// The MLP's second matrix.
    Down,
}

impl LoraMatrix {
    /// All of a layer, in the order of the parameter table.
    pub const ALL: [Self; 7] = [
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Output,
        Self::Gate,
        Self::Up,
        Self::Down,
    ];

    /// Returns the name of its pair in the module tree.
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Key => "key",
            Self::Value => "value",
            Self::Output => "output",
            Self::Gate => "gate",
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// Returns its shape, `[d_in, d_out]`.
    pub fn shape(self, config: &ModelConfig) -> [usize; 2] {
        let (h, f, attended) = (config.d_model, config.d_ff, config.attended_width());
        match self {
            Self::Query => [h, attended],
            Self::Key | Self::Value => [h, config.n_kv_heads * config.d_head()],
            Self::Output => [attended, h],
            Self::Gate | Self::Up => [h, f],
            Self::Down => [f, h],
        }
    }
}

impl LoraConfig {
    /// Returns the iterations with pairs of their own in a model.
    pub fn rows(&self, recurrence: &RecurrenceConfig) -> usize {
        self.iterations
            .unwrap_or_else(|| recurrence.planned().total())
    }

    /// Returns the deepest pass that is not refused, where deeper ones are.
    pub fn deepest(&self, recurrence: &RecurrenceConfig) -> Option<usize> {
        (self.beyond == Beyond::Refuse).then(|| self.rows(recurrence))
    }

    /// Returns whether something is added to a matrix.
    pub fn has(&self, matrix: LoraMatrix) -> bool {
        self.matrices.contains(&matrix)
    }

    /// Returns the rank of what is added to a matrix.
    pub fn rank_of(&self, matrix: LoraMatrix, config: &ModelConfig) -> usize {
        let [d_in, d_out] = matrix.shape(config);
        self.rank.min(d_in).min(d_out)
    }

    /// Reports every violation by its key path below `[model.lora]`.
    pub(super) fn validate(&self, report: Report<'_>) {
        at_least_one("rank", self.rank, report);
        if let Some(iterations) = self.iterations {
            within("iterations", iterations, 1..=MAX_RECURRENCE, report);
        }
        if self.matrices.is_empty() {
            report("matrices", "needs one matrix at least".to_owned());
        }
        let mut seen = Vec::new();
        for matrix in &self.matrices {
            if seen.contains(matrix) {
                report("matrices", format!("{} stands there twice", matrix.name()));
            }
            seen.push(*matrix);
        }
    }
}

impl ModelConfig {
    /// Returns the deepest pass that is not refused, where deeper ones are.
    pub fn deepest(&self) -> Option<usize> {
        let lora = self.lora.as_ref()?;
        lora.deepest(&self.recurrence)
    }

    /// Returns the most iterations of an adaptive exit that is given no bound: the largest of training's draws, and none that is
    /// refused.
    pub fn most_iterations(&self) -> usize {
        let max = self.recurrence.max;
        self.deepest().map_or(max, |deepest| max.min(deepest))
    }

    /// Says why a pass to `depth` is refused, where it is.
    pub fn refuses_depth(&self, depth: usize) -> Option<String> {
        let deepest = self.deepest().filter(|deepest| depth > *deepest)?;
        Some(format!(
            "model.lora has pairs for {deepest} iterations and beyond = \"refuse\": a pass of {depth} has none for those after; \
             ask for at most {deepest}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_of_four_rows_is_the_last_or_the_second() {
        assert_eq!(Beyond::Repeat.row(5, 4), 3);
        assert_eq!(Beyond::Cycle.row(5, 4), 1);
        for beyond in [Beyond::Repeat, Beyond::Cycle, Beyond::Refuse] {
            assert_eq!(
                (0..4).map(|i| beyond.row(i, 4)).collect::<Vec<_>>(),
                [0, 1, 2, 3]
            );
        }
    }

    #[test]
    fn a_pass_beyond_the_pairs_is_refused_where_that_is_the_rule() {
        let with = |beyond| ModelConfig {
            lora: Some(LoraConfig {
                iterations: Some(3),
                beyond,
                ..LoraConfig::default()
            }),
            ..ModelConfig::default()
        };
        assert_eq!(with(Beyond::Refuse).refuses_depth(3), None);
        let told = with(Beyond::Refuse).refuses_depth(4).expect("refused");
        assert!(
            told.contains("3 iterations") && told.contains("pass of 4"),
            "{told}"
        );
        assert_eq!(with(Beyond::Repeat).refuses_depth(4), None);
    }
}
