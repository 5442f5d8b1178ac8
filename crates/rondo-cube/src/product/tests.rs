//! Products against f64, by both routines, and which one is launched.

use super::*;
use crate::launches;
use crate::testing::{Numbers, alone, assert_close, device, values};

const ROUTINES: [Routine; 2] = [Routine::Burns, Routine::Units];

#[test]
fn f32_on_a_device_with_tf32_is_left_to_units() {
    for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
        assert_eq!(Routine::of(precision, false), Routine::Burns);
    }
    assert_eq!(Routine::of(Precision::F32, true), Routine::Units);
    assert_eq!(Routine::of(Precision::Tf32, true), Routine::Burns);
}

#[test]
fn the_routine_of_units_launches_one_kernel_without_tensor_cores() {
    let Some(device) = device() else { return };
    if !alone("product::tests::the_routine_of_units_launches_one_kernel_without_tensor_cores") {
        return;
    }
    let mut numbers = Numbers::new(1.0);
    for [m, k, n] in [[1, 1, 1], [64, 64, 64], [200, 96, 130]] {
        let a = device.tensor(&numbers.vector(m * k), [m, k]);
        let b = device.tensor(&numbers.vector(k * n), [k, n]);
        let (_, launched) = launches::of(|| values(Routine::Units.product(a, b)));
        let names: Vec<&str> = launched.names().collect();
        assert_eq!(launched.total(), 1, "{names:?}");
        // Each routine of cubek names its parts; those with tensor cores share a product among a plane.
        assert!(names[0].contains("UnitPartitioner"), "{names:?}");
        assert!(!names[0].contains("PlanePartitioner"), "{names:?}");
    }
}

/// So whatever runs on this device without tuning runs through the routine that f32 has on a device with TF32.
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
    let launched = ROUTINES.map(|routine| {
        let (_, launched) = launches::of(|| values(routine.product(x.clone(), x.clone())));
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
            // An odd batch has one axis.
            check(&device, &[a, b], [1, batch, m, k], [1, batch, k, n]);
            continue;
        }
        check(&device, &[a, b], shape(m, k), shape(k, n));
    }
}

/// Compares a product with f64, each factor as it is and as the transposition of its transpose.
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
    for routine in ROUTINES {
        for [a_turned, b_turned] in [[false, false], [true, false], [false, true]] {
            let factor = |is_turned, x: &[f32], shape| match is_turned {
                true => turned(x, shape),
                false => device.tensor(x, shape),
            };
            let left = factor(a_turned, a, a_shape);
            let right = factor(b_turned, b, b_shape);
            let found = values(routine.product(left, right));
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
    // 1 + 2⁻¹² has 13 bits of significand and TF32 has 11: it becomes 1.
    let factor = 1.0 + 2.0_f64.powi(-12);
    let (exact, rounded) = (factor * factor, 1.0_f64);
    let bound = 8.0 * f64::from(f32::EPSILON) / 2.0 * exact;
    assert!((exact - rounded).abs() > 500.0 * bound);
}
