//! An evaluation finds the open edges of a pass to the mean recurrence, whatever other depths it
//! evaluates.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rondo_data::Batch;
use rondo_model::config::ModelConfig;
use rondo_model::exit::ExitCriterion;
use rondo_model::looped::LoopedTransformer;
use rondo_model::pass::Pass;
use rondo_model::sparsity::SparsityConfig;

use super::*;
use crate::device::DeviceKind;
use crate::evaluate::Evaluation;
use crate::evaluate::exits::Exit;
use crate::initial_states::InitialStates;
use crate::named::read_numbers;

const SHAPE: [usize; 2] = [2, 6];
const MEAN: usize = 3;

fn at(densities: &[Density]) -> Vec<At> {
    densities.iter().map(|density| density.at).collect()
}

#[test]
fn densities_are_picked_by_iteration_and_by_depth() {
    let core = |iteration| At::Core {
        layer: 0,
        iteration,
    };
    let coda = |depth| At::Coda { layer: 0, depth };
    let all = |visited: &[usize]| {
        let mut at = vec![At::Prelude { layer: 0 }];
        at.extend((1..=8).map(core));
        at.extend(visited.iter().map(|depth| coda(*depth)));
        let mean = |value: f32| Tensor::from_data([value], &Device::flex());
        let density = |at| Density {
            at,
            expected: mean(0.5),
            kept: mean(1.0),
        };
        at.into_iter().map(density).collect::<Vec<_>>()
    };
    for (visited, read_out) in [
        (vec![1, 4, 8], 1),
        (vec![8, 3, 1], 3),
        (vec![2, 3], 3),
        (vec![8, 4], 4),
    ] {
        let found = at(&up_to(all(&visited), MEAN, &visited));
        let expected = [
            At::Prelude { layer: 0 },
            core(1),
            core(2),
            core(3),
            coda(read_out),
        ];
        assert_eq!(found, expected, "{visited:?}");
    }
}

fn config() -> ModelConfig {
    let mut config = ModelConfig {
        vocab_size: 11,
        d_model: 8,
        n_heads: 2,
        n_kv_heads: 2,
        d_ff: 12,
        sparsity: Some(SparsityConfig {
            gate_bias: 0.0,
            ..SparsityConfig::default()
        }),
        ..ModelConfig::default()
    };
    config.recurrence.mean = MEAN;
    config
}

fn ids() -> Vec<u32> {
    (0..SHAPE.iter().product::<usize>() as u32)
        .map(|i| i * 3 % 7)
        .collect()
}

fn evaluated(depths: &[usize], exits: &[Exit]) -> Option<Sparsity> {
    let (config, listed) = (config(), DeviceKind::Flex.processor(Device::flex()));
    let model = LoopedTransformer::new(&config, 3, &listed.device.clone().autodiff());
    let [batch, seq] = SHAPE;
    let batch = Batch {
        inputs: ids(),
        targets: ids(),
        batch,
        seq,
        document_end: None,
    };
    let evaluation = Evaluation {
        config: &config,
        states: &InitialStates::Zero,
        depths,
        exits,
        max_iterations: 5,
        batches: &[batch],
        bytes_per_token: None,
        task: false,
        listed: &listed,
    };
    let evaluated = evaluation.run(&model, |_| Ok(())).expect("an evaluation");
    evaluated.sparsity
}

#[test]
fn other_depths_and_exits_do_not_change_the_open_edges() {
    let (config, device) = (config(), Device::flex());
    let model = LoopedTransformer::new(&config, 3, &device);
    let tokens: Vec<i32> = ids().into_iter().map(u32::cast_signed).collect();
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, SHAPE), &device);
    let [batch, seq] = SHAPE;
    let state = Tensor::zeros([batch, seq, config.d_model], &device);
    let pass = Pass::new(&config, seq, &device);
    let densities = model.forward(tokens, state, &pass, MEAN, None).densities;
    let densities = read_numbers(densities).expect("flex does not fail");
    let alone = Sparsity::new(&densities, MEAN);
    assert!(alone.is_some(), "there are gates");

    let exit = Exit {
        criterion: ExitCriterion::LatentDiff,
        threshold: 0.0,
    };
    assert_eq!(evaluated(&[MEAN], &[]), alone);
    assert_eq!(evaluated(&[1, 2, MEAN, 8], &[]), alone);
    assert_eq!(evaluated(&[1, MEAN, 8], &[exit]), alone);
    assert_eq!(evaluated(&[8], &[exit]), alone, "exits read out at {MEAN}");
}
