//! Working memory for a task's tiles. Each thread keeps one block, whose size does not depend on
//! the length of the sequence.

use std::cell::RefCell;

use crate::matrix::Matrix;

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Calls `work` with parts of this thread's scratch memory, one of each given length. The contents
/// of the parts are arbitrary. Each part starts on the boundary of a cache line.
pub(super) fn with_scratch<const N: usize>(
    lengths: [usize; N],
    work: impl FnOnce([&mut [f32]; N]),
) {
    const LINE: usize = 64 / size_of::<f32>();
    let rounded = lengths.map(|length| length.next_multiple_of(LINE));
    let room = rounded.iter().sum::<usize>() + LINE;
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < room {
            scratch.resize(room, 0.0);
        }
        let skip = scratch.as_ptr().align_offset(64).min(LINE);
        let mut rest = &mut scratch[skip..];
        let mut index = 0;
        work(lengths.map(|length| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(rounded[index]);
            rest = after;
            index += 1;
            &mut part[..length]
        }));
    });
}

/// Copies the rows into contiguous memory and returns the copy.
///
/// Rows of the packed projection are far apart, often at distances that map to the same few cache
/// sets. A caller therefore packs the rows that a product reads repeatedly.
pub(super) fn packed<'a>(rows: Matrix<'_>, into: &'a mut [f32]) -> Matrix<'a> {
    let [count, d_head] = rows.shape();
    let into = &mut into[..count * d_head];
    for (index, copy) in into.chunks_exact_mut(d_head).enumerate() {
        copy.copy_from_slice(rows.row(index));
    }
    Matrix::new(into, count, d_head)
}
