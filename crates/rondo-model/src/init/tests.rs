//! The table compared with its formulas, and drawn weights compared with the table.

use burn::tensor::Device;

use super::*;
use crate::config::{
    BlockKind, BranchScale, DeeploopScale, InitConfig, InjectionKind, LayersConfig, NormConfig,
    QkBias,
};

/// The true std of a standard normal truncated at ±3.
const TRUNCATED: f64 = 0.9866;
/// The accepted relative error of a measured std; the sampling error is 0.3 % in the smallest
/// matrix.
const MEASURED: f64 = 0.02;

fn std_of(values: &[f32]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    (values
        .iter()
        .map(|x| (f64::from(*x) - mean).powi(2))
        .sum::<f64>()
        / n)
        .sqrt()
}

#[test]
fn truncated_normals_have_0_9866_of_the_nominal_std_and_stay_within_three() {
    let init = Initializer::TruncatedNormal { std: 0.04 };
    let values = init.values(&[256, 512], 1, 0);
    assert!((std_of(&values) / (0.9866 * 0.04) - 1.0).abs() < 0.01);
    assert!(values.iter().all(|x| x.abs() <= 0.12 + 1e-6));
}

#[test]
fn the_adapter_has_the_plain_std_and_output_projections_the_small_one() {
    let config = ModelConfig {
        vocab_size: 10,
        ..ModelConfig::default()
    };
    let rows = table(&config);
    let std = |name: &str| match rows.iter().find(|row| row.name == name).map(|row| row.init) {
        Some(Initializer::TruncatedNormal { std }) => std,
        other => panic!("{name}: {other:?}"),
    };
    let base = (2.0 / (5.0 * 128.0_f64)).sqrt();
    let small = base / (2.0 * (1.0 + 16.0 * 2.0 + 1.0_f64)).sqrt();
    for (name, expected) in [
        ("tokens", base),
        ("injection.adapter", base),
        ("core.0.attention.qkv", base),
        ("core.1.attention.proj", small),
        ("coda.0.feed_forward.out_proj", small),
    ] {
        assert!((std(name) - expected).abs() < 1e-12, "{name}");
    }
}

/// Returns the structures of the three published runs, large enough for measurements.
fn published_structures() -> [(&'static str, ModelConfig); 3] {
    let main = ModelConfig {
        vocab_size: 1000,
        d_model: 256,
        n_heads: 4,
        n_kv_heads: 4,
        d_ff: 640,
        layers: LayersConfig {
            prelude: 1,
            core: 2,
            coda: 1,
        },
        ..ModelConfig::default()
    };
    let bad_run_1 = ModelConfig {
        norm: NormConfig {
            learned: false,
            ..NormConfig::default()
        },
        injection: InjectionKind::Add,
        init: InitConfig {
            scheme: InitScheme::Scaled,
            orthogonal: true,
        },
        qk_bias: QkBias::None,
        ..main.clone()
    };
    let bad_run_2 = ModelConfig {
        block: BlockKind::PreNorm,
        ..main.clone()
    };
    [
        ("main", main),
        ("bad run 1", bad_run_1),
        ("bad run 2", bad_run_2),
    ]
}

#[test]
fn the_weights_of_the_published_structures_have_the_std_of_their_table() {
    let device = Device::flex();
    let values = |weights: &Weights<'_>, row: &ParameterSpec| {
        let data = match row.shape.len() {
            1 => weights.get::<1>(&row.name).val().into_data(),
            _ => weights.get::<2>(&row.name).val().into_data(),
        };
        data.try_to_vec::<f32>().expect("weights are f32")
    };
    for (structure, config) in published_structures() {
        let weights = Weights::new(&config, 0, &device);
        for row in table(&config) {
            let name = format!("{structure}: {}", row.name);
            let values = values(&weights, &row);
            assert_eq!(values.len(), row.count(), "{name}");
            let all = |expected: f32| values.iter().all(|x| x.to_bits() == expected.to_bits());
            let nominal = match row.init {
                Initializer::Ones => {
                    assert!(all(1.0), "{name}");
                    continue;
                }
                Initializer::Zeros => {
                    assert!(all(0.0), "{name}");
                    continue;
                }
                Initializer::TruncatedNormal { std } => std,
                other @ (Initializer::Constant(_)
                | Initializer::Identity
                | Initializer::Cycle
                | Initializer::Identities { .. }) => {
                    unreachable!("{name}: no published structure has {other:?}")
                }
                Initializer::Orthogonal { std, .. } => {
                    // The vectors of the short side have equal lengths, so the root mean square is
                    // exact.
                    let squares = values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
                    let rms = (squares / values.len() as f64).sqrt();
                    assert!((rms / std - 1.0).abs() < 1e-6, "{name}: {rms} for {std}");
                    std
                }
            };
            let off = std_of(&values) / (TRUNCATED * nominal) - 1.0;
            assert!(off.abs() < MEASURED, "{name}: off by {off}");
        }
    }
}

