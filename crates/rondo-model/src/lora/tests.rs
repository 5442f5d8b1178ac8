//! The additions of a row, computed by hand.

use std::convert::Infallible;

use burn::tensor::Device;

use super::*;
use crate::config::LayersConfig;
use crate::init::ParameterSpec;

/// Returns a model with two features, one head, an MLP with one unit, and pairs of rank 1 for two
/// iterations.
fn config(matrices: Vec<LoraMatrix>) -> ModelConfig {
    ModelConfig {
        vocab_size: 3,
        d_model: 2,
        n_heads: 1,
        n_kv_heads: 1,
        d_ff: 1,
        layers: LayersConfig {
            prelude: 0,
            core: 1,
            coda: 0,
        },
        lora: Some(LoraConfig {
            rank: 1,
            iterations: Some(2),
            beyond: Beyond::Cycle,
            matrices,
        }),
        ..ModelConfig::default()
    }
}

fn lora(config: &ModelConfig, values: impl Fn(&str) -> Option<Vec<f32>>) -> Lora {
    let device = Device::flex();
    let values = |row: &ParameterSpec| {
        let zeros = || vec![0.0; row.count()];
        Ok::<_, Infallible>(values(&row.name).unwrap_or_else(zeros))
    };
    let Ok(weights) = Weights::given(config, &device, values);
    Lora::new(config, &weights).expect("it is configured")
}

fn numbers(x: &Tensor<2>) -> Vec<f32> {
    x.clone().into_data().iter().collect()
}

#[test]
fn each_row_adds_the_product_of_its_halves_in_the_columns_of_its_matrix() {
    let config = config(vec![LoraMatrix::Key, LoraMatrix::Down]);
    let lora = lora(&config, |name| match name {
        // A is the column (1, 2) in the first iteration and (3, 4) in the second.
        "lora.layers.0.key.a" => Some(vec![1.0, 2.0, 3.0, 4.0]),
        "lora.layers.0.key.b" => Some(vec![10.0, 20.0, 1.0, 0.0]),
        "lora.layers.0.down.a" => Some(vec![1.0, 2.0]),
        "lora.layers.0.down.b" => Some(vec![5.0, 6.0, 7.0, 8.0]),
        _ => None,
    });
    let of = |row| {
        let [one] = lora.additions(row).try_into().expect("one layer");
        let Additions {
            attention: [qkv, proj],
            feed_forward: [in_proj, out_proj],
        } = one;
        assert!(proj.is_none() && in_proj.is_none());
        [qkv, out_proj].map(|added| numbers(&added.expect("it has a pair")))
    };
    let [qkv, down] = of(0);
    // A row has two columns of queries, two of keys and two of values.
    let first = [0.0, 0.0, 10.0, 20.0, 0.0, 0.0];
    let second = [0.0, 0.0, 20.0, 40.0, 0.0, 0.0];
    assert_eq!(qkv, [first, second].concat());
    assert_eq!(down, [5.0, 6.0]);
    let [qkv, down] = of(1);
    let first = [0.0, 0.0, 3.0, 0.0, 0.0, 0.0];
    let second = [0.0, 0.0, 4.0, 0.0, 0.0, 0.0];
    assert_eq!(qkv, [first, second].concat());
    assert_eq!(down, [14.0, 16.0]);
    assert_eq!([0, 1, 2, 3].map(|done| lora.row(done)), [0, 1, 0, 1]);
}

#[test]
fn the_rank_is_no_larger_than_a_side_and_b_starts_at_zero() {
    let mut config = config(LoraMatrix::ALL.into());
    if let Some(lora) = &mut config.lora {
        lora.rank = 9;
    }
    let rows = crate::init::table(&config);
    let shape = |name: &str| {
        let row = rows.iter().find(|row| row.name == name);
        row.map(|row| row.shape.clone()).expect("it is there")
    };
    assert_eq!(shape("lora.layers.0.query.a"), [4, 2]);
    assert_eq!(shape("lora.layers.0.gate.a"), [2, 2]);
    assert_eq!(shape("lora.layers.0.gate.b"), [2, 1]);
    let pairs: Vec<&ParameterSpec> = rows.iter().filter(|row| row.part == Part::Lora).collect();
    assert_eq!(pairs.len(), 14);
    for row in pairs {
        assert_eq!(
            row.init == Initializer::Zeros,
            row.name.rsplit('.').next() == Some("b")
        );
    }
}
