//! The sum of the rows of a matrix.

use cubecl::prelude::*;

use crate::rows::cube_count;
use crate::tensor::{CubeTensor, check, empty, matrix};

/// The number of columns that a cube sums at the same time.
const COLUMNS: usize = 32;

/// The number of groups of rows that a cube sums at the same time. Group `p` has the rows `p`,
/// `p + PARTS` and so on.
const PARTS: usize = 8;

/// Returns the sums of the first `columns` columns over all rows. The rows are always added in the
/// same order.
///
/// # Shapes
///
/// `x`: `[rows, width]`; the result: `[columns]`.
///
/// # Panics
///
/// Panics if the matrix is not contiguous f32 or has fewer than `columns` columns.
pub fn sum_of_rows(x: &CubeTensor, columns: usize) -> CubeTensor {
    check(x);
    let [rows, width] = matrix(x);
    assert!(columns <= width, "{columns} columns of {width}");
    let out = empty(x, [columns]);
    sum_of_rows_kernel::launch(
        &x.client,
        cube_count(columns.div_ceil(COLUMNS)),
        CubeDim::new_2d(COLUMNS as u32, PARTS as u32),
        x.clone().into_buffer_arg(),
        out.clone().into_buffer_arg(),
        rows,
        width,
        columns,
    );
    out
}

/// Sums the rows of a matrix. The numbers of a column are always added in the same order.
#[cube(launch)]
fn sum_of_rows_kernel(x: &[f32], out: &mut [f32], rows: usize, width: usize, columns: usize) {
    let column = CUBE_POS * COLUMNS + UNIT_POS_X as usize;
    let part = UNIT_POS_Y as usize;
    let mut sum = 0.0f32;
    if column < columns {
        let mut row = part;
        while row < rows {
            sum += x[row * width + column];
            row += PARTS;
        }
    }
    let mut shared = Shared::<[f32]>::new_slice(comptime!(COLUMNS * PARTS));
    shared[UNIT_POS as usize] = sum;
    sync_cube();
    if part == 0 && column < columns {
        let mut total = 0.0f32;
        #[unroll]
        for other in 0..PARTS {
            total += shared[other * COLUMNS + UNIT_POS_X as usize];
        }
        out[column] = total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Numbers, assert_close, device, values};

    #[test]
    fn the_first_columns_have_the_sums_of_f64() {
        let Some(device) = device() else { return };
        for [rows, width, columns] in [[1, 1, 1], [7, 40, 33], [300, 70, 64], [65, 32, 32]] {
            let x = Numbers::new(1.0).vector(rows * width);
            let found = values(sum_of_rows(&device.tensor(&x, [rows, width]), columns));
            assert_eq!(found.len(), columns);
            for (column, found) in found.into_iter().enumerate() {
                let terms = x.iter().skip(column).step_by(width).map(|x| f64::from(*x));
                let size = terms.clone().map(f64::abs).sum();
                assert_close(found, terms.sum(), size);
            }
        }
    }
}
