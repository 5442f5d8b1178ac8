//! The best approximation of a matrix by a product of low rank, from its singular values.

use nalgebra::DMatrix;

/// The factors of `Aᵀ B`. A is `[rank, d_in]`, with orthonormal rows; B is `[rank, d_out]`, and the
/// lengths of its rows are the singular values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LowRank {
    /// A, row major.
    pub(crate) a: Vec<f32>,
    /// B, row major.
    pub(crate) b: Vec<f32>,
}

/// Returns the product of rank `rank` nearest to a matrix, computed in f64.
///
/// # Shapes
///
/// `matrix`: `[d_in, d_out]`, row major. `rank` must not exceed `d_in` or `d_out`.
pub(crate) fn nearest(matrix: &[f32], [d_in, d_out]: [usize; 2], rank: usize) -> LowRank {
    let numbers = matrix.iter().map(|number| f64::from(*number));
    let matrix = DMatrix::from_row_iterator(d_in, d_out, numbers);
    let svd = matrix.svd(true, true);
    let mut found = LowRank {
        a: Vec::with_capacity(rank * d_in),
        b: Vec::with_capacity(rank * d_out),
    };
    // `svd` was called with both flags true, so both factors exist.
    let (Some(left), Some(right)) = (svd.u, svd.v_t) else {
        return found;
    };
    for (place, value) in svd.singular_values.iter().enumerate().take(rank) {
        found.a.extend(left.column(place).iter().map(|x| *x as f32));
        let row = right.row(place);
        found.b.extend(row.iter().map(|x| (x * value) as f32));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_of_rank_one_to_a_diagonal_has_its_largest_number_alone() {
        let LowRank { a, b } = nearest(&[2.0, 0.0, 0.0, 0.0, 5.0, 0.0], [2, 3], 1);
        let product: Vec<f32> = a
            .iter()
            .flat_map(|x| b.iter().map(move |y| x * y))
            .collect();
        let expected = [0.0, 0.0, 0.0, 0.0, 5.0, 0.0];
        for (found, expected) in product.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{product:?}");
        }
        let lengths = [&a, &b].map(|x| x.iter().map(|x| x * x).sum::<f32>().sqrt());
        assert!((lengths[0] - 1.0).abs() < 1e-6 && (lengths[1] - 5.0).abs() < 1e-6);
    }

    #[test]
    fn nothing_has_a_product_of_zero() {
        let LowRank { a, b } = nearest(&[0.0; 6], [3, 2], 2);
        assert!(b.iter().all(|x| x.abs() == 0.0));
        assert!(a.iter().all(|x| x.is_finite()) && a.len() == 6);
    }
}
