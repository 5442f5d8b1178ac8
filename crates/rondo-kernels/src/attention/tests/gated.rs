//! Tests of attention with gates.

use super::gated_reference::GatedReference;
use super::reference::Reference;
use super::*;
use crate::threads::one_and_two;

/// The smallest allowed distance of a drawn gate from its threshold: several roundings of a score
/// of a few units. At this distance f32 and f64 open the same gates.
const MARGIN: f64 = 2e-6;

/// A layer and its gates.
struct Case {
    layer: Layer,
    opening: Opening,
    bias: f32,
    head_bias: Option<Vec<f32>>,
    d_density: f32,
}

/// The results of the kernels for a case.
struct Computed {
    attended: Vec<f32>,
    lse: Vec<f32>,
    openness: Openness,
    d_qkv: Vec<f32>,
    d_head_bias: Vec<f32>,
}

const DRAWN: Opening = Opening::Drawn { key: 1 };

impl Case {
    fn new(shape: [usize; 5], opening: Opening) -> Self {
        Self {
            layer: Layer::new(shape, 2.0),
            opening,
            bias: 0.25,
            head_bias: None,
            d_density: 0.0,
        }
    }

    fn gate(&self) -> Gate {
        Gate {
            opening: self.opening,
            bias: self.bias,
            d_density: self.d_density,
        }
    }

    fn reference(&self) -> GatedReference<'_> {
        GatedReference {
            plain: Reference {
                segments: None,
                shape: self.layer.shape,
                bias: None,
                rope: None,
                pairing: Pairing::Adjacent,
                norm: None,
                scales: None,
            },
            gate: self.gate(),
            head_bias: self.head_bias.as_deref(),
        }
    }

    /// Runs the kernels. All output buffers hold NaN before the call.
    fn compute(&self) -> Computed {
        let Layer {
            shape,
            qkv,
            d_attended,
        } = &self.layer;
        let (shape, gate, head_bias) = (*shape, self.gate(), self.head_bias.as_deref());
        let mut attended = vec![f32::NAN; d_attended.len()];
        let mut lse = vec![f32::NAN; shape.lse_len()];
        let openness = forward_gated(shape, gate, head_bias, qkv, &mut attended, &mut lse);
        let known = Known {
            qkv,
            attended: &attended,
            lse: &lse,
            d_attended,
        };
        let mut d_qkv = vec![f32::NAN; qkv.len()];
        let d_head_bias = backward_gated(shape, gate, head_bias, known, &mut d_qkv);
        Computed {
            attended,
            lse,
            openness,
            d_qkv,
            d_head_bias,
        }
    }

    #[track_caller]
    fn check(&self, tolerance: f64, margin: f64) {
        let computed = self.compute();
        let (qkv, reference) = (wide(&self.layer.qkv), self.reference());
        let outcome = reference.forward(&qkv);
        assert!(outcome.margin >= margin, "{} at a gate", outcome.margin);
        let gradient = reference.backward(&qkv, &wide(&self.layer.d_attended));
        let close = |what: &str, ours: &[f32], exact: &[f64]| {
            assert_close(what, tolerance, &wide(ours), exact);
        };
        close("attended", &computed.attended, &outcome.attended);
        close("lse", &computed.lse, &outcome.lse);
        close("d_qkv", &computed.d_qkv, &gradient.qkv);
        close("d_head_bias", &computed.d_head_bias, &gradient.head_bias);
        let openness = computed.openness;
        assert_close("expected", tolerance, &openness.expected, &outcome.expected);
        assert_eq!(openness.open, outcome.open);
        assert_eq!(openness.edges, self.layer.shape.edges());
    }
}

