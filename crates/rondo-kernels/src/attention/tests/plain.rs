//! Tests of attention without gates, and of its preparation.

use super::reference::Reference;
use super::*;
use crate::norm::Norm;
use crate::threads::one_and_two;

/// A layer, its segments and its preparation.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) layer: Layer,
    pub(super) segments: Option<Segments>,
    bias: Option<Vec<f32>>,
    rope: Option<[Vec<f32>; 2]>,
    pairing: Pairing,
    norm: Option<QkNorm>,
    /// The scales of queries and of keys.
    scales: Option<[Vec<f32>; 2]>,
}

/// The results of the kernels for a case.
pub(super) struct Computed {
    pub(super) prepared: Vec<f32>,
    pub(super) kept: Vec<f32>,
    pub(super) attended: Vec<f32>,
    pub(super) lse: Vec<f32>,
    pub(super) d_prepared: Vec<f32>,
    pub(super) d_qkv: Vec<f32>,
    pub(super) gradients: PreparationGradients,
}

impl Case {
    pub(super) fn new(shape: [usize; 5], scale: f32) -> Self {
        Self {
            layer: Layer::new(shape, scale),
            segments: None,
            bias: None,
            rope: None,
            pairing: Pairing::Adjacent,
            norm: None,
            scales: None,
        }
    }

    pub(super) fn with_bias(mut self) -> Self {
        let shape = self.layer.shape;
        self.bias = Some(noise(3, shape.prepared_heads() * shape.d_head));
        self
    }

    pub(super) fn with_bias_of_values(mut self) -> Self {
        self.bias = Some(noise(3, self.layer.shape.qkv_width()));
        self
    }

    pub(super) fn with_halves(mut self) -> Self {
        self.pairing = Pairing::Halves;
        self
    }

    pub(super) fn with_rope(mut self) -> Self {
        let Shape { seq, d_head, .. } = self.layer.shape;
        let pairs = d_head / 2;
        let angle = |i: usize| (i / pairs) as f32 / 100_f32.powf((i % pairs) as f32 / pairs as f32);
        let angles: Vec<f32> = (0..seq * pairs).map(angle).collect();
        self.rope = Some([f32::cos, f32::sin].map(|f| angles.iter().copied().map(f).collect()));
        self
    }

    /// Recomputes the tables of angles, if there are any, for the current number of positions.
    pub(super) fn with_as_many_angles(self) -> Self {
        match self.rope {
            Some(_) => self.with_rope(),
            None => self,
        }
    }

    pub(super) fn with_norm(self) -> Self {
        self.with_norm_over(NormedOver::RotatedHeads)
    }

    pub(super) fn with_norm_over(mut self, over: NormedOver) -> Self {
        let norm = QkNorm {
            norm: Norm { eps: 1e-3 },
            over,
        };
        self.norm = Some(norm);
        let lengths = norm.scale_lengths(self.layer.shape);
        self.scales = lengths
            .map(|[queries, keys]| [(4, queries), (5, keys)].map(|(seed, n)| noise(seed, n)));
        self
    }

    fn reference(&self) -> Reference {
        let widened = |pair: &Option<[Vec<f32>; 2]>| {
            let pair = pair.as_ref();
            pair.map(|both| both.each_ref().map(|x| wide(x)))
        };
        Reference {
            shape: self.layer.shape,
            segments: self.segments.clone(),
            bias: self.bias.as_deref().map(wide),
            rope: widened(&self.rope),
            pairing: self.pairing,
            norm: self.norm.map(|it| (it.over, f64::from(it.norm.eps))),
            scales: widened(&self.scales),
        }
    }

    /// Runs the kernels. All output buffers hold NaN before the call.
    pub(super) fn compute(&self) -> Computed {
        let Layer {
            shape,
            qkv,
            d_attended,
        } = &self.layer;
        let (shape, segments) = (*shape, self.segments.as_ref());
        let preparation = Preparation {
            bias: self.bias.as_deref(),
            rope: self.rope.as_ref().map(|[cos, sin]| Rope {
                cos,
                sin,
                pairing: self.pairing,
            }),
            segments,
            norm: self.norm,
            scales: self
                .scales
                .as_ref()
                .map(|[queries, keys]| QkScales { queries, keys }),
        };
        let garbage = |length| vec![f32::NAN; length];
        let mut prepared = qkv.clone();
        let mut kept = garbage(shape.rows() * preparation.kept_width(shape));
        prepare(shape, preparation, &mut prepared, &mut kept);
        let mut attended = garbage(d_attended.len());
        let mut lse = garbage(shape.lse_len());
        forward(shape, segments, &prepared, &mut attended, &mut lse);
        let mut d_prepared = garbage(qkv.len());
        let known = Known {
            qkv: &prepared,
            attended: &attended,
            lse: &lse,
            d_attended,
        };
        backward(shape, segments, known, &mut d_prepared);
        let mut d_qkv = d_prepared.clone();
        let gradients = prepare_backward(shape, preparation, &prepared, &kept, &mut d_qkv);
        Computed {
            prepared,
            kept,
            attended,
            lse,
            d_prepared,
            d_qkv,
            gradients,
        }
    }

