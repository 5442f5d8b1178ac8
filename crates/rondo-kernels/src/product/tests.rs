//! Products against those of schoolbook in f64.

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
    let at = |x: Matrix<'_>, row: usize, col: usize| match x.layout().1[1] {
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
