//! The lookup of table rows by id, and its gradient. For the gradient, tokens are sorted by id, and
//! each unit sums one number of the table. So no two units write to the same place.

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use cubecl::prelude::*;

use crate::rows::{LINE, cube_count};
use crate::tensor::{CubeTensor, check, empty, empty_of, matrix, reshaped};

/// Returns the row of the table for each token.
///
/// # Shapes
///
/// `table`: `[vocab, width]`; `ids`: i32 of any shape; the result: `[tokens, width]`.
pub fn forward(table: &CubeTensor, ids: &CubeTensor) -> CubeTensor {
    let tokens = ids.shape().num_elements();
    CubeBackend::float_select(table.clone(), 0, reshaped(ids.clone(), [tokens]))
}

/// Returns the gradient of the table, given the gradient of the rows.
///
/// # Shapes
///
/// `ids`: as for [`forward`]; `d_out`: `[.., width]`; the result: `[vocab, width]`.
///
/// # Panics
///
/// Panics if the gradient is not contiguous f32 or the number of its rows is not the number of
/// tokens.
pub fn backward(ids: &CubeTensor, d_out: &CubeTensor, vocab: usize) -> CubeTensor {
    check(d_out);
    let [tokens, width] = matrix(d_out);
    assert_eq!(ids.shape().num_elements(), tokens, "one row for each token");
    let [order, sorted] = [(); 2].map(|()| empty_of(d_out, [tokens], DType::I32));
    order_kernel::launch(
        &d_out.client,
        cube_count(tokens.div_ceil(LINE)),
        CubeDim::new_1d(LINE as u32),
        ids.clone().into_buffer_arg(),
        order.clone().into_buffer_arg(),
        sorted.clone().into_buffer_arg(),
        tokens,
    );
    let out = empty(d_out, [vocab, width]);
    let count = vocab * width;
    gradient_kernel::launch(
        &d_out.client,
        cube_count(count.div_ceil(LINE)),
        CubeDim::new_1d(LINE as u32),
        order.into_buffer_arg(),
        sorted.into_buffer_arg(),
        d_out.clone().into_buffer_arg(),
        out.clone().into_buffer_arg(),
        tokens,
        count,
        width,
    );
    out
}

/// Sorts tokens by id, and tokens with equal ids by their index. A token's place is the number of
/// tokens before it in this order.
#[cube(launch)]
fn order_kernel(ids: &[i32], order: &mut [i32], sorted: &mut [i32], tokens: usize) {
    let token = ABSOLUTE_POS;
    if token < tokens {
        let own = ids[token];
        let mut place = 0u32;
        let mut other = 0usize;
        while other < tokens {
            let id = ids[other];
            if id < own || (id == own && other < token) {
                place += 1u32;
            }
            other += 1;
        }
        order[place as usize] = token as i32;
        sorted[place as usize] = own;
    }
}

/// Sums the gradients of the tokens that use one table row. Each unit computes one column of the
/// row.
#[cube(launch)]
fn gradient_kernel(
    order: &[i32],
    sorted: &[i32],
    d_out: &[f32],
    out: &mut [f32],
    tokens: usize,
    count: usize,
    width: usize,
) {
    let at = ABSOLUTE_POS;
    if at < count {
        let row = (at / width) as i32;
        let column = at % width;
        // A binary search finds the first sorted token of the row.
        let mut first = 0usize;
        let mut end = tokens;
        while first < end {
            let middle = first + (end - first) / 2;
            if sorted[middle] < row {
                first = middle + 1;
            } else {
                end = middle;
            }
        }
        let mut sum = 0.0f32;
        while first < tokens && sorted[first] == row {
            sum += d_out[order[first] as usize * width + column];
            first += 1;
        }
        out[at] = sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Numbers, assert_close, device, values};

    #[test]
    fn the_gradient_of_a_table_is_that_of_f64() {
        let Some(device) = device() else { return };
        for [tokens, vocab, width] in [[1, 1, 1], [63, 20, 24], [65, 7, 300], [5000, 3, 20]] {
            let d_out = Numbers::new(1.0).vector(tokens * width);
            let ids: Vec<i32> = (0..tokens).map(|t| (t * t % vocab) as i32).collect();
            let on_device = device.ids(&ids);
            let on_d_out = device.tensor(&d_out, [tokens, width]);
            let run = || values(backward(&on_device, &on_d_out, vocab));
            let found = run();
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
            assert_eq!(bits(&found), bits(&run()), "the same bits each time");
            let mut expected = vec![[0.0_f64; 2]; vocab * width];
            for (id, row) in ids.iter().zip(d_out.chunks(width)) {
                for (column, d) in row.iter().enumerate() {
                    let sum = &mut expected[*id as usize * width + column];
                    sum[0] += f64::from(*d);
                    sum[1] += f64::from(d.abs());
                }
            }
            for (found, [expected, terms]) in found.iter().zip(expected) {
                assert_close(*found, expected, terms);
            }
            let table = Numbers::new(1.0).vector(vocab * width);
            let rows = values(forward(&device.tensor(&table, [vocab, width]), &on_device));
            for (id, row) in ids.iter().zip(rows.chunks(width)) {
                assert_eq!(row, &table[*id as usize * width..][..width]);
            }
        }
    }
}
