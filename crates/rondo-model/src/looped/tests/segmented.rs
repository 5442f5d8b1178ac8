//! In a row of several documents, every document has bitwise the same results as in a row of its
//! own.

use std::ops::Range;

use burn::tensor::{TensorData, s};

use super::*;
use crate::attention::Segments;
use crate::depth::Recompute;

/// The token that ends a document.
const END: i32 = 10;
const LONG: usize = 150;
/// Lengths of the documents of each row; some are longer than a tile of attention.
const LENGTHS: [&[usize]; 2] = [&[3, 1, 64, 65, 1, 16], &[130, 20]];
/// The smallest number of rows in a product: for up to 64 rows and columns the gemm crate uses
/// another order of summation.
const LEAST_ROWS: usize = 65;
const DEPTHS: [usize; 3] = [1, 2, 4];

/// Returns rows of documents with these lengths; each document ends with `END`.
fn packed() -> Vec<i32> {
    let lengths = LENGTHS.iter().flat_map(|lengths| lengths.iter());
    let document = |length: &usize| -> Vec<i32> {
        let letters = (1..*length).map(|i| (i * i * 3 % 7) as i32);
        letters.chain([END]).collect()
    };
    lengths.flat_map(document).collect()
}

fn ids(ids: &[i32], batch: usize, device: &Device) -> Tensor<2, Int> {
    let shape = [batch, ids.len() / batch];
    Tensor::from_data(TensorData::new(ids.to_vec(), shape), device)
}

fn pass(config: &ModelConfig, seq: usize, device: &Device) -> Pass {
    let pass = Pass::new(config, seq, device);
    match seq {
        LONG => pass.within(Segments::behind(&packed(), LONG, |id| id == END)),
        _ => pass,
    }
}

/// Returns s_0 of both rows.
fn start(config: &ModelConfig, device: &Device) -> Tensor<3> {
    let source = StateSource {
        seed: 1,
        stream: Stream::EvalState,
        index: 0,
        first_sequence: 0,
        first_position: 0,
    };
    initial_state(config, source, [LENGTHS.len(), LONG], device)
}

/// Returns the row and the positions of every document.
fn documents() -> Vec<(usize, Range<usize>)> {
    let mut found = Vec::new();
    for (row, lengths) in LENGTHS.iter().enumerate() {
        let mut first = 0;
        for length in *lengths {
            found.push((row, first..first + length));
            first += length;
        }
    }
    found
}

/// Returns the logits at each depth, `[batch, seq, vocab]`.
fn logits(
    model: &LoopedTransformer,
    tokens: Tensor<2, Int>,
    start: Tensor<3>,
    pass: &Pass,
) -> Vec<Tensor<3>> {
    let mut found = Vec::new();
    model.forward_at_depths(tokens, start, pass, &DEPTHS, |_, readout| {
        found.push(model.logits(readout.hidden));
    });
    found
}

fn bits(x: Tensor<3>) -> Vec<u32> {
    x.into_data().iter::<f32>().map(f32::to_bits).collect()
}

#[test]
fn every_document_of_a_row_has_the_logits_that_it_has_alone() {
    let device = Device::flex();
    for (name, config) in structures() {
        if config.sparsity.is_some() {
            continue;
        }
        let model = LoopedTransformer::new(&config, 3, &device);
        let zero = start(&config, &device) * 0.0;
        for start in [start(&config, &device), zero] {
            let tokens = ids(&packed(), LENGTHS.len(), &device);
            let cut = pass(&config, LONG, &device);
            let whole = logits(&model, tokens.clone(), start.clone(), &cut);
            for (row, places) in documents() {
                // The document is alone in its row; the row is repeated to reach `LEAST_ROWS`.
                let rows = LEAST_ROWS.div_ceil(places.len());
                let own = tokens.clone().slice(s![row..=row, places.clone()]);
                let state = start.clone().slice(s![row..=row, places.clone(), ..]);
                let (own, state) = (own.repeat_dim(0, rows), state.repeat_dim(0, rows));
                let alone = pass(&config, places.len(), &device);
                let alone = logits(&model, own, state, &alone);
                for ((depth, whole), alone) in DEPTHS.iter().zip(&whole).zip(alone) {
                    let whole = whole.clone().slice(s![row..=row, places.clone(), ..]);
                    let alone = alone.slice(s![0..1, .., ..]);
                    assert!(
                        bits(whole) == bits(alone),
                        "{name}: {places:?} of row {row} at depth {depth}"
                    );
                }
            }
        }
    }
}

/// Returns the loss and the gradients of some rows, where the loss of every token is multiplied by
/// `weight`.
fn differentiated(
    config: &ModelConfig,
    tokens: &[i32],
    start: Tensor<3>,
    weight: f64,
) -> (f32, Vec<Vec<f32>>) {
    let device = Device::flex().autodiff();
    let model = LoopedTransformer::new(config, 3, &device);
    let [batch, seq, _] = start.dims();
    let targets: Vec<i32> = tokens.iter().map(|id| (id + 3) % 11).collect();
    let targets = ids(&targets, batch, &device);
    let unroll = Unroll {
        no_grad: 1,
        with_grad: 2,
    };
    let inputs = ids(tokens, batch, &device);
    let pass = pass(config, seq, &device);
    let seen = model.differentiate(inputs, start, &pass, unroll, None, |readout| {
        let hidden = readout.hidden.clone();
        let loss = head_cross_entropy(hidden, model.head(), targets, None, false).loss;
        loss * (weight * (batch * seq) as f64)
    });
    let gradients = seen.gradients.into_tensors().into_iter();
    let values = |x: Tensor<1>| x.into_data().iter().collect();
    (seen.loss.into_scalar(), gradients.map(values).collect())
}

#[test]
fn the_gradient_of_packed_rows_is_the_sum_of_the_documents_own() {
    for (name, config) in structures() {
        if config.sparsity.is_some() {
            continue;
        }
        let device = Device::flex();
        let tokens = packed();
        let start = start(&config, &device);
        let weight = 1.0 / tokens.len() as f64;
        let (loss, whole) = differentiated(&config, &tokens, start.clone(), weight);
        let mut sum = vec![Vec::new(); whole.len()];
        let mut losses = 0.0;
        for (row, places) in documents() {
            let own = &tokens[row * LONG + places.start..row * LONG + places.end];
            let state = start.clone().slice(s![row..=row, places, ..]);
            let (loss, gradients) = differentiated(&config, own, state, weight);
            losses += loss;
            for (sum, gradient) in sum.iter_mut().zip(gradients) {
                sum.resize(gradient.len(), 0.0);
                sum.iter_mut().zip(gradient).for_each(|(a, b)| *a += b);
            }
        }
        assert!((loss - losses).abs() < 1e-5, "{name}: {loss} {losses}");
        for ((whole, sum), row) in whole.iter().zip(&sum).zip(table(&config)) {
            let largest = sum.iter().map(|x| x.abs()).fold(1e-3, f32::max);
            for (a, b) in whole.iter().zip(sum) {
                let error = (a - b).abs() / largest;
                assert!(error < 1e-4, "{name}, {}: {a} {b}", row.name);
            }
        }
    }
}

#[test]
fn an_iteration_that_is_run_again_stays_within_documents() {
    let kept = config();
    let mut again = kept.clone();
    again.recurrence.recompute = Recompute::Iteration;
    let run = |config: &ModelConfig| {
        let start = start(config, &Device::flex());
        differentiated(config, &packed(), start, 1.0)
    };
    assert_eq!(run(&kept), run(&again));
}
