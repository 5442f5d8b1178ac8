//! Tests of attention: its results and gradients against f64, and its use of memory.

use cubecl::MemoryScope;

use super::*;
use crate::testing::{TestDevice, alone, assert_close, device, values};

mod reference;

use self::reference::Case;

/// Runs the forward and the backward pass on rows, and compares every number with f64.
fn check_rows(device: &TestDevice, case: &Case) {
    let expected = case.expected();
    let (attended, d_rows) = run(device, case);
    for (name, found, expected) in [
        ("out", values(attended.out), expected.out),
        ("lse", values(attended.lse), expected.lse),
        ("d_rows", values(d_rows), expected.d_rows),
    ] {
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, [expected, terms]) in found.iter().zip(expected) {
            assert_close(*found, expected, terms);
        }
    }
}

fn run(device: &TestDevice, case: &Case) -> (Attended, CubeTensor) {
    let layout = case.layout;
    let [rows, queries] = [layout.batch * layout.seq, layout.queries * layout.d_head];
    let of_rows = device.tensor(&case.rows, [rows, layout.width()]);
    let biased = [layout.queries + layout.keys, layout.d_head];
    let bias = case.bias.as_ref().map(|x| device.tensor(x, biased));
    let [cos, sin] = [&case.cos, &case.sin].map(|x| device.tensor(x, [layout.seq, layout.d_head]));
    let firsts = case.firsts.as_ref().map(|x| {
        let firsts: Vec<i32> = x.iter().map(|first| *first as i32).collect();
        crate::tensor::reshaped(device.ids(&firsts), [layout.batch, layout.seq])
    });
    let attention = InRows {
        layout,
        rows: &of_rows,
        bias: bias.as_ref(),
        tables: Tables {
            cos: &cos,
            sin: &sin,
        },
        firsts: firsts.as_ref(),
    };
    let attended = attention.forward();
    let d_out = device.tensor(&case.d_out, [rows, queries]);
    let d_rows = attention.backward(&attended, &d_out);
    (attended, d_rows)
}

#[test]
fn the_gradient_in_f64_is_that_of_its_differences() {
    for case in [
        Case::new([2, 5, 4, 2, 4]),
        Case::new([1, 6, 2, 1, 6]).with_bias(),
        Case::new([2, 7, 2, 2, 2]).with_bias().with_segments(3),
    ] {
        let expected = case.expected();
        for at in 0..case.rows.len() {
            let step = 1e-4;
            let [up, down] = [step, -step].map(|step| {
                let mut rows: Vec<f64> = case.rows.iter().copied().map(f64::from).collect();
                rows[at] += step;
                case.loss(&rows)
            });
            let slope = (up - down) / (2.0 * step);
            let [gradient, _] = expected.d_rows[at];
            assert!(
                (slope - gradient).abs() < 1e-7,
                "{at}: {slope} is not {gradient}"
            );
        }
    }
}

#[test]
fn every_length_and_head_size_is_that_of_f64() {
    let Some(device) = device() else { return };
    for d_head in [32, 48, 64, 80, 96, 128] {
        for seq in [1, 2, 63, 64, 65, 257] {
            check_rows(&device, &Case::new([1, seq, 2, 1, d_head]).with_bias());
        }
    }
}

#[test]
fn every_number_of_heads_is_that_of_f64() {
    let Some(device) = device() else { return };
    for heads in 1..=8 {
        for keys in (1..=heads).filter(|keys| heads % keys == 0) {
            check_rows(&device, &Case::new([2, 33, heads, keys, 32]));
        }
    }
}

#[test]
fn heads_that_fill_no_chunk_and_long_ones_are_those_of_f64() {
    let Some(device) = device() else { return };
    for [seq, d_head] in [[70, 6], [65, 34], [9, 256]] {
        check_rows(&device, &Case::new([2, seq, 2, 2, d_head]).with_bias());
    }
}

#[test]
fn segments_are_those_of_f64() {
    let Some(device) = device() else { return };
    for ([batch, seq, heads, keys, d_head], every) in [
        ([2, 40, 2, 1, 8], 1),
        ([1, 200, 2, 2, 8], 7),
        ([2, 257, 4, 2, 32], 150),
        ([1, 300, 1, 1, 32], 64),
    ] {
        let case = Case::new([batch, seq, heads, keys, d_head]).with_bias();
        check_rows(&device, &case.with_segments(every));
    }
}

