//! Principal components by subspace iteration.
//!
//! With the rows `x_1 … x_n` of width d and their mean `μ`, the components are the eigenvectors of
//! `C = Σ_r (x_r − μ)(x_r − μ)ᵀ` with the largest eigenvalues `θ`. C is never formed: with a basis
//! Q (`[d, b]`, orthonormal columns, b = min(16, d)),
//!
//! ```text
//! Z = C·Q = Σ_r (x_r − μ) · ((x_r − μ)ᵀ Q)     two passes over the rows
//! Qᵀ·Z = V·diag(θ)·Vᵀ                          a small symmetric eigenproblem
//! Q ← orth(Z·V)                                by QR, until θ no longer changes
//! ```
//!
//! (Rayleigh–Ritz; Golub and Van Loan, Matrix Computations, §8.2.) If d ≤ 16, the first round is
//! exact. The share of component i is `θ_i / Σ_r ‖x_r − μ‖²`. The sign of a component is chosen so
//! that its loading of largest magnitude is positive; the picture then does not depend on the sign
//! that the iteration found.

use nalgebra::{DMatrix, DVector};

/// The width of the basis. It is larger than the number of requested components, so the iteration
/// converges fast.
const BASIS: usize = 16;
/// The maximum number of rounds. The iteration converges earlier unless the variances fall by less
/// than a few percent over ten components; in that case the directions mean little anyway.
const MOST_ROUNDS: usize = 40;
/// The iteration ends when no share changes by more than this. The error of the directions is then
/// about the square root of this number.
const SETTLED: f64 = 1e-10;
/// A direction whose share of the variance is smaller than this comes from rounding, and is left
/// out.
const NOISE: f64 = 1e-12;

/// The mean of some rows and the directions of their largest variance.
#[derive(Clone, Debug)]
pub(crate) struct Pca {
    mean: Vec<f64>,
    /// Unit vectors in descending order of variance. There are fewer than requested if the
    /// variance has fewer dimensions.
    components: Vec<Vec<f64>>,
    /// The share of the total variance along each component.
    shares: Vec<f64>,
}

impl Pca {
    /// Finds the first `most` (at most 16) components of rows of equal length.
    pub(crate) fn of(rows: &[&[f32]], most: usize) -> Self {
        let d = rows.first().map_or(0, |row| row.len());
        let mut mean = vec![0.0; d];
        for row in rows {
            mean.iter_mut()
                .zip(*row)
                .for_each(|(m, x)| *m += f64::from(*x));
        }
        mean.iter_mut().for_each(|m| *m /= rows.len() as f64);
        let total: f64 = rows
            .iter()
            .map(|row| centred(row, &mean).map(|x| x * x).sum::<f64>())
            .sum();
        let mut pca = Self {
            mean,
            components: Vec::new(),
            shares: Vec::new(),
        };
        if total > 0.0 {
            let (shares, basis) = pca.subspace(rows, total);
            let found = shares.iter().zip(basis.column_iter()).take(most);
            for (share, vector) in found.take_while(|(share, _)| **share > NOISE) {
                pca.components
                    .push(oriented(vector.iter().copied().collect()));
                pca.shares.push(*share);
            }
        }
        pca
    }

    /// Returns the share of the variance along each component.
    pub(crate) fn shares(&self) -> &[f64] {
        &self.shares
    }

    /// Returns the coordinates of a row along the components: `(x − μ)·v_i`.
    pub(crate) fn project(&self, row: &[f32]) -> Vec<f64> {
        self.components
            .iter()
            .map(|v| centred(row, &self.mean).zip(v).map(|(x, v)| x * v).sum())
            .collect()
    }

    /// Runs the iteration. Returns the shares in descending order, and the directions as the
    /// columns of a matrix.
    fn subspace(&self, rows: &[&[f32]], total: f64) -> (Vec<f64>, DMatrix<f64>) {
        let mut basis = start(self.mean.len()).qr().q();
        let mut before = vec![0.0; basis.ncols()];
        let mut round = 0;
        loop {
            round += 1;
            let image = self.image(rows, &basis);
            let (values, rotation) = eigen(basis.tr_mul(&image));
            let shares: Vec<f64> = values.iter().map(|value| value / total).collect();
            let change = shares.iter().zip(&before).map(|(a, b)| (a - b).abs());
            if change.fold(0.0, f64::max) < SETTLED || round == MOST_ROUNDS {
                return (shares, basis * rotation);
            }
            before = shares;
            basis = (image * rotation).qr().q();
        }
    }

    /// Returns `C·Q`.
    fn image(&self, rows: &[&[f32]], basis: &DMatrix<f64>) -> DMatrix<f64> {
        let mut image = DMatrix::zeros(basis.nrows(), basis.ncols());
        for row in rows {
            let row = DVector::from_iterator(row.len(), centred(row, &self.mean));
            image.ger(1.0, &row, &basis.tr_mul(&row), 1.0);
        }
        image
    }
}

/// Returns a fixed starting matrix in general position: numbers in −1 … 1 from a SplitMix64
/// sequence.
fn start(d: usize) -> DMatrix<f64> {
    let mut state = 0_u64;
    DMatrix::from_fn(d, BASIS.min(d), |_, _| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    })
}

