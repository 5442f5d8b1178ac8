//! The loss computed by hand, and the fused loss compared with the composed one.

use super::*;
use crate::ops::Backend;
use crate::seed::Normals;
use burn::tensor::{Device, TensorData};

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

/// Returns the loss of two tokens with logits (9, 0) and (0, 9), both with target 0.
fn right_and_wrong(head: Head, weights: Option<Tensor<2>>) -> HeadLoss {
    let device = Device::flex();
    let hidden = Tensor::<3>::from_data([[[9.0, 0.0, 1.0], [0.0, 9.0, 1.0]]], &device);
    let targets = Tensor::<2, Int>::from_data([[0, 0]], &device);
    head_cross_entropy(hidden, head, targets, weights, true)
}

#[test]
fn positions_of_weight_zero_do_not_count() {
    let device = Device::flex();
    let head = Head::own(Tensor::from_data(
        [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]],
        &device,
    ));
    let weights = Tensor::<2>::from_data([[1.0, 0.0]], &device);
    let right: f32 = right_and_wrong(head.clone(), Some(weights))
        .loss
        .into_scalar();
    let both = right_and_wrong(head, None);
    assert_eq!(both.hits.map(values), Some(vec![1.0, 0.0]));
    let both: f32 = both.loss.into_scalar();
    assert!(right < 1e-3);
    assert!((both - (right + 9.0 + right) / 2.0).abs() < 1e-3);
}

#[test]
fn the_fused_loss_is_the_composed_one_with_its_gradients() {
    let device = Device::flex().autodiff();
    let mut normals = Normals::new(0, 2.0);
    let mut normal = |shape: [usize; 3]| normals.tensor::<3>(shape);
    let ids: Vec<i32> = (0..21).map(|i| i * 5 % 13).collect();
    let targets = Tensor::<2, Int>::from_data(TensorData::new(ids, [3, 7]), &device);
    let weights: Vec<f32> = (0..21).map(|i| (i % 3) as f32).collect();
    let weights = Tensor::<2>::from_data(TensorData::new(weights, [3, 7]), &device);
    let hidden = normal([3, 7, 8]);
    for (tied, shape) in [(true, [13, 8]), (false, [8, 13])] {
        let matrix: Tensor<2> = normal([1, shape[0], shape[1]]).reshape(shape);
        for weights in [None, Some(weights.clone())] {
            let run = |backend: Backend| {
                let hidden = hidden.clone().autodiff().require_grad();
                let matrix = matrix.clone().autodiff().require_grad();
                let head = match tied {
                    true => Head::tied(matrix.clone()),
                    false => Head::own(matrix.clone()),
                };
                let (targets, weights) = (targets.clone(), weights.clone());
                let ops = backend.operations();
                let scored = ops.head_cross_entropy(hidden.clone(), head, targets, weights, true);
                let mut gradients = (scored.loss.clone() * 0.5).backward();
                let [d_hidden, d_matrix] = [
                    hidden.grad_remove(&mut gradients).map(values),
                    matrix.grad_remove(&mut gradients).map(values),
                ]
                .map(|gradient| gradient.expect("both are tracked"));
                let loss = values(scored.loss.without_autodiff());
                let hits = scored.hits.map(values).expect("hits were requested");
                [loss, hits, d_hidden, d_matrix]
            };
            let (fused, composed) = (run(Backend::Flex), run(Backend::Composed));
            for (fused, composed) in fused.into_iter().zip(composed) {
                assert_eq!(fused.len(), composed.len());
                for (a, b) in fused.iter().zip(&composed) {
                    assert!((a - b).abs() < 2e-5 * (1.0 + b.abs()), "{a} is not {b}");
                }
            }
        }
    }
}

#[test]
fn a_tied_head_is_its_matrix_the_other_way_round() {
    let matrix = Tensor::<2>::from_data([[1.0, 0.5], [0.25, 1.0], [2.0, 3.0]], &Device::flex());
    let own = right_and_wrong(Head::own(matrix.clone()), None);
    let tied = right_and_wrong(Head::tied(matrix.transpose()), None);
    assert_eq!(values(own.loss), values(tied.loss));
    assert_eq!(own.hits.map(values), tied.hits.map(values));
}
