//! Compares products with schoolbook products in f64, for every kernel that this machine supports.

use super::bf16::{Kernel, round};
use super::*;

type Multiply = dyn Fn(MatrixMut<'_>, Write, Matrix<'_>, Matrix<'_>) + Sync;

/// A way to compute a product.
struct Way {
    name: String,
    multiply: Box<Multiply>,
    /// The rounding of the factors.
    round: fn(f32) -> f32,
}

impl Way {
    fn all() -> Vec<Self> {
        let full = Self {
            name: "f32".to_owned(),
            multiply: Box::new(full::multiply),
            round: |x| x,
        };
        #[cfg(target_arch = "x86_64")]
        let avx2 = full::avx2::Avx2::detect().map(|avx2| Self {
            name: "f32 by AVX2".to_owned(),
            multiply: Box::new(move |out, write, a, b| {
                full::multiply_in(rayon::current_num_threads(), avx2.whole(), out, write, a, b);
            }),
            round: |x| x,
        });
        #[cfg(not(target_arch = "x86_64"))]
        let avx2 = None;
        let kernels = Kernel::all().into_iter().map(|kernel| Self {
            name: format!("{kernel:?}"),
            multiply: Box::new(move |out, write, a, b| kernel.multiply(out, write, a, b)),
            round,
        });
        std::iter::once(full).chain(avx2).chain(kernels).collect()
    }

    /// Returns `a · b`.
    fn product_of(&self, a: Matrix<'_>, b: Matrix<'_>) -> Vec<f32> {
        let ([m, _], [_, n]) = (a.shape(), b.shape());
        let mut out = vec![f32::NAN; m * n];
        (self.multiply)(MatrixMut::new(&mut out, m, n), Write::Replace, a, b);
        out
    }
}

/// Returns values between −1 and 1 that do not repeat soon.
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

/// Returns for each element of `a · b` its value and the sum of the absolute values of its terms.
fn schoolbook(a: Matrix<'_>, b: Matrix<'_>, round: fn(f32) -> f32) -> Vec<(f64, f64)> {
    let ([m, k], [_, n]) = (a.shape(), b.shape());
    let at = |x: Matrix<'_>, row: usize, col: usize| {
        let value = match x.has_contiguous_rows() {
            true => x.row(row)[col],
            false => x.transposed().row(col)[row],
        };
        f64::from(round(value))
    };
    let mut sums = Vec::with_capacity(m * n);
    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
        let terms = || (0..k).map(|l| at(a, i, l) * at(b, l, j));
        sums.push((terms().sum(), terms().map(f64::abs).sum()));
    }
    sums
}

#[test]
fn a_product_can_be_redone_by_hand_and_takes_parts_of_matrices() {
    let a: Vec<f32> = (0..12).map(|i| i as f32).collect();
    let a = Matrix::new(&a, 3, 4);
    for precision in [Precision::F32, Precision::Bf16] {
        let mut out = vec![1.0; 4];
        let into = MatrixMut::new(&mut out, 2, 2);
        // The product is [1 2; 5 6] · [4 8; 5 9].
        let (left, right) = (a.rows(0..2).columns(1..3), a.rows(1..3).columns(0..2));
        product(into, Write::Add, left, right.transposed(), precision);
        assert_eq!(out, [15.0, 27.0, 51.0, 95.0], "{precision:?}");
    }
}

#[test]
fn a_product_that_replaces_does_not_read_its_destination() {
    for way in Way::all() {
        for (m, k, n) in [
            (1, 5, 9),
            (9, 5, 1),
            (4, 1, 4),
            (4, 2, 4),
            (3, 0, 2),
            (0, 3, 2),
            (40, 70, 50),
        ] {
            let (a, b) = (vec![1.0; m * k], vec![2.0; k * n]);
            let out = way.product_of(Matrix::new(&a, m, k), Matrix::new(&b, k, n));
            let expected = 2.0 * k as f32;
            assert!(
                out.iter().all(|x| (x - expected).abs() < 1e-3),
                "{m} {k} {n}"
            );
        }
    }
}

#[test]
fn products_of_odd_shapes_in_every_orientation_stay_in_their_columns() {
    const SHAPES: [[usize; 3]; 14] = [
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
        [300, 40, 34],
        [34, 31, 300],
    ];
    for way in Way::all() {
        for [m, k, n] in SHAPES {
            let (a, b) = (waves(m * k), waves(k * n));
            for orientation in 0..4 {
                let a = oriented(&a, m, k, orientation & 1 == 1);
                let b = oriented(&b, k, n, orientation & 2 == 2);
                check(&way, a, b);
            }
        }
    }
}

