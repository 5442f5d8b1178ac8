//! Tests against f64 that the gradients of queries and keys are rotated back.

use super::*;
use crate::testing::{Numbers, assert_close, device, values};

#[test]
fn gradients_of_queries_and_keys_are_turned_back_by_their_position_in_the_segment() {
    let Some(device) = device() else { return };
    for ([batch, seq, queries, keys, d_head], every) in [
        ([1, 1, 1, 1, 2], None),
        ([2, 63, 3, 3, 10], None),
        ([1, 65, 4, 2, 6], Some(7)),
        ([3, 5, 6, 1, 8], Some(2)),
    ] {
        let layout = Layout {
            batch,
            seq,
            queries,
            keys,
            d_head,
        };
        let mut numbers = Numbers::new(1.0);
        let angles = numbers.vector(seq * d_head / 2);
        let table = |of: fn(f32) -> f32, signs: [f32; 2]| -> Vec<f32> {
            let both = angles.iter().flat_map(|x| signs.map(|sign| sign * of(*x)));
            both.collect()
        };
        let (cos, sin) = (table(f32::cos, [1.0, 1.0]), table(f32::sin, [-1.0, 1.0]));
        let rows = numbers.vector(batch * seq * layout.width());
        let first = |place: usize| every.map_or(0, |every| place / every * every);
        let firsts: Vec<i32> = (0..batch * seq)
            .map(|row| first(row % seq) as i32)
            .collect();
        let [of_cos, of_sin] = [&cos, &sin].map(|x| device.tensor(x, [seq, d_head]));
        let tables = Tables {
            cos: &of_cos,
            sin: &of_sin,
        };
        let firsts = every.map(|_| device.ids(&firsts));
        let given = device.tensor(&rows, [batch * seq, layout.width()]);
        let found = values(turn_back(layout, given, tables, firsts.as_ref()));
        for (at, found) in found.into_iter().enumerate() {
            let (row, column) = (at / layout.width(), at % layout.width());
            let number = |column: usize| f64::from(rows[row * layout.width() + column]);
            if column >= (queries + keys) * d_head {
                assert_close(found, number(column), 0.0);
                continue;
            }
            let position = row % seq - first(row % seq);
            let angle = |table: &[f32], i: usize| f64::from(table[position * d_head + i]);
            let (i, other) = (column % d_head, column ^ 1);
            let terms = [
                number(column) * angle(&cos, i),
                number(other) * angle(&sin, i ^ 1),
            ];
            let size = terms.iter().map(|x| x.abs()).sum();
            assert_close(found, terms.iter().sum(), size);
        }
    }
}
