//! Predicts, at one depth, the token after every token of some rows.

use burn::tensor::{Tensor, s};
use rondo_model::looped::Readout;
use rondo_model::pass::Pass;
use rondo_tasks::rows::Row;

use super::batches::{batches, pieces};
use super::scored::scored_positions;
use crate::error::Result;
use crate::initial_states::InitialStates;
use crate::open_run::OpenRun;
use crate::step::read;

/// The prediction of one token.
#[derive(Clone, Copy, Debug)]
pub struct Prediction<'a> {
    /// The index of the row.
    pub row: usize,
    /// The position of the row's token after which the predicted token stands.
    pub position: usize,
    /// The logits of the predicted token, one for each token of the model's vocabulary.
    pub logits: &'a [f32],
}

/// Computes rows in batches of similar length and calls `visit` for each prediction. Predictions
/// come batch by batch, and in order within a row. A row without tokens has no predictions. Every
/// row starts from the states of the first sequence, like the first item of a task.
///
/// `progress` is called after each batch.
///
/// # Errors
///
/// When the device fails, a position has no initial state, or `progress` returns an error.
pub fn predictions(
    run: &OpenRun<'_>,
    states: &InitialStates,
    rows: &[&[u32]],
    depth: usize,
    mut visit: impl FnMut(Prediction<'_>),
    mut progress: impl FnMut() -> Result<()>,
) -> Result<()> {
    let (model, config, device) = (&run.model, &run.model_config, &run.listed.device);
    let (numbers, rows): (Vec<usize>, Vec<Row>) = rows
        .iter()
        .enumerate()
        .filter(|(_, tokens)| !tokens.is_empty())
        .map(|(number, tokens)| {
            let row = Row {
                item: 0,
                inputs: tokens.to_vec(),
                first: 0,
                // Only the number of targets is used here.
                targets: tokens.to_vec(),
            };
            (number, row)
        })
        .unzip();
    for batch in batches(&rows, run.batch_positions()) {
        let on_device = batch.on_device(&rows, states, config, device)?;
        let shape = on_device.inputs.dims();
        let pass = Pass::new(config, shape[1], device);
        let mut hidden: Option<Tensor<3>> = None;
        let keep = |_: usize, readout: Readout| {
            let positions = on_device.positions.clone();
            hidden = Some(scored_positions(readout.hidden, shape, positions));
        };
        model.forward_at_depths(on_device.inputs, on_device.state, &pass, &[depth], keep);
        // The row and the position of each prediction. Predictions of padding come after the last
        // one.
        let counts = batch.rows.iter().zip(&on_device.counts);
        let mut places = counts.flat_map(|(row, count)| (0..*count).map(|at| (numbers[*row], at)));
        if let Some(hidden) = hidden {
            let scored = hidden.dims()[1];
            for piece in pieces(scored) {
                let logits = model.logits(hidden.clone().slice(s![.., piece, ..]));
                let [_, count, vocabulary] = logits.dims();
                let logits = read(logits.reshape([count * vocabulary]))?;
                for (logits, (row, position)) in logits.chunks(vocabulary).zip(&mut places) {
                    visit(Prediction {
                        row,
                        position,
                        logits,
                    });
                }
            }
        }
        progress()?;
    }
    Ok(())
}
