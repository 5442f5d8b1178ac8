//! Lists every parameter of the three published structures at the published width, with its name,
//! shape, initialiser and standard deviation (arXiv 2502.05171, §4.1 and §4.3).

use std::fmt::Write;

use rondo_model::census::Census;
use rondo_model::config::{ModelConfig, ModelSection};
use rondo_model::init::{Initializer, table};
use serde::Deserialize;

use crate::harness::{assert_ok, golden, run};

/// Overrides that give a configuration the published shape. The configuration itself already has
/// the published structure.
const PUBLISHED_SHAPE: [&str; 11] = [
    "data.tokenizer={ kind = \"bpe\", vocab_size = 65536 }",
    "model.vocab_size=65536",
    "model.d_model=5280",
    "model.n_heads=55",
    "model.d_ff=17920",
    "model.context=4096",
    "model.layers.prelude=2",
    "model.layers.core=4",
    "model.layers.coda=2",
    "model.recurrence.mean=32",
    "model.recurrence.backprop_depth=8",
];

/// Returns the model section of a file in configs/, with overrides.
fn model(config: &str, overrides: &[&str]) -> ModelConfig {
    #[derive(Deserialize)]
    struct Written {
        model: ModelSection,
    }
    let file = format!("configs/{config}.toml");
    let mut args = vec!["--config", &file, "--print-config"];
    for change in overrides {
        args.extend(["--set", change]);
    }
    let ended = run(args);
    assert_ok(&ended);
    let written: Written = toml::from_str(&ended.stdout).expect("a whole configuration");
    let vocabulary = written.model.vocab_size.expect("the size is set");
    written.model.resolve(vocabulary)
}

/// Returns a table with one line per parameter. The last column is the standard deviation of the
/// parameter's elements.
fn listing(config: &ModelConfig) -> String {
    let rows = table(config);
    let longest = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = format!(
        "parameters {}\neffective depth {}\nembedding scale {:.6}\nstate std {:.6e}\n\n",
        Census::new(config).total(),
        config.effective_depth(config.recurrence.mean),
        config.embedding_scale(),
        config.state_std(),
    );
    for row in rows {
        let shape: Vec<String> = row.shape.iter().map(ToString::to_string).collect();
        let (name, shape) = (&row.name, shape.join(" x "));
        let law = match row.init {
            Initializer::TruncatedNormal { std } => format!("truncated-normal  {std:.6e}"),
            Initializer::Orthogonal { std, fusion } => {
                let (rows, cols) = (row.shape[0], row.shape[1]);
                let gain = |width: usize| format!("{:.6e}", std * (rows.max(width) as f64).sqrt());
                let gains: Vec<String> = fusion.widths(cols).into_iter().map(gain).collect();
                format!("orthogonal        {std:.6e}  gain {}", gains.join(" | "))
            }
            Initializer::Ones => "ones".to_owned(),
            Initializer::Zeros => "zeros".to_owned(),
            Initializer::Constant(value) => format!("constant          {value:.6e}"),
            Initializer::Identity => "identity".to_owned(),
            Initializer::Cycle => "unit vectors in turn".to_owned(),
            Initializer::Identities { size } => format!("identities of {size}"),
        };
        let _ = writeln!(text, "{name:longest$}  {shape:13}  {law}");
    }
    text
}

#[test]
fn the_published_structures_have_their_golden_tables() {
    let runs = [
        ("main", 3_564_976_800),
        ("bad-run-1", 3_508_961_280),
        ("bad-run-2", 3_564_892_320),
    ];
    for (name, parameters) in runs {
        let config = model(name, &PUBLISHED_SHAPE);
        assert_eq!(Census::new(&config).total(), parameters, "{name}");
        golden(&format!("init/{name}.txt"), &listing(&config));
    }
}

#[test]
fn the_published_configuration_is_the_main_run_at_the_published_shape() {
    assert_eq!(model("huginn-3.5b", &[]), model("main", &PUBLISHED_SHAPE));
}
