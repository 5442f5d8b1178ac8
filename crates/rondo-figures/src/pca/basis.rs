//! Matrices of a few columns: what subspace iteration does with its basis.

/// Width of the basis: more than the components asked for, which is what makes it converge fast.
pub(super) const BASIS: usize = 16;

/// A row of a matrix with a column for each vector of the basis.
pub(super) type Row = [f64; BASIS];

/// Returns a fixed basis in no special position: numbers in −1 … 1 from a SplitMix64 sequence.
pub(super) fn start(d: usize) -> Vec<Row> {
    let mut state = 0_u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    (0..d).map(|_| std::array::from_fn(|_| next())).collect()
}

/// Makes the columns orthonormal (Gram–Schmidt, each column cleaned twice); a column that depends on
/// those before it becomes zero.
pub(super) fn orthonormalise(columns: &mut [Row]) {
    for current in 0..BASIS {
        let length = |columns: &[Row]| {
            let squares = columns.iter().map(|row| row[current] * row[current]);
            squares.sum::<f64>().sqrt()
        };
        let before = length(columns);
        for _ in 0..2 {
            for done in 0..current {
                let along: f64 = columns.iter().map(|row| row[done] * row[current]).sum();
                columns
                    .iter_mut()
                    .for_each(|row| row[current] -= along * row[done]);
            }
        }
        let after = length(columns);
        let factor = if after > 1e-10 * before {
            1.0 / after
        } else {
            0.0
        };
        columns.iter_mut().for_each(|row| row[current] *= factor);
    }
}

/// Returns `Aᵀ·B`.
pub(super) fn product(a: &[Row], b: &[Row]) -> [Row; BASIS] {
    let mut out = [[0.0; BASIS]; BASIS];
    for (a, b) in a.iter().zip(b) {
        for (row, a) in out.iter_mut().zip(a) {
            for (sum, b) in row.iter_mut().zip(b) {
                *sum += a * b;
            }
        }
    }
    out
}

/// Returns `A·V`.
pub(super) fn rotated(a: &[Row], v: &[Row; BASIS]) -> Vec<Row> {
    let column = |row: &Row, j: usize| row.iter().zip(v).map(|(a, v)| a * v[j]).sum();
    a.iter()
        .map(|row| std::array::from_fn(|j| column(row, j)))
        .collect()
}

/// Returns the eigenvalues of a symmetric matrix, largest first, and its eigenvectors as columns
/// (cyclic Jacobi rotations; Golub and Van Loan, §8.5).
pub(super) fn eigen(mut a: [Row; BASIS]) -> (Row, [Row; BASIS]) {
    let mut v: [Row; BASIS] =
        std::array::from_fn(|i| std::array::from_fn(|j| if i == j { 1.0 } else { 0.0 }));
    for _ in 0..32 {
        let mut rotated = false;
        for p in 0..BASIS {
            for q in p + 1..BASIS {
                // `A` is symmetric up to the rounding of `Qᵀ·Z`.
                let off = f64::midpoint(a[p][q], a[q][p]);
                if off.abs() <= 1e-16 * (a[p][p].abs() * a[q][q].abs()).sqrt() {
                    continue;
                }
                rotated = true;
                let tau = (a[q][q] - a[p][p]) / (2.0 * off);
                let t = tau.signum() / (tau.abs() + (1.0 + tau * tau).sqrt());
                let c = 1.0 / (1.0 + t * t).sqrt();
                let s = t * c;
                for row in a.iter_mut().chain(&mut v) {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                let (above, below) = a.split_at_mut(q);
                for (x, y) in above[p].iter_mut().zip(&mut below[0]) {
                    (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                }
            }
        }
        if !rotated {
            break;
        }
    }
    let mut order: [usize; BASIS] = std::array::from_fn(|i| i);
    order.sort_by(|i, j| a[*j][*j].total_cmp(&a[*i][*i]));
    let values = order.map(|i| a[i][i]);
    (values, v.map(|row| order.map(|i| row[i])))
}
