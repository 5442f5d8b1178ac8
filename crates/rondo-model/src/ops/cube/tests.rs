//! Each operation of the kernels against its composition on the same device.

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

/// What a kernel may differ by from a composition, both in f32, relative to a size of one for each number.
const TOLERANCE: f64 = 1e-5;

/// Returns a device of wgpu; none where the build or the machine has none, and then says so.
fn device() -> Option<Device> {
    let found = primitive::wgpu().map(|device| Device::new(DispatchDevice::Cube(device)));
    if found.is_none() {
        use std::io::Write as _;
        // Straight to the terminal: the harness would swallow what a passing test prints.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: no wgpu device is built in and there"
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

/// The tensors of what stands between iterations.
struct Between {
    rows: [Tensor<3>; 3],
    channels: [Tensor<1>; 2],
    lags: Tensor<2>,
}

/// Applies what stands between iterations.
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

/// What stands between iterations has no kernels for a GPU: its compositions there against the nodes of flex.
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
            // The node of flex has a gradient of the number that a step does not depend on: zero.
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
                // Twice the loss: the gradients that were found with it are scaled.
                let mut gradients = (scored.loss.clone() * 2.0).backward();
                let d_hidden = hidden.grad_remove(&mut gradients).map(values);
                let d_matrix = matrix.grad_remove(&mut gradients).map(values);
                let loss = values(scored.loss.without_autodiff());
                let hits = scored.hits.map(values);
                [Some(loss), hits, d_hidden, d_matrix]
                    .map(|found| found.expect("each was asked for"))
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

/// An attention layer: what a variant of it has.
#[derive(Clone, Copy, Debug)]
struct Variant {
    heads: rondo_kernels::self_attention::Heads,
    d_model: usize,
    over: Option<NormedOver>,
    pairing: RopePairing,
    /// Heads that have a bias: queries, then keys, then values.
    biased: usize,
}

impl Variant {
    /// Heads of queries and keys with a bias, which fill the width of the model, whose neighbours turn together.
    fn new([queries, keys, d_head]: [usize; 3]) -> Self {
        Self {
            heads: rondo_kernels::self_attention::Heads {
                queries,
                keys,
                d_head,
            },
            d_model: queries * d_head,
            over: None,
            pairing: RopePairing::Adjacent,
            biased: queries + keys,
        }
    }

    /// Returns the lengths of the scales of queries and of keys.
    fn scales(self) -> Option<[usize; 2]> {
        let heads = self.heads;
        match self.over? {
            NormedOver::RotatedHeads => None,
            NormedOver::Heads => Some([heads.d_head; 2]),
            NormedOver::Width => Some([heads.queries, heads.keys].map(|n| n * heads.d_head)),
        }
    }
}

/// The tensors of an attention layer and its batch.
struct Layer {
    variant: Variant,
    x: Tensor<3>,
    matrices: [Tensor<2>; 2],
    bias: Option<Tensor<2>>,
    scales: Vec<Tensor<1>>,
}

impl Layer {
    fn new(variant: Variant, [batch, seq]: [usize; 2], normals: &mut Normals) -> Self {
        let (heads, d_model) = (variant.heads, variant.d_model);
        let attended = heads.queries * heads.d_head;
        let packed = (heads.queries + 2 * heads.keys) * heads.d_head;
        Self {
            variant,
            x: normals.tensor([batch, seq, d_model]),
            matrices: [[d_model, packed], [attended, d_model]].map(|shape| normals.tensor(shape)),
            bias: (variant.biased > 0).then(|| normals.tensor([variant.biased, heads.d_head])),
            scales: variant
                .scales()
                .into_iter()
                .flatten()
                .map(|length| normals.tensor([length]))
                .collect(),
        }
    }

    /// Attends on a device, within segments where there are some: returns the result and all gradients.
    fn run(&self, device: &Device, segments: Option<&Segments>) -> Vec<Vec<f32>> {
        let Variant {
            heads,
            d_model,
            over,
            pairing,
            ..
        } = self.variant;
        let config = ModelConfig {
            d_model,
            n_heads: heads.queries,
            n_kv_heads: heads.keys,
            d_head: Some(heads.d_head),
            rope_pairing: pairing,
            ..ModelConfig::default()
        };
        let [_, seq, _] = self.x.dims();
        let rope = Rope::new(&config, seq, device);
        let rope = match segments {
            Some(segments) => rope.within(segments.clone()),
            None => rope,
        };
        let sublayer = Sublayer {
            before: None,
            branch: SelfAttention {
                heads,
                qk_norm: over.map(|over| QkNorm {
                    norm: Norm { eps: 1e-5 },
                    over,
                }),
                gate: None,
                precision: Precision::F32,
            },
            after: After::Sum,
        };
        let x = tracked(&self.x.clone().to_device(device));
        let matrices = self.matrices.each_ref();
        let [qkv, proj] = matrices.map(|x| tracked(&x.clone().to_device(device)));
        let bias = self.bias.clone().map(|x| tracked(&x.to_device(device)));
        let scales = self.scales.iter().cloned();
        let scales: Vec<_> = scales.map(|x| tracked(&x.to_device(device))).collect();
        let tensors = SublayerTensors {
            x: x.clone(),
            before: None,
            after: None,
            branch: AttentionWeights {
                qkv: qkv.clone(),
                qk_bias: bias.clone(),
                q_norm: scales.first().cloned(),
                k_norm: scales.get(1).cloned(),
                gate_bias: None,
                proj: proj.clone(),
            },
        };
        let (y, open) = Backend::of(&x)
            .operations()
            .attention(&sublayer, tensors, &rope);
        assert!(open.is_none());
        let loss = (y.clone() * x.clone().detach().cos()).sum();
        let mut gradients = loss.backward();
        let mut found = vec![values(y.without_autodiff())];
        found.push(values(x.grad_remove(&mut gradients).expect("of x")));
        for matrix in [Some(qkv), bias, Some(proj)].into_iter().flatten() {
            let gradient = matrix.grad_remove(&mut gradients);
            found.push(values(gradient.expect("of a matrix or the bias")));
        }
        for scale in scales {
            found.push(values(
                scale.grad_remove(&mut gradients).expect("of a scale"),
            ));
        }
        found
    }
}

#[test]
fn attention_in_rows_and_in_segments_is_that_of_the_processors_kernels_with_its_gradients() {
    let Some(device) = device() else { return };
    let mut normals = Normals::new(4, 1.0);
    let plain = Variant::new([3, 3, 8]);
    let grouped = Variant::new([4, 2, 6]);
    let over = |over| Variant {
        over: Some(over),
        ..grouped
    };
    for (variant, [batch, seq]) in [
        (plain, [2, 21]),
        (Variant::new([1, 1, 4]), [3, 1]),
        (
            Variant {
                d_model: 10,
                biased: 0,
                ..grouped
            },
            [2, 33],
        ),
        (
            Variant {
                biased: 8,
                ..grouped
            },
            [2, 21],
        ),
        (
            Variant {
                pairing: RopePairing::Halves,
                ..plain
            },
            [2, 21],
        ),
        (over(NormedOver::RotatedHeads), [1, 70]),
        (over(NormedOver::Heads), [1, 21]),
        (
            Variant {
                d_model: 10,
                pairing: RopePairing::Halves,
                biased: 8,
                ..over(NormedOver::Width)
            },
            [2, 21],
        ),
    ] {
        let places: Vec<usize> = (0..batch * seq).collect();
        let ends = |place: usize| (place + place / seq).is_multiple_of(9);
        let segments = Segments::behind(&places, seq, ends);
        let layer = Layer::new(variant, [batch, seq], &mut normals);
        for segments in [None, Some(&segments)] {
            let [found, expected] =
                [&device, &Device::flex()].map(|device| layer.run(device, segments));
            let cut = segments.is_some();
            let name = format!("{variant:?}, {batch} × {seq}, cut {cut}");
            agree(&name, &found, &expected);
        }
    }
}

#[test]
fn attention_is_the_composed_one_with_its_gradients() {
    let Some(device) = device() else { return };
    let mut normals = Normals::new(3, 1.0);
    for ([batch, heads, kv_heads], [seq, d_head]) in [
        ([1, 1, 1], [1, 4]),
        ([2, 3, 3], [21, 8]),
        ([1, 4, 2], [65, 6]),
    ] {
        let mut normal = |heads: usize, seq: usize| {
            let shape = [batch, seq, heads, d_head];
            let x = normals.tensor::<4>(shape).to_device(&device);
            x.swap_dims(1, 2)
        };
        for is_causal in [true, false] {
            let queries = normal(heads, if is_causal { seq } else { 1 });
            let (keys, others, weights) = (
                normal(kv_heads, seq),
                normal(kv_heads, seq),
                queries.ones_like() * 0.3 + queries.clone() * 0.1,
            );
            compare(&format!("{heads} heads, {seq}, {is_causal}"), |ops| {
                let all = [&queries, &keys, &others].map(tracked);
                let [queries, keys, values_of] = all.clone();
                let heads = AttentionHeads {
                    queries,
                    keys,
                    values: values_of,
                };
                let y = ops.softmax_attention(Precision::F32, heads, is_causal);
                let loss = (y.clone() * weights.clone().autodiff()).sum();
                let mut gradients = loss.backward();
                let gradients = all.map(|x| x.grad_remove(&mut gradients).map(values));
                let found = gradients.map(|x| x.expect("a gradient"));
                [vec![values(y.without_autodiff())], found.into()].concat()
            });
        }
    }
}
