//! A round of an evaluation: each rank scores one batch, and every rank receives all scores.

use rondo_model::gates::Density;
use rondo_model::layer::At;

use super::scores::{DepthScore, ExitScore, Scores};
use crate::distributed::World;
use crate::distributed::message::{Reader, Writer};
use crate::error::Result;
use crate::interrupt;

/// The results of a round, on every rank.
pub(super) struct Round {
    /// The scores of the batches of the round, in order.
    pub(super) scores: Vec<Scores<Vec<f64>>>,
    /// Whether any rank has received a request to stop.
    pub(super) stop: bool,
}

/// Gives every rank the scores of all ranks. `own` is `None` if the round has no batch for this
/// rank.
///
/// # Errors
///
/// When a rank is missing.
pub(super) fn gather(world: &World, own: Option<Scores<Vec<f64>>>) -> Result<Round> {
    let stop = interrupt::asked();
    if world.is_alone() {
        return Ok(Round {
            scores: own.into_iter().collect(),
            stop,
        });
    }
    let mut message = Writer::default();
    message.flag(stop);
    message.flag(own.is_some());
    if let Some(scores) = &own {
        write(&mut message, scores);
    }
    let mut round = Round {
        scores: Vec::new(),
        stop: false,
    };
    for message in world.all_gather_bytes(&message.finish())? {
        let mut message = Reader::new(&message);
        round.stop |= message.flag();
        if message.flag() {
            round.scores.push(read(&mut message));
        }
    }
    Ok(round)
}

fn write(message: &mut Writer, scores: &Scores<Vec<f64>>) {
    message.count(scores.depths.len());
    for score in &scores.depths {
        message.values(&score.loss);
        message.flag(score.hits.is_some());
        if let Some(hits) = &score.hits {
            message.values(hits);
        }
    }
    message.count(scores.exits.len());
    for score in &scores.exits {
        message.values(&score.loss);
        message.values(&score.hits);
        message.count(score.taken.len());
        score.taken.iter().for_each(|taken| message.values(taken));
    }
    message.count(scores.densities.len());
    for density in &scores.densities {
        write_place(message, density.at);
        message.values(&density.expected);
        message.values(&density.kept);
    }
}

fn read(message: &mut Reader<'_>) -> Scores<Vec<f64>> {
    let depths = (0..message.count()).map(|_| DepthScore {
        loss: message.values(),
        hits: message.flag().then(|| message.values()),
    });
    let depths = depths.collect();
    let exits = (0..message.count()).map(|_| ExitScore {
        loss: message.values(),
        hits: message.values(),
        taken: (0..message.count()).map(|_| message.values()).collect(),
    });
    let exits = exits.collect();
    let densities = (0..message.count()).map(|_| Density {
        at: read_place(message),
        expected: message.values(),
        kept: message.values(),
    });
    let densities = densities.collect();
    Scores {
        depths,
        exits,
        densities,
    }
}

/// Writes the layer, and the iteration or depth at which the layer is applied.
pub(crate) fn write_place(message: &mut Writer, at: At) {
    let (stack, layer, pass) = match at {
        At::Prelude { layer } => (0, layer, 0),
        At::Core { layer, iteration } => (1, layer, iteration),
        At::Coda { layer, depth } => (2, layer, depth),
    };
    for number in [stack, layer, pass] {
        message.count(number);
    }
}

/// Reads the layer, and the iteration or depth, that [`write_place`] has written.
pub(crate) fn read_place(message: &mut Reader<'_>) -> At {
    let [stack, layer, pass] = [(); 3].map(|()| message.count());
    match stack {
        0 => At::Prelude { layer },
        1 => At::Core {
            layer,
            iteration: pass,
        },
        _ => At::Coda { layer, depth: pass },
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use rondo_data::Batch;
    use rondo_model::config::ModelConfig;
    use rondo_model::exit::ExitCriterion;
    use rondo_model::looped::LoopedTransformer;
    use rondo_model::sparsity::SparsityConfig;

    use super::*;
    use crate::device::DeviceKind;
    use crate::distributed::testing::on_ranks;
    use crate::evaluate::exits::Exit;
    use crate::evaluate::{Evaluated, Evaluation};
    use crate::initial_states::InitialStates;

    /// Evaluates five batches with exits, hits and gates. The last batch has fewer rows.
    fn evaluated(world: &World) -> Evaluated {
        let mut config = ModelConfig {
            vocab_size: 11,
            d_model: 8,
            n_heads: 2,
            n_kv_heads: 2,
            d_ff: 12,
            sparsity: Some(SparsityConfig::default()),
            ..ModelConfig::default()
        };
        config.recurrence.mean = 2;
        let listed = DeviceKind::Flex.processor(Device::flex());
        let model = LoopedTransformer::new(&config, 3, &listed.device.clone().autodiff());
        let batches = [3_u32, 3, 3, 3, 2].map(|rows| {
            let ids = |of: u32| (0..rows * 4).map(|i| (i * of + rows) % 11).collect();
            Batch {
                inputs: ids(3),
                targets: ids(5),
                batch: rows as usize,
                seq: 4,
                document_end: None,
            }
        });
        let exit = Exit {
            criterion: ExitCriterion::LatentDiff,
            threshold: 0.5,
        };
        let evaluation = Evaluation {
            config: &config,
            states: &InitialStates::Seed(7),
            depths: &[1, 2, 5],
            exits: &[exit],
            max_iterations: 4,
            batches: &batches,
            bytes_per_token: Some(1.0),
            task: true,
            listed: &listed,
        };
        let evaluated = evaluation.run_on(world, &model, |_, _| Ok(()));
        evaluated.expect("flex does not fail")
    }

    #[test]
    fn any_number_of_ranks_evaluates_to_the_same_bits() {
        let alone = evaluated(&World::alone());
        assert!(alone.sparsity.is_some() && alone.exits[0].loss > 0.0);
        // With 2 ranks, the last round has one batch. With 7 ranks, some ranks never have a batch.
        for ranks in [2, 3, 4, 7] {
            for of_rank in on_ranks(ranks, |world| evaluated(&world)) {
                assert_eq!(of_rank, alone, "{ranks} ranks");
            }
        }
    }

    #[test]
    fn scores_come_back_to_the_bit() {
        let scores = || Scores {
            depths: vec![
                DepthScore {
                    loss: vec![0.1],
                    hits: Some(vec![1.0, 0.0, 3.0]),
                },
                DepthScore {
                    loss: vec![f64::NAN],
                    hits: None,
                },
            ],
            exits: vec![ExitScore {
                loss: vec![2.5],
                hits: vec![1.0],
                taken: vec![vec![4.0], vec![5.0]],
            }],
            densities: vec![Density {
                at: At::Core {
                    layer: 1,
                    iteration: 7,
                },
                expected: vec![0.5],
                kept: vec![0.25],
            }],
        };
        let mut message = Writer::default();
        write(&mut message, &scores());
        let message = message.finish();
        let mut back = Writer::default();
        write(&mut back, &read(&mut Reader::new(&message)));
        assert_eq!(back.finish(), message);
    }
}
