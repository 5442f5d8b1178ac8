//! Tests of products: each routine against f64, the kernels that a routine launches, and the choice
//! of a routine.

use super::*;
use crate::launches;
use crate::testing::{Numbers, alone, assert_close, device, values};

#[test]
fn f32_is_left_to_burn_only_where_there_are_no_tensor_cores_and_it_tunes() {
    for tunes in [false, true] {
        assert!(!leaves_to_burn(Precision::F32, true, tunes));
        assert!(!leaves_to_burn(Precision::Bf16, true, tunes));
        assert!(leaves_to_burn(Precision::Tf32, true, tunes));
        for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
            assert_eq!(leaves_to_burn(precision, false, tunes), tunes);
        }
    }
}

#[test]
fn every_routine_of_ours_launches_one_kernel_without_tensor_cores() {
    let Some(device) = device() else { return };
    if !alone("product::tests::every_routine_of_ours_launches_one_kernel_without_tensor_cores") {
        return;
    }
    let mut numbers = Numbers::new(1.0);
    for routine in Routine::ALL {
        for [m, k, n] in [[1, 1, 1], [200, 96, 130]] {
            let a = device.tensor(&numbers.vector(m * k), [m, k]);
            let b = device.tensor(&numbers.vector(k * n), [k, n]);
            let (_, launched) = launches::of(|| {
                values(product_by(routine, a, b).expect("a routine of this device"))
            });
            let names: Vec<&str> = launched.names().collect();
            assert_eq!(launched.total(), 1, "{routine:?}: {names:?}");
            // The name of a kernel of cubek includes the parts of its routine. Routines with tensor
            // cores share a product within a plane, so they contain a `PlanePartitioner`.
            assert!(!names[0].contains("PlanePartitioner"), "{names:?}");
            assert!(names[0].contains("UnitPartitioner"), "{names:?}");
        }
    }
}

#[test]
fn a_gpu_takes_smaller_tiles_where_large_ones_leave_cores_idle() {
    let double = Routine::Units(Stages::Two, Tile::Large);
    let form = |rows, columns| Form {
        batch: 1,
        rows,
        inner: 512,
        columns,
        left_turned: false,
        right_turned: false,
    };
    // A group computes 256 × 128 numbers. A graphics card is full with 128 groups, an integrated
    // GPU with 32.
    for (adapter, rows, columns, routine) in [
        (Adapter::Discrete, 4096, 1024, Routine::LARGE),
        (Adapter::Discrete, 4096, 1016, double),
        (Adapter::Integrated, 1024, 1024, Routine::LARGE),
        (Adapter::Integrated, 1024, 992, double),
        (Adapter::Discrete, 1, 512, Routine::LARGE),
        (Adapter::Discrete, 512, 1, Routine::LARGE),
    ] {
        let told = format!("{adapter:?}, {rows} × {columns}");
        assert_eq!(chosen(adapter, form(rows, columns)), routine, "{told}");
    }
    let batch = Form {
        batch: 128,
        ..form(64, 64)
    };
    assert_eq!(chosen(Adapter::Discrete, batch), Routine::LARGE);
}

#[test]
fn a_form_tells_which_factors_are_turned() {
    let Some(device) = device() else { return };
    let a = device.tensor(&[0.0; 6], [2, 3]);
    let turned = transposed(&device.tensor(&[0.0; 12], [4, 3]));
    assert_eq!(
        Form::of(&a, &turned),
        Form {
            batch: 1,
            rows: 2,
            inner: 3,
            columns: 4,
            left_turned: false,
            right_turned: true,
        }
    );
    let back = transposed(&a);
    let form = Form::of(&transposed(&turned), &back);
    assert_eq!((form.left_turned, form.right_turned), (false, true));
}

/// Without tuning, Burn uses the same routine on this device as this module uses for f32 on a
/// device with TF32.
#[cfg(not(feature = "fusion"))]
#[test]
fn without_tuning_burn_takes_the_same_routine_where_there_are_no_tensor_cores() {
    let Some(device) = device() else { return };
    if !alone(
        "product::tests::without_tuning_burn_takes_the_same_routine_where_there_are_no_tensor_cores",
    ) {
        return;
    }
    let x = device.tensor(&[0.5; 40 * 40], [40, 40]);
    if client_has_tf32(&x.client) {
        return;
    }
    let launched = [Routine::Burns, Routine::LARGE].map(|routine| {
        let (_, launched) = launches::of(|| {
            values(product_by(routine, x.clone(), x.clone()).expect("a routine of this device"))
        });
        launched
    });
    assert_eq!(launched[0], launched[1]);
}

