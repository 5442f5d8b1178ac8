//! Computes the input of the readout at the tokens of documents.

use burn::tensor::{Int, Tensor, TensorData};
use rondo_data::{Batch, IGNORE};
use rondo_model::looped::Readout;
use rondo_model::pass::Pass;

use crate::error::Result;
use crate::initial_states::InitialStates;
use crate::open_run::OpenRun;
use crate::tasks::scored::{passes, scored_positions};

/// Returns at most `most` targets of the documents. Also returns, for each depth, the readout's
/// input at the positions that predict these targets, `[1, tokens, d_model]`.
pub(super) fn hidden_states(
    run: &OpenRun<'_>,
    states: &InitialStates,
    depths: &[usize],
    batches: &[Batch],
    most: usize,
) -> Result<(Vec<i32>, Vec<Tensor<3>>)> {
    let (config, device) = (&run.model_config, &run.listed.device);
    let mut targets: Vec<i32> = Vec::new();
    let mut hidden: Vec<Vec<Tensor<3>>> = vec![Vec::new(); depths.len()];
    let mut first_sequence = 0;
    for batch in batches {
        let room = most - targets.len();
        let places: Vec<i32> = (0..)
            .zip(&batch.targets)
            .filter(|(_, target)| **target != IGNORE)
            .map(|(place, _)| place)
            .take(room)
            .collect();
        if places.is_empty() {
            break;
        }
        targets.extend(
            places
                .iter()
                .map(|place| batch.targets[*place as usize] as i32),
        );
        let shape = [batch.batch, batch.seq];
        let inputs: Vec<i32> = batch.inputs.iter().map(|id| *id as i32).collect();
        let inputs = Tensor::from_data(TensorData::new(inputs, shape), device);
        let count = places.len();
        let places: Tensor<1, Int> = Tensor::from_data(TensorData::new(places, [count]), device);
        let pass = Pass::new(config, batch.seq, device);
        for together in passes(config, depths) {
            let state = states.at(config, first_sequence, 0, shape, device)?;
            let visit = |depth: usize, readout: Readout| {
                let place = depths.iter().position(|other| *other == depth);
                let found = scored_positions(readout.hidden, shape, places.clone());
                if let Some(place) = place {
                    hidden[place].push(found);
                }
            };
            run.model
                .forward_at_depths(inputs.clone(), state, &pass, &together, visit);
        }
        first_sequence += batch.batch as u64;
    }
    let hidden = hidden.into_iter().map(|parts| match parts.is_empty() {
        true => Tensor::zeros([1, 0, config.d_model], device),
        false => Tensor::cat(parts, 1),
    });
    Ok((targets, hidden.collect()))
}
