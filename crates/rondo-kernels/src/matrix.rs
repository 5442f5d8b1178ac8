//! Views of matrices in slices, and their products.
//!
//! A view may be a run of rows or columns of a larger matrix, or its transpose: the heads of a layer
//! are columns of one buffer, and no product copies its arguments first.

#![allow(
    unsafe_code,
    reason = "columns of one buffer are written by several threads, and the product takes pointers"
)]

use std::marker::PhantomData;
use std::ops::Range;

use gemm::Parallelism;

/// A matrix to read, `[rows, cols]`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    start: *const f32,
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
    data: PhantomData<&'a [f32]>,
}

/// A matrix to write, `[rows, cols]`; its rows are contiguous.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    start: *mut f32,
    rows: usize,
    cols: usize,
    row_stride: usize,
    data: PhantomData<&'a mut [f32]>,
}

// SAFETY: a view stands for a shared reference to its elements and to no others.
unsafe impl Send for Matrix<'_> {}
// SAFETY: as above.
unsafe impl Sync for Matrix<'_> {}
// SAFETY: a view stands for the only reference to its elements: it is not `Copy`, and the
// functions that cut it consume it and give disjoint parts.
unsafe impl Send for MatrixMut<'_> {}

impl<'a> Matrix<'a> {
    /// Views a slice as rows of `cols` elements.
    ///
    /// # Panics
    ///
    /// Panics where the slice has another length.
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

    /// Returns all elements, row after row.
    ///
    /// # Panics
    ///
    /// Panics where they are not neighbours in this order.
    pub fn elements(&self) -> &'a [f32] {
        assert!(self.col_stride == 1 && self.row_stride == self.cols);
        // SAFETY: a view whose rows are contiguous and follow one another is a whole run of the
        // slice that is borrowed for 'a.
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

    /// Returns a run of rows.
    ///
    /// # Panics
    ///
    /// Panics where the range is not in the matrix.
    #[must_use]
    pub fn rows(self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.rows);
        Self {
            start: self.start.wrapping_add(range.start * self.row_stride),
            rows: range.len(),
            ..self
        }
    }

    /// Returns a run of columns.
    ///
    /// # Panics
    ///
    /// As [`Self::rows`].
    #[must_use]
    pub fn columns(self, range: Range<usize>) -> Self {
        self.transposed().rows(range).transposed()
    }

    /// Returns a row.
    ///
    /// # Panics
    ///
    /// Panics where there is no such row or the elements of a row are not neighbours.
    #[inline(always)]
    pub fn row(&self, index: usize) -> &'a [f32] {
        assert!(index < self.rows && self.col_stride == 1);
        // SAFETY: every constructor leaves `rows` rows of `cols` elements, `row_stride` apart,
        // inside a slice that is borrowed for 'a.
        unsafe { std::slice::from_raw_parts(self.start.add(index * self.row_stride), self.cols) }
    }
}

impl<'a> MatrixMut<'a> {
    /// Views a slice as rows of `cols` elements.
    ///
    /// # Panics
    ///
    /// Panics where the slice has another length.
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

    /// Returns `[rows, cols]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.cols]
    }

    /// Returns the same view for a shorter time.
    pub fn reborrow(&mut self) -> MatrixMut<'_> {
        MatrixMut {
            data: PhantomData,
            ..*self
        }
    }

    /// Returns a view to read.
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

    /// Returns a run of rows.
    ///
    /// # Panics
    ///
    /// Panics where the range is not in the matrix.
    #[must_use]
    pub fn rows(self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.rows);
        Self {
            start: self.start.wrapping_add(range.start * self.row_stride),
            rows: range.len(),
            ..self
        }
    }

    /// Returns a run of columns.
    ///
    /// # Panics
    ///
    /// As [`Self::rows`].
    #[must_use]
    pub fn columns(self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.cols);
        Self {
            start: self.start.wrapping_add(range.start),
            cols: range.len(),
            ..self
        }
    }

    /// Cuts the matrix into runs of `height` rows, the last one perhaps shorter.
    pub fn split_rows(self, height: usize) -> impl Iterator<Item = Self> {
        let (start, rows) = (self.start, self.rows);
        (0..rows).step_by(height).map(move |first| Self {
            start: start.wrapping_add(first * self.row_stride),
            rows: height.min(rows - first),
            cols: self.cols,
            row_stride: self.row_stride,
            data: PhantomData,
        })
    }

    /// Cuts the matrix into runs of `width` columns, the last one perhaps narrower.
    pub fn split_columns(self, width: usize) -> impl Iterator<Item = Self> {
        let (start, cols) = (self.start, self.cols);
        (0..cols).step_by(width).map(move |first| Self {
            start: start.wrapping_add(first),
            rows: self.rows,
            cols: width.min(cols - first),
            row_stride: self.row_stride,
            data: PhantomData,
        })
    }

    /// Gives the view up for its first element and the distance of its rows.
    fn destination(self) -> (*mut f32, usize) {
        (self.start, self.row_stride)
    }

    /// Returns a row.
    ///
    /// # Panics
    ///
    /// Panics where there is no such row.
    #[inline(always)]
    pub fn row(&mut self, index: usize) -> &mut [f32] {
        assert!(index < self.rows);
        // SAFETY: every constructor leaves `rows` rows of `cols` elements, `row_stride` apart,
        // inside a slice that is borrowed for 'a, and no other view has them.
        unsafe {
            std::slice::from_raw_parts_mut(self.start.add(index * self.row_stride), self.cols)
        }
    }
}

