//! Tests of rows that are cut into segments: each segment has the same bits as the segment alone.

use std::ops::Range;

use super::plain::{Case, Computed};
use super::*;
use crate::attention::segments::parts;
use crate::attention::tile::{KEYS, QUERIES};
use crate::threads::one_and_two;

/// The lengths of a row's segments: some are short, and some are near the size of a tile.
const LENGTHS: [usize; 9] = [
    1,
    2,
    QUERIES - 1,
    QUERIES,
    QUERIES + 1,
    1,
    KEYS + 1,
    2 * KEYS + 37,
    3,
];

/// Returns two rows of segments of these lengths. The second row has the reverse order.
fn segments(lengths: &[usize]) -> Segments {
    let seq = lengths.iter().sum();
    let row = |lengths: &mut dyn Iterator<Item = &usize>| -> Vec<bool> {
        lengths
            .flat_map(|&length| (1..=length).map(move |token| token == length))
            .collect()
    };
    let ends = [row(&mut lengths.iter()), row(&mut lengths.iter().rev())].concat();
    Segments::behind(&ends, seq, |ends| ends)
}

/// Returns a case with two rows of segments of these lengths.
fn packed([heads, kv_heads, d_head]: [usize; 3], lengths: &[usize]) -> Case {
    let segments = segments(lengths);
    let mut case = Case::new([2, segments.seq(), heads, kv_heads, d_head], 2.0);
    case.segments = Some(segments);
    case
}

/// Returns the rows `part` of a buffer; each row has `width` elements.
fn rows(x: &[f32], width: usize, part: &Range<usize>) -> Vec<f32> {
    x[part.start * width..part.end * width].to_vec()
}

impl Case {
    /// Returns a case with only this segment, as a single sequence.
    fn alone(&self, part: &Range<usize>) -> Self {
        let mut alone = self.clone();
        let shape = self.layer.shape;
        alone.segments = None;
        alone.layer = Layer {
            shape: Shape {
                batch: 1,
                seq: part.len(),
                ..shape
            },
            qkv: rows(&self.layer.qkv, shape.qkv_width(), part),
            d_attended: rows(&self.layer.d_attended, shape.attended_width(), part),
        };
        alone.with_as_many_angles()
    }

    /// Checks that forward and backward give every segment the same bits as the segment alone.
    #[track_caller]
    fn check_alone(&self) {
        let Computed {
            prepared,
            kept,
            attended,
            lse,
            d_prepared,
            d_qkv,
            ..
        } = self.compute();
        let shape = self.layer.shape;
        let segments = self.segments.as_ref().expect("a case with segments");
        for row in 0..shape.batch {
            for own in parts(Some(segments), row, shape.seq) {
                let part = row * shape.seq + own.start..row * shape.seq + own.end;
                let alone = self.alone(&part).compute();
                let same = |what: &str, packed: &[f32], width, alone: &[f32]| {
                    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    let packed = bits(&rows(packed, width, &part));
                    assert!(packed == bits(alone), "{what} of {own:?} in row {row}");
                };
                same("prepared", &prepared, shape.qkv_width(), &alone.prepared);
                let of_token = kept.len() / shape.rows();
                same("kept", &kept, of_token, &alone.kept);
                let width = shape.attended_width();
                same("attended", &attended, width, &alone.attended);
                same(
                    "d_prepared",
                    &d_prepared,
                    shape.qkv_width(),
                    &alone.d_prepared,
                );
                same("d_qkv", &d_qkv, shape.qkv_width(), &alone.d_qkv);
                for (head, alone) in alone.lse.chunks_exact(own.len()).enumerate() {
                    let lse = &lse[(row * shape.heads + head) * shape.seq..][own.clone()];
                    assert_eq!(lse, alone, "lse of {own:?} in row {row}");
                }
            }
        }
    }
}

#[test]
fn every_segment_has_the_bits_that_it_has_alone() {
    for heads in [[1, 1, 16], [4, 2, 12], [6, 2, 64]] {
        packed(heads, &LENGTHS).check_alone();
        packed(heads, &LENGTHS)
            .with_bias()
            .with_rope()
            .with_norm()
            .check_alone();
        for over in [NormedOver::Heads, NormedOver::Width] {
            packed(heads, &LENGTHS)
                .with_bias_of_values()
                .with_rope()
                .with_halves()
                .with_norm_over(over)
                .check_alone();
        }
    }
}

#[test]
fn every_part_of_the_preparation_counts_positions_in_the_segment() {
    for parts in 0..8 {
        let mut case = packed([4, 2, 8], &[3, 1, 5, 70, 2]);
        if parts & 1 > 0 {
            case = case.with_bias();
        }
        if parts & 2 > 0 {
            case = case.with_rope();
        }
        if parts & 4 > 0 {
            case = case.with_norm();
        }
        case.check_alone();
        case.check(TOLERANCE);
    }
}

#[test]
fn segments_of_every_length_are_those_of_f64() {
    for heads in [[2, 1, 16], [3, 3, 5]] {
        packed(heads, &LENGTHS).check(TOLERANCE);
    }
    let case = packed([4, 2, 16], &LENGTHS);
    case.with_bias().with_rope().with_norm().check(TOLERANCE);
}

#[test]
fn one_segment_in_each_row_has_the_bits_of_whole_rows() {
    let whole = Case::new([2, 150, 4, 2, 16], 2.0).with_rope();
    let mut one = whole.clone();
    one.segments = Some(Segments::behind(&[0; 300], 150, |_| false));
    let (whole, one) = (whole.compute(), one.compute());
    assert_eq!(whole.attended, one.attended);
    assert_eq!(whole.lse, one.lse);
    assert_eq!(whole.d_qkv, one.d_qkv);
}

#[test]
fn one_thread_and_two_give_the_same_bits_of_segments() {
    let case = packed([4, 2, 16], &LENGTHS).with_bias().with_rope();
    let [one, two] = one_and_two(|| {
        let computed = case.compute();
        let d_bias = computed.gradients.bias.expect("a bias");
        [computed.attended, computed.lse, computed.d_qkv, d_bias]
            .concat()
            .into_iter()
            .map(f32::to_bits)
            .collect::<Vec<u32>>()
    });
    assert_eq!(one, two);
}

#[test]
#[should_panic(expected = "segments of")]
fn segments_of_another_batch_are_refused() {
    let mut case = Case::new([1, 6, 1, 1, 4], 1.0);
    case.segments = Some(Segments::behind(&[0; 8], 4, |_| false));
    case.compute();
}
