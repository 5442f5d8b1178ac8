//! The root-mean-square norm: on flex one node, elsewhere composed.

use burn::tensor::Tensor;
use rondo_kernels::norm;
use rondo_kernels::product::Write;

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

/// [`rms_norm`], composed of Burn operations.
///
/// # Shapes
///
/// As [`rms_norm`].
pub fn compose(x: Tensor<3>, scale: Option<Tensor<1>>, eps: f64) -> Tensor<3> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Normals;

    #[test]
    fn the_fused_norm_is_the_composed_one_with_its_gradients() {
        let mut normals = Normals::new(0, 2.0);
        let mut normal = |shape: [usize; 3]| normals.tensor::<3>(shape);
        let (x, weights) = (normal([2, 3, 19]), normal([2, 3, 19]));
        let scale: Tensor<1> = normal([1, 1, 19]).flatten(0, 2);
        for scaled in [false, true] {
            let run = |norm: fn(Tensor<3>, Option<Tensor<1>>, f64) -> Tensor<3>| {
                let x = x.clone().autodiff().require_grad();
                let scale = scale.clone().autodiff().require_grad();
                let y = norm(x.clone(), scaled.then(|| scale.clone()), 1e-5);
                let mut gradients = (y.clone() * weights.clone().autodiff()).sum().backward();
                let d_x = x.grad_remove(&mut gradients).expect("x is tracked");
                let d_scale = scale.grad_remove(&mut gradients);
                assert_eq!(d_scale.is_some(), scaled);
                let all = [y.without_autodiff(), d_x].map(|x| x.flatten::<1>(0, 2));
                let all = all.into_iter().chain(d_scale);
                all.flat_map(|x| x.into_data().iter::<f32>().collect::<Vec<_>>())
                    .collect::<Vec<f32>>()
            };
            for (a, b) in run(rms_norm).into_iter().zip(run(compose)) {
                assert!((a - b).abs() < 1e-5 * (1.0 + b.abs()), "{a} is not {b}");
            }
        }
    }
}