/// What a product does with what stands in its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Overwrites it.
    Replace,
    /// Adds to it.
    Add,
}

/// Who computes a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// This thread: inside a task.
    One,
    /// As many as there are.
    All,
}

/// Writes `scale · a · b` into `out`.
///
/// # Shapes
///
/// `out`: `[m, n]`; `a`: `[m, k]`; `b`: `[k, n]`.
///
/// # Panics
///
/// Panics where the shapes do not fit.
pub fn product(
    out: MatrixMut<'_>,
    write: Write,
    scale: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    threads: Threads,
) {
    let ([m, n], [a_rows, k], [b_rows, b_cols]) = (out.shape(), a.shape(), b.shape());
    assert_eq!(
        [a_rows, b_rows, b_cols],
        [m, k, n],
        "[{m}, {k}] times [{k}, {n}]"
    );
    let (start, row_stride) = out.destination();
    // SAFETY: the three views lie in slices that are borrowed for this call, `out` for writing and
    // disjoint from the others, and the shapes fit.
    unsafe { multiply(start, row_stride, write, scale, a, b, threads) }
}

/// Returns `a · b` in a new vector, row after row, `[m, n]`.
///
/// # Shapes
///
/// `a`: `[m, k]`; `b`: `[k, n]`.
///
/// # Panics
///
/// Panics where the shapes do not fit.
pub fn product_of(a: Matrix<'_>, b: Matrix<'_>, threads: Threads) -> Vec<f32> {
    let ([m, k], [b_rows, n]) = (a.shape(), b.shape());
    assert_eq!(b_rows, k, "[{m}, {k}] times [{b_rows}, {n}]");
    let mut out = Vec::with_capacity(m * n);
    // SAFETY: the vector has room for m rows of n, nothing else has its pointer, and the product
    // that replaces writes every element without reading it, after which they are initialised.
    unsafe {
        multiply(out.as_mut_ptr(), n, Write::Replace, 1.0, a, b, threads);
        out.set_len(m * n);
    }
    out
}