/// Returns the eigenvalues of a symmetric matrix in descending order, and its eigenvectors as
/// columns.
fn eigen(a: DMatrix<f64>) -> (Vec<f64>, DMatrix<f64>) {
    let found = a.symmetric_eigen();
    let mut order: Vec<usize> = (0..found.eigenvalues.len()).collect();
    order.sort_by(|i, j| found.eigenvalues[*j].total_cmp(&found.eigenvalues[*i]));
    let values = order.iter().map(|i| found.eigenvalues[*i]).collect();
    (values, found.eigenvectors.select_columns(&order))
}

fn centred<'a>(row: &'a [f32], mean: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
    row.iter().zip(mean).map(|(x, m)| f64::from(*x) - m)
}

/// Returns the vector or its negative, so that the loading of largest magnitude is positive. Of
/// several equal loadings, the first counts.
fn oriented(mut vector: Vec<f64>) -> Vec<f64> {
    let largest = vector.iter().fold(
        0.0_f64,
        |best, x| if x.abs() > best.abs() { *x } else { best },
    );
    if largest < 0.0 {
        vector.iter_mut().for_each(|x| *x = -*x);
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[Vec<f32>], most: usize) -> Pca {
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        Pca::of(&rows, most)
    }

    /// Returns the rows `(1, 1, …) ± scale_i · e_i`, whose components are the axes.
    fn along_axes(scales: &[f32], d: usize) -> Vec<Vec<f32>> {
        let mut rows = Vec::new();
        for (axis, scale) in scales.iter().enumerate() {
            for sign in [1.0, -1.0] {
                let mut row = vec![1.0; d];
                row[axis] += sign * scale;
                rows.push(row);
            }
        }
        rows
    }

    #[test]
    fn axes_with_known_variance_are_found_in_their_order() {
        // The variances are the squares of 3, 2 and 1: 9, 4 and 1, of 14 in total.
        let pca = of(&along_axes(&[1.0, 3.0, 2.0], 5), 6);
        assert_eq!(pca.shares().len(), 3, "{:?}", pca.shares());
        for (found, expected) in pca
            .shares()
            .iter()
            .zip([9.0 / 14.0, 4.0 / 14.0, 1.0 / 14.0])
        {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        for (component, axis) in pca.components.iter().zip([1, 2, 0]) {
            assert!((component[axis] - 1.0).abs() < 1e-12, "{component:?}");
        }
        let projected = pca.project(&[1.0, 4.0, 1.0, 1.0, 1.0]);
        assert!((projected[0] - 3.0).abs() < 1e-12 && projected[1].abs() < 1e-12);
    }

    #[test]
    fn a_line_has_one_component_and_equal_rows_have_none() {
        let line: Vec<Vec<f32>> = (0..9_u8)
            .map(|t| vec![f32::from(t), -2.0 * f32::from(t)])
            .collect();
        let pca = of(&line, 6);
        assert!((pca.shares()[0] - 1.0).abs() < 1e-12);
        assert_eq!(pca.shares().len(), 1);
        // The direction is (1, −2)/√5, with its sign changed so that the larger loading is
        // positive.
        assert!((pca.components[0][1] - 2.0 / 5.0_f64.sqrt()).abs() < 1e-12);
        assert!(of(&vec![vec![0.1, 0.2, 0.3]; 4], 6).shares().is_empty());
    }

    #[test]
    fn wide_rows_beyond_the_basis_are_resolved_too() {
        // Thirty directions in 100 dimensions. Each has two thirds of the variance of the direction
        // before.
        let scales: Vec<f32> = (0..30)
            .map(|i| (2.0_f32 / 3.0).powf(i as f32 / 2.0))
            .collect();
        let pca = of(&along_axes(&scales, 100), 6);
        for (index, component) in pca.components.iter().enumerate() {
            assert!(
                (component[index] - 1.0).abs() < 1e-6,
                "{index}: {}",
                component[index]
            );
        }
        let ratio = pca.shares()[1] / pca.shares()[0];
        assert!((ratio - 2.0 / 3.0).abs() < 1e-6, "{ratio}");
    }

    #[test]
    fn components_are_orthonormal_and_shares_fall() {
        let rows: Vec<Vec<f32>> = (0..40)
            .map(|r| {
                (0..25)
                    .map(|c| ((r + 1) as f32 * (c + 2) as f32).sin() / (c + 1) as f32)
                    .collect()
            })
            .collect();
        let pca = of(&rows, 6);
        assert_eq!(pca.components.len(), 6);
        for (i, a) in pca.components.iter().enumerate() {
            for (j, b) in pca.components.iter().enumerate() {
                let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((dot - expected).abs() < 1e-9, "{i} {j}: {dot}");
            }
        }
        assert!(pca.shares().is_sorted_by(|a, b| a >= b));
        assert!(pca.shares().iter().sum::<f64>() <= 1.0 + 1e-12);
    }

    #[test]
    fn every_dimension_of_the_variance_adds_up_to_all_of_it() {
        let rows: Vec<Vec<f32>> = (0..12)
            .map(|r| (0..4).map(|c| ((r * (c + 5)) as f32).cos()).collect())
            .collect();
        let all: f64 = of(&rows, 6).shares().iter().sum();
        assert!((all - 1.0).abs() < 1e-12, "{all}");
    }
}
