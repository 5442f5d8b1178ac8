//! bf16 numbers in tiles, in the layout that AMX and the dot products of AVX-512 read.
//!
//! A *line* is a row of the left factor of a product or a column of the right factor; sums run
//! along lines. A word of 32 bits holds two neighbouring numbers of a line. A tile has 16 × 16
//! words. In a tile of the left factor, each row of words holds a part of one line. In a tile of
//! the right factor, each column of words holds a part of one line. Each layout is the transpose of
//! the other, word by word. A matrix whose lines are contiguous in memory is loaded in the layout
//! of the left factor; other matrices are loaded in the layout of the right factor.

use std::arch::x86_64::{
    __m512i, __mmask16, _MM_HINT_T0, _mm_prefetch, _mm512_castsi512_ps, _mm512_cvtne2ps_pbh,
    _mm512_loadu_si512, _mm512_maskz_loadu_ps, _mm512_permutexvar_epi16, _mm512_setzero_si512,
    _mm512_shuffle_i32x4, _mm512_storeu_ps, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::dots::Dots;
use crate::matrix::Matrix;

/// The number of lines in a tile, and the number of words that a tile holds of each line.
pub(super) const SIDE: usize = 16;

/// The number of elements that a tile holds of each line.
pub(super) const DEPTH: usize = 2 * SIDE;

/// The number of tiles side by side in a panel.
pub(super) const TILES: usize = 2;

/// The number of lines in a panel.
pub(super) const LINES: usize = TILES * SIDE;

/// A tile: 16 × 16 words, each of which holds two bf16 numbers.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Tile(pub(super) [[f32; SIDE]; SIDE]);

/// The factor of the product that a tile belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// Returns the number of tiles for `lines` lines of `length` numbers, padded with zeros.
pub(super) fn tiles_for(lines: usize, length: usize) -> usize {
    lines.div_ceil(LINES) * panel_tiles(length)
}

/// Returns the number of tiles for a panel of [`LINES`] lines: two consecutive tiles for every
/// [`DEPTH`] numbers along the lines.
pub(super) fn panel_tiles(length: usize) -> usize {
    TILES * length.div_ceil(DEPTH)
}

/// Rounds the rows of `lines` and packs them into panels, one panel after another.
///
/// # Shapes
///
/// `lines`: `[count, length]`; `tiles`: as many as [`tiles_for`] returns for this shape.
pub(super) fn pack(_: Dots, side: Side, lines: Matrix<'_>, tiles: &mut [Tile]) {
    let [count, length] = lines.shape();
    assert_eq!(tiles.len(), tiles_for(count, length));
    // SAFETY: `Dots` proves that the machine has these instructions.
    unsafe { pack_by_avx512(side, lines, tiles) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pack_by_avx512(side: Side, lines: Matrix<'_>, tiles: &mut [Tile]) {
    let [count, length] = lines.shape();
    let (steps, panels) = (length.div_ceil(DEPTH), count.div_ceil(LINES));
    let mut pack = |panel: usize, step: usize| {
        let at = (panel * steps + step) * TILES;
        for (first, tile) in (panel * LINES..)
            .step_by(SIDE)
            .zip(&mut tiles[at..at + TILES])
        {
            pack_tile(side, lines, [first, step * DEPTH], tile);
        }
    };
    // The loops follow the order of the numbers in memory.
    if lines.has_contiguous_rows() {
        (0..panels).for_each(|panel| (0..steps).for_each(|step| pack(panel, step)));
    } else {
        (0..steps).for_each(|step| (0..panels).for_each(|panel| pack(panel, step)));
    }
}

/// Rounds and packs the numbers of a tile: 16 lines from `line` on, and 32 numbers of each line
/// from `start` on. Places beyond the end of the matrix become zeros.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pack_tile(side: Side, lines: Matrix<'_>, [line, start]: [usize; 2], tile: &mut Tile) {
    let [count, length] = lines.shape();
    let (first, [line_stride, stride]) = lines.layout();
    // The next numbers along the lines are prefetched, because the processor does not predict reads
    // of rows that are far apart. This saves 5 to 15 % of a product. A prefetch beyond the end
    // reads nothing.
    let place = |line: usize, at: usize| first.wrapping_add(line * line_stride + at * stride);
    let load = |line: usize, at: usize, numbers: __mmask16| {
        // SAFETY: the mask excludes the numbers outside the matrix.
        unsafe { _mm512_maskz_loadu_ps(numbers, place(line, at)) }
    };
    let mut words = [_mm512_setzero_si512(); SIDE];
    let stored = if lines.has_contiguous_rows() {
        let masks = [start, start + SIDE].map(|start| mask(length, start));
        for (line, words) in (line..count).zip(&mut words) {
            _mm_prefetch::<_MM_HINT_T0>(place(line, start + DEPTH).cast());
            _mm_prefetch::<_MM_HINT_T0>(place(line, start + DEPTH + SIDE).cast());
            let low = load(line, start, masks[0]);
            let high = load(line, start + SIDE, masks[1]);
            *words = from_bh(_mm512_cvtne2ps_pbh(high, low));
        }
        Side::Left
    } else {
        const PAIRS: [u16; DEPTH] = {
            let mut places = [0; DEPTH];
            let mut word = 0;
            while word < SIDE {
                places[2 * word] = word as u16;
                places[2 * word + 1] = (SIDE + word) as u16;
                word += 1;
            }
            places
        };
        // SAFETY: the array has the 64 bytes that are read.
        let pairs = unsafe { _mm512_loadu_si512(PAIRS.as_ptr().cast()) };
        let there = mask(count, line);
        for (at, words) in (start..length).step_by(2).zip(&mut words) {
            _mm_prefetch::<_MM_HINT_T0>(place(line, at + DEPTH).cast());
            _mm_prefetch::<_MM_HINT_T0>(place(line, at + DEPTH + 1).cast());
            let low = load(line, at, there);
            let high = load(line, at + 1, if at + 1 < length { there } else { 0 });
            *words = _mm512_permutexvar_epi16(pairs, from_bh(_mm512_cvtne2ps_pbh(high, low)));
        }
        Side::Right
    };
    if side != stored {
        words = transposed(&words);
    }
    for (row, words) in tile.0.iter_mut().zip(words) {
        // SAFETY: a row has the 64 bytes that are written.
        unsafe { _mm512_storeu_ps(row.as_mut_ptr(), _mm512_castsi512_ps(words)) }
    }
}

/// Returns a mask for the 16 places from `start` on: the bit of a place is 1 if the place is before
/// `end`.
fn mask(end: usize, start: usize) -> __mmask16 {
    match end.saturating_sub(start) {
        there @ 0..SIDE => (1 << there) - 1,
        _ => __mmask16::MAX,
    }
}

/// Returns 64 bytes of bf16 numbers as integer words.
fn from_bh(numbers: std::arch::x86_64::__m512bh) -> __m512i {
    // SAFETY: both types are 64 bytes long, and every pattern of bits is valid.
    unsafe { std::mem::transmute(numbers) }
}

/// Transposes 16 × 16 words.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed(rows: &[__m512i; SIDE]) -> [__m512i; SIDE] {
    let mut pairs = *rows;
    for i in (0..SIDE).step_by(2) {
        pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    // A register has four quarters. In each quarter, fours[4·i + j] holds column j of that quarter
    // for the rows 4·i to 4·i + 3.
    let mut fours = pairs;
    for i in (0..SIDE).step_by(4) {
        fours[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
        fours[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
        fours[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
        fours[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
    }
    let mut columns = fours;
    for j in 0..4 {
        let [a, b, c, d] = [fours[j], fours[4 + j], fours[8 + j], fours[12 + j]];
        let low = [
            _mm512_shuffle_i32x4::<0x44>(a, b),
            _mm512_shuffle_i32x4::<0x44>(c, d),
        ];
        let high = [
            _mm512_shuffle_i32x4::<0xee>(a, b),
            _mm512_shuffle_i32x4::<0xee>(c, d),
        ];
        columns[j] = _mm512_shuffle_i32x4::<0x88>(low[0], low[1]);
        columns[4 + j] = _mm512_shuffle_i32x4::<0xdd>(low[0], low[1]);
        columns[8 + j] = _mm512_shuffle_i32x4::<0x88>(high[0], high[1]);
        columns[12 + j] = _mm512_shuffle_i32x4::<0xdd>(high[0], high[1]);
    }
    columns
}
