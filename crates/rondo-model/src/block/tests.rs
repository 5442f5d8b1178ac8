//! The fused layer compared with the composed one.

use burn::module::{ModuleMapper, Param};
use burn::tensor::Device;

use super::*;
use crate::config::{
    BranchScale, DeeploopScale, LoopScale, QkBias, QkNorm, RopePairing, RopeScaling,
};
use crate::gates::Gates;
use crate::gradients::GradientSum;
use crate::layer::Stack;
use crate::ops::{Backend, Segments};
use crate::pass::Pass;
use crate::seed::Normals;
use crate::sparsity::SparsityConfig;

const LAYER: Layer = Layer {
    stack: Stack::Core,
    index: 0,
};
const AT: At = At::Core {
    layer: 0,
    iteration: 1,
};

/// With this scaling, there are low frequencies, high frequencies and frequencies in between.
const SCALING: RopeScaling = RopeScaling::Llama3 {
    factor: 8.0,
    low_frequency: 1.0,
    high_frequency: 4.0,
    original_context: 16,
};

/// Adds noise to every parameter, so that no element is exactly one or zero.
struct Shake(Normals);

impl ModuleMapper for Shake {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, value, mapper) = param.consume();
        let value = value.without_autodiff();
        let noise = self.0.tensor(value.dims());
        let value = value + noise;
        Param::from_mapped_value(id, value.autodiff().require_grad(), mapper)
    }
}

/// Returns the output, the densities, and the gradients of the loss plus the penalty. The gradient
/// of the input is last.
fn differentiate(
    block: &Block,
    x: &Tensor<3>,
    weights: &Tensor<3>,
    pass: Shared<'_>,
    forward: impl Fn(&Block, Tensor<3>) -> (Tensor<3>, Option<OpenEdges>),
) -> Vec<Vec<f32>> {
    let x = x.clone().autodiff().require_grad();
    let (y, open) = forward(block, x.clone());
    let mut loss = (y.clone() * weights.clone().autodiff()).sum();
    let means = open.as_ref().map(|open| open.means(&y.device()));
    let densities = means.map(|means| Tensor::cat(means.into(), 0));
    if let Some(density) = open.and_then(OpenEdges::into_expected) {
        loss = loss + density * pass.weight;
    }
    let mut gradients = loss.backward();
    let d_x = x.grad_remove(&mut gradients).expect("the input is tracked");
    let mut sum = GradientSum::new(block);
    sum.take(&mut gradients);
    let values = |x: Tensor<1>| x.into_data().iter::<f32>().collect::<Vec<f32>>();
    let flat = |x: Tensor<3>| values(x.flatten(0, 2));
    let mut found = vec![flat(y.without_autodiff())];
    found.extend(densities.map(values));
    found.extend(sum.finish().into_tensors().into_iter().map(values));
    found.push(flat(d_x));
    found
}

fn check(name: &str, config: &ModelConfig, gates: Gates, shape: [usize; 2]) {
    check_within(name, config, gates, shape, None);
}

fn check_within(
    name: &str,
    config: &ModelConfig,
    gates: Gates,
    [batch, seq]: [usize; 2],
    segments: Option<&Segments>,
) {
    let device = Device::flex().autodiff();
    let weights = Weights::new(config, 3, &device);
    let block = Block::new(config, LAYER, &weights).map(&mut Shake(Normals::new(0, 0.3)));
    let mut pass = Pass::new(config, seq, &device);
    pass.gates = gates;
    if let Some(segments) = segments {
        pass = pass.within(segments.clone());
    }
    // The penalty applies to a single layer.
    let shared = pass.penalised(1);
    let mut normals = Normals::new(1, 1.0);
    let mut normal = || normals.tensor::<3>([batch, seq, config.d_model]);
    let (x, weights) = (normal(), normal());
    let fused = differentiate(&block, &x, &weights, shared, |block, x| {
        block.forward(x, shared, AT, None)
    });
    let composed = differentiate(&block, &x, &weights, shared, |block, x| {
        let ops = Backend::Composed.operations();
        let (x, open) = block.attend(ops, x, shared, AT, None);
        (block.feed(ops, x, None), open)
    });
    for (which, (fused, composed)) in fused.iter().zip(&composed).enumerate() {
        let square = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        let difference: Vec<f32> = fused.iter().zip(composed).map(|(a, b)| a - b).collect();
        // The size adds 1 for each element, because the gradient of the bias is zero if there is a
        // single key.
        let size = square(composed) + composed.len() as f64;
        let relative = (square(&difference) / size).sqrt();
        assert!(
            relative < 1e-5 && fused.len() == composed.len(),
            "{name} at {batch} × {seq}: result {which} differs by {relative:e}"
        );
    }
    assert_eq!(fused.len(), composed.len());
    let constant = Pass::new(config, seq, &Device::flex());
    let constant = Pass { gates, ..constant };
    let constant = match segments {
        Some(segments) => constant.within(segments.clone()),
        None => constant,
    };
    let (constant, _) = block.valid().forward(x, constant.shared(), AT, None);
    let constant: Vec<f32> = constant.into_data().iter().collect();
    assert_eq!(constant, fused[0], "{name}: the same bits without a graph");
}

