//! Compares the initial weights of loops with values from the authors' code (tests/golden/tying).

use std::path::{Path, PathBuf};

use rondo_files::{NamedTensor, TensorFile};

use super::*;

/// The tolerances that the golden values state: for shared weights, and for the products of pairs.
const OF_SHARED: f32 = 1e-6;
const OF_PRODUCTS: f32 = 2e-5;
/// The tolerance for an arm in which a matrix has nearly equal fourth and fifth singular values.
const OF_CLOSE: f32 = 2e-4;

const LAYERS: usize = 6;

fn golden(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("../../tests/golden").join(path)
}

fn stack() -> Import {
    Import::open(&golden("hf-tiny/tinyllama")).expect("the golden model is whole")
}

/// Matrices by name, with their shapes and values. A vector is a matrix with one row.
struct Known(BTreeMap<String, ([usize; 2], Vec<f32>)>);

impl Known {
    fn read() -> Self {
        let bytes = std::fs::read(golden("tying/mor-svd.safetensors")).expect("readable");
        let file = TensorFile::parse(&bytes).expect("whole");
        let matrix = |tensor: &NamedTensor<'_>| {
            let shape = match *tensor.shape.as_slice() {
                [rows, cols] => [rows, cols],
                _ => [1, tensor.shape.iter().product()],
            };
            let values = tensor.f32_values().expect("f32");
            (tensor.name.clone(), (shape, values))
        };
        Self(file.tensors().iter().map(matrix).collect())
    }

    fn get(&self, name: &str) -> ([usize; 2], Vec<f32>) {
        let found = self.0.get(name).unwrap_or_else(|| panic!("no {name}"));
        found.clone()
    }

    /// Returns a matrix transposed, as this program stores it.
    fn turned(&self, name: &str) -> Vec<f32> {
        let ([rows, cols], values) = self.get(name);
        (0..rows * cols)
            .map(|place| values[place % rows * cols + place / rows])
            .collect()
    }

    /// Returns `(B A)ᵀ` of a pair.
    fn product(&self, pair: &str) -> Vec<f32> {
        let ([rank, d_in], a) = self.get(&format!("{pair}.A"));
        let ([d_out, _], b) = self.get(&format!("{pair}.B"));
        let one = |i: usize, o: usize| {
            let terms = (0..rank).map(|r| f64::from(a[r * d_in + i]) * f64::from(b[o * rank + r]));
            terms.sum::<f64>() as f32
        };
        (0..d_in)
            .flat_map(|i| (0..d_out).map(move |o| (i, o)))
            .map(|(i, o)| one(i, o))
            .collect()
    }
}

/// Returns `Aᵀ B` of the rows of a pair.
fn product(a: &[f32], b: &[f32], rank: usize) -> Vec<f32> {
    let (d_in, d_out) = (a.len() / rank, b.len() / rank);
    let one = |i: usize, o: usize| {
        let terms = (0..rank).map(|r| f64::from(a[r * d_in + i]) * f64::from(b[r * d_out + o]));
        terms.sum::<f64>() as f32
    };
    (0..d_in * d_out)
        .map(|place| one(place / d_out, place % d_out))
        .collect()
}

#[track_caller]
fn close(name: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let worst = differences.fold(0.0, f32::max);
    assert!(worst < tolerance, "{name}: {worst}");
}

/// Returns a loop for the comparison of values, even for a rule that this program cannot run.
fn looping(import: &Import, tying: Tying, loops: usize, rank: usize) -> Looping<'_> {
    match tying {
        Tying::SequenceAverage => {
            let mut looping = looping(import, Tying::CycleAverage, loops, rank);
            looping.shares = tying.share(LAYERS, loops).expect("evenly");
            looping
        }
        _ => Looping::new(import, tying, loops, Some(rank)).expect("a stack"),
    }
}

/// Returns the layer of the core and the iteration that replace a layer of the stack; `None` if the
/// layer is not shared.
fn place_of(shares: &Shares, layer: usize) -> Option<(usize, usize)> {
    shares.groups.iter().enumerate().find_map(|(group, one)| {
        let turn = one.layers.iter().position(|member| *member == layer)?;
        Some((group, turn))
    })
}

