//! Adds the elements of a long vector in two stages.
//!
//! Without tuned kernels, Burn's GPU backends use one thread for each element of a reduction's
//! result. The sum of a vector is one element, so one thread would add everything. On an H100
//! through wgpu, this took 13 ns for each of 32 million gradients, 0.42 s of a step.

use burn::tensor::Tensor;

/// Returns the sum of all elements, `[1]`. If the number n of elements has a divisor near √n, about
/// √n partial sums of about √n elements each are computed in parallel and then added.
pub(super) fn total(x: Tensor<1>) -> Tensor<1> {
    let [count] = x.dims();
    let rows = rows(count);
    if rows <= 1 {
        return x.sum();
    }
    let columns = count / rows;
    x.reshape([rows, columns])
        .sum_dim(0)
        .reshape([columns])
        .sum()
}

/// Returns the largest divisor of `count` that is not larger than its square root.
fn rows(count: usize) -> usize {
    let divides = |rows: &usize| count.is_multiple_of(*rows);
    (1..=count.isqrt()).rev().find(divides).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_parts_of_a_sum_are_as_square_as_its_count_allows() {
        for (count, expected) in [(0, 1), (1, 1), (7, 1), (12, 3), (64, 8), (786_432, 768)] {
            assert_eq!(rows(count), expected, "{count}");
        }
    }

    #[test]
    fn a_sum_has_every_element_once() {
        for count in [1_u16, 7, 12, 64, 210] {
            let values: Vec<f32> = (1..=count).map(f32::from).collect();
            let expected = f32::from(count) * f32::from(count + 1) / 2.0;
            let found = total(Tensor::from_data(values.as_slice(), &Device::flex()));
            assert_eq!(
                found.into_scalar::<f32>().to_bits(),
                expected.to_bits(),
                "{count}"
            );
        }
    }
}