#[test]
fn the_gradient_in_f64_is_that_of_differences_through_the_smooth_gate() {
    for opening in [DRAWN, Opening::Threshold] {
        for d_density in [0.0, 30.0] {
            let mut case = Case::new([2, 5, 4, 2, 4], opening);
            case.d_density = d_density;
            case.head_bias = Some(noise(4, 4));
            let reference = case.reference();
            let (qkv, d_attended) = (wide(&case.layer.qkv), wide(&case.layer.d_attended));
            let gradient = reference.backward(&qkv, &d_attended);
            let rounding = reference.forward(&qkv).rounding;
            let loss = |qkv: &[f64], moved: &[f64]| {
                reference.smooth_loss(qkv, moved, &rounding, &d_attended)
            };
            let unmoved = [0.0; 4];
            let of_qkv = slopes(&qkv, |qkv| loss(qkv, &unmoved));
            assert_close("qkv", DIFFERENCE_TOLERANCE, &gradient.qkv, &of_qkv);
            let of_bias = slopes(&unmoved, |moved| loss(&qkv, moved));
            assert_close("bias", DIFFERENCE_TOLERANCE, &gradient.head_bias, &of_bias);
        }
    }
}

#[test]
fn the_gradient_of_the_penalty_is_that_of_the_differences_of_the_density() {
    let mut case = Case::new([2, 20, 4, 2, 8], DRAWN);
    case.head_bias = Some(noise(4, 4));
    case.layer.d_attended.fill(0.0);
    case.d_density = 100.0;
    let computed = case.compute();
    let reference = case.reference();
    let qkv = wide(&case.layer.qkv);
    let density = |qkv: &[f64]| {
        let edges = case.layer.shape.edges() as f64 * 4.0;
        100.0 * reference.forward(qkv).expected.iter().sum::<f64>() / edges
    };
    let differences = slopes(&qkv, density);
    assert_close("d_qkv", TOLERANCE, &wide(&computed.d_qkv), &differences);
    assert!((100.0 * computed.openness.density() - density(&qkv)).abs() < 1e-4);
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
        [2, 60, 6, 2, 5],
        [1, 129, 2, 1, 64],
        [1, 130, 2, 1, 80],
        [1, 70, 1, 1, 128],
    ];
    for shape in shapes {
        for opening in [DRAWN, Opening::Threshold] {
            // The biases range from almost closed to almost open, so the forward pass takes the
            // product over open edges in some cases and the product over all edges in others.
            for bias in [-6.0, -2.5, 0.25, 3.0] {
                let mut case = Case::new(shape, opening);
                case.bias = bias;
                case.d_density = 50.0;
                case.head_bias = Some(noise(4, shape[2]));
                case.check(TOLERANCE, MARGIN);
            }
        }
    }
}

#[test]
fn scores_of_ten_thousand_are_exact_and_finite() {
    for opening in [DRAWN, Opening::Threshold] {
        // The inputs are whole numbers, so scores of ±1e4 are exact in f32.
        let mut case = Case::new([1, 150, 2, 1, 4], opening);
        for x in &mut case.layer.qkv {
            *x = (*x * 50.0).round();
        }
        case.d_density = 10.0;
        let computed = case.compute();
        let numbers = [
            &computed.attended,
            &computed.lse,
            &computed.d_qkv,
            &computed.d_head_bias,
        ];
        assert!(numbers.iter().all(|x| x.iter().all(|x| x.is_finite())));
        // At 1e4, f32 rounds `lse` to 1e-3, and the weights of the backward pass have the same
        // relative error.
        case.check(1e-3, 0.0);
    }
}

#[test]
fn open_gates_are_no_gates() {
    for opening in [DRAWN, Opening::Threshold] {
        for bias in [200.0, 1e30] {
            let mut case = Case::new([2, 150, 4, 2, 16], opening);
            case.bias = bias;
            case.d_density = 1.0;
            let gated = case.compute();
            let mut attended = vec![0.0; gated.attended.len()];
            let mut lse = vec![0.0; gated.lse.len()];
            let Layer {
                shape,
                qkv,
                d_attended,
            } = &case.layer;
            forward(*shape, None, qkv, &mut attended, &mut lse);
            assert_eq!((&gated.attended, &gated.lse), (&attended, &lse));
            let mut d_qkv = vec![0.0; qkv.len()];
            let known = Known {
                qkv,
                attended: &attended,
                lse: &lse,
                d_attended,
            };
            backward(*shape, None, known, &mut d_qkv);
            assert_eq!(gated.d_qkv, d_qkv);
            assert_eq!(gated.d_head_bias, [0.0; 4]);
            assert_eq!(gated.openness.open, [shape.edges(); 4]);
            assert_eq!(gated.openness.expected, [shape.edges() as f64; 4]);
        }
    }
}