#[test]
fn heads_apart_are_those_of_f64_with_and_without_a_causal_order() {
    let Some(device) = device() else { return };
    for ([batch, heads, key_heads], [queries, keys], d_head, causal) in [
        ([2, 4, 2], [65, 65], 32, true),
        ([2, 4, 2], [1, 70], 32, false),
        ([1, 3, 3], [1, 1], 32, false),
        ([1, 2, 1], [20, 131], 32, false),
    ] {
        let case =
            reference::ApartCase::new([batch, heads, key_heads], [queries, keys], d_head, causal);
        let expected = case.expected();
        let shape = |heads, positions| [batch, heads, positions, d_head];
        let [of_queries, d_out] =
            [&case.queries, &case.d_out].map(|x| device.tensor(x, shape(heads, queries)));
        let [of_keys, of_values] =
            [&case.keys, &case.values].map(|x| device.tensor(x, shape(key_heads, keys)));
        let apart = Apart {
            queries: &of_queries,
            keys: &of_keys,
            values: &of_values,
            causal,
        };
        let attended = apart.forward();
        let gradients = apart.backward(&attended, &d_out);
        for (found, expected) in [
            (attended.out, &expected.out),
            (attended.lse, &expected.lse),
            (gradients.queries, &expected.d_queries),
            (gradients.keys, &expected.d_keys),
            (gradients.values, &expected.d_values),
        ] {
            let found = values(found);
            assert_eq!(found.len(), expected.len());
            for (found, [expected, terms]) in found.iter().zip(expected) {
                assert_close(*found, *expected, *terms);
            }
        }
    }
}

/// A tile for software drivers and a tile for GPUs give the same bits.
#[test]
fn a_tile_of_many_numbers_gives_what_one_of_few_does() {
    let Some(device) = device() else { return };
    let case = reference::ApartCase::new([1, 2, 1], [70, 70], 64, true);
    let shape = |heads| [1, heads, 70, 64];
    let [queries, d_out] = [&case.queries, &case.d_out].map(|x| device.tensor(x, shape(2)));
    let [keys, of_values] = [&case.keys, &case.values].map(|x| device.tensor(x, shape(1)));
    let apart = Apart {
        queries: &queries,
        keys: &keys,
        values: &of_values,
        causal: true,
    };
    let [many, few] = [Kept::Many, Kept::Few].map(|kept| {
        let problem = Problem {
            kept,
            ..apart.problem()
        };
        let attended = problem.forward(queries.shape());
        let [d_queries, d_keys, d_values] =
            [&queries, &keys, &of_values].map(|x| empty(x, x.shape()));
        problem.backward(&attended, &d_out, [&d_queries, &d_keys, &d_values]);
        let tile = problem.tile([1, 1]);
        assert_eq!(tile.rows, if kept == Kept::Many { 8 } else { 4 });
        [attended.out, attended.lse, d_queries, d_keys, d_values].map(values)
    });
    // Both tiles add in the same order.
    assert_eq!(many, few);
}

#[test]
fn scores_of_thousands_are_finite_and_a_token_does_not_see_those_after_it() {
    let Some(device) = device() else { return };
    let mut case = Case::new([1, 130, 2, 1, 16]);
    case.rows.iter_mut().for_each(|x| *x *= 100.0);
    let (before, d_rows) = run(&device, &case);
    let before = values(before.out);
    assert!(before.iter().chain(&values(d_rows)).all(|x| x.is_finite()));
    let start = 77 * case.layout.width();
    case.rows[start..].iter_mut().for_each(|x| *x += 1.0);
    let after = values(run(&device, &case).0.out);
    let start = 77 * 2 * 16;
    assert_eq!(before[..start], after[..start]);
    assert_ne!(before[start..], after[start..]);
}

#[test]
fn two_runs_give_the_same_bits() {
    let Some(device) = device() else { return };
    let case = Case::new([2, 150, 4, 2, 48]).with_bias();
    let bits = || {
        let (attended, d_rows) = run(&device, &case);
        let all = [values(attended.out), values(attended.lse), values(d_rows)].concat();
        all.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
    };
    assert_eq!(bits(), bits());
}

#[test]
#[should_panic(expected = "causal queries")]
fn causal_queries_are_as_many_as_the_keys() {
    let Some(device) = device() else {
        panic!("causal queries are refused where there is a device");
    };
    let queries = device.tensor(&[0.0; 4], [1, 1, 2, 2]);
    let keys = device.tensor(&[0.0; 6], [1, 1, 3, 2]);
    let apart = Apart {
        queries: &queries,
        keys: &keys,
        values: &keys,
        causal: true,
    };
    apart.forward();
}

#[test]
fn memory_grows_with_the_length_and_not_with_its_square() {
    let Some(device) = device() else { return };
    if !alone("attention::tests::memory_grows_with_the_length_and_not_with_its_square") {
        return;
    }
    let mut reserved = Vec::new();
    for seq in [256, 512, 1024] {
        let case = Case::new([1, seq, 2, 2, 8]);
        let client = device.tensor(&[0.0], [1]).client;
        values(run(&device, &case).1);
        let report = client.memory_report(MemoryScope::Device);
        let pools = report
            .streams
            .iter()
            .flat_map(|stream| &stream.pools.dynamic);
        let largest = pools.map(|pool| pool.largest_alloc).max();
        // The tensor of queries, keys and values is the largest one. The scores of two heads would
        // be seq / 24 times as large.
        let rows = 4 * seq * case.layout.width();
        assert_eq!(largest, Some(rows as u64), "{seq}");
        reserved.push(report.usage().bytes_reserved);
    }
    assert!(reserved[2] <= 4 * reserved[0], "{reserved:?}");
}
