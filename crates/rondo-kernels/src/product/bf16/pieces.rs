//! Multiplies two matrices in bf16. The product is divided into pieces that run in parallel.
//!
//! A *line* is a row of the left factor or a column of the right factor. First all threads pack the
//! factor that has fewer lines into tiles, and every piece reads these tiles. Then each piece packs
//! its own lines of the other factor, so these lines are still in the cache when the piece
//! multiplies them. The order of additions depends neither on the pieces nor on the threads.

use rayon::prelude::*;

use super::dots::Dots;
use super::tile::{LINES, Side, Tile, pack, panel_tiles, tiles_for};
use crate::matrix::{Matrix, MatrixMut, runs};
use crate::memory::Scratch;
use crate::product::Write;

/// The maximum number of elements of a line that are packed at a time.
const PACKED: usize = 2048;

/// The approximate number of multiplications in a piece. Smaller pieces are not worth another
/// thread.
const WORK: usize = 1 << 23;

/// The minimum and maximum number of lines in a piece. A piece takes lines of the factor that has
/// more lines. `ALONG` applies if the numbers of a line are contiguous in memory, otherwise
/// `ACROSS`. Up to 256 lines stay in the cache of a core. With `ACROSS`, a minimum of 64 lines took
/// 15 % longer than 128.
const ALONG: [usize; 2] = [64, 256];
const ACROSS: [usize; 2] = [128, 256];

/// The number of lines that a task packs. The task takes lines of the factor that has fewer lines.
const PACKING: usize = 128;

/// The destination of a block of sums. A block has 32 rows of 32 numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) start: *mut f32,
    pub(super) row_stride: usize,
    /// Whether the sums are added to the numbers at the destination. If false, the sums replace
    /// these numbers.
    pub(super) add: bool,
}

/// The instructions that multiply tiles.
pub(super) trait BlockKernel: Copy + Send + Sync {
    /// The value that [`Self::ready`] returns and that [`Self::block`] needs.
    type Ready;

    /// Returns the proof that the machine has the instructions that round to bf16.
    fn dots(self) -> Dots;

    /// Prepares this thread for multiplications.
    fn ready(self) -> Self::Ready;

    /// Multiplies a panel of the left factor by a panel of the right factor. Writes the product to
    /// `place`, or adds it if `place.add` is true.
    ///
    /// # Safety
    ///
    /// The place must be valid for writing 32 rows of 32 numbers; if `place.add` is true, it must
    /// also be valid for reading. The panels must have the same length.
    unsafe fn block(ready: &Self::Ready, a: &[Tile], b: &[Tile], place: Place);
}

/// Writes or adds `a · b`. The caller guarantees that the shapes fit and that no dimension is 0.
pub(super) fn multiply<K: BlockKernel>(
    kernel: K,
    mut out: MatrixMut<'_>,
    write: Write,
    a: Matrix<'_>,
    b: Matrix<'_>,
) {
    let [_, k] = a.shape();
    for (part, run) in runs(k, PACKED).enumerate() {
        let write = if part == 0 { write } else { Write::Add };
        multiply_part(
            kernel,
            out.reborrow(),
            write,
            a.columns(run.clone()),
            b.rows(run),
        );
    }
}

/// Like [`multiply`], for factors with at most [`PACKED`] numbers in a line.
fn multiply_part<K: BlockKernel>(
    kernel: K,
    out: MatrixMut<'_>,
    write: Write,
    a: Matrix<'_>,
    b: Matrix<'_>,
) {
    let ([m, k], [_, n]) = (a.shape(), b.shape());
    let (shared_side, shared, lines) = match m >= n {
        true => (Side::Right, b.transposed(), a),
        false => (Side::Left, a, b.transposed()),
    };
    let ([shared_lines, _], [longer, _]) = (shared.shape(), lines.shape());
    let [fewest, most] = match lines.has_contiguous_rows() {
        true => ALONG,
        false => ACROSS,
    };
    let wanted = (WORK / (shared_lines * k)).next_multiple_of(LINES);
    let height = wanted.clamp(fewest, most);
    let is_small = longer <= height;

    let mut scratch = Scratch::of(numbers_for(shared_lines, k));
    let packed = tiles_of(&mut scratch, shared_lines, k);
    let parts = packed.chunks_mut(tiles_for(PACKING, k));
    let tasks = runs(shared_lines, PACKING).zip(parts).collect();
    for_each(tasks, is_small, |(run, tiles)| {
        pack(kernel.dots(), shared_side, shared.rows(run), tiles);
    });

    let packed = &*packed;
    let cuts = runs(longer, height).map(|run| lines.rows(run));
    let pieces = match shared_side {
        Side::Right => out.split_rows(height).zip(cuts).collect(),
        Side::Left => out.split_columns(height).zip(cuts).collect(),
    };
    for_each(pieces, is_small, |(mut out, lines): (_, Matrix<'_>)| {
        let [count, _] = lines.shape();
        let mut scratch = Scratch::of(numbers_for(count, k));
        let own = tiles_of(&mut scratch, count, k);
        match shared_side {
            Side::Right => {
                pack(kernel.dots(), Side::Left, lines, own);
                multiply_panels(kernel, &mut out, write, own, packed, k);
            }
            Side::Left => {
                pack(kernel.dots(), Side::Right, lines, own);
                multiply_panels(kernel, &mut out, write, packed, own, k);
            }
        }
    });
}