#[test]
fn a_product_is_that_of_f64_in_any_layout_by_each_routine() {
    let Some(device) = device() else { return };
    let mut numbers = Numbers::new(1.0);
    for [batch, m, k, n] in [
        [1, 1, 1, 1],
        [1, 1, 300, 65],
        [1, 63, 65, 33],
        [1, 130, 257, 64],
        [6, 65, 24, 63],
        [3, 1, 20, 7],
    ] {
        let (a, b) = (numbers.vector(batch * m * k), numbers.vector(batch * k * n));
        let shape = |rows, columns| [2, batch.div_ceil(2), rows, columns];
        let (a, b, batch) = match batch {
            1 => ([a.clone(), a].concat(), [b.clone(), b].concat(), 2),
            _ => (a, b, batch),
        };
        if !batch.is_multiple_of(2) {
            // The shape of an odd batch has a batch axis of length 1.
            check(&device, &[a, b], [1, batch, m, k], [1, batch, k, n]);
            continue;
        }
        check(&device, &[a, b], shape(m, k), shape(k, n));
    }
}

/// Compares a product with f64. Each factor is stored once in row-major and once in column-major
/// order.
fn check(
    device: &crate::testing::TestDevice,
    [a, b]: &[Vec<f32>; 2],
    a_shape: [usize; 4],
    b_shape: [usize; 4],
) {
    let [outer, inner, m, k] = a_shape;
    let n = b_shape[3];
    let batch = outer * inner;
    let turned = |x: &[f32], [.., rows, columns]: [usize; 4]| {
        let mut turned = Vec::with_capacity(x.len());
        for matrix in x.chunks(rows * columns) {
            for column in 0..columns {
                turned.extend((0..rows).map(|row| matrix[row * columns + column]));
            }
        }
        let on_device = device.tensor(&turned, [outer, inner, columns, rows]);
        transposed(&on_device)
    };
    for routine in Routine::ALL.into_iter().chain([Routine::Burns]) {
        // For vectors, the table uses only `LARGE`. Small tiles exist only for benchmarks and are
        // never chosen, so one size is enough to test them.
        let is_vector = m == 1 || n == 1;
        let is_timed_alone = matches!(routine, Routine::Units(_, Tile::Small)) && m != 65;
        if routine != Routine::LARGE && (is_vector || is_timed_alone) {
            continue;
        }
        for [a_turned, b_turned] in [[false, false], [true, false], [false, true]] {
            let factor = |is_turned, x: &[f32], shape| match is_turned {
                true => turned(x, shape),
                false => device.tensor(x, shape),
            };
            let left = factor(a_turned, a, a_shape);
            let right = factor(b_turned, b, b_shape);
            let found = values(product_by(routine, left, right).expect("a routine of this device"));
            assert_eq!(found.len(), batch * m * n);
            for (at, found) in found.into_iter().enumerate() {
                let (matrix, row, column) = (at / (m * n), at / n % m, at % n);
                let terms = (0..k).map(|i| {
                    let left = a[(matrix * m + row) * k + i];
                    let right = b[(matrix * k + i) * n + column];
                    f64::from(left) * f64::from(right)
                });
                let size = terms.clone().map(f64::abs).sum();
                assert_close(found, terms.sum(), size);
            }
        }
    }
}

#[test]
fn rounding_the_factors_to_tf32_would_not_pass_for_f32() {
    // 1 + 2⁻¹² needs 13 bits of significand. TF32 has 11 bits, so rounding to TF32 gives 1.
    let factor = 1.0 + 2.0_f64.powi(-12);
    let (exact, rounded) = (factor * factor, 1.0_f64);
    let bound = 8.0 * f64::from(f32::EPSILON) / 2.0 * exact;
    assert!((exact - rounded).abs() > 500.0 * bound);
}
