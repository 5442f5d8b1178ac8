//! `[model.lora]`: low-rank additions of each iteration to the core's matrices.

use rondo_config::Report;
use rondo_config::report::{at_least_one, within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ModelConfig;
use crate::depth::{MAX_RECURRENCE, RecurrenceConfig};

/// Low-rank additions of each iteration to the core's matrices; [`crate::lora`] has the formulas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// The rank of an addition. It is limited to the smaller side of the matrix.
    #[schemars(range(min = 1))]
    pub rank: usize,
    /// The number of iterations that have pairs of their own. Default: the mean recurrence.
    #[schemars(range(min = 1, max = MAX_RECURRENCE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<usize>,
    /// Which pairs are used by iterations without pairs of their own.
    pub beyond: Beyond,
    /// The matrices that receive an addition.
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

/// The row of a table that is used by an iteration beyond the last row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Beyond {
    /// The last row.
    Repeat,
    /// The rows are used again, from the first.
    Cycle,
    /// No row: a pass with more iterations is refused.
    Refuse,
}

impl Beyond {
    /// Returns the row of an iteration, counted from 0, in a table of `rows` rows.
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
    /// The query matrix.
    Query,
    /// The key matrix.
    Key,
    /// The value matrix.
    Value,
    /// The projection after attention.
    Output,
    /// The half of the MLP's first matrix whose output goes through SiLU.
    Gate,
    /// The other half of the MLP's first matrix.
    Up,
    /// The MLP's second matrix.
    Down,
}

impl LoraMatrix {
    /// All matrices of a layer, in the order of the parameter table.
    pub const ALL: [Self; 7] = [
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Output,
        Self::Gate,
        Self::Up,
        Self::Down,
    ];

    /// Returns the name of the matrix's pair in the module tree.
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

    /// Returns the shape of the matrix, `[d_in, d_out]`.
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
    /// Returns the number of iterations with pairs of their own.
    pub fn rows(&self, recurrence: &RecurrenceConfig) -> usize {
        self.iterations
            .unwrap_or_else(|| recurrence.planned().total())
    }

    /// Returns the largest recurrence depth that is not refused, if deeper passes are refused.
    pub fn deepest(&self, recurrence: &RecurrenceConfig) -> Option<usize> {
        (self.beyond == Beyond::Refuse).then(|| self.rows(recurrence))
    }

    /// Returns whether `matrix` receives an addition.
    pub fn has(&self, matrix: LoraMatrix) -> bool {
        self.matrices.contains(&matrix)
    }

    /// Returns the rank of the addition to `matrix`.
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
            report("matrices", "needs at least one matrix".to_owned());
        }
        let mut seen = Vec::new();
        for matrix in &self.matrices {
            if seen.contains(matrix) {
                report("matrices", format!("{} is listed twice", matrix.name()));
            }
            seen.push(*matrix);
        }
    }
}

impl ModelConfig {
    /// Returns the largest recurrence depth that is not refused, if deeper passes are refused.
    pub fn deepest(&self) -> Option<usize> {
        let lora = self.lora.as_ref()?;
        lora.deepest(&self.recurrence)
    }

    /// Returns the maximum number of iterations for an adaptive exit if no maximum is configured.
    /// It is the largest depth that training draws, limited to depths that are not refused.
    pub fn most_iterations(&self) -> usize {
        let max = self.recurrence.max;
        self.deepest().map_or(max, |deepest| max.min(deepest))
    }

    /// Returns the reason if a pass of `depth` iterations is refused, otherwise `None`.
    pub fn refuses_depth(&self, depth: usize) -> Option<String> {
        let deepest = self.deepest().filter(|deepest| depth > *deepest)?;
        Some(format!(
            "model.lora has pairs for {deepest} iterations and beyond = \"refuse\", so a pass of {depth} \
             iterations is not possible; ask for at most {deepest}"
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