#[test]
fn given_weights_are_asked_for_in_table_order_up_to_the_first_error() {
    let config = ModelConfig {
        vocab_size: 10,
        d_model: 8,
        d_ff: 12,
        ..ModelConfig::default()
    };
    let (device, rows) = (Device::flex(), table(&config));
    let given = |broken: Option<usize>| {
        let mut asked = Vec::new();
        let weights = Weights::given(&config, &device, |row| {
            let index = asked.len();
            asked.push(row.name.clone());
            match broken == Some(index) {
                true => Err(index),
                false => Ok(vec![index as f32; row.count()]),
            }
        });
        (weights, asked)
    };
    let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
    let (weights, asked) = given(Some(3));
    assert_eq!(weights.err(), Some(3));
    assert_eq!(asked, names[..4]);
    let (weights, asked) = given(None);
    assert_eq!(asked, names);
    let weights = weights.unwrap_or_else(|index| panic!("row {index} has values"));
    for (index, row) in rows.iter().enumerate() {
        let values = match row.shape.len() {
            1 => weights.get::<1>(&row.name).val().into_data(),
            _ => weights.get::<2>(&row.name).val().into_data(),
        };
        assert!(
            values.iter::<f32>().eq(vec![index as f32; row.count()]),
            "{}",
            row.name
        );
    }
}

#[test]
fn deeploop_draws_what_a_branch_multiplies_by_beta_and_queries_and_keys_as_ever() {
    let mut config = ModelConfig {
        vocab_size: 10,
        d_model: 64,
        d_ff: 96,
        branch_scale: BranchScale::Deeploop(DeeploopScale {
            iterations: Some(4),
        }),
        ..ModelConfig::default()
    };
    config.layers.core = 2;
    // With N = 8, β is 1/8.
    let beta = 0.125;
    let base = (2.0 / (5.0 * 64.0_f64)).sqrt() * TRUNCATED;
    let rows = table(&config);
    let columns = |name: &str, columns: std::ops::Range<usize>| {
        let index = rows.iter().position(|row| row.name == name);
        let index = index.expect("it is there");
        let values = rows[index].values(1, index as u64);
        let rows = values.chunks(rows[index].shape[1]);
        let part: Vec<f32> = rows.flat_map(|row| row[columns.clone()].to_vec()).collect();
        std_of(&part)
    };
    for (name, range, factor) in [
        ("core.1.attention.qkv", 0..128, 1.0),
        ("core.1.attention.qkv", 128..192, beta),
        ("core.1.attention.proj", 0..64, beta),
        ("core.1.feed_forward.in_proj", 0..96, 1.0),
        ("core.1.feed_forward.in_proj", 96..192, beta),
        ("core.1.feed_forward.out_proj", 0..64, beta),
        ("prelude.0.attention.qkv", 128..192, 1.0),
    ] {
        let found = columns(name, range.clone()) / (base * factor);
        assert!((found - 1.0).abs() < 0.05, "{name} {range:?}: {found}");
    }
}
