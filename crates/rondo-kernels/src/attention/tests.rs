use super::reference::Reference;
use super::*;

/// The largest error of a kernel against f64, in units of the largest element of what it computes:
/// about a hundred roundings of f32.
pub(super) const TOLERANCE: f64 = 1e-5;

/// The same of central differences in f64 with a step of 1e-5.
pub(super) const DIFFERENCE_TOLERANCE: f64 = 1e-8;

/// Numbers in (−1, 1) that look random (splitmix64).
pub(super) fn noise(seed: u64, length: usize) -> Vec<f32> {
    (0..length as u64)
        .map(|i| {
            let mut z = (seed << 32 | i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

pub(super) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().copied().map(f64::from).collect()
}

#[track_caller]
pub(super) fn assert_close(what: &str, tolerance: f64, ours: &[f64], exact: &[f64]) {
    assert_eq!(ours.len(), exact.len(), "{what}");
    let largest = exact.iter().fold(1.0_f64, |m, x| m.max(x.abs()));
    for (i, (ours, exact)) in ours.iter().zip(exact).enumerate() {
        let error = (ours - exact).abs() / largest;
        assert!(
            error <= tolerance,
            "{what}[{i}]: {ours}, not {exact}: {error:e}"
        );
    }
}

/// A layer, its input and the gradient of its output.
struct Case {
    shape: Shape,
    bias: Option<Vec<f32>>,
    rope: Option<[Vec<f32>; 2]>,
    norm_eps: Option<f32>,
    qkv: Vec<f32>,
    d_attended: Vec<f32>,
}

/// What the kernels make of a case.
struct Computed {
    prepared: Vec<f32>,
    inverse_rms: Vec<f32>,
    attended: Vec<f32>,
    lse: Vec<f32>,
    d_prepared: Vec<f32>,
    d_qkv: Vec<f32>,
    d_bias: Option<Vec<f32>>,
}

impl Case {
    fn new([batch, seq, heads, kv_heads, d_head]: [usize; 5], scale: f32) -> Self {
        let shape = Shape {
            batch,
            seq,
            heads,
            kv_heads,
            d_head,
        };
        let mut qkv = noise(1, shape.rows() * shape.qkv_width());
        qkv.iter_mut().for_each(|x| *x *= scale);
        Self {
            shape,
            bias: None,
            rope: None,
            norm_eps: None,
            qkv,
            d_attended: noise(2, shape.rows() * shape.attended_width()),
        }
    }

    fn with_bias(mut self) -> Self {
        self.bias = Some(noise(3, self.shape.prepared_heads() * self.shape.d_head));
        self
    }

    fn with_rope(mut self) -> Self {
        let pairs = self.shape.d_head / 2;
        let angle = |i: usize| (i / pairs) as f32 / 100_f32.powf((i % pairs) as f32 / pairs as f32);
        let angles: Vec<f32> = (0..self.shape.seq * pairs).map(angle).collect();
        self.rope = Some([f32::cos, f32::sin].map(|f| angles.iter().copied().map(f).collect()));
        self
    }

    fn with_norm(mut self) -> Self {
        self.norm_eps = Some(1e-3);
        self
    }

    fn reference(&self) -> Reference {
        Reference {
            shape: self.shape,
            bias: self.bias.as_deref().map(wide),
            rope: self
                .rope
                .as_ref()
                .map(|tables| tables.each_ref().map(|x| wide(x))),
            norm_eps: self.norm_eps.map(f64::from),
        }
    }

    /// Runs the kernels; what they overwrite holds NaN before.
    fn compute(&self) -> Computed {
        let shape = self.shape;
        let preparation = Preparation {
            bias: self.bias.as_deref(),
            rope: self.rope.as_ref().map(|[cos, sin]| Rope { cos, sin }),
            norm_eps: self.norm_eps,
        };
        let garbage = |length| vec![f32::NAN; length];
        let mut prepared = self.qkv.clone();
        let mut inverse_rms = garbage(preparation.inverse_rms_len(shape));
        prepare(shape, preparation, &mut prepared, &mut inverse_rms);
        let mut attended = garbage(self.d_attended.len());
        let mut lse = garbage(shape.lse_len());
        forward(shape, &prepared, &mut attended, &mut lse);
        let mut d_prepared = garbage(self.qkv.len());
        let d_attended = &self.d_attended;
        let known = Known {
            qkv: &prepared,
            attended: &attended,
            lse: &lse,
            d_attended,
        };
        backward(shape, known, &mut d_prepared);
        let mut d_qkv = d_prepared.clone();
        let d_bias = prepare_backward(shape, preparation, &prepared, &inverse_rms, &mut d_qkv);
        Computed {
            prepared,
            inverse_rms,
            attended,
            lse,
            d_prepared,
            d_qkv,
            d_bias,
        }
    }

    #[track_caller]
    fn check(&self, tolerance: f64) {
        let computed = self.compute();
        let reference = self.reference();
        let outcome = reference.forward(&wide(&self.qkv));
        let gradient = reference.backward(&outcome, &wide(&self.d_attended));
        let close = |what: &str, ours: &[f32], exact: &[f64]| {
            assert_close(what, tolerance, &wide(ours), exact);
        };
        close("prepared", &computed.prepared, &outcome.prepared);
        close("inverse_rms", &computed.inverse_rms, &outcome.inverse_rms);
        close("attended", &computed.attended, &outcome.attended);
        close("lse", &computed.lse, &outcome.lse);
        close("d_prepared", &computed.d_prepared, &gradient.prepared);
        close("d_qkv", &computed.d_qkv, &gradient.qkv);
        close(
            "d_bias",
            &computed.d_bias.unwrap_or_default(),
            &gradient.bias,
        );
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
    ];
    for case in cases {
        let reference = case.reference();
        let (qkv, d_attended) = (wide(&case.qkv), wide(&case.d_attended));
        let gradient = reference.backward(&reference.forward(&qkv), &d_attended);
        let loss = |reference: &Reference, qkv: &[f64]| -> f64 {
            let attended = reference.forward(qkv).attended;
            attended.iter().zip(&d_attended).map(|(a, d)| a * d).sum()
        };
        let difference = |loss_at: &dyn Fn(f64) -> f64| (loss_at(1e-5) - loss_at(-1e-5)) / 2e-5;
        let of_qkv: Vec<f64> = (0..qkv.len())
            .map(|i| {
                difference(&|step| {
                    let mut qkv = qkv.clone();
                    qkv[i] += step;
                    loss(&reference, &qkv)
                })
            })
            .collect();
        assert_close("qkv", DIFFERENCE_TOLERANCE, &gradient.qkv, &of_qkv);
        let of_bias: Vec<f64> = (0..gradient.bias.len())
            .map(|i| {
                difference(&|step| {
                    let mut reference = reference.clone();
                    if let Some(bias) = &mut reference.bias {
                        bias[i] += step;
                    }
                    loss(&reference, &qkv)
                })
            })
            .collect();
        assert_close("bias", DIFFERENCE_TOLERANCE, &gradient.bias, &of_bias);
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

#[test]
fn a_preparation_of_several_tasks_is_that_of_f64() {
    let case = Case::new([3, 90, 8, 8, 16], 1.0);
    case.with_bias().with_rope().with_norm().check(TOLERANCE);
}

#[test]
fn scores_of_ten_thousand_are_exact_and_finite() {
    // Whole numbers, so that scores of ±1e4 are exact in f32; several tiles of keys, so that the
    // largest score moves.
    let mut case = Case::new([1, 300, 2, 1, 4], 1.0);
    case.qkv.iter_mut().for_each(|x| *x = (*x * 100.0).round());
    let scores = case.reference().forward(&wide(&case.qkv)).lse;
    assert!(scores.iter().any(|&lse| lse > 1e4) && scores.iter().any(|&lse| lse < -1e3));
    let computed = case.compute();
    assert!(
        computed
            .attended
            .iter()
            .chain(&computed.d_qkv)
            .all(|x| x.is_finite())
    );
    // lse is rounded to 1e-3 at 1e4, and the weights of the backward with it.
    case.check(1e-3);
}

#[test]
fn a_token_does_not_see_those_after_it() {
    let mut case = Case::new([1, 130, 2, 1, 16], 1.0);
    let before = case.compute();
    let (token, width) = (77, case.shape.attended_width());
    case.qkv[token * case.shape.qkv_width()..]
        .iter_mut()
        .for_each(|x| *x += 1.0);
    let after = case.compute();
    assert_eq!(
        before.attended[..token * width],
        after.attended[..token * width]
    );
    assert_ne!(
        before.attended[token * width..],
        after.attended[token * width..]
    );
}

#[test]
fn one_thread_and_two_give_the_same_bits() {
    for shape in [[2, 150, 4, 2, 16], [1, 600, 1, 1, 8], [3, 90, 8, 8, 16]] {
        let case = Case::new(shape, 1.0).with_bias().with_rope().with_norm();
        let [one, two] = [1, 2].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let computed = pool.map(|pool| pool.install(|| case.compute()));
            let computed = computed.expect("a pool of threads starts");
            let Computed {
                attended,
                lse,
                d_qkv,
                d_bias,
                ..
            } = computed;
            [attended, lse, d_qkv, d_bias.unwrap_or_default()]
                .concat()
                .into_iter()
                .map(f32::to_bits)
                .collect::<Vec<u32>>()
        });
        assert_eq!(one, two);
    }
}

#[test]
#[should_panic(expected = "qkv of")]
fn a_projection_of_another_length_is_refused() {
    let case = Case::new([1, 2, 2, 1, 4], 1.0);
    let (mut attended, mut lse) = ([0.0; 16], [0.0; 4]);
    forward(case.shape, &case.qkv[1..], &mut attended, &mut lse);
}
