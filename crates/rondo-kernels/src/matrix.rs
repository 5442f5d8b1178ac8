//! Views of matrices in slices.
//!
//! A view may cover a range of rows or columns of a larger matrix, or its transpose. The heads of a
//! layer, for example, are columns of one buffer, so no product needs a copy of its factors.

#![allow(
    unsafe_code,
    reason = "columns of one buffer are written by several threads, and rows are made of pointers"
)]

use std::marker::PhantomData;
use std::ops::Range;

/// A read-only view of a matrix, `[rows, cols]`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    start: *const f32,
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
    data: PhantomData<&'a [f32]>,
}

/// A writable view of a matrix, `[rows, cols]`, with contiguous rows.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    start: *mut f32,
    rows: usize,
    cols: usize,
    row_stride: usize,
    data: PhantomData<&'a mut [f32]>,
}

// SAFETY: a view acts as a shared reference to exactly its own elements.
unsafe impl Send for Matrix<'_> {}
// SAFETY: as above.
unsafe impl Sync for Matrix<'_> {}
// SAFETY: a view acts as the only reference to its elements: it is not `Copy`, and the functions
// that cut a view consume it and return disjoint parts.
unsafe impl Send for MatrixMut<'_> {}

impl<'a> Matrix<'a> {
    /// Views a slice as `rows` rows of `cols` elements.
    ///
    /// # Panics
    ///
    /// Panics where the length of the slice is not `rows · cols`.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols, "{rows} rows of {cols}");
        Self {
            start: data.as_ptr(),
            rows,
            cols,
            row_stride: cols,
            col_stride: 1,
            data: PhantomData,
        }
    }

    /// Returns `[rows, cols]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.cols]
    }

    /// Returns whether the elements of a row are contiguous. If not, the elements of a column are.
    pub(crate) fn has_contiguous_rows(&self) -> bool {
        self.col_stride == 1
    }

    /// Returns a pointer to the first element, and the strides of rows and columns.
    pub(crate) fn layout(&self) -> (*const f32, [usize; 2]) {
        (self.start, [self.row_stride, self.col_stride])
    }

    /// Returns all elements, row after row.
    ///
    /// # Panics
    ///
    /// Panics where the elements are not contiguous in this order.
    pub fn elements(&self) -> &'a [f32] {
        assert!(self.col_stride == 1 && self.row_stride == self.cols);
        // SAFETY: a view whose rows are contiguous and follow one another is one range of the
        // slice, which is borrowed for 'a.
        unsafe { std::slice::from_raw_parts(self.start, self.rows * self.cols) }
    }

    /// Returns the transpose.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// Returns a view of some consecutive rows.
    ///
    /// # Panics
    ///
    /// Panics where the run does not lie in the matrix.
    #[must_use]
    pub fn rows(self, run: Range<usize>) -> Self {
        check(&run, self.rows);
        Self {
            start: self.start.wrapping_add(run.start * self.row_stride),
            rows: run.len(),
            ..self
        }
    }

    /// Returns a view of some consecutive columns.
    ///
    /// # Panics
    ///
    /// As [`Self::rows`].
    #[must_use]
    pub fn columns(self, run: Range<usize>) -> Self {
        self.transposed().rows(run).transposed()
    }

    /// Returns a row.
    ///
    /// # Panics
    ///
    /// Panics where there is no such row or the elements of a row are not contiguous.
    #[inline(always)]
    pub fn row(&self, index: usize) -> &'a [f32] {
        assert!(index < self.rows && self.col_stride == 1);
        // SAFETY: every constructor guarantees `rows` rows of `cols` elements, `row_stride` apart,
        // inside a slice that is borrowed for 'a.
        unsafe { std::slice::from_raw_parts(self.start.add(index * self.row_stride), self.cols) }
    }
}

