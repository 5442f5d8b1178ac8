//! Products with matrices, or with parts of one.

use std::ops::Range;

use burn::tensor::{Tensor, s};
use rondo_kernels::matrix::{Matrix, MatrixMut};
use rondo_kernels::product::{Precision, Write, product, product_of};

use super::node::{self, Function, Output, Values};

/// Matrix product of the last axis with a `[d_in, d_out]` matrix.
///
/// # Shapes
///
/// `x`: `[batch, seq, d_in]`; returns `[batch, seq, d_out]`.
pub fn project(x: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    let [batch, seq, d_in] = x.dims();
    let [_, d_out] = weight.dims();
    x.reshape([batch * seq, d_in])
        .matmul(weight)
        .reshape([batch, seq, d_out])
}

/// Matrix product with the columns `columns` of a matrix. A slice of the weight is small where a
/// slice of the product would copy every token's features, forward and backward.
///
/// # Shapes
///
/// As [`project`], with `d_out` the length of `columns`.
pub fn project_columns(x: Tensor<3>, weight: Tensor<2>, columns: Range<usize>) -> Tensor<3> {
    project(x, weight.slice(s![.., columns]))
}

/// Matrix product with the rows `rows` of a matrix, added to `base` where there is one:
/// `[a ; b] · W` is the sum of a and b times their own rows, so that neither has to be joined to the
/// other.
///
/// # Shapes
///
/// As [`project`], with `d_in` the length of `rows`; `base` has the shape of the result.
pub fn project_rows(
    x: Tensor<3>,
    weight: Tensor<2>,
    rows: Range<usize>,
    base: Option<Tensor<3>>,
    precision: Precision,
) -> Tensor<3> {
    if node::on_flex(&x) {
        let base = base.map(Tensor::into_dispatch);
        let inputs = [x.into_dispatch(), weight.into_dispatch()];
        let inputs = inputs.into_iter().chain(base).collect();
        return node::apply(ProjectRows { rows, precision }, inputs).0;
    }
    compose_rows(x, weight, rows, base)
}

/// [`project_rows`], composed of Burn operations.
///
/// # Shapes
///
/// As [`project_rows`].
pub fn compose_rows(
    x: Tensor<3>,
    weight: Tensor<2>,
    rows: Range<usize>,
    base: Option<Tensor<3>>,
) -> Tensor<3> {
    let y = project(x, weight.slice(s![rows, ..]));
    match base {
        Some(base) => y + base,
        None => y,
    }
}

/// The product of x with rows of a matrix, added to a third input where there is one.
#[derive(Clone, Debug)]
struct ProjectRows {
    rows: Range<usize>,
    precision: Precision,
}

impl ProjectRows {
    fn part<'a>(&self, weight: &'a Values) -> Matrix<'a> {
        weight.rows().rows(self.rows.clone())
    }
}

impl Function for ProjectRows {
    type Saved = ();
    type Aside = ();

    fn forward(&self, inputs: &[Values], _tracked: bool) -> Output<Self> {
        let (x, part) = (inputs[0].rows(), self.part(&inputs[1]));
        let ([rows, _], [_, d_out]) = (x.shape(), part.shape());
        let values = match inputs.get(2) {
            Some(base) => {
                let mut values = base.elements().to_vec();
                let out = MatrixMut::new(&mut values, rows, d_out);
                product(out, Write::Add, x, part, self.precision);
                values
            }
            None => product_of(x, part, self.precision),
        };
        let mut shape = inputs[0].shape();
        shape.pop();
        shape.push(d_out);
        Output {
            values,
            shape,
            saved: (),
            aside: (),
        }
    }

    fn backward(&self, inputs: &[Values], (): (), d_out: &[f32]) -> Vec<Vec<f32>> {
        let (x, part) = (inputs[0].rows(), self.part(&inputs[1]));
        let [height, width] = inputs[1].rows().shape();
        let d_y = Matrix::new(d_out, x.shape()[0], width);
        let d_x = product_of(d_y, part.transposed(), self.precision);
        let mut d_weight = vec![0.0; height * width];
        let d_part = MatrixMut::new(&mut d_weight, height, width).rows(self.rows.clone());
        product(d_part, Write::Replace, x.transposed(), d_y, self.precision);
        let d_base = inputs.get(2).map(|_| d_out.to_vec());
        [d_x, d_weight].into_iter().chain(d_base).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Normals;

    type Product = fn(Tensor<3>, Tensor<2>, Range<usize>, Option<Tensor<3>>) -> Tensor<3>;

    #[test]
    fn the_fused_product_with_rows_is_the_composed_one_with_its_gradients() {
        let mut normals = Normals::new(0, 1.0);
        let mut normal = |shape: [usize; 3]| normals.tensor::<3>(shape);
        let (x, base, weights) = (normal([2, 5, 3]), normal([2, 5, 7]), normal([2, 5, 7]));
        let matrix: Tensor<2> = normal([1, 6, 7]).reshape([6, 7]);
        for based in [false, true] {
            let run = |product: Product| {
                let [x, base] = [&x, &base].map(|x| x.clone().autodiff().require_grad());
                let matrix = matrix.clone().autodiff().require_grad();
                let added = based.then(|| base.clone());
                let y = product(x.clone(), matrix.clone(), 2..5, added);
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
            let project: Product =
                |x, weight, rows, base| project_rows(x, weight, rows, base, Precision::F32);
            let (fused, composed) = (run(project), run(compose_rows));
            assert_eq!(fused.len(), composed.len());
            for (a, b) in fused.into_iter().zip(composed) {
                assert!((a - b).abs() < 1e-5 * (1.0 + b.abs()), "{a} is not {b}");
            }
        }
    }
}
