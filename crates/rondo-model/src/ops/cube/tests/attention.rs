//! Compares attention of the kernels with the processor's kernels and with its composition.

use super::*;

/// The properties of an attention layer under test.
#[derive(Clone, Copy, Debug)]
struct Variant {
    heads: rondo_kernels::self_attention::Heads,
    d_model: usize,
    over: Option<NormedOver>,
    pairing: RopePairing,
    /// The number of heads with a bias: queries, then keys, then values.
    biased: usize,
}

impl Variant {
    /// Returns a plain layer: queries and keys have a bias, the heads fill the model's width, and
    /// the rotary embedding rotates adjacent pairs.
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

    /// Returns the lengths of the scales of queries and keys, if they have scales.
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

    /// Computes attention on a device, within segments if given. Returns the result and all
    /// gradients.
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
