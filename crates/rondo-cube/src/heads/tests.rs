//! Heads and their gradients against f64.

use super::*;
use crate::testing::{Numbers, TestDevice, assert_close, device, values};

/// Rows with what belongs to them, on the host and on the device.
struct Case {
    layout: Layout,
    rows: Vec<f32>,
    bias: Vec<f32>,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Case {
    fn new(layout: Layout) -> Self {
        let mut numbers = Numbers::new(1.0);
        let pairs: Vec<f32> = numbers.vector(layout.seq * layout.d_head / 2);
        let doubled = |of: fn(f32) -> f32, signs: [f32; 2]| {
            let both = pairs.iter().flat_map(|x| signs.map(|sign| sign * of(*x)));
            both.collect::<Vec<f32>>()
        };
        Self {
            layout,
            rows: numbers.vector(layout.batch * layout.seq * layout.width()),
            bias: numbers.vector((layout.queries + layout.keys) * layout.d_head),
            cos: doubled(f32::cos, [1.0, 1.0]),
            sin: doubled(f32::sin, [-1.0, 1.0]),
        }
    }

    fn with_tables<T>(&self, device: &TestDevice, run: impl Fn(Tables<'_>) -> T) -> T {
        let table = |x: &[f32]| device.tensor(x, [self.layout.seq, self.layout.d_head]);
        let (cos, sin) = (table(&self.cos), table(&self.sin));
        run(Tables {
            cos: &cos,
            sin: &sin,
        })
    }

    /// Number i of a row's head after the bias.
    fn biased(&self, row: usize, head: usize, i: usize, biased: bool) -> f64 {
        let (layout, column) = (&self.layout, head * self.layout.d_head + i);
        let bias = match biased {
            true => f64::from(self.bias[column]),
            false => 0.0,
        };
        f64::from(self.rows[row * layout.width() + column]) + bias
    }

    /// Cosine and sine of number i at a position.
    fn turn(&self, position: usize, i: usize) -> [f64; 2] {
        let at = position * self.layout.d_head + i;
        [f64::from(self.cos[at]), f64::from(self.sin[at])]
    }

    fn places(&self) -> impl Iterator<Item = [usize; 4]> {
        let [batch, heads, seq, d_head] = self.layout.of_heads();
        (0..batch * heads * seq * d_head).map(move |at| {
            let (position, head) = (at / d_head % seq, at / (d_head * seq) % heads);
            [at / (d_head * seq * heads), head, position, at % d_head]
        })
    }
}

fn layouts() -> [Layout; 4] {
    let layout = |[batch, seq, queries, keys, d_head]: [usize; 5]| Layout {
        batch,
        seq,
        queries,
        keys,
        d_head,
    };
    [
        [1, 1, 1, 1, 2],
        [2, 63, 3, 3, 10],
        [1, 65, 4, 2, 6],
        [3, 5, 6, 1, 8],
    ]
    .map(layout)
}

#[test]
fn heads_are_rotated_after_their_bias_and_repeated() {
    let Some(device) = device() else { return };
    for layout in layouts() {
        let case = Case::new(layout);
        let rows = device.tensor(&case.rows, [layout.batch * layout.seq, layout.width()]);
        let biased = [layout.queries + layout.keys, layout.d_head];
        let bias = device.tensor(&case.bias, biased);
        for given in [None, Some(&bias)] {
            let heads = case.with_tables(&device, |tables| split(layout, &rows, given, tables));
            let found = [heads.queries, heads.keys, heads.values].map(values);
            for (at, [sequence, head, position, i]) in case.places().enumerate() {
                let row = sequence * layout.seq + position;
                let served = layout.queries + head / (layout.queries / layout.keys);
                let [c, s] = case.turn(position, i);
                for (found, head) in [(&found[0], head), (&found[1], served)] {
                    let [x, y] = [i, i ^ 1].map(|i| case.biased(row, head, i, given.is_some()));
                    // The bias is added in f32, too.
                    let size = 2.0 * (x.abs() + y.abs() + 2.0);
                    assert_close(found[at], x * c + y * s, size);
                }
                let value = case.biased(row, served + layout.keys, i, false);
                assert_close(found[2][at], value, 0.0);
            }
        }
    }
}

#[test]
fn gradients_are_turned_back_and_summed_over_the_heads_that_a_key_serves() {
    let Some(device) = device() else { return };
    for layout in layouts() {
        let case = Case::new(layout);
        let mut numbers = Numbers::new(2.0);
        let count = case.places().count();
        let given = [(); 3].map(|()| numbers.vector(count));
        let [queries, keys, values_of] = given
            .each_ref()
            .map(|x| device.tensor(x, layout.of_heads()));
        let heads = Heads {
            queries,
            keys,
            values: values_of,
        };
        let found = values(case.with_tables(&device, |tables| merge(layout, &heads, tables)));
        let mut expected = vec![[0.0_f64; 2]; layout.batch * layout.seq * layout.width()];
        for (at, [sequence, head, position, i]) in case.places().enumerate() {
            let row = (sequence * layout.seq + position) * layout.width();
            let served = layout.queries + head / (layout.queries / layout.keys);
            let mut add = |head: usize, i: usize, d: f64| {
                let sum = &mut expected[row + head * layout.d_head + i];
                sum[0] += d;
                sum[1] += d.abs();
            };
            let [c, s] = case.turn(position, i);
            for (given, head) in [(&given[0], head), (&given[1], served)] {
                let d = f64::from(given[at]);
                add(head, i, d * c);
                add(head, i ^ 1, d * s);
            }
            add(served + layout.keys, i, f64::from(given[2][at]));
        }
        assert_eq!(found.len(), expected.len());
        for (found, [expected, terms]) in found.iter().zip(expected) {
            assert_close(*found, expected, terms);
        }
    }
}
