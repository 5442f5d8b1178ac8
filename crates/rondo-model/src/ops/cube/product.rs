//! The product of two matrices, or of each pair of matrices in two batches, as one node.

use rondo_cube::primitive::Cube;
use rondo_cube::product::{product, transposed};
use rondo_cube::tensor::CubeTensor;

use crate::ops::Product;
use crate::ops::graph::Function;
use crate::ops::operands::Factors;

impl Function<Cube, 2> for Product {
    type Names = Self;
    type Saved = ();
    type Aside = ();

    fn forward(&self, Factors { a, b }: Factors<CubeTensor>, _: bool) -> (CubeTensor, (), ()) {
        let b = if self.transposed { transposed(&b) } else { b };
        (product(a, b, self.precision), (), ())
    }

    fn backward(
        &self,
        Factors { a, b }: Factors<CubeTensor>,
        (): (),
        d_out: CubeTensor,
    ) -> Factors<CubeTensor> {
        let multiply = |a, b| product(a, b, self.precision);
        match self.transposed {
            false => Factors {
                a: multiply(d_out.clone(), transposed(&b)),
                b: multiply(transposed(&a), d_out),
            },
            true => Factors {
                b: multiply(transposed(&d_out), a),
                a: multiply(d_out, b),
            },
        }
    }
}
