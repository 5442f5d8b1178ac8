//! The amount of work of one task, which depends only on the shape, never on the number of threads.

use rayon::prelude::*;

use crate::vector::vectorized;

/// Elements of a task: enough to make another thread worthwhile.
const TASK: usize = 1 << 15;

/// Returns how many rows of `width` elements make a task.
pub(crate) fn rows_per_task(width: usize) -> usize {
    (TASK / width.max(1)).max(1)
}

/// Calls `work(first_row, rows)` for runs of whole rows of `out`, in parallel.
///
/// # Shapes
///
/// `out`: `[rows, width]`.
pub(crate) fn for_rows(out: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let per_task = rows_per_task(width);
    if out.len() <= per_task * width {
        return work(0, out);
    }
    out.par_chunks_mut(per_task * width)
        .enumerate()
        .for_each(|(task, rows)| work(task * per_task, rows));
}

/// Like [`for_rows`], for two outputs with the same number of rows:
/// `work(first_row, a_rows, b_rows)`.
///
/// # Shapes
///
/// `a`: `[rows, a_width]`; `b`: `[rows, b_width]`.
pub(crate) fn for_rows_of_two(
    (a, a_width): (&mut [f32], usize),
    (b, b_width): (&mut [f32], usize),
    work: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) {
    let per_task = rows_per_task(a_width + b_width);
    if a.len() <= per_task * a_width {
        return work(0, a, b);
    }
    a.par_chunks_mut(per_task * a_width)
        .zip(b.par_chunks_mut(per_task * b_width))
        .enumerate()
        .for_each(|(task, (a, b))| work(task * per_task, a, b));
}

/// Calls `work(first_row, rows, partial)` for runs of whole rows of `out`, in parallel, and returns
/// the sum of the partial sums.
///
/// Each run adds to its own `partial`, which starts at zero; the partial sums are added in the
/// order of the rows.
///
/// # Shapes
///
/// `out`: `[rows, width]`; `partial` and the result: `[length]`.
pub(crate) fn for_rows_with_sums(
    out: &mut [f32],
    width: usize,
    length: usize,
    work: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) -> Vec<f32> {
    let per_task = rows_per_task(width);
    if out.len() <= per_task * width {
        let mut sums = vec![0.0; length];
        work(0, out, &mut sums);
        return sums;
    }
    let run = |(task, rows): (usize, &mut [f32])| {
        let mut partial = vec![0.0; length];
        work(task * per_task, rows, &mut partial);
        partial
    };
    let partials: Vec<Vec<f32>> = out
        .par_chunks_mut(per_task * width)
        .enumerate()
        .map(run)
        .collect();
    let mut sums = vec![0.0; length];
    for partial in partials {
        for (sum, part) in sums.iter_mut().zip(partial) {
            *sum += part;
        }
    }
    sums
}

/// Like [`for_rows_with_sums`], for two outputs with the same number of rows:
/// `work(first_row, a_rows, b_rows, partial)`.
///
/// # Shapes
///
/// `a`: `[rows, a_width]`; `b`: `[rows, b_width]`; `partial` and the result: `[length]`.
pub(crate) fn for_rows_of_two_with_sums(
    (a, a_width): (&mut [f32], usize),
    (b, b_width): (&mut [f32], usize),
    length: usize,
    work: impl Fn(usize, &mut [f32], &mut [f32], &mut [f32]) + Sync,
) -> Vec<f32> {
    let per_task = rows_per_task(a_width + b_width);
    let mut sums = vec![0.0; length];
    if a.len() <= per_task * a_width {
        work(0, a, b, &mut sums);
        return sums;
    }
    let run = |(task, (a, b)): (usize, (&mut [f32], &mut [f32]))| {
        let mut partial = vec![0.0; length];
        work(task * per_task, a, b, &mut partial);
        partial
    };
    let partials: Vec<Vec<f32>> = a
        .par_chunks_mut(per_task * a_width)
        .zip(b.par_chunks_mut(per_task * b_width))
        .enumerate()
        .map(run)
        .collect();
    for partial in partials {
        for (sum, part) in sums.iter_mut().zip(partial) {
            *sum += part;
        }
    }
    sums
}

/// Like [`for_rows`], for one number per row; computing it takes the work of `width` elements.
///
/// # Shapes
///
/// `out`: `[rows]`.
pub(crate) fn for_numbers(out: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let per_task = rows_per_task(width);
    if out.len() <= per_task {
        return work(0, out);
    }
    out.par_chunks_mut(per_task)
        .enumerate()
        .for_each(|(task, numbers)| work(task * per_task, numbers));
}

/// Multiplies every element by `factor`, in parallel; a factor of 1 does not touch memory.
pub fn scale(x: &mut [f32], factor: f32) {
    if factor.to_bits() == 1.0_f32.to_bits() {
        return;
    }
    for_rows(x, 1, |_, part| {
        vectorized(
            #[inline(always)]
            || part.iter_mut().for_each(|x| *x *= factor),
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_scaled_once_across_the_seams_of_tasks() {
        for length in [0, 1, 17, TASK, TASK + 1, 3 * TASK + 5] {
            let mut x: Vec<f32> = (0..length).map(|i| i as f32).collect();
            scale(&mut x, 0.5);
            scale(&mut x, 1.0);
            assert!(x.iter().zip(0..).all(|(x, i)| *x * 2.0 - i as f32 == 0.0));
        }
    }
}
