//! The gradients of adjusted layers compared with finite differences.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, FloatDType, Tensor};

use super::*;
use crate::block::Block;
use crate::config::{
    BlockKind, BranchScale, ConditioningKind, DeeploopScale, LoopScale, LoraConfig, ModelConfig,
};
use crate::gradients::GradientSum;
use crate::init::Weights;
use crate::layer::{Layer, Stack};
use crate::ops::Backend;
use crate::seed::Normals;

/// The accepted error of a central difference in f64 with steps of [`STEP`], relative to the
/// derivative.
const TOLERANCE: f64 = 1e-7;
const STEP: f64 = 1e-6;

/// A layer of the core with its adjustments.
#[derive(Module, Debug)]
struct Adjusted {
    block: Block,
    conditioning: Option<Conditioning>,
    lora: Option<Lora>,
}

impl Adjusted {
    /// Returns `⟨weights, y⟩` for the output y of the MLP's sublayer in the second of three
    /// iterations.
    fn loss(&self, x: &Tensor<3>, weights: &Tensor<3>) -> Tensor<1> {
        let second = LoopState::from(x.clone()).followed_by(x.clone(), 0);
        let all = adjustments(
            self.conditioning.as_ref(),
            self.lora.as_ref(),
            &second,
            3,
            None,
        );
        let first = all.as_ref().map(|all| &all[0]);
        let ops = Backend::Composed.operations();
        (self.block.feed(ops, x.clone(), first) * weights.clone()).sum()
    }
}

/// Casts parameters to f64, and moves each parameter along a random direction.
struct Moved {
    directions: Normals,
    by: f64,
}

impl Moved {
    fn new(directions: u64, by: f64) -> Self {
        Self {
            directions: Normals::new(directions, 1.0),
            by,
        }
    }
}

impl ModuleMapper for Moved {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, value, mapper) = param.consume();
        let value = value.without_autodiff().cast(FloatDType::F64);
        let direction = self.directions.tensor(value.dims()).cast(FloatDType::F64);
        let value = value + direction * self.by;
        Param::from_mapped_value(id, value.autodiff().require_grad(), mapper)
    }
}

/// Returns every option that adjusts layers, with every kind of block that supports this option.
fn cases() -> Vec<(String, ModelConfig)> {
    let mut all = Vec::new();
    for block in [
        BlockKind::Sandwich,
        BlockKind::PreNorm,
        BlockKind::PostNorm,
        BlockKind::BranchSandwich,
        BlockKind::BranchPostNorm,
    ] {
        let [has_norm_before, _] = block.norms();
        for conditioning in [ConditioningKind::BranchGate, ConditioningKind::Adaln] {
            if conditioning == ConditioningKind::Adaln && !has_norm_before {
                continue;
            }
            for branch_scale in [
                BranchScale::None,
                BranchScale::Loop(LoopScale::default()),
                BranchScale::Deeploop(DeeploopScale::default()),
            ] {
                let on_sum = matches!(block, BlockKind::Sandwich | BlockKind::PostNorm);
                if matches!(branch_scale, BranchScale::Deeploop(_)) && !on_sum {
                    continue;
                }
                let config = ModelConfig {
                    vocab_size: 5,
                    d_model: 6,
                    n_heads: 1,
                    n_kv_heads: 1,
                    d_ff: 4,
                    block,
                    conditioning,
                    branch_scale,
                    lora: Some(LoraConfig {
                        rank: 2,
                        iterations: Some(3),
                        ..LoraConfig::default()
                    }),
                    ..ModelConfig::default()
                };
                let name = format!("{block:?}, {conditioning:?}, {branch_scale:?}");
                all.push((name, config));
            }
        }
    }
    all
}

#[test]
fn an_adjusted_layer_has_the_derivative_that_finite_differences_have() {
    let device = Device::flex().autodiff();
    for (name, config) in cases() {
        let weights = Weights::new(&config, 3, &device);
        let layer = Layer {
            stack: Stack::Core,
            index: 0,
        };
        let plain = Adjusted {
            block: Block::new(&config, layer, &weights),
            conditioning: Conditioning::new(&config, &weights),
            lora: Lora::new(&config, &weights),
        };
        let start = plain.map(&mut Moved::new(0, 0.3));
        let mut normals = Normals::new(1, 1.0);
        let mut normal = || {
            let x: Tensor<3> = normals.tensor([2, 3, config.d_model]);
            x.cast(FloatDType::F64).autodiff()
        };
        let (x, of_output) = (normal(), normal());
        let mut gradients = start.loss(&x, &of_output).backward();
        let mut sum = GradientSum::new(&start);
        sum.take(&mut gradients);
        let mut directions = Normals::new(2, 1.0);
        let mut derivative = 0.0;
        for gradient in sum.finish().into_tensors() {
            let gradient: Vec<f64> = gradient.into_data().iter().collect();
            let direction = directions.tensor::<1>([gradient.len()]).into_data();
            let pairs = gradient.iter().zip(direction.iter::<f64>());
            derivative += pairs.map(|(a, b)| a * b).sum::<f64>();
        }
        let loss = |by: f64| -> f64 {
            let moved = start.clone().map(&mut Moved::new(2, by));
            moved.loss(&x, &of_output).into_scalar()
        };
        let found = (loss(STEP) - loss(-STEP)) / (2.0 * STEP);
        let close = (found - derivative).abs() < TOLERANCE * (1.0 + derivative.abs());
        assert!(close, "{name}: {found} and {derivative}");
        assert!(derivative.abs() > 1e-3, "{name}: {derivative}");
    }
}
