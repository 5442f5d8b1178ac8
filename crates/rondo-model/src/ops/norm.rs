//! The root-mean-square norm: on flex one node, elsewhere composed.

use burn::tensor::Tensor;
use rondo_kernels::matrix::Write;
use rondo_kernels::norm;

use super::node::{self, Function, Output, Values};

/// Root-mean-square norm over the last axis: `x / √(mean(x²) + eps) ⊙ scale`.
///
/// # Shapes
///
/// `x`: `[batch, seq, width]`; `scale`: `[width]`.
pub fn rms_norm(x: Tensor<3>, scale: Option<Tensor<1>>, eps: f64) -> Tensor<3> {
    if node::on_flex(&x) {
        let function = RmsNorm { eps: eps as f32 };
        let scale = scale.map(Tensor::into_dispatch);
        let inputs = [x.into_dispatch()].into_iter().chain(scale).collect();
        return node::apply(function, inputs).0;
    }
    compose(x, scale, eps)
}

pub(super) fn compose(x: Tensor<3>, scale: Option<Tensor<1>>, eps: f64) -> Tensor<3> {
    let mean_square = x.clone().square().mean_dim(2);
    let normed = x / (mean_square + eps).sqrt();
    match scale {
        Some(scale) => normed * scale.unsqueeze(),
        None => normed,
    }
}

/// The norm of its first input, scaled by the second where there is one.
#[derive(Clone, Debug)]
struct RmsNorm {
    eps: f32,
}

impl RmsNorm {
    fn kernel<'a>(&self, inputs: &'a [Values]) -> norm::RmsNorm<'a> {
        norm::RmsNorm {
            scale: inputs.get(1).map(Values::elements),
            eps: self.eps,
        }
    }
}

impl Function for RmsNorm {
    type Saved = ();
    type Aside = ();

    fn forward(&self, inputs: &[Values], _tracked: bool) -> Output<Self> {
        let x = inputs[0].rows();
        let [rows, width] = x.shape();
        let mut values = vec![0.0; rows * width];
        self.kernel(inputs)
            .forward(x.elements(), width, &mut values);
        Output {
            values,
            shape: inputs[0].shape(),
            saved: (),
            aside: (),
        }
    }

    fn backward(&self, inputs: &[Values], (): (), d_out: &[f32]) -> Vec<Vec<f32>> {
        let x = inputs[0].rows();
        let [rows, width] = x.shape();
        let mut d_x = vec![0.0; rows * width];
        let kernel = self.kernel(inputs);
        let d_scale = kernel.backward(x.elements(), d_out, width, &mut d_x, Write::Replace);
        [d_x].into_iter().chain(d_scale).collect()
    }
}
