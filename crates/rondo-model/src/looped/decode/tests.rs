//! Compares a decoder with the whole model.

use burn::tensor::TensorData;

use super::*;
use crate::looped::tests::{config, structures};
use crate::seed::Stream;
use crate::state::{StateSource, initial_state};

/// The tolerance: the decoder attends one query at a time, and whole sequences use another kernel.
const ROUNDING: f32 = 1e-5;
const IDS: [i32; 6] = [3, 1, 4, 1, 5, 9];

fn tokens(ids: &[i32]) -> Tensor<2, Int> {
    let data = TensorData::new(ids.to_vec(), [1, ids.len()]);
    Tensor::from_data(data, &Device::flex())
}

fn states(config: &ModelConfig, first_position: usize, count: usize) -> Tensor<3> {
    let source = StateSource {
        seed: 7,
        stream: Stream::EvalState,
        index: 0,
        first_sequence: 0,
        first_position,
    };
    initial_state(config, source, [1, count], &Device::flex())
}

fn values(x: Tensor<3>) -> Vec<f32> {
    x.into_data().iter().collect()
}

/// Decodes a prompt and then single tokens. Returns the logits of every position, each from the
/// chunk that decoded the position.
fn decode(
    config: &ModelConfig,
    prompt: usize,
    depths: &[usize],
    budget: Option<usize>,
) -> Vec<f32> {
    let device = Device::flex();
    let model = LoopedTransformer::new(config, 3, &device);
    let mut decoder = Decoder::new(&model, config, budget, &device);
    let mut logits = Vec::new();
    for (first, depth) in (0..).zip(depths) {
        let range = match first {
            0 => 0..prompt,
            later => prompt + later - 1..prompt + later,
        };
        let mut chunk = decoder.begin(
            tokens(&IDS[range.clone()]),
            states(config, range.start, range.len()),
            *depth,
        );
        for _ in 0..*depth {
            decoder.iterate(&mut chunk);
        }
        logits.extend(values(model.logits(decoder.end(chunk).hidden)));
        assert_eq!(decoder.positions(), range.end);
    }
    logits
}

fn whole(config: &ModelConfig, count: usize, depth: usize) -> Vec<f32> {
    let device = Device::flex();
    let model = LoopedTransformer::new(config, 3, &device);
    let pass = Pass::new(config, count, &device);
    let state = states(config, 0, count);
    let forward = model.forward(tokens(&IDS[..count]), state, &pass, depth, None);
    values(model.logits(forward.readout.hidden))
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let worst = largest_difference(found, expected);
    assert!(worst < ROUNDING, "{worst}");
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn a_prompt_and_single_tokens_give_the_logits_of_the_whole_sequence_in_every_structure() {
    for (name, config) in structures() {
        let expected = whole(&config, IDS.len(), 3);
        for prompt in [1, 4] {
            let found = decode(&config, prompt, &[3; 6][..=IDS.len() - prompt], None);
            assert!(
                largest_difference(&found, &expected) < ROUNDING,
                "{name}, prompt {prompt}"
            );
            assert_eq!(found.len(), expected.len());
        }
    }
}

#[test]
fn a_budget_of_all_iterations_changes_nothing_and_a_smaller_one_does() {
    let config = config();
    let free = decode(&config, 3, &[4, 4, 4], None);
    assert_eq!(decode(&config, 3, &[4, 4, 4], Some(4)), free);
    let shared = decode(&config, 3, &[4, 4, 4], Some(1));
    let prompt = 3 * config.vocab_size;
    assert_close(&shared[..prompt], &free[..prompt]);
    assert!(largest_difference(&shared[prompt..], &free[prompt..]) > 100.0 * ROUNDING);
}

#[test]
fn the_deepest_iteration_of_an_earlier_position_stands_in_for_those_it_did_not_take() {
    let config = config();
    let vocab = config.vocab_size;
    // With a budget of one place, that place always holds the deepest iteration.
    let early = decode(&config, 1, &[1, 3], None);
    assert_eq!(early, decode(&config, 1, &[1, 3], Some(1)));
    let full = decode(&config, 1, &[3, 3], None);
    assert!(largest_difference(&early[vocab..], &full[vocab..]) > 100.0 * ROUNDING);
}

#[test]
fn a_shallow_position_between_deep_ones_leaves_a_row_at_every_iteration() {
    let config = config();
    let vocab = config.vocab_size;
    // At iteration 4 of the third position, the cache has iteration 4 of the first position, but
    // iteration 1 of the second position, which stopped after iteration 1.
    let found = decode(&config, 1, &[4, 1, 4], None);
    let deeper = decode(&config, 1, &[4, 4, 4], None);
    assert_eq!(found[..vocab], deeper[..vocab]);
    assert!(largest_difference(&found[2 * vocab..], &deeper[2 * vocab..]) > 100.0 * ROUNDING);
    assert!(found.iter().all(|x| x.is_finite()));
}

#[test]
fn a_readout_between_iterations_leaves_no_trace() {
    let config = config();
    let device = Device::flex();
    let model = LoopedTransformer::new(&config, 3, &device);
    let run = |looking: bool| {
        let mut decoder = Decoder::new(&model, &config, None, &device);
        let mut last = Vec::new();
        for position in 0..3 {
            let token = tokens(&IDS[position..=position]);
            let mut chunk = decoder.begin(token, states(&config, position, 1), 3);
            for i in 1..=3 {
                decoder.iterate(&mut chunk);
                assert_eq!(chunk.iterations(), i);
                if looking {
                    decoder.read_out(&mut chunk);
                }
            }
            last = values(model.logits(decoder.end(chunk).hidden));
        }
        last
    };
    assert_eq!(run(true), run(false));
}
