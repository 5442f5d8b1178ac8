//! Compares each operation of the kernels with its composition on the same device.

mod attention;

use burn::backend::DispatchDevice;
use burn::tensor::{Device, TensorData, s};
use rondo_kernels::feed_forward::{FeedForward, FeedForwardWeights};
use rondo_kernels::product::Precision;
use rondo_kernels::sublayer::{After, Sublayer, SublayerTensors};

use super::*;
use crate::config::{ModelConfig, RopePairing};
use crate::ops::{
    Backend, BlendTensors, Channels, ChannelsTensors, Coefficient, Difference, DifferenceTensors,
    Forgetting, LaneMix, LaneMixTensors, Mix, MixTensors, NormedOver, OrthogonalTensors, QkNorm,
    Segments, Total, TotalTensors,
};
use crate::seed::Normals;

/// The largest accepted difference between kernel and composition, both in f32: the length of the
/// difference divided by `√Σ(1 + x²)`, over the expected numbers x.
const TOLERANCE: f64 = 1e-5;

/// Returns a wgpu device, or `None` with a printed note if the build or the machine has none.
fn device() -> Option<Device> {
    let found = primitive::wgpu().map(|device| Device::new(DispatchDevice::Cube(device)));
    if found.is_none() {
        use std::io::Write as _;
        // Writes directly to stderr, because the test harness hides the output of passing tests.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: this build or machine has no wgpu device"
        );
    }
    found
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter().collect()
}

/// Runs both backends and compares every vector that they return.
fn compare(name: &str, run: impl Fn(&dyn Operations) -> Vec<Vec<f32>>) {
    let [found, expected] = [Backend::Cube, Backend::Composed].map(|b| run(b.operations()));
    agree(name, &found, &expected);
}

/// Compares every vector of two results.
fn agree(name: &str, found: &[Vec<f32>], expected: &[Vec<f32>]) {
    assert_eq!(found.len(), expected.len());
    for (which, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len(), "{name}, result {which}");
        let square = |x: f64| x * x;
        let size: f64 = expected.iter().map(|x| 1.0 + square(f64::from(*x))).sum();
        let differences = found.iter().zip(expected).map(|(a, b)| f64::from(a - b));
        let relative = (differences.map(square).sum::<f64>() / size).sqrt();
        assert!(
            relative < TOLERANCE,
            "{name}: result {which} differs by {relative:e}"
        );
    }
}

fn tracked<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    x.clone().autodiff().require_grad()
}

#[test]
fn the_kernels_are_chosen_for_f32_on_wgpu() {
    let Some(device) = device() else { return };
    let x = Tensor::<1>::from_data([1.0], &device);
    assert_eq!(Backend::of(&x), Backend::Cube);
    assert_eq!(Backend::of(&tracked(&x)), Backend::Cube);
}

/// The tensors of the operations between iterations.
struct Between {
    rows: [Tensor<3>; 3],
    channels: [Tensor<1>; 2],
    lags: Tensor<2>,
}

/// Applies the operation `name`, which is one of the operations between iterations.
fn join(name: &str, tensors: &Between) -> Tensor<3> {
    let [x, other, c] = tensors.rows.clone();
    let [a_log_of, dt_of] = tensors.channels.clone();
    let lags = tensors.lags.clone();
    let ops = crate::ops::of(&x);
    match name {
        "orthogonal" => ops.orthogonal(OrthogonalTensors {
            x,
            update: other,
            a_log: a_log_of,
            dt_bias: dt_of,
        }),
        "mix" => {
            let alpha = a_log_of.slice(s![0..1]);
            let embedding = other;
            ops.mix(
                Mix::Mean,
                MixTensors {
                    x,
                    embedding,
                    alpha,
                },
            )
        }
        "history" => ops.difference(
            Difference { lag: 1 },
            DifferenceTensors {
                x,
                past: other,
                base: Some(c.clone()),
                coefficients: lags.clone(),
            },
        ),
        "lanes" => {
            let mix = LaneMix {
                row: 1,
                lanes: 2,
                sums: 1,
            };
            let tensors = LaneMixTensors {
                lanes: Tensor::cat(vec![x, other], 2),
                fresh: Some(c.clone()),
                weights: lags.clone().slice([0..2, 0..2]),
                gains: Some(lags.clone().slice([0..2, 2..3])),
            };
            ops.mix_lanes(mix, tensors)
        }
        "total" => {
            let total = Total {
                forgetting: Forgetting::Learned,
            };
            let past = c.clone().slice([0..3, 0..21, 0..1]);
            let tensors = TotalTensors {
                z: x,
                past: Some(past),
                query: a_log_of,
                beta: Some(dt_of.slice(s![0..1])),
            };
            ops.total(total, tensors).repeat_dim(2, 20)
        }
        "blend" => {
            let total = c.clone().slice([0..3, 0..21, 0..1]);
            ops.blend(BlendTensors {
                z: x,
                average: other,
                total,
                query: a_log_of,
            })
        }
        coefficient => {
            let coefficient = match coefficient {
                "decay" => Coefficient::Decay,
                "step" => Coefficient::Step,
                _ => Coefficient::Hold,
            };
            let tensors = ChannelsTensors {
                x,
                base: Some(other),
                a_log: a_log_of,
                dt_bias: dt_of,
            };
            ops.channels(Channels { coefficient }, tensors)
        }
    }
}

