//! The product of two matrices in the graph.

use burn::tensor::Tensor;

use super::Precision;

/// A matrix product, `a · b` or `a · bᵀ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// The precision to which the factors may be rounded.
    pub precision: Precision,
    /// Whether the operation computes `a · bᵀ` instead of `a · b`.
    pub transposed: bool,
}

impl Product {
    /// Describes `a · b`.
    pub fn plain(precision: Precision) -> Self {
        Self {
            precision,
            transposed: false,
        }
    }

    /// Describes `a · bᵀ`.
    pub fn with_transposed(precision: Precision) -> Self {
        Self {
            precision,
            transposed: true,
        }
    }

    /// Returns the product, computed by Burn.
    pub(super) fn composed<const D: usize>(self, a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
        match self.transposed {
            false => a.matmul(b),
            true => a.matmul(b.swap_dims(D - 2, D - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::ops::of;

    #[test]
    fn the_second_factor_is_given_as_it_is_or_as_its_transpose() {
        let device = Device::flex();
        let a = Tensor::<2>::from_data([[1.0, 2.0]], &device);
        let b = Tensor::<2>::from_data([[3.0, 4.0], [5.0, 6.0]], &device);
        let product = |product| -> Vec<f32> {
            let (a, b) = (a.clone(), b.clone());
            of(&a).product(product, a, b).into_data().iter().collect()
        };
        assert_eq!(product(Product::plain(Precision::F32)), [13.0, 16.0]);
        assert_eq!(
            product(Product::with_transposed(Precision::F32)),
            [11.0, 17.0]
        );
    }
}