#[test]
fn closed_gates_give_zero_and_pull_at_nothing() {
    for opening in [DRAWN, Opening::Threshold] {
        for bias in [-200.0, -1e30] {
            let mut case = Case::new([2, 150, 4, 2, 16], opening);
            case.bias = bias;
            case.d_density = 1.0;
            let computed = case.compute();
            let zero = |x: &[f32]| x.iter().all(|x| *x == 0.0);
            assert!(zero(&computed.attended) && zero(&computed.d_qkv));
            assert!(zero(&computed.d_head_bias));
            assert_eq!(computed.openness.open, [0; 4]);
            assert!(computed.openness.density() < 1e-30);
        }
    }
}

#[test]
fn as_many_edges_are_drawn_as_are_expected() {
    // Keys are zero and values are one, so every weight is 1 / (query + 1) and the output counts
    // the open edges.
    let mut case = Case::new([4, 150, 2, 2, 1], DRAWN);
    let width = case.layer.shape.qkv_width();
    for row in case.layer.qkv.chunks_exact_mut(width) {
        row.copy_from_slice(&[0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
    }
    for bias in [-3.0, 0.0, 1.0] {
        case.bias = bias;
        let computed = case.compute();
        let rows = computed.attended.chunks_exact(2).enumerate();
        let drawn: f64 = rows
            .map(|(row, heads)| (row % 150 + 1) as f64 * f64::from(heads[0] + heads[1]))
            .sum();
        let (edges, p) = (
            2.0 * case.layer.shape.edges() as f64,
            computed.openness.density(),
        );
        let deviation = (edges * p * (1.0 - p)).sqrt();
        assert!((drawn - edges * p).abs() < 6.0 * deviation, "{drawn}");
    }
}

#[test]
fn another_key_draws_other_gates_and_the_threshold_has_none() {
    let of_key = |key| Case::new([1, 40, 2, 2, 8], Opening::Drawn { key }).compute();
    assert_eq!(of_key(3).attended, of_key(3).attended);
    assert_ne!(of_key(3).attended, of_key(4).attended);
    assert_eq!(of_key(3).openness, of_key(4).openness);
}

#[test]
fn a_token_does_not_see_those_after_it() {
    let mut case = Case::new([1, 130, 2, 1, 16], DRAWN);
    let before = case.compute().attended;
    let start = case.layer.change_from(77);
    let after = case.compute().attended;
    assert_eq!(before[..start], after[..start]);
    assert_ne!(before[start..], after[start..]);
}

#[test]
fn one_thread_and_two_give_the_same_bits() {
    for opening in [DRAWN, Opening::Threshold] {
        let mut case = Case::new([2, 150, 4, 2, 16], opening);
        case.d_density = 1.0;
        let [one, two] = one_and_two(|| {
            let computed = case.compute();
            let parts = [computed.attended, computed.d_qkv, computed.d_head_bias];
            let bits: Vec<u32> = parts.concat().into_iter().map(f32::to_bits).collect();
            let sums: Vec<u64> = computed
                .openness
                .expected
                .iter()
                .map(|x| x.to_bits())
                .collect();
            (bits, sums, computed.openness.open)
        });
        assert!(one == two);
    }
}

#[test]
#[should_panic(expected = "gate biases of")]
fn a_bias_for_another_number_of_heads_is_refused() {
    let mut case = Case::new([1, 2, 2, 1, 4], DRAWN);
    case.head_bias = Some(vec![0.0; 3]);
    case.compute();
}
