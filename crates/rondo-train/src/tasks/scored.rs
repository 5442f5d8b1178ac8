//! Computes log-likelihoods of rows at every depth, in one pass to the deepest depth.

use burn::tensor::{Tensor, s};
use rondo_model::config::ModelConfig;
use rondo_model::looped::Readout;
use rondo_model::ops::head_losses;
use rondo_model::pass::Pass;
use rondo_tasks::outcome::{Outcome, RowScore};
use rondo_tasks::prompt::Template;
use rondo_tasks::report::{ByCondition, Condition};
use rondo_tasks::rows::{Plan, Row};
use rondo_tasks::task::Task;

use super::batches::{OnDevice, RowBatch, batches, pieces};
use super::controls::Controls;
use crate::error::Result;
use crate::initial_states::InitialStates;
use crate::open_run::OpenRun;
use crate::step::read;

/// How rows are scored.
pub struct Scoring<'a> {
    /// The run whose model scores the rows.
    pub run: &'a OpenRun<'a>,
    /// The source of the initial states s_0.
    pub states: &'a InitialStates,
    /// The recurrence depths, in ascending order, without repetitions.
    pub depths: &'a [usize],
    /// Maps of the readout's input. Rows are scored with each map as well as without one.
    pub controls: &'a Controls,
    /// The maximum number of positions in a batch.
    pub positions: usize,
}

/// Groups depths that can be computed in the same pass. These are all depths, unless the model's
/// iterations depend on their total number.
pub fn passes(config: &ModelConfig, depths: &[usize]) -> Vec<Vec<usize>> {
    match config.conditioning.reads_depth() {
        true => depths.iter().map(|depth| vec![*depth]).collect(),
        false => vec![depths.to_vec()],
    }
}

impl Scoring<'_> {
    /// Returns the conditions, in the order of the scores. For each depth, the condition without a
    /// control comes first, then one condition for each control.
    pub fn conditions(&self) -> Vec<Condition> {
        let of_depth = |depth: &usize| {
            let depth = *depth;
            self.controls.at(depth).map(move |readout| Condition {
                control: readout.control,
                ..Condition::depth(depth)
            })
        };
        self.depths.iter().flat_map(of_depth).collect()
    }

    /// Returns the number of batches in which `plan` is scored.
    pub fn batches(&self, plan: &Plan) -> usize {
        batches(&plan.rows, self.positions).len()
            * passes(&self.run.model_config, self.depths).len()
    }

    /// Scores the items of a task. Returns, for each condition, the outcome of each item. An
    /// outcome is `None` if the item is undecided.
    ///
    /// `progress` is called after each batch.
    ///
    /// # Errors
    ///
    /// When the device fails, an item has no initial state, or `progress` returns an error.
    pub fn outcomes(
        &self,
        task: &Task,
        template: &Template,
        plan: &Plan,
        progress: impl FnMut() -> Result<()>,
    ) -> Result<ByCondition> {
        let scores = self.rows(&plan.rows, progress)?;
        let of_condition = |scores: Vec<RowScore>| {
            let items = task.items.iter().zip(&plan.items);
            items
                .map(|(item, planned)| {
                    let rows = &scores[planned.rows.clone()];
                    let (rules, delimiter) = (template.rules, &template.delimiter);
                    (!planned.undecided).then(|| Outcome::of_rows(item, rules, delimiter, rows))
                })
                .collect()
        };
        Ok(scores.into_iter().map(of_condition).collect())
    }

    /// Returns, for each condition, the score of each row.
    fn rows(
        &self,
        rows: &[Row],
        mut progress: impl FnMut() -> Result<()>,
    ) -> Result<Vec<Vec<RowScore>>> {
        let nothing = RowScore {
            loss: 0.0,
            tokens: 0,
            greedy: true,
        };
        let mut scores = vec![vec![nothing; rows.len()]; self.conditions().len()];
        let batches = batches(rows, self.positions);
        let mut first = 0;
        for depths in passes(&self.run.model_config, self.depths) {
            let mut conditions = 0;
            for batch in &batches {
                let listed = self.run.listed;
                let found = listed.compute(|| self.batch(rows, batch, &depths))?;
                conditions = found.len();
                for (scores, found) in scores[first..].iter_mut().zip(found) {
                    for (row, score) in batch.rows.iter().zip(found) {
                        scores[*row] = score;
                    }
                }
                progress()?;
            }
            first += conditions;
        }
        Ok(scores)
    }

    /// Returns, for each condition at `depths`, the score of each row of a batch. Reads from the
    /// device once.
    fn batch(
        &self,
        rows: &[Row],
        batch: &RowBatch,
        depths: &[usize],
    ) -> Result<Vec<Vec<RowScore>>> {
        let (model, config) = (&self.run.model, &self.run.model_config);
        let device = &self.run.listed.device;
        let OnDevice {
            inputs,
            state,
            positions,
            targets,
            counts,
        } = batch.on_device(rows, self.states, config, device)?;
        let [batch_rows, seq] = inputs.dims();
        let pass = Pass::new(config, seq, device);
        let mut found = Vec::new();
        let visit = |depth: usize, readout: Readout| {
            let scored = scored_positions(readout.hidden, [batch_rows, seq], positions.clone());
            for control in self.controls.at(depth) {
                let (mut losses, mut hits) = (Vec::new(), Vec::new());
                for piece in pieces(targets.dims()[1]) {
                    let hidden = scored.clone().slice(s![.., piece.clone(), ..]);
                    let targets = targets.clone().slice(s![.., piece]);
                    let of_piece = head_losses(control.apply(hidden), model.head(), targets, true);
                    losses.push(of_piece.losses);
                    hits.extend(of_piece.hits);
                }
                found.extend(losses.into_iter().chain(hits));
            }
        };
        model.forward_at_depths(inputs, state, &pass, depths, visit);
        let scored = positions.dims()[0];
        let values = read(Tensor::cat(found, 0))?;
        let of_condition = |values: &[f32]| {
            let (losses, hits) = values.split_at(scored);
            let mut start = 0;
            let mut row = |count: &usize| {
                let range = start..start + count;
                start += count;
                RowScore {
                    loss: losses[range.clone()].iter().copied().map(f64::from).sum(),
                    tokens: *count,
                    greedy: hits[range].iter().all(|hit| *hit > 0.5),
                }
            };
            counts.iter().map(&mut row).collect()
        };
        Ok(values.chunks(2 * scored).map(of_condition).collect())
    }
}

/// Returns the hidden states at `positions`, `[1, scored, d_model]`. Positions are counted through
/// all rows of the batch.
pub(super) fn scored_positions(
    hidden: Tensor<3>,
    [batch, seq]: [usize; 2],
    positions: Tensor<1, burn::tensor::Int>,
) -> Tensor<3> {
    let [_, _, width] = hidden.dims();
    let rows: Tensor<2> = hidden.reshape([batch * seq, width]);
    let [scored] = positions.dims();
    rows.select(0, positions).reshape([1, scored, width])
}