/// Writes the product between two margins of columns. Checks the product, and that the margins do
/// not change.
fn check(way: &Way, a: Matrix<'_>, b: Matrix<'_>) {
    const MARGIN: usize = 3;
    let ([m, k], [_, n]) = (a.shape(), b.shape());
    let exact = schoolbook(a, b, way.round);
    for (write, before) in [(Write::Replace, f32::NAN), (Write::Add, 0.25)] {
        let width = n + 2 * MARGIN;
        let mut out = vec![before; m * width];
        let into = MatrixMut::new(&mut out, m, width).columns(MARGIN..MARGIN + n);
        (way.multiply)(into, write, a, b);
        for (i, value) in out.iter().enumerate() {
            let (row, col) = (i / width, i % width);
            if !(MARGIN..MARGIN + n).contains(&col) {
                assert_eq!(value.to_bits(), before.to_bits(), "{m} {k} {n}");
                continue;
            }
            let (sum, size) = exact[row * n + col - MARGIN];
            let start = f64::from(if write == Write::Add { before } else { 0.0 });
            // Each of k + 2 roundings changes a partial sum by at most half a unit in its last
            // place.
            let bound = (k + 2) as f64 * (start + size) * f64::from(f32::EPSILON / 2.0);
            assert!(
                (f64::from(*value) - start - sum).abs() <= bound,
                "{} of {m} {k} {n}: {value}, not {}",
                way.name,
                start + sum
            );
        }
    }
}

#[test]
fn numbers_that_are_not_finite_reach_their_row_alone() {
    let (m, k, n) = (40, 40, 35);
    let b = vec![1.0; k * n];
    for way in Way::all() {
        for (bad, is_kept) in [
            (f32::NAN, f32::is_nan as fn(f32) -> bool),
            (f32::from_bits(0xff80_0001), f32::is_nan),
            (f32::INFINITY, |x| x > f32::MAX),
        ] {
            let mut a = vec![1.0; m * k];
            a[7 * k + 11] = bad;
            // The same numbers are rows of the left factor, and then columns of the right factor.
            let (a, b) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
            let across = way.product_of(b.transposed(), a.transposed());
            for (i, value) in way.product_of(a, b).into_iter().enumerate() {
                let other = across[i % n * m + i / n];
                for value in [value, other] {
                    match i / n {
                        7 => assert!(is_kept(value), "{}: {bad} became {value}", way.name),
                        _ => assert_eq!(value.to_bits(), (k as f32).to_bits()),
                    }
                }
            }
        }
    }
}

#[test]
fn numbers_are_rounded_to_the_nearest_of_bf16_by_every_instruction() {
    let mut numbers: Vec<f32> = (0..4000_u32)
        .map(|i| f32::from_bits(0x3f80_0000 + i * 0x1234 + (i % 3) * 0x8000))
        .collect();
    // These numbers are ties, subnormal numbers and the ends of the range.
    numbers.extend((0..300_u32).map(|i| f32::from_bits(0x3f80_8000 + (i << 16))));
    numbers.extend([f32::MAX, f32::MIN, 1e-40, -1e-40, f32::MIN_POSITIVE, 0.0]);
    for way in Way::all() {
        let column = Matrix::new(&numbers, numbers.len(), 1);
        let values = way.product_of(column, Matrix::new(&[1.0], 1, 1));
        for (x, value) in numbers.iter().zip(values) {
            let expected = (way.round)(*x).to_bits();
            assert!(
                value.to_bits() == expected || value == 0.0 && *x < 1e-37,
                "{}: {x} became {value}",
                way.name
            );
        }
    }
}

#[test]
fn the_number_of_threads_leaves_the_bits_alone() {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let [one, many @ ..] = [1, 2, 3, 16].map(|threads| pool(threads).expect("threads"));
    for way in Way::all() {
        for [m, k, n] in [
            [300, 170, 410],
            [64, 2500, 96],
            [2048, 64, 64],
            [64, 512, 64],
            [64, 1100, 192],
            [512, 64, 64],
            [4, 5000, 70],
            [1030, 2, 700],
            [130, 1030, 64],
            [1, 900, 700],
            [1, 1500, 3001],
            [2, 9000, 256],
            [3, 9000, 256],
            [2100, 1030, 3],
            [257, 600, 129],
            [131, 2050, 1000],
        ] {
            let (a, b) = (waves(m * k), waves(k * n));
            for orientation in 0..4 {
                let run = || {
                    let a = oriented(&a, m, k, orientation & 1 == 1);
                    let b = oriented(&b, k, n, orientation & 2 == 2);
                    let out = way.product_of(a, b);
                    out.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
                };
                let alone = one.install(run);
                for pool in &many {
                    assert!(
                        alone == pool.install(run),
                        "{} of {m} {k} {n}, orientation {orientation}",
                        way.name
                    );
                }
            }
        }
    }
}
