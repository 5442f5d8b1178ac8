//! Tests of a sublayer around gated attention: the density that it reports, and the gradients of
//! its gates.

use super::*;
use crate::attention::{Gate, Opening};
use crate::product::Precision;
use crate::self_attention::{AttentionWeights, Heads, OverSequences, SelfAttention};

const HEADS: Heads = Heads {
    queries: 3,
    keys: 3,
    d_head: 8,
};
const ROWS: usize = 40;
const WIDTH: usize = 24;

fn waves(count: usize, step: f32) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * step).sin()).collect()
}

/// The input and the weights of a sublayer.
struct Weights {
    x: Vec<f32>,
    qkv: Vec<f32>,
    proj: Vec<f32>,
    head_bias: Vec<f32>,
}

impl Weights {
    fn new() -> Self {
        Self {
            x: waves(ROWS * WIDTH, 0.7),
            qkv: waves(WIDTH * 3 * WIDTH, 1.3),
            proj: waves(WIDTH * WIDTH, 2.3),
            head_bias: vec![0.3, -0.1, 0.2],
        }
    }

    fn tensors(&self) -> SublayerTensors<Matrix<'_>, AttentionWeights<Matrix<'_>>> {
        SublayerTensors {
            x: Matrix::new(&self.x, ROWS, WIDTH),
            before: None,
            after: None,
            branch: AttentionWeights {
                qkv: Matrix::new(&self.qkv, WIDTH, 3 * WIDTH),
                qk_bias: None,
                q_norm: None,
                k_norm: None,
                gate_bias: Some(Matrix::new(&self.head_bias, 1, HEADS.queries)),
                proj: Matrix::new(&self.proj, WIDTH, WIDTH),
            },
        }
    }
}

fn sublayer(gate: Option<Gate>) -> Sublayer<OverSequences<'static>> {
    Sublayer {
        before: Some(Norm { eps: 1e-5 }),
        branch: OverSequences {
            attention: SelfAttention {
                heads: HEADS,
                qk_norm: None,
                gate,
                precision: Precision::F32,
            },
            sequences: [2, 20],
            rope: None,
            segments: None,
        },
        after: After::Sum,
    }
}

fn gate(d_density: f32) -> Gate {
    Gate {
        opening: Opening::Drawn { key: 9 },
        bias: 0.5,
        d_density,
    }
}

/// Returns the density that a sublayer reports.
fn density(weights: &Weights) -> f64 {
    let (_, saved) = sublayer(Some(gate(0.0))).forward(&weights.tensors());
    let openness = saved.branch().openness();
    openness.map_or(f64::NAN, crate::attention::Openness::density)
}

#[test]
fn the_density_is_told_and_its_gradient_reaches_every_weight() {
    let weights = Weights::new();
    let (sublayer, tensors) = (sublayer(Some(gate(1.0))), weights.tensors());
    let (_, saved) = sublayer.forward(&tensors);
    let zeros = vec![0.0; ROWS * WIDTH];
    let gradients = sublayer.backward(&tensors, &saved, Matrix::new(&zeros, ROWS, WIDTH));
    let AttentionWeights {
        qkv: d_qkv,
        gate_bias,
        proj: d_proj,
        ..
    } = gradients.branch;
    let d_head_bias = gate_bias.expect("the bias of each head is learned");
    assert!(d_proj.iter().all(|d| *d == 0.0));
    // With a step of 2⁻⁸, the curvature and the rounding of f32 change the difference by 1e-5.
    let difference = |step: &dyn Fn(&mut Weights, f32)| {
        let [above, below] = [1.0 / 256.0, -1.0 / 256.0].map(|by| {
            let mut weights = Weights::new();
            step(&mut weights, by);
            density(&weights)
        });
        (above - below) * 128.0
    };
    let check = |what: &str, ours: f32, exact: f64| {
        assert!(
            (f64::from(ours) - exact).abs() < 1e-4,
            "{what}: {ours}, not {exact}"
        );
    };
    for (head, ours) in d_head_bias.iter().enumerate() {
        let exact = difference(&|weights, by| weights.head_bias[head] += by);
        check("head_bias", *ours, exact);
    }
    for i in [0, 100, 777] {
        check(
            "qkv",
            d_qkv[i],
            difference(&|weights, by| weights.qkv[i] += by),
        );
        let exact = difference(&|weights, by| weights.x[i] += by);
        check("x", gradients.x[i], exact);
    }
}

#[test]
fn without_gates_nothing_is_told() {
    let weights = Weights::new();
    let (_, saved) = sublayer(None).forward(&weights.tensors());
    assert!(saved.branch().openness().is_none());
}
