use super::*;
use crate::testing::{Numbers, TestDevice, assert_close, device, values};

/// Logits with their targets, for a head whose matrix is the identity: the hidden states are
/// exactly the logits.
struct Logits {
    values: Vec<f32>,
    targets: Vec<i32>,
    vocab: usize,
}

impl Logits {
    fn new(tokens: usize, vocab: usize, size: f32) -> Self {
        let values = Numbers::new(size).vector(tokens * vocab);
        let targets = (0..tokens)
            .map(|token| (token * 7 % vocab) as i32)
            .collect();
        Self {
            values,
            targets,
            vocab,
        }
    }

    fn run<R>(&self, device: &TestDevice, tied: bool, run: impl FnOnce(Head<'_>) -> R) -> R {
        let vocab = self.vocab;
        let mut identity = vec![0.0; vocab * vocab];
        identity
            .iter_mut()
            .step_by(vocab + 1)
            .for_each(|x| *x = 1.0);
        run(Head {
            hidden: &device.tensor(&self.values, [self.targets.len(), vocab]),
            matrix: &device.tensor(&identity, [vocab, vocab]),
            tied,
            targets: &device.ids(&self.targets),
            precision: Precision::F32,
        })
    }

    /// Returns for each token: its loss, the size of the terms of the loss, whether the target is
    /// the prediction, and the probabilities of all tokens of the vocabulary.
    fn scored(&self) -> Vec<(f64, f64, bool, Vec<f64>)> {
        let rows = self.values.chunks(self.vocab).zip(&self.targets);
        let score = |(row, target): (&[f32], &i32)| {
            let target = *target as usize;
            let largest = row.iter().copied().fold(f32::MIN, f32::max);
            let powers = row
                .iter()
                .map(|x| (f64::from(*x) - f64::from(largest)).exp());
            let sum: f64 = powers.clone().sum();
            let (all, own) = (f64::from(largest), f64::from(row[target]));
            let best = row.iter().position(|x| *x >= largest);
            (
                sum.ln() + all - own,
                sum.ln() + 1.0 + (all - own).abs(),
                best == Some(target),
                powers.map(|power| power / sum).collect(),
            )
        };
        rows.map(score).collect()
    }
}

#[test]
fn losses_hits_and_gradients_are_those_of_f64() {
    let Some(device) = device() else { return };
    for (tokens, vocab, size) in [(1, 2, 1.0), (63, 20, 3.0), (65, 300, 5.0), (130, 65, 60.0)] {
        let logits = Logits::new(tokens, vocab, size);
        let weights = Numbers::new(1.0).vector(tokens);
        let weights: Vec<f32> = weights.iter().map(|w| f32::from(*w > -0.5)).collect();
        let on_device = device.tensor(&weights, [tokens]);
        for (tied, weighted) in [(false, false), (true, true), (true, false)] {
            let total: f64 = match weighted {
                true => weights.iter().copied().map(f64::from).sum(),
                false => tokens as f64,
            };
            let found = logits.run(&device, tied, |head| {
                let alone = losses(head);
                (
                    alone,
                    loss_with_gradients(head, weighted.then_some(&on_device)),
                )
            });
            let (alone, found) = found;
            let (nll, hits) = (values(alone.nll), values(alone.hits));
            assert_eq!(hits, values(found.hits));
            let d_hidden = values(found.d_hidden);
            let mut mean = [0.0; 2];
            for (token, (expected, terms, hit, probabilities)) in
                logits.scored().into_iter().enumerate()
            {
                assert_close(nll[token], expected, terms);
                assert_eq!(hits[token].to_bits(), f32::from(hit).to_bits());
                let share = match weighted {
                    true => f64::from(weights[token]) / total,
                    false => 1.0 / total,
                };
                mean[0] += share * expected;
                mean[1] += share * terms;
                for (column, probability) in probabilities.into_iter().enumerate() {
                    let target = f64::from(u8::from(column == logits.targets[token] as usize));
                    let found = d_hidden[token * vocab + column];
                    // The rounding error of e^x grows with the distance of a logit from the largest
                    // logit.
                    let terms = share * (probability * (1.0 + 2.0 * f64::from(size)) + target);
                    assert_close(found, share * (probability - target), terms);
                }
            }
            assert_close(values(found.loss)[0], mean[0], mean[1]);
        }
    }
}

#[test]
fn large_logits_give_numbers() {
    let Some(device) = device() else { return };
    let mut logits = Logits::new(2, 300, 3e38);
    logits.values[7] = f32::MIN;
    let found = logits.run(&device, true, |head| loss_with_gradients(head, None));
    for x in [values(found.d_hidden), values(found.d_matrix)].concat() {
        assert!(!x.is_nan(), "{x}");
    }
    assert!(!values(found.loss)[0].is_nan());
}

#[test]
fn of_equal_logits_the_first_is_the_prediction() {
    let Some(device) = device() else { return };
    let logits = Logits {
        values: vec![1.0; 3 * 300],
        targets: vec![0, 1, 299],
        vocab: 300,
    };
    let found = logits.run(&device, false, losses);
    assert_eq!(values(found.hits), [1.0, 0.0, 0.0]);
}

#[test]
fn chunks_have_every_token_once() {
    let Some(device) = device() else { return };
    let hidden = device.tensor(&[0.0; 1500], [1500, 1]);
    let matrix = device.tensor(&vec![0.0; 1 << 16], [1 << 16, 1]);
    let targets = device.ids(&[3; 1500]);
    let head = Head {
        hidden: &hidden,
        matrix: &matrix,
        tied: true,
        targets: &targets,
        precision: Precision::F32,
    };
    assert_eq!(head.chunks(CHUNK_LOGITS), [0..512, 512..1024, 1024..1500]);
}

#[test]
fn chunks_make_no_difference_but_in_the_order_of_the_matrix_gradients_sum() {
    let Some(device) = device() else { return };
    let logits = Logits::new(150, 65, 5.0);
    let weights = device.tensor(&Numbers::new(1.0).vector(150), [150]);
    let run = |tied, chunk| {
        let found = logits.run(&device, tied, |head| {
            differentiate(head, Some(&weights), chunk)
        });
        let same = [found.loss, found.hits, found.d_hidden].map(values);
        (same, values(found.d_matrix))
    };
    for tied in [false, true] {
        let ((whole, d_matrix), (parts, d_matrix_of_parts)) = (run(tied, 1 << 20), run(tied, 1));
        assert_eq!(whole, parts);
        let size = d_matrix.iter().fold(0.0_f32, |size, x| size.max(x.abs()));
        for (whole, parts) in d_matrix.iter().zip(d_matrix_of_parts) {
            assert!(
                (whole - parts).abs() <= 1e-5 * size,
                "{parts} is not {whole}"
            );
        }
    }
}

#[test]
fn a_loss_and_its_gradients_have_the_same_bits_each_time() {
    let Some(device) = device() else { return };
    let logits = Logits::new(200, 300, 5.0);
    let weights = device.tensor(&Numbers::new(1.0).vector(200), [200]);
    let run = || {
        let found = logits.run(&device, true, |head| {
            loss_with_gradients(head, Some(&weights))
        });
        let all = [found.loss, found.d_hidden, found.d_matrix].map(values);
        all.concat()
            .into_iter()
            .map(f32::to_bits)
            .collect::<Vec<u32>>()
    };
    assert_eq!(run(), run());
}