impl<'a> MatrixMut<'a> {
    /// Views a slice as `rows` rows of `cols` elements.
    ///
    /// # Panics
    ///
    /// As [`Matrix::new`].
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols, "{rows} rows of {cols}");
        Self {
            start: data.as_mut_ptr(),
            rows,
            cols,
            row_stride: cols,
            data: PhantomData,
        }
    }

    /// Views memory that may still be uninitialised.
    ///
    /// # Safety
    ///
    /// `start` must be valid for writing `rows` rows of `cols` elements for 'a, and nothing else
    /// may use these elements. Each element must be written by pointer before it is read or becomes
    /// part of a slice.
    pub(crate) unsafe fn unwritten(start: *mut f32, rows: usize, cols: usize) -> Self {
        Self {
            start,
            rows,
            cols,
            row_stride: cols,
            data: PhantomData,
        }
    }

    /// Returns `[rows, cols]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.cols]
    }

    /// Returns the same view with a shorter lifetime.
    pub fn reborrow(&mut self) -> MatrixMut<'_> {
        MatrixMut {
            data: PhantomData,
            ..*self
        }
    }

    /// Returns a read-only view of the same elements.
    pub fn read(&self) -> Matrix<'_> {
        Matrix {
            start: self.start,
            rows: self.rows,
            cols: self.cols,
            row_stride: self.row_stride,
            col_stride: 1,
            data: PhantomData,
        }
    }

    /// Consumes the view. Returns a pointer to its first element, and its row stride.
    pub(crate) fn destination(self) -> (*mut f32, usize) {
        (self.start, self.row_stride)
    }

    /// Returns a view of some consecutive rows.
    ///
    /// # Panics
    ///
    /// Panics where the run does not lie in the matrix.
    #[must_use]
    pub fn rows(self, run: Range<usize>) -> Self {
        self.part(run, 0..self.cols)
    }

    /// Returns a view of some consecutive columns.
    ///
    /// # Panics
    ///
    /// As [`Self::rows`].
    #[must_use]
    pub fn columns(self, run: Range<usize>) -> Self {
        self.part(0..self.rows, run)
    }

    /// Cuts the matrix in two, before row `at`.
    ///
    /// # Panics
    ///
    /// Panics where `at` is larger than the number of rows.
    pub fn split_rows_at(self, at: usize) -> (Self, Self) {
        let rest = at..self.rows;
        (
            self.part(0..at, 0..self.cols),
            self.part(rest, 0..self.cols),
        )
    }

    /// Cuts the matrix in two, before column `at`.
    ///
    /// # Panics
    ///
    /// Panics where `at` is larger than the number of columns.
    pub fn split_columns_at(self, at: usize) -> (Self, Self) {
        let rest = at..self.cols;
        (
            self.part(0..self.rows, 0..at),
            self.part(0..self.rows, rest),
        )
    }

    /// Cuts the matrix into runs of `height` rows; the last run may be shorter.
    pub fn split_rows(self, height: usize) -> impl Iterator<Item = Self> {
        runs(self.rows, height).map(move |run| self.part(run, 0..self.cols))
    }

    /// Cuts the matrix into runs of `width` columns; the last run may be narrower.
    pub fn split_columns(self, width: usize) -> impl Iterator<Item = Self> {
        runs(self.cols, width).map(move |run| self.part(0..self.rows, run))
    }

    /// Returns the part with these rows and columns. A caller must either consume the view or
    /// return every part only once.
    fn part(&self, rows: Range<usize>, cols: Range<usize>) -> Self {
        check(&rows, self.rows);
        check(&cols, self.cols);
        let first = rows.start * self.row_stride + cols.start;
        Self {
            start: self.start.wrapping_add(first),
            rows: rows.len(),
            cols: cols.len(),
            ..*self
        }
    }

    /// Returns a row.
    ///
    /// # Panics
    ///
    /// Panics where there is no such row.
    #[inline(always)]
    pub fn row(&mut self, index: usize) -> &mut [f32] {
        assert!(index < self.rows);
        // SAFETY: every constructor guarantees `rows` rows of `cols` elements, `row_stride` apart,
        // inside a slice that is borrowed for 'a, and no other view covers these elements.
        unsafe {
            std::slice::from_raw_parts_mut(self.start.add(index * self.row_stride), self.cols)
        }
    }
}

/// Checks that a run of rows or columns lies within the first `count`.
fn check(run: &Range<usize>, count: usize) {
    assert!(
        run.start <= run.end && run.end <= count,
        "{run:?} of {count} rows or columns"
    );
}

/// Cuts `count` rows or columns into runs of `length`; the last run may be shorter.
pub(crate) fn runs(count: usize, length: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count)
        .step_by(length)
        .map(move |first| first..count.min(first + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_one_buffer_can_be_written_apart() {
        let mut data = vec![0.0; 12];
        for (part, mut columns) in MatrixMut::new(&mut data, 2, 6).split_columns(4).enumerate() {
            for row in 0..2 {
                columns.row(row).fill(part as f32 + 1.0);
            }
        }
        assert_eq!(data[..6], [1.0, 1.0, 1.0, 1.0, 2.0, 2.0]);
        assert_eq!(data[6..], [1.0, 1.0, 1.0, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn runs_of_rows_and_columns_are_where_they_are_counted() {
        let mut data: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let matrix = Matrix::new(&data, 3, 4);
        assert_eq!(matrix.rows(1..3).columns(2..4).row(1), [10.0, 11.0]);
        assert_eq!(matrix.transposed().rows(1..2).transposed().shape(), [3, 1]);
        let mut part = MatrixMut::new(&mut data, 3, 4).columns(1..3).rows(2..3);
        assert_eq!(part.row(0), [9.0, 10.0]);
        assert_eq!(part.read().shape(), [1, 2]);
    }

    #[test]
    #[should_panic(expected = "2..5 of 4 rows or columns")]
    fn a_run_beyond_the_matrix_is_refused() {
        let _ = Matrix::new(&[0.0; 12], 3, 4).columns(2..5);
    }
}
