//! The rows of a table by their ids. In the table's gradient each row adds up its own tokens in their order, so no two
//! units write to one place.

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn_cubecl::CubeBackend;
use cubecl::prelude::*;

use crate::rows::{Tile, cube_count};
use crate::tensor::{CubeTensor, check, empty, matrix, reshaped};

/// Tokens of which a unit notes whether they are its cube's.
const BITS: u32 = u32::BITS;

/// Returns the row of each token.
///
/// # Shapes
///
/// `table`: `[vocab, width]`; `ids`: i32, any; returns `[tokens, width]`.
pub fn forward(table: &CubeTensor, ids: &CubeTensor) -> CubeTensor {
    let tokens = ids.shape().num_elements();
    CubeBackend::float_select(table.clone(), 0, reshaped(ids.clone(), [tokens]))
}

/// Returns the gradient of the table for that of the rows.
///
/// # Shapes
///
/// As [`forward`]; `d_out`: `[.., width]`; returns `[vocab, width]`.
///
/// # Panics
///
/// Panics where the gradient is not contiguous f32, or there is not one row for each token.
pub fn backward(ids: &CubeTensor, d_out: &CubeTensor, vocab: usize) -> CubeTensor {
    check(d_out);
    let [tokens, width] = matrix(d_out);
    assert_eq!(ids.shape().num_elements(), tokens, "one row for each token");
    let out = empty(d_out, [vocab, width]);
    let tile = Tile::whole(width);
    gradient_kernel::launch(
        &d_out.client,
        cube_count(vocab),
        CubeDim::new_1d(tile.lanes as u32),
        ids.clone().into_buffer_arg(),
        d_out.clone().into_buffer_arg(),
        out.clone().into_buffer_arg(),
        tokens,
        vocab,
        tile,
    );
    out
}

/// Adds up the tokens of one row of the table in each cube.
#[cube(launch)]
fn gradient_kernel(
    ids: &[i32],
    d_out: &[f32],
    out: &mut [f32],
    tokens: usize,
    vocab: usize,
    #[comptime] tile: Tile,
) {
    if CUBE_POS >= vocab {
        terminate!();
    }
    let lane = UNIT_POS_X as usize;
    let mut sums = Array::<f32>::new(tile.columns);
    #[unroll]
    for k in 0..tile.columns {
        sums[k] = 0.0f32;
    }
    let mut notes = Shared::<[u32]>::new_slice(tile.lanes);
    let mut first = 0usize;
    while first < tokens {
        let mut own = 0u32;
        for bit in 0..BITS {
            let token = first + bit as usize * tile.lanes + lane;
            if token < tokens && ids[token] as usize == CUBE_POS {
                own |= 1u32 << bit;
            }
        }
        notes[lane] = own;
        sync_cube();
        for unit in 0..tile.lanes {
            let note = notes[unit];
            if note != 0u32 {
                for bit in 0..BITS {
                    if (note >> bit) & 1u32 == 1u32 {
                        let token = first + bit as usize * tile.lanes + unit;
                        #[unroll]
                        for k in 0..tile.columns {
                            let column = lane + k * tile.lanes;
                            if column < tile.width {
                                sums[k] += d_out[token * tile.width + column];
                            }
                        }
                    }
                }
            }
        }
        sync_cube();
        first += tile.lanes * BITS as usize;
    }
    #[unroll]
    for k in 0..tile.columns {
        let column = lane + k * tile.lanes;
        if column < tile.width {
            out[CUBE_POS * tile.width + column] = sums[k];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Numbers, assert_close, device, values};

    #[test]
    fn the_gradient_of_a_table_is_that_of_f64() {
        let Some(device) = device() else { return };
        for [tokens, vocab, width] in [[1, 1, 1], [63, 20, 24], [65, 7, 300], [9000, 3, 20]] {
            let d_out = Numbers::new(1.0).vector(tokens * width);
            let ids: Vec<i32> = (0..tokens).map(|t| (t * t % vocab) as i32).collect();
            let on_device = device.ids(&ids);
            let found = backward(&on_device, &device.tensor(&d_out, [tokens, width]), vocab);
            let mut expected = vec![[0.0_f64; 2]; vocab * width];
            for (id, row) in ids.iter().zip(d_out.chunks(width)) {
                for (column, d) in row.iter().enumerate() {
                    let sum = &mut expected[*id as usize * width + column];
                    sum[0] += f64::from(*d);
                    sum[1] += f64::from(d.abs());
                }
            }
            for (found, [expected, terms]) in values(found).iter().zip(expected) {
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
