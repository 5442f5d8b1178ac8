//! The root-mean-square norm as one node.

use burn::backend::Flex;
use rondo_kernels::matrix::Matrix;
use rondo_kernels::norm::Norm;
use rondo_kernels::product::Write;

use crate::ops::graph::Function;
use crate::ops::operands::NormTensors;

impl Function<Flex, 2> for Norm {
    type Names = Self;
    type Saved = ();
    type Aside = ();

    fn forward(&self, operands: NormTensors<Matrix<'_>>, _: bool) -> (Vec<f32>, (), ()) {
        let [rows, width] = operands.x.shape();
        let mut out = vec![0.0; rows * width];
        let (scale, x) = (elements(operands.scale), operands.x.elements());
        Norm::forward(*self, scale, x, width, &mut out);
        (out, (), ())
    }

    fn backward(
        &self,
        operands: NormTensors<Matrix<'_>>,
        (): (),
        d_out: Matrix<'_>,
    ) -> NormTensors<Vec<f32>> {
        let [rows, width] = operands.x.shape();
        let mut d_x = vec![0.0; rows * width];
        let (scale, x) = (elements(operands.scale), operands.x.elements());
        let (d_out, write) = (d_out.elements(), Write::Replace);
        let d_scale = Norm::backward(*self, scale, x, d_out, width, &mut d_x, write);
        NormTensors {
            x: d_x,
            scale: d_scale,
        }
    }
}

fn elements(scale: Option<Matrix<'_>>) -> Option<&[f32]> {
    scale.map(|scale| scale.elements())
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use super::*;
    use crate::ops::Backend;
    use crate::seed::Normals;

    #[test]
    fn the_fused_norm_is_the_composed_one_with_its_gradients() {
        let mut normals = Normals::new(0, 2.0);
        let mut normal = |shape: [usize; 3]| normals.tensor::<3>(shape);
        let (x, weights) = (normal([2, 3, 19]), normal([2, 3, 19]));
        let scale: Tensor<1> = normal([1, 1, 19]).flatten(0, 2);
        for scaled in [false, true] {
            let run = |backend: Backend| {
                let x = x.clone().autodiff().require_grad();
                let scale = scale.clone().autodiff().require_grad();
                let (norm, learned) = (Norm { eps: 1e-5 }, scaled.then(|| scale.clone()));
                let y = backend.operations().norm(norm, x.clone(), learned);
                let mut gradients = (y.clone() * weights.clone().autodiff()).sum().backward();
                let d_x = x.grad_remove(&mut gradients).expect("x is tracked");
                let d_scale = scale.grad_remove(&mut gradients);
                assert_eq!(d_scale.is_some(), scaled);
                let all = [y.without_autodiff(), d_x].map(|x| x.flatten::<1>(0, 2));
                let all = all.into_iter().chain(d_scale);
                all.flat_map(|x| x.into_data().iter::<f32>().collect::<Vec<_>>())
                    .collect::<Vec<f32>>()
            };
            for (a, b) in run(Backend::Flex).into_iter().zip(run(Backend::Composed)) {
                assert!((a - b).abs() < 1e-5 * (1.0 + b.abs()), "{a} is not {b}");
            }
        }
    }
}