/// The operations between iterations have no GPU kernels. This test compares their compositions on
/// the GPU with the nodes of flex.
#[test]
fn what_joins_iterations_on_wgpu_is_what_joins_them_on_flex_with_its_gradients() {
    let Some(device) = device() else { return };
    let mut normals = Normals::new(0, 0.7);
    let rows = [(); 4].map(|()| normals.tensor::<3>([3, 21, 20]));
    let channels = [(); 2].map(|()| normals.tensor::<1>([20]));
    let lags: Tensor<2> = normals.tensor([2, 20]);
    let run = |name: &str, on: &Device| {
        let [a, b, c, weights] = rows.clone().map(|x| x.to_device(on));
        let tensors = Between {
            rows: [a, b, c].map(|x| tracked(&x)),
            channels: channels.clone().map(|x| tracked(&x.to_device(on))),
            lags: tracked(&lags.clone().to_device(on)),
        };
        let y = join(name, &tensors);
        let mut gradients = (y.clone() * weights.autodiff()).sum().backward();
        let mut found = vec![values(y.without_autodiff())];
        for x in tensors.rows {
            found.extend(x.grad_remove(&mut gradients).map(values));
        }
        for x in tensors.channels {
            found.extend(x.grad_remove(&mut gradients).map(values));
        }
        found.extend(tensors.lags.grad_remove(&mut gradients).map(values));
        found
    };
    for name in [
        "decay",
        "step",
        "hold",
        "orthogonal",
        "mix",
        "history",
        "lanes",
        "total",
        "blend",
    ] {
        let (found, mut expected) = (run(name, &device), run(name, &Device::flex()));
        if name == "step" {
            // `Coefficient::Step` does not use `a_log`. The node of flex returns zeros as the
            // gradient of `a_log`; the composition returns no gradient.
            assert_eq!(expected.len(), found.len() + 1);
            assert!(expected.remove(3).iter().all(|d| d.abs() == 0.0));
        }
        agree(name, &found, &expected);
    }
}

#[test]
fn a_sublayer_is_the_composed_one_with_its_gradients() {
    let Some(device) = device() else { return };
    let norm = Norm { eps: 1e-5 };
    let afters = [
        After::Sum,
        After::NormOfSum(norm),
        After::NormOfBranch(norm),
    ];
    let mut normals = Normals::new(0, 0.7);
    for [batch, seq, width, d_ff] in [[1, 1, 24, 20], [3, 21, 20, 33], [1, 65, 24, 40]] {
        let mut normal = |shape: [usize; 3]| normals.tensor::<3>(shape).to_device(&device);
        let x = normal([batch, seq, width]);
        let weights = normal([batch, seq, width]);
        let [before, after] = [(); 2].map(|()| normal([1, 1, width]).flatten::<1>(0, 2));
        let in_proj: Tensor<2> = normal([1, width, 2 * d_ff]).reshape([width, 2 * d_ff]);
        let out_proj: Tensor<2> = normal([1, d_ff, width]).reshape([d_ff, width]);
        for place in afters {
            for learned in [false, true] {
                let name = format!("{place:?} at {batch} × {seq} × {width}, scale {learned}");
                compare(&name, |ops| {
                    let sublayer = Sublayer {
                        before: Some(norm),
                        branch: FeedForward {
                            precision: Precision::F32,
                        },
                        after: place,
                    };
                    let x = tracked(&x);
                    let scales = [&before, &after].map(tracked);
                    let matrices = [&in_proj, &out_proj].map(tracked);
                    let [before, after] = scales.clone().map(|scale| learned.then_some(scale));
                    let [in_proj, out_proj] = matrices.clone();
                    let tensors = SublayerTensors {
                        x: x.clone(),
                        before,
                        after,
                        branch: FeedForwardWeights { in_proj, out_proj },
                    };
                    let y = ops.feed_forward(&sublayer, tensors);
                    let loss = (y.clone() * weights.clone().autodiff()).sum();
                    let mut gradients = loss.backward();
                    let mut found = vec![values(y.without_autodiff())];
                    found.extend(x.grad_remove(&mut gradients).map(values));
                    let scales = scales.map(|x| x.grad_remove(&mut gradients).map(values));
                    found.extend(scales.into_iter().flatten());
                    let matrices = matrices.map(|x| x.grad_remove(&mut gradients).map(values));
                    found.extend(matrices.into_iter().flatten());
                    found
                });
            }
        }
    }
}