    #[track_caller]
    pub(super) fn check(&self, tolerance: f64) {
        let computed = self.compute();
        let reference = self.reference();
        let outcome = reference.forward(&wide(&self.layer.qkv));
        let gradient = reference.backward(&outcome, &wide(&self.layer.d_attended));
        let close = |what: &str, ours: &[f32], exact: &[f64]| {
            assert_close(what, tolerance, &wide(ours), exact);
        };
        close("prepared", &computed.prepared, &outcome.prepared);
        close("kept", &computed.kept, &outcome.kept);
        close("attended", &computed.attended, &outcome.attended);
        close("lse", &computed.lse, &outcome.lse);
        close("d_prepared", &computed.d_prepared, &gradient.prepared);
        close("d_qkv", &computed.d_qkv, &gradient.qkv);
        let PreparationGradients {
            bias,
            query_scale,
            key_scale,
        } = computed.gradients;
        close("d_bias", &bias.unwrap_or_default(), &gradient.bias);
        let scales = [query_scale, key_scale].map(Option::unwrap_or_default);
        close("d_scales", &scales.concat(), &gradient.scales);
    }
}

#[test]
fn the_gradient_in_f64_is_that_of_its_differences() {
    let plain = || Case::new([2, 5, 4, 2, 4], 2.0);
    let cases = [
        plain(),
        plain().with_bias(),
        plain().with_rope(),
        plain().with_norm(),
        plain().with_bias().with_rope().with_norm(),
        plain().with_rope().with_halves(),
        plain().with_rope().with_norm_over(NormedOver::Heads),
        plain().with_norm_over(NormedOver::Width),
        plain()
            .with_bias_of_values()
            .with_rope()
            .with_halves()
            .with_norm_over(NormedOver::Heads),
        plain()
            .with_bias_of_values()
            .with_rope()
            .with_norm_over(NormedOver::Width),
    ];
    for case in cases {
        let reference = case.reference();
        let (qkv, d_attended) = (wide(&case.layer.qkv), wide(&case.layer.d_attended));
        let gradient = reference.backward(&reference.forward(&qkv), &d_attended);
        let loss = |reference: &Reference, qkv: &[f64]| -> f64 {
            let attended = reference.forward(qkv).attended;
            attended.iter().zip(&d_attended).map(|(a, d)| a * d).sum()
        };
        let of_qkv = slopes(&qkv, |qkv| loss(&reference, qkv));
        assert_close("qkv", DIFFERENCE_TOLERANCE, &gradient.qkv, &of_qkv);
        let bias = reference.bias.as_deref().unwrap_or_default();
        let of_bias = slopes(bias, |bias| {
            let moved = Reference {
                bias: Some(bias.to_vec()),
                ..reference.clone()
            };
            loss(&moved, &qkv)
        });
        assert_close("bias", DIFFERENCE_TOLERANCE, &gradient.bias, &of_bias);
        let scales = reference.scales.clone().unwrap_or_default();
        let of_scales = slopes(&scales.concat(), |moved| {
            let (queries, keys) = moved.split_at(scales[0].len());
            let moved = Reference {
                scales: (!moved.is_empty()).then(|| [queries.to_vec(), keys.to_vec()]),
                ..reference.clone()
            };
            loss(&moved, &qkv)
        });
        assert_close("scales", DIFFERENCE_TOLERANCE, &gradient.scales, &of_scales);
    }
}

#[test]
fn every_shape_is_that_of_f64() {
    let shapes = [
        [1, 1, 1, 1, 1],
        [3, 1, 2, 1, 8],
        [2, 7, 3, 3, 8],
        [2, 33, 4, 2, 16],
        [1, 64, 2, 2, 16],
        [1, 65, 1, 1, 48],
        [2, 100, 6, 2, 5],
        [1, 256, 2, 1, 64],
        [1, 257, 2, 1, 80],
        [1, 70, 1, 1, 128],
        [1, 700, 1, 1, 8],
    ];
    for shape in shapes {
        Case::new(shape, 2.0).check(TOLERANCE);
    }
}