/// Runs the tasks in parallel, or one after another if there is little work.
fn for_each<T: Send>(tasks: Vec<T>, is_small: bool, run: impl Fn(T) + Send + Sync) {
    match is_small {
        true => tasks.into_iter().for_each(run),
        false => tasks.into_par_iter().for_each(run),
    }
}

/// Multiplies all panels of the left factor with all panels of the right factor.
fn multiply_panels<K: BlockKernel>(
    kernel: K,
    out: &mut MatrixMut<'_>,
    write: Write,
    a: &[Tile],
    b: &[Tile],
    k: usize,
) {
    let ready = kernel.ready();
    let length = panel_tiles(k);
    for (b, left) in b.chunks_exact(length).zip((0..).step_by(LINES)) {
        for (a, first) in a.chunks_exact(length).zip((0..).step_by(LINES)) {
            block::<K>(&ready, out, [first, left], a, b, write);
        }
    }
}

/// Computes the block of the result that starts at row `first` and column `left`. Writes the block,
/// or adds it to the result. If the block reaches beyond the edge of the result, only the part
/// inside is written.
#[inline]
fn block<K: BlockKernel>(
    ready: &K::Ready,
    out: &mut MatrixMut<'_>,
    [first, left]: [usize; 2],
    a: &[Tile],
    b: &[Tile],
    write: Write,
) {
    let add = write == Write::Add;
    let [rows, cols] = out.shape();
    let [height, width] = [(rows - first).min(LINES), (cols - left).min(LINES)];
    let (start, row_stride) = out.reborrow().destination();
    let start = start.wrapping_add(first * row_stride + left);
    if [height, width] == [LINES; 2] {
        let place = Place {
            start,
            row_stride,
            add,
        };
        // SAFETY: the block is inside the result, and nothing else reads or writes it during the
        // call.
        unsafe { K::block(ready, a, b, place) };
        return;
    }
    let mut whole = [[0.0_f32; LINES]; LINES];
    if add {
        for (row, whole) in whole[..height].iter_mut().enumerate() {
            // SAFETY: the row, cut at the edge, is inside the result.
            unsafe {
                let row = start.wrapping_add(row * row_stride);
                row.copy_to_nonoverlapping(whole.as_mut_ptr(), width);
            }
        }
    }
    let place = Place {
        start: whole.as_flattened_mut().as_mut_ptr(),
        row_stride: LINES,
        add,
    };
    // SAFETY: the place is the array `whole`.
    unsafe { K::block(ready, a, b, place) };
    for (row, whole) in whole[..height].iter().enumerate() {
        // SAFETY: the row, cut at the edge, is inside the result.
        unsafe {
            let row = start.wrapping_add(row * row_stride);
            row.copy_from_nonoverlapping(whole.as_ptr(), width);
        }
    }
}

/// The number of f32 numbers in a tile. To align the first tile, [`tiles_of`] skips fewer numbers
/// than this.
const TILE: usize = size_of::<Tile>() / size_of::<f32>();

/// Returns the length of a [`Scratch`] for [`tiles_of`], in f32 numbers. The scratch has room for
/// `lines` packed lines, each with `length` numbers, and for the alignment of the first tile.
fn numbers_for(lines: usize, length: usize) -> usize {
    (tiles_for(lines, length) + 1) * TILE
}

/// Returns the tiles for `lines` packed lines, each with `length` numbers. The tiles lie in a
/// [`Scratch`] and have arbitrary contents.
fn tiles_of(scratch: &mut [f32], lines: usize, length: usize) -> &mut [Tile] {
    // SAFETY: a tile is an array of f32.
    let (_, tiles, _) = unsafe { scratch.align_to_mut::<Tile>() };
    &mut tiles[..tiles_for(lines, length)]
}
