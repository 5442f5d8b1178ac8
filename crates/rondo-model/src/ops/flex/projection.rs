//! The product of a tensor and some rows of a matrix, as one node.

use burn::backend::Flex;
use rondo_kernels::matrix::Matrix;
use rondo_kernels::projection::{Projection, ProjectionTensors};

use crate::ops::graph::Function;

impl Function<Flex, 3> for Projection {
    type Names = Self;
    type Saved = ();
    type Aside = ();

    fn forward(&self, operands: ProjectionTensors<Matrix<'_>>, _: bool) -> (Vec<f32>, (), ()) {
        (Projection::forward(self, &operands), (), ())
    }

    fn backward(
        &self,
        operands: ProjectionTensors<Matrix<'_>>,
        (): (),
        d_out: Matrix<'_>,
    ) -> ProjectionTensors<Vec<f32>> {
        Projection::backward(self, &operands, d_out)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;
    use rondo_kernels::product::Precision;

    use super::*;
    use crate::ops::Backend;
    use crate::seed::Normals;

    #[test]
    fn the_fused_product_with_rows_is_the_composed_one_with_its_gradients() {
        let mut normals = Normals::new(0, 1.0);
        let mut normal = |shape: [usize; 3]| normals.tensor::<3>(shape);
        let (x, base, weights) = (normal([2, 5, 3]), normal([2, 5, 7]), normal([2, 5, 7]));
        let matrix: Tensor<2> = normal([1, 6, 7]).reshape([6, 7]);
        for based in [false, true] {
            let run = |backend: Backend| {
                let [x, base] = [&x, &base].map(|x| x.clone().autodiff().require_grad());
                let matrix = matrix.clone().autodiff().require_grad();
                let projection = Projection {
                    rows: 2..5,
                    precision: Precision::F32,
                };
                let tensors = ProjectionTensors {
                    x: x.clone(),
                    weight: matrix.clone(),
                    base: based.then(|| base.clone()),
                };
                let y = backend.operations().project(projection, tensors);
                let mut gradients = (y.clone() * weights.clone().autodiff()).sum().backward();
                let d_matrix = matrix.grad_remove(&mut gradients).map(|d| d.flatten(0, 1));
                let d_base = base.grad_remove(&mut gradients);
                assert_eq!(d_base.is_some(), based);
                let all = [
                    Some(y.without_autodiff()),
                    x.grad_remove(&mut gradients),
                    d_base,
                ];
                let all = all.map(|x| x.map(|x| x.flatten::<1>(0, 2)));
                let all = all.into_iter().chain([d_matrix]).flatten();
                all.flat_map(|x| x.into_data().iter::<f32>().collect::<Vec<_>>())
                    .collect::<Vec<f32>>()
            };
            let (fused, composed) = (run(Backend::Flex), run(Backend::Composed));
            assert_eq!(fused.len(), composed.len());
            for (a, b) in fused.into_iter().zip(composed) {
                assert!((a - b).abs() < 1e-5 * (1.0 + b.abs()), "{a} is not {b}");
            }
        }
    }
}