fn base() -> ModelConfig {
    ModelConfig {
        vocab_size: 11,
        d_model: 24,
        n_heads: 3,
        n_kv_heads: 3,
        d_ff: 20,
        ..ModelConfig::default()
    }
}

#[test]
fn the_fused_layer_with_gates_is_the_composed_one_penalty_and_noise_included() {
    for learned_bias in [false, true] {
        for gate_bias in [-1.0, 0.3] {
            let config = ModelConfig {
                sparsity: Some(SparsityConfig {
                    gate_bias,
                    learned_bias,
                    ..SparsityConfig::default()
                }),
                n_kv_heads: if learned_bias { 1 } else { 3 },
                ..base()
            };
            for gates in [Gates::drawn(9, 40.0), Gates::drawn(10, 0.0), Gates::hard()] {
                for shape in [[1, 1], [2, 7], [3, 33]] {
                    check("gates", &config, gates, shape);
                }
            }
        }
    }
}

/// Returns every structure of a layer without gates.
fn variants() -> Vec<(&'static str, ModelConfig)> {
    let base = base();
    let with = |change: &dyn Fn(&mut ModelConfig)| {
        let mut changed = base.clone();
        change(&mut changed);
        changed
    };
    vec![
        ("sandwich", base.clone()),
        ("pre-norm", with(&|c| c.block = BlockKind::PreNorm)),
        ("post-norm", with(&|c| c.block = BlockKind::PostNorm)),
        (
            "branch-sandwich",
            with(&|c| c.block = BlockKind::BranchSandwich),
        ),
        ("norm without scale", with(&|c| c.norm.learned = false)),
        (
            "branch-post-norm",
            with(&|c| c.block = BlockKind::BranchPostNorm),
        ),
        ("no bias", with(&|c| c.qk_bias = QkBias::None)),
        ("bias of values", with(&|c| c.qk_bias = QkBias::Qkv)),
        ("query-key norm", with(&|c| c.qk_norm = QkNorm::Plain)),
        ("norm of heads", with(&|c| c.qk_norm = QkNorm::Head)),
        ("norm of all heads", with(&|c| c.qk_norm = QkNorm::Width)),
        ("wider heads", with(&|c| c.d_head = Some(10))),
        ("halves", with(&|c| c.rope_pairing = RopePairing::Halves)),
        (
            "everything of Qwen and OLMo",
            with(&|c| {
                c.block = BlockKind::BranchPostNorm;
                c.qk_bias = QkBias::Qkv;
                c.qk_norm = QkNorm::Width;
                c.d_head = Some(10);
                c.n_kv_heads = 1;
                c.rope_pairing = RopePairing::Halves;
                c.rope_scaling = Some(SCALING);
            }),
        ),
        (
            "branch scale",
            with(&|c| c.branch_scale = BranchScale::Loop(LoopScale::default())),
        ),
        (
            "branch scale on a norm without a scale",
            with(&|c| {
                c.block = BlockKind::BranchPostNorm;
                c.norm.learned = false;
                c.branch_scale = BranchScale::Loop(LoopScale::default());
            }),
        ),
        (
            "deeploop",
            with(&|c| c.branch_scale = BranchScale::Deeploop(DeeploopScale::default())),
        ),
        ("one key head", with(&|c| c.n_kv_heads = 1)),
        (
            "one head",
            with(&|c| {
                c.n_heads = 1;
                c.n_kv_heads = 1;
            }),
        ),
    ]
}