#[test]
fn the_loss_of_a_head_is_the_composed_one_with_its_gradients() {
    let Some(device) = device() else { return };
    let mut normals = Normals::new(1, 2.0);
    let ids: Vec<i32> = (0..21).map(|i| i * 5 % 13).collect();
    let targets = Tensor::<2, Int>::from_data(TensorData::new(ids, [3, 7]), &device);
    let weights: Vec<f32> = (0..21).map(|i| (i % 3) as f32).collect();
    let weights = Tensor::<2>::from_data(TensorData::new(weights, [3, 7]), &device);
    let hidden = normals.tensor::<3>([3, 7, 8]).to_device(&device);
    for (tied, shape) in [(true, [13, 8]), (false, [8, 13])] {
        let matrix = normals.tensor::<2>(shape).to_device(&device);
        let head = |matrix| match tied {
            true => Head::tied(matrix),
            false => Head::own(matrix),
        };
        for weights in [None, Some(weights.clone())] {
            compare(&format!("tied {tied}"), |ops| {
                let (hidden, matrix) = (tracked(&hidden), tracked(&matrix));
                let (own, targets) = (head(matrix.clone()), targets.clone());
                let weights = weights.clone();
                let scored = ops.head_cross_entropy(hidden.clone(), own, targets, weights, true);
                // The factor two tests that the saved gradients are scaled by the loss's gradient.
                let mut gradients = (scored.loss.clone() * 2.0).backward();
                let d_hidden = hidden.grad_remove(&mut gradients).map(values);
                let d_matrix = matrix.grad_remove(&mut gradients).map(values);
                let loss = values(scored.loss.without_autodiff());
                let hits = scored.hits.map(values);
                [Some(loss), hits, d_hidden, d_matrix]
                    .map(|found| found.expect("each was requested"))
                    .into()
            });
        }
        compare(&format!("losses, tied {tied}"), |ops| {
            let own = head(matrix.clone());
            let scored = ops.head_losses(hidden.clone(), own, targets.clone(), true);
            vec![values(scored.losses), values(scored.hits.expect("hits"))]
        });
    }
}

#[test]
fn a_product_is_the_composed_one_with_its_gradients() {
    let Some(device) = device() else { return };
    let mut normals = Normals::new(2, 1.0);
    for [m, k, n] in [[1, 1, 1], [21, 20, 33], [65, 24, 7]] {
        for transposed in [false, true] {
            let product = Product {
                precision: Precision::F32,
                transposed,
            };
            let second = if transposed { [n, k] } else { [k, n] };
            let mut normal = |shape: [usize; 2]| normals.tensor::<2>(shape).to_device(&device);
            let (a, b, weights) = (normal([m, k]), normal(second), normal([m, n]));
            compare(&format!("{m} × {k} × {n}, {product:?}"), |ops| {
                let (a, b) = (tracked(&a), tracked(&b));
                let y = ops.product(product, a.clone(), b.clone());
                let loss = (y.clone() * weights.clone().autodiff()).sum();
                let mut gradients = loss.backward();
                let gradients = [a, b].map(|x| x.grad_remove(&mut gradients).map(values));
                let found = gradients.map(|x| x.expect("a gradient"));
                [vec![values(y.without_autodiff())], found.into()].concat()
            });
        }
    }
}