#[test]
fn shared_weights_and_products_of_pairs_are_those_of_the_authors_code() {
    let (import, known) = (stack(), Known::read());
    for (name, tying, loops, tolerance) in [
        ("cycle-average", Tying::CycleAverage, 3, OF_PRODUCTS),
        ("cycle-stepwise", Tying::CycleStepwise, 3, OF_PRODUCTS),
        ("sequence-average", Tying::SequenceAverage, 3, OF_CLOSE),
        (
            "middle_cycle-lower",
            Tying::MiddleCycleLower,
            2,
            OF_PRODUCTS,
        ),
    ] {
        let looping = looping(&import, tying, loops, 4);
        for layer in 0..LAYERS {
            let there = |part: &str| format!("{name}.shared.model.layers.{layer}.{part}.weight");
            let place = place_of(&looping.shares, layer);
            let here = match place {
                Some((group, _)) => format!("core.{group}"),
                None if layer == 0 => "prelude.0".to_owned(),
                None => "coda.0".to_owned(),
            };
            let norm = looping.values(&format!("{here}.attn_in.scale"));
            let (_, expected) = known.get(&there("input_layernorm"));
            close(name, &norm.expect("readable"), &expected, OF_SHARED);
            let qkv = looping.values(&format!("{here}.attention.qkv"));
            let (_, columns, width) = looping.columns(LoraMatrix::Query);
            let rows = qkv.expect("readable");
            let queries = rows
                .chunks(width)
                .flat_map(|row| row[columns.clone()].to_vec());
            let queries: Vec<f32> = queries.collect();
            let expected = known.turned(&there("self_attn.q_proj"));
            close(name, &queries, &expected, OF_SHARED);
            let Some((group, turn)) = place else { continue };
            for (matrix, theirs) in [
                (LoraMatrix::Query, "q_proj"),
                (LoraMatrix::Key, "k_proj"),
                (LoraMatrix::Down, "down_proj"),
            ] {
                let [a, b] = ["a", "b"].map(|half| {
                    let all = looping.values(&lora::name(group, matrix, half));
                    let all = all.expect("readable");
                    let one = all.len() / loops;
                    all[turn * one..(turn + 1) * one].to_vec()
                });
                let expected = known.product(&format!("{name}.rank4.{layer}.{theirs}"));
                let what = format!("{name}, layer {layer}, {theirs}");
                close(&what, &product(&a, &b, 4), &expected, tolerance);
            }
        }
    }
}

#[test]
fn pairs_of_full_rank_are_all_that_a_layer_has_beyond_what_it_shares() {
    let (import, known) = (stack(), Known::read());
    let looping = looping(&import, Tying::CycleAverage, 3, 48);
    for layer in 0..LAYERS {
        let (group, turn) = place_of(&looping.shares, layer).expect("all are shared");
        let [a, b] = ["a", "b"].map(|half| {
            let all = looping.values(&lora::name(group, LoraMatrix::Key, half));
            let all = all.expect("readable");
            let one = all.len() / 3;
            all[turn * one..(turn + 1) * one].to_vec()
        });
        // The matrix of the keys has 16 columns, so 16 is its largest rank.
        let found = product(&a, &b, 16);
        let expected = known.product(&format!("cycle-average.rank48.{layer}.k_proj"));
        close("k_proj", &found, &expected, OF_PRODUCTS);
        let (part, columns, width) = looping.columns(LoraMatrix::Key);
        let [own, shared] = [
            looping.of_layer(layer, part).expect("readable"),
            looping.shared(group, part).expect("readable"),
        ];
        let rows = own.chunks(width).zip(shared.chunks(width));
        let differences: Vec<f32> = rows
            .flat_map(|(own, shared)| {
                let columns = columns.clone();
                columns.map(|column| own[column] - shared[column])
            })
            .collect();
        close("k_proj", &found, &differences, OF_SHARED);
    }
}

#[test]
fn what_is_no_stack_or_no_loop_here_is_refused() {
    let import = stack();
    let refused = |tying, loops| {
        let refused = Looping::new(&import, tying, loops, None).err();
        refused.unwrap_or_else(|| panic!("{tying:?} is not refused"))
    };
    assert!(refused(Tying::SequenceAverage, 3).contains("in turn"));
    assert!(refused(Tying::CycleAverage, 4).contains("6 layers"));
    let ouro = Import::open(&golden("ouro-tiny")).expect("whole");
    let refused = Looping::new(&ouro, Tying::CycleAverage, 2, None).err();
    let reason = refused.expect("a loop is refused");
    assert!(reason.contains("already a loop"), "{reason}");
}

#[test]
fn every_parameter_of_the_loop_has_as_many_values_as_it_needs() {
    let import = stack();
    for (tying, loops, rank) in [
        (Tying::CycleStepwise, 2, None),
        (Tying::MiddleCycleLower, 4, Some(3)),
    ] {
        let looping = Looping::new(&import, tying, loops, rank).expect("a stack");
        for row in table(looping.model()) {
            let values = looping.values(&row.name).expect("readable");
            assert_eq!(values.len(), row.count(), "{}", row.name);
        }
    }
}
