//! The square of a norm, in f64.

use rayon::prelude::*;

use crate::rows::rows_per_task;
use crate::vector::{sum_pairs_f64, vectorized};

/// Returns `Σ x²`. The squares and the sums are in f64, so no square overflows or underflows.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    let piece = rows_per_task(1);
    let sum = |part: &[f32]| {
        vectorized(
            #[inline(always)]
            || sum_pairs_f64(part, part, |x, _| f64::from(x) * f64::from(x)),
        )
    };
    if x.len() <= piece {
        return sum(x);
    }
    let sums: Vec<f64> = x.par_chunks(piece).map(sum).collect();
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::one_and_two;

    #[test]
    fn three_and_four_make_five_squared() {
        assert!((sum_of_squares(&[3.0, 4.0]) - 25.0).abs() < f64::EPSILON);
        assert!(sum_of_squares(&[]) == 0.0);
    }

    #[test]
    fn squares_beyond_f32_are_summed_and_nan_is_kept() {
        assert!((sum_of_squares(&[1e30; 4]) / 4e60 - 1.0).abs() < 1e-6);
        assert!((sum_of_squares(&[1e-30; 4]) / 4e-60 - 1.0).abs() < 1e-6);
        assert!(sum_of_squares(&[1.0, f32::NAN]).is_nan());
    }

    #[test]
    fn every_length_and_number_of_threads_gives_the_sum_of_the_first_squares() {
        for length in [0_u32, 1, 15, 16, 17, 100_000] {
            let x: Vec<f32> = (0..length).map(|i| (i % 100) as f32).collect();
            let exact: u64 = (0..u64::from(length)).map(|i| (i % 100).pow(2)).sum();
            for found in one_and_two(|| sum_of_squares(&x)) {
                assert!((found - exact as f64).abs() < 0.5, "{length}: {found}");
            }
        }
    }
}
