//! Products with matrices, or with parts of matrices.

use std::ops::Range;

use burn::tensor::{Tensor, s};
use rondo_kernels::product::Precision;
use rondo_kernels::projection::{Projection, ProjectionTensors};

use crate::ops::{Operations, Product};

/// Returns the product of each token's features with a `[d_in, d_out]` matrix.
///
/// # Shapes
///
/// `x`: `[batch, seq, d_in]`; returns `[batch, seq, d_out]`.
pub(crate) fn project<O: Operations + ?Sized>(
    ops: &O,
    precision: Precision,
    x: Tensor<3>,
    weight: Tensor<2>,
) -> Tensor<3> {
    let [batch, seq, d_in] = x.dims();
    let [_, d_out] = weight.dims();
    let tokens = x.reshape([batch * seq, d_in]);
    ops.product(Product::plain(precision), tokens, weight)
        .reshape([batch, seq, d_out])
}

/// Returns the product of each token's features and the columns `columns` of a matrix. Slicing the
/// product instead of the matrix would copy every token's features in the forward and the backward
/// pass.
///
/// # Shapes
///
/// As [`project`], with `d_out` the length of `columns`.
pub(super) fn project_columns<O: Operations + ?Sized>(
    ops: &O,
    precision: Precision,
    x: Tensor<3>,
    weight: Tensor<2>,
    columns: Range<usize>,
) -> Tensor<3> {
    project(ops, precision, x, weight.slice(s![.., columns]))
}

/// See [`crate::ops::Operations::project`].
pub(crate) fn project_rows<O: Operations + ?Sized>(
    ops: &O,
    projection: Projection,
    tensors: ProjectionTensors<Tensor<3>, Tensor<2>>,
) -> Tensor<3> {
    let ProjectionTensors { x, weight, base } = tensors;
    let y = project(
        ops,
        projection.precision,
        x,
        weight.slice(s![projection.rows, ..]),
    );
    match base {
        Some(base) => y + base,
        None => y,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::ops::Backend;

    fn values(x: Tensor<3>) -> Vec<f32> {
        x.into_data().iter().collect()
    }

    #[test]
    fn products_with_parts_of_a_matrix_are_parts_of_the_product() {
        let device = Device::flex();
        let ops = Backend::Composed.operations();
        let x = Tensor::<3>::from_data([[[1.0, 2.0], [3.0, 4.0]]], &device);
        let weight = Tensor::<2>::from_data([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], &device);
        assert_eq!(
            values(project_columns(
                ops,
                Precision::F32,
                x.clone(),
                weight,
                1..3
            )),
            [12.0, 15.0, 26.0, 33.0]
        );
        let weight = Tensor::<2>::from_data([[1.0], [2.0], [3.0], [4.0]], &device);
        let product = |rows: Range<usize>, base| {
            let projection = Projection {
                rows,
                precision: Precision::F32,
            };
            let (x, weight) = (x.clone(), weight.clone());
            project_rows(ops, projection, ProjectionTensors { x, weight, base })
        };
        let upper = product(0..2, None);
        assert_eq!(values(product(2..4, Some(upper))), [16.0, 36.0]);
    }
}
