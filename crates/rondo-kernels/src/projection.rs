//! Products with some rows of a matrix, added to a base. `[a ; b] · W` is the sum of the products
//! of a and b with their own rows of W, so a and b need not be joined in memory.

use std::ops::Range;

use crate::matrix::{Matrix, MatrixMut};
use crate::product::{Precision, Write, product, product_of};

/// The operation `x · W[rows] + base`, without its tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// The rows of W that are used.
    pub rows: Range<usize>,
    /// The precision of the product.
    pub precision: Precision,
}

/// The tensors of a projection, or other values in their places: `X` in the place of x and the
/// base, `M` in the place of the matrix.
#[derive(Clone, Copy, Debug)]
pub struct ProjectionTensors<X, M = X> {
    /// The input x, `[tokens, d_in]`; `d_in` is the number of rows of W that are used.
    pub x: X,
    /// The matrix W, `[height, d_out]`.
    pub weight: M,
    /// The base, `[tokens, d_out]`, to which the product is added; `None` stands for zero.
    pub base: Option<X>,
}

impl Projection {
    /// Returns the product plus the base, `[tokens, d_out]`.
    pub fn forward(&self, tensors: &ProjectionTensors<Matrix<'_>>) -> Vec<f32> {
        let ProjectionTensors { x, weight, base } = tensors;
        let part = weight.rows(self.rows.clone());
        let Some(base) = base else {
            return product_of(*x, part, self.precision);
        };
        let ([tokens, _], [_, d_out]) = (x.shape(), part.shape());
        let mut sum = base.elements().to_vec();
        let out = MatrixMut::new(&mut sum, tokens, d_out);
        product(out, Write::Add, *x, part, self.precision);
        sum
    }

    /// Returns the gradient of every tensor. The gradient of W is zero outside the rows that are
    /// used.
    ///
    /// # Shapes
    ///
    /// `d_y`: `[tokens, d_out]`.
    pub fn backward(
        &self,
        tensors: &ProjectionTensors<Matrix<'_>>,
        d_y: Matrix<'_>,
    ) -> ProjectionTensors<Vec<f32>> {
        let ProjectionTensors { x, weight, base } = tensors;
        let part = weight.rows(self.rows.clone());
        let [height, width] = weight.shape();
        let d_x = product_of(d_y, part.transposed(), self.precision);
        let mut d_weight = vec![0.0; height * width];
        let d_part = MatrixMut::new(&mut d_weight, height, width).rows(self.rows.clone());
        product(d_part, Write::Replace, x.transposed(), d_y, self.precision);
        ProjectionTensors {
            x: d_x,
            weight: d_weight,
            base: base.map(|_| d_y.elements().to_vec()),
        }
    }
}