#[test]
fn the_fused_layer_is_the_composed_one_with_its_gradients() {
    for (name, config) in variants() {
        for shape in [[1, 1], [2, 7], [3, 33]] {
            check(name, &config, Gates::hard(), shape);
        }
    }
}

#[test]
fn the_fused_layer_within_segments_is_the_composed_one_with_its_gradients() {
    for (name, config) in variants() {
        for ([batch, seq], every) in [([1, 1], 1), ([2, 7], 3), ([3, 33], 8), ([2, 140], 67)] {
            // The rows have segments of different lengths.
            let places: Vec<usize> = (0..batch * seq).collect();
            let ends = |place: usize| (place + place / seq).is_multiple_of(every);
            let segments = Segments::behind(&places, seq, ends);
            let shape = [batch, seq];
            check_within(name, &config, Gates::hard(), shape, Some(&segments));
        }
    }
}

#[test]
#[should_panic(expected = "gates see whole")]
fn gates_on_rows_that_are_cut_are_refused() {
    let config = ModelConfig {
        sparsity: Some(SparsityConfig::default()),
        ..base()
    };
    let segments = Segments::behind(&[0; 14], 7, |_| true);
    check_within("gates", &config, Gates::hard(), [2, 7], Some(&segments));
}

/// Compares with the plain formulas `n(α x + ε f)`, `α x + ε f` and `x + ε n(f)`.
#[test]
fn a_branch_scale_multiplies_both_sides_of_the_sum_as_it_says() {
    let device = Device::flex();
    let with_loop = BranchScale::Loop(LoopScale {
        lambda: 0.75,
        iterations: Some(3),
    });
    let deeploop = BranchScale::Deeploop(DeeploopScale {
        iterations: Some(3),
    });
    for (block, branch_scale) in [
        (BlockKind::Sandwich, with_loop),
        (BlockKind::PreNorm, with_loop),
        (BlockKind::PostNorm, with_loop),
        (BlockKind::BranchSandwich, with_loop),
        (BlockKind::BranchPostNorm, with_loop),
        (BlockKind::Sandwich, deeploop),
        (BlockKind::PostNorm, deeploop),
    ] {
        let mut config = ModelConfig {
            block,
            branch_scale,
            ..base()
        };
        // An eps this large affects the result.
        config.norm.eps = 0.1;
        let factors = config.branch_factors().expect("they are set");
        let weights = Weights::new(&config, 3, &device);
        let block = Block::new(&config, LAYER, &weights).map(&mut Shake(Normals::new(0, 0.3)));
        let block = block.valid();
        let x: Tensor<3> = Normals::new(1, 1.0).tensor([2, 5, config.d_model]);
        let normed = |norm: &Option<RmsNorm>, x: Tensor<3>| match norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let f = block.feed_forward.forward(normed(&block.ffn_in, x.clone()));
        let expected = match config.block {
            BlockKind::BranchSandwich | BlockKind::BranchPostNorm => {
                x.clone() + normed(&block.ffn_out, f) * factors.branch
            }
            BlockKind::Sandwich | BlockKind::PreNorm | BlockKind::PostNorm => {
                let sum = x.clone() * factors.skip + f * factors.branch;
                normed(&block.ffn_out, sum)
            }
        };
        let found = block.feed(ops::of(&x), x, None);
        let values = |x: Tensor<3>| x.into_data().iter().collect::<Vec<f32>>();
        for (a, b) in values(found).iter().zip(values(expected)) {
            let close = (a - b).abs() < 1e-5;
            assert!(close, "{:?}, {branch_scale:?}: {a} {b}", config.block);
        }
    }
}

#[test]
fn layers_outside_the_core_have_no_branch_scale() {
    let config = ModelConfig {
        branch_scale: BranchScale::Loop(LoopScale::default()),
        ..base()
    };
    let device = Device::flex();
    let weights = Weights::new(&config, 3, &device);
    let factors = [Stack::Prelude, Stack::Core, Stack::Coda].map(|stack| {
        let layer = Layer { stack, index: 0 };
        Block::new(&config, layer, &weights).factors.is_some()
    });
    assert_eq!(factors, [false, true, false]);
}