#[test]
fn every_preparation_is_that_of_f64() {
    for parts in 0..8 {
        let mut case = Case::new([2, 40, 4, 2, 12], 2.0);
        if parts & 1 > 0 {
            case = case.with_bias();
        }
        if parts & 2 > 0 {
            case = case.with_rope();
        }
        if parts & 4 > 0 {
            case = case.with_norm();
        }
        case.check(TOLERANCE);
    }
}

/// Returns a case for every norm with scales, with and without the other parts of the preparation.
fn scaled_norms(shape: [usize; 5]) -> Vec<Case> {
    let case = || Case::new(shape, 1.0);
    let mut cases = Vec::new();
    for over in [NormedOver::Heads, NormedOver::Width] {
        cases.push(case().with_norm_over(over));
        cases.push(case().with_rope().with_halves().with_norm_over(over));
        let whole = case().with_bias_of_values().with_rope();
        cases.push(whole.with_norm_over(over));
    }
    cases
}

#[test]
fn every_norm_with_a_scale_is_that_of_f64() {
    for shape in [[1, 1, 1, 1, 2], [2, 40, 4, 2, 12], [1, 33, 4, 2, 20]] {
        for case in scaled_norms(shape) {
            case.check(TOLERANCE);
        }
    }
}

#[test]
fn a_bias_of_values_and_turned_halves_are_those_of_f64() {
    let case = || Case::new([2, 40, 4, 2, 12], 2.0);
    case().with_bias_of_values().check(TOLERANCE);
    case().with_rope().with_halves().check(TOLERANCE);
    let both = case().with_bias_of_values().with_rope().with_halves();
    both.with_norm().check(TOLERANCE);
}

#[test]
fn a_preparation_of_several_tasks_is_that_of_f64() {
    let case = Case::new([3, 90, 8, 8, 16], 1.0);
    case.with_bias().with_rope().with_norm().check(TOLERANCE);
    for case in scaled_norms([3, 90, 8, 8, 16]) {
        case.check(TOLERANCE);
    }
}

#[test]
fn scores_of_ten_thousand_are_exact_and_finite() {
    // The inputs are whole numbers, so scores of ±1e4 are exact in f32. There are several tiles of
    // keys, so the largest score changes from tile to tile.
    let mut case = Case::new([1, 300, 2, 1, 4], 1.0);
    for x in &mut case.layer.qkv {
        *x = (*x * 100.0).round();
    }
    let scores = case.reference().forward(&wide(&case.layer.qkv)).lse;
    assert!(scores.iter().any(|&lse| lse > 1e4) && scores.iter().any(|&lse| lse < -1e3));
    let computed = case.compute();
    assert!(
        computed
            .attended
            .iter()
            .chain(&computed.d_qkv)
            .all(|x| x.is_finite())
    );
    // At 1e4, f32 rounds `lse` to 1e-3, and the weights of the backward pass have the same relative
    // error.
    case.check(1e-3);
}

#[test]
fn a_token_does_not_see_those_after_it() {
    let mut case = Case::new([1, 130, 2, 1, 16], 1.0);
    let before = case.compute().attended;
    let start = case.layer.change_from(77);
    let after = case.compute().attended;
    assert_eq!(before[..start], after[..start]);
    assert_ne!(before[start..], after[start..]);
}

#[test]
fn one_thread_and_two_give_the_same_bits() {
    for shape in [[2, 150, 4, 2, 16], [1, 600, 1, 1, 8], [3, 90, 8, 8, 16]] {
        let mut cases = scaled_norms(shape);
        cases.push(Case::new(shape, 1.0).with_bias().with_rope().with_norm());
        for case in cases {
            let [one, two] = one_and_two(|| {
                let Computed {
                    attended,
                    lse,
                    d_qkv,
                    gradients,
                    ..
                } = case.compute();
                let PreparationGradients {
                    bias,
                    query_scale,
                    key_scale,
                } = gradients;
                let summed = [bias, query_scale, key_scale].map(Option::unwrap_or_default);
                [attended, lse, d_qkv, summed.concat()]
                    .concat()
                    .into_iter()
                    .map(f32::to_bits)
                    .collect::<Vec<u32>>()
            });
            assert_eq!(one, two);
        }
    }
}

#[test]
#[should_panic(expected = "qkv of")]
fn a_projection_of_another_length_is_refused() {
    let layer = Layer::new([1, 2, 2, 1, 4], 1.0);
    let (mut attended, mut lse) = ([0.0; 16], [0.0; 4]);
    forward(layer.shape, None, &layer.qkv[1..], &mut attended, &mut lse);
}