/// Writes `scale · a · b` to rows `row_stride` apart.
///
/// # Safety
///
/// `out` must be valid for writing `[m, n]` at that stride, for reading as well where the product
/// is added, and must not overlap `a` or `b`; the inner dimensions of `a` and `b` must agree.
unsafe fn multiply(
    out: *mut f32,
    row_stride: usize,
    write: Write,
    scale: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    threads: Threads,
) {
    let ([m, k], [_, n]) = (a.shape(), b.shape());
    let parallelism = match threads {
        Threads::One => Parallelism::None,
        Threads::All => Parallelism::Rayon(0),
    };
    let stride = |stride: usize| stride as isize;
    // SAFETY: the caller's promise; a and b are views of borrowed slices.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out,
            1,
            stride(row_stride),
            write == Write::Add,
            a.start,
            stride(a.col_stride),
            stride(a.row_stride),
            b.start,
            stride(b.col_stride),
            stride(b.row_stride),
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_parts_and_transposes_are_those_of_schoolbook() {
        let a: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let b: Vec<f32> = (0..12).map(|i| (i * i % 7) as f32).collect();
        let (a, b) = (Matrix::new(&a, 3, 4), Matrix::new(&b, 3, 4));
        let mut out = vec![1.0; 9];
        product(
            MatrixMut::new(&mut out, 3, 3),
            Write::Add,
            2.0,
            a.columns(1..4),
            b.columns(0..3).transposed(),
            Threads::One,
        );
        for i in 0..3 {
            for j in 0..3 {
                let sum: f32 = (0..3).map(|k| a.row(i)[k + 1] * b.row(j)[k]).sum();
                assert!((out[i * 3 + j] - (1.0 + 2.0 * sum)).abs() < 1e-4);
            }
        }
    }

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
    fn a_product_that_replaces_does_not_read_its_destination() {
        for (m, k, n) in [
            (1, 5, 9),
            (9, 5, 1),
            (4, 1, 4),
            (4, 2, 4),
            (3, 0, 2),
            (40, 70, 50),
        ] {
            let (a, b) = (vec![1.0; m * k], vec![2.0; k * n]);
            let (a, b) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
            let mut out = vec![f32::NAN; m * n];
            let into = MatrixMut::new(&mut out, m, n);
            product(into, Write::Replace, 1.0, a, b, Threads::One);
            let expected = 2.0 * k as f32;
            let fits = |out: &[f32]| out.iter().all(|x| (x - expected).abs() < 1e-3);
            assert!(
                fits(&out) && fits(&product_of(a, b, Threads::All)),
                "{m} {k} {n}"
            );
        }
    }

    /// Values between −1 and 1 that do not repeat soon.
    fn waves(count: usize) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * 0.7).sin()).collect()
    }

    /// Views the slice as `[rows, cols]`, or as the transpose of `[cols, rows]`.
    fn oriented(data: &[f32], rows: usize, cols: usize, transposed: bool) -> Matrix<'_> {
        match transposed {
            true => Matrix::new(data, cols, rows).transposed(),
            false => Matrix::new(data, rows, cols),
        }
    }

    /// `a · b` and the sum of the absolute values of its terms, for each element.
    fn schoolbook(a: Matrix<'_>, b: Matrix<'_>) -> Vec<(f64, f64)> {
        let ([m, k], [_, n]) = (a.shape(), b.shape());
        let at = |x: Matrix<'_>, row: usize, col: usize| match x.col_stride {
            1 => f64::from(x.row(row)[col]),
            _ => f64::from(x.transposed().row(col)[row]),
        };
        let mut sums = Vec::with_capacity(m * n);
        for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let terms = || (0..k).map(|l| at(a, i, l) * at(b, l, j));
            sums.push((terms().sum(), terms().map(f64::abs).sum()));
        }
        sums
    }

    #[test]
    fn products_of_odd_shapes_in_every_orientation_stay_in_their_columns() {
        const SHAPES: [[usize; 3]; 12] = [
            [1, 1, 1],
            [1, 33, 70],
            [70, 33, 1],
            [5, 0, 3],
            [2, 1, 17],
            [6, 2, 64],
            [7, 19, 65],
            [13, 257, 31],
            [64, 64, 64],
            [97, 130, 101],
            [33, 600, 48],
            [3, 5000, 5],
        ];
        // Left and right of the columns that are written.
        const MARGIN: usize = 3;
        for [m, k, n] in SHAPES {
            let (a, b) = (waves(m * k), waves(k * n));
            for orientation in 0..4 {
                let a = oriented(&a, m, k, orientation & 1 == 1);
                let b = oriented(&b, k, n, orientation & 2 == 2);
                let exact = schoolbook(a, b);
                for (write, scale, before) in [
                    (Write::Replace, 1.0, f32::NAN),
                    (Write::Replace, -0.5, f32::NAN),
                    (Write::Add, 2.0, 0.25),
                ] {
                    let width = n + 2 * MARGIN;
                    let mut out = vec![before; m * width];
                    let into = MatrixMut::new(&mut out, m, width).columns(MARGIN..MARGIN + n);
                    product(into, write, scale, a, b, Threads::All);
                    for (i, value) in out.iter().enumerate() {
                        let (row, col) = (i / width, i % width);
                        if !(MARGIN..MARGIN + n).contains(&col) {
                            assert_eq!(value.to_bits(), before.to_bits(), "{m} {k} {n}");
                            continue;
                        }
                        let (sum, size) = exact[row * n + col - MARGIN];
                        let start = if write == Write::Add { before } else { 0.0 };
                        let expected = f64::from(start) + f64::from(scale) * sum;
                        // Each of k + 2 roundings loses at most half a unit of a partial sum.
                        let size = f64::from(start) + f64::from(scale.abs()) * size;
                        let bound = (k + 2) as f64 * size * f64::from(f32::EPSILON / 2.0);
                        assert!(
                            (f64::from(*value) - expected).abs() <= bound,
                            "{m} {k} {n}, orientation {orientation}: {value}, not {expected}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_that_are_not_finite_reach_their_row_alone() {
        let (m, k, n) = (20, 40, 35);
        let b = vec![1.0; k * n];
        for (bad, is_kept) in [
            (f32::NAN, f32::is_nan as fn(f32) -> bool),
            (f32::INFINITY, |x| x > f32::MAX),
        ] {
            let mut a = vec![1.0; m * k];
            a[7 * k + 11] = bad;
            let (a, b) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
            for (i, value) in product_of(a, b, Threads::One).into_iter().enumerate() {
                match i / n {
                    7 => assert!(is_kept(value), "{bad} became {value}"),
                    _ => assert_eq!(value.to_bits(), (k as f32).to_bits()),
                }
            }
        }
    }

    #[test]
    fn the_number_of_threads_leaves_the_bits_alone() {
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let (two, three) = (pool(2).expect("threads"), pool(3).expect("threads"));
        for [m, k, n] in [
            [300, 170, 410],
            [64, 2048, 96],
            [2048, 64, 64],
            [1, 900, 700],
        ] {
            let (a, b) = (waves(m * k), waves(k * n));
            for orientation in 0..4 {
                let run = |threads| {
                    let a = oriented(&a, m, k, orientation & 1 == 1);
                    let b = oriented(&b, k, n, orientation & 2 == 2);
                    let out = product_of(a, b, threads);
                    out.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
                };
                let alone = run(Threads::One);
                for pool in [&two, &three] {
                    assert!(
                        alone == pool.install(|| run(Threads::All)),
                        "{m} {k} {n}, orientation {orientation}"
                    );
                }
            }
        }
    }
}
