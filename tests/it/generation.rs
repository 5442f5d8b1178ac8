//! Tests `trainer generate`, `trainer trace` and adaptive exits in `trainer eval` on a trained run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rondo_files::{Content, DType, NamedTensor, TensorFile};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Ended, assert_ok, refused, run, scratch, smoke};

/// A smoke run on bytes with depths up to 64, trained for 20 steps.
struct Trained {
    dir: TempDir,
    run: String,
}

impl Trained {
    fn new() -> Self {
        let dir = scratch();
        let out = dir.path().join("run");
        assert_ok(&smoke(&out, &[]));
        let run = out.display().to_string();
        Self { dir, run }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    fn command(&self, name: &str, further: &[&str]) -> Ended {
        let mut args = vec![name, &self.run, "--device", "flex"];
        args.extend(further);
        run(args)
    }

    fn generate(&self, further: &[&str]) -> Value {
        let mut args = vec!["--prompt", "Four score", "--max-tokens", "8", "--json"];
        args.extend(further);
        let ended = self.command("generate", &args);
        assert_ok(&ended);
        ended.json()
    }

    /// Writes a file with initial states of this shape; all elements are `value`.
    fn states(&self, name: &str, shape: [usize; 3], value: f32) -> String {
        let count = shape.iter().product();
        let bytes: Vec<u8> = vec![value; count]
            .into_iter()
            .flat_map(f32::to_le_bytes)
            .collect();
        let tensor = NamedTensor {
            name: "initial_state".to_owned(),
            dtype: DType::F32,
            shape: shape.to_vec(),
            bytes: bytes.into(),
        };
        let file = TensorFile::new([tensor], BTreeMap::new()).expect("a tensor file");
        let mut bytes = Vec::new();
        file.write_to(&mut bytes).expect("memory takes anything");
        let path = self.path(name);
        fs::write(&path, bytes).expect("a file");
        path.display().to_string()
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    let all = value.as_array().expect("a list").iter();
    all.map(|x| x.as_f64().expect("a number")).collect()
}

#[test]
fn the_printed_text_is_the_text_of_the_tokens_and_the_lists_run_in_parallel() {
    let trained = Trained::new();
    let found = trained.generate(&["--recurrence", "3"]);
    assert_eq!(numbers(&found["tokens"]).len(), 8);
    assert_eq!(numbers(&found["iterations"]), [3.0; 8]);
    assert_eq!(found["exit_values"].as_array().map(Vec::len), Some(8));
    assert_eq!(found["ended"], "max tokens");
    let plain = trained.command(
        "generate",
        &[
            "--prompt",
            "Four score",
            "--max-tokens",
            "8",
            "--recurrence",
            "3",
            "--quiet",
        ],
    );
    assert_ok(&plain);
    let text = found["text"].as_str().expect("bytes have a text");
    assert_eq!(plain.stdout, format!("{text}\n"));
    assert_eq!(plain.stderr, "");
}

#[test]
fn the_cache_changes_no_token_and_draws_depend_on_the_seed_alone() {
    let trained = Trained::new();
    let fixed = ["--recurrence", "4"];
    let with = |further: &[&str]| trained.generate(&[&fixed, further].concat())["tokens"].clone();
    assert_eq!(with(&[]), with(&["--no-cache"]));
    let drawn = [
        "--temperature",
        "1.5",
        "--top-k",
        "50",
        "--top-p",
        "0.98",
        "--min-p",
        "0.001",
    ];
    let seeded = |seed: &str| with(&[&drawn[..], &["--seed", seed]].concat());
    assert_eq!(seeded("1"), seeded("1"));
    assert_ne!(seeded("1"), seeded("2"));
    assert_ne!(with(&["--repetition-penalty", "5"]), with(&[]));
}

#[test]
fn thresholds_decide_between_one_iteration_and_all() {
    let trained = Trained::new();
    let criteria = ["kl", "latent-diff", "entropy-diff", "minp-kl", "cosine"];
    for criterion in criteria {
        let at = |threshold: &str| {
            let exit = ["--exit", criterion, "--exit-threshold", threshold];
            trained.generate(&[&exit[..], &["--max-recurrence", "7"]].concat())
        };
        let eager = at("1000");
        assert_eq!(numbers(&eager["iterations"]), [1.0; 8], "{criterion}");
        assert_eq!(numbers(&eager["exit_values"]).len(), 8, "{criterion}");
        assert_eq!(numbers(&at("-1")["iterations"]), [7.0; 8], "{criterion}");
    }
    let stable = trained.generate(&["--exit", "argmax-stability", "--exit-threshold", "2"]);
    let values = numbers(&stable["exit_values"]);
    assert!(values.iter().all(|x| (x - 2.0).abs() < 1e-9), "{values:?}");
}

#[test]
fn a_shared_cache_and_a_chain_of_latents_go_on_to_the_end() {
    let trained = Trained::new();
    for further in [
        &["--kv-budget", "2", "--recurrence", "5"][..],
        &["--continuous", "--recurrence", "5"],
        &["--continuous", "--kv-budget", "3", "--exit", "kl"],
    ] {
        let found = trained.generate(further);
        assert_eq!(numbers(&found["tokens"]).len(), 8, "{further:?}");
    }
}

#[test]
fn an_exit_that_never_comes_costs_and_gives_what_the_fixed_depth_does() {
    let trained = Trained::new();
    let eval = |threshold: &str, depth: &str| {
        let ended = trained.command(
            "eval",
            &[
                "--exit",
                "kl",
                "--exit-threshold",
                threshold,
                "--max-recurrence",
                "4",
                "--recurrence",
                depth,
                "--json",
            ],
        );
        assert_ok(&ended);
        ended.json()["runs"][0].clone()
    };
    for (threshold, depth) in [("-1", "4"), ("1000", "1")] {
        let run = eval(threshold, depth);
        let (fixed, exit) = (&run["depths"][0], &run["exits"][0]);
        assert_eq!(exit["criterion"], "kl");
        assert_eq!(exit["mean_iterations"].as_f64(), depth.parse().ok());
        let (a, b) = (fixed["loss"].as_f64(), exit["loss"].as_f64());
        let difference = a.zip(b).map(|(a, b)| (a - b).abs());
        assert!(difference.is_some_and(|x| x < 1e-5), "{run}");
        let taken = numbers(&exit["iterations"]);
        assert_eq!(taken.iter().filter(|n| **n > 0.0).count(), 1, "{taken:?}");
    }
}

#[test]
fn exits_come_as_a_table_and_as_pictures() {
    let trained = Trained::new();
    let figures = trained.path("figures");
    let dir = figures.display().to_string();
    let ended = trained.command(
        "eval",
        &[
            "--exit",
            "all",
            "--max-recurrence",
            "8",
            "--recurrence",
            "1,8",
            "--figures",
            &dir,
        ],
    );
    assert_ok(&ended);
    for name in [
        "entropy-diff",
        "latent-diff",
        "kl",
        "minp-kl",
        "argmax-stability",
        "cosine",
    ] {
        assert!(ended.stdout.contains(name), "{name} in {ended:?}");
    }
    assert_written(&figures, &["exit-curve", "exit-histogram"]);
    let curve = fs::read_to_string(figures.join("exit-curve.csv")).expect("a table");
    assert_eq!(curve.lines().count(), 1 + 2 + 6, "{curve}");
}

#[track_caller]
fn assert_written(dir: &Path, names: &[&str]) {
    for name in names {
        for ending in ["svg", "png", "csv"] {
            let path = dir.join(format!("{name}.{ending}"));
            let size = fs::metadata(&path).map_or(0, |facts| facts.len());
            assert!(size > 0, "{}", path.display());
        }
    }
}

#[test]
fn a_trace_holds_every_iteration_or_the_last_and_draws_it() {
    let trained = Trained::new();
    let (out, figures) = (trained.path("trace.safetensors"), trained.path("figures"));
    let (out_text, dir) = (out.display().to_string(), figures.display().to_string());
    let names = |further: &[&str]| {
        let fixed = ["--prompt", "Four", "--recurrence", "6", "--out", &out_text];
        assert_ok(&trained.command("trace", &[&fixed, further].concat()));
        let bytes = fs::read(&out).expect("a trace");
        let file = TensorFile::parse(&bytes).expect("a tensor file");
        file.shapes()
    };
    let all = names(&["--figures", &dir]);
    assert_eq!(all.len(), 1 + 7 + 6 + 6);
    assert_written(&figures, &["convergence", "orbits"]);
    let last = names(&["--last-only"]);
    let expected = ["input_ids", "logits.6", "raw_state.6", "state.6"];
    assert!(last.iter().map(|(name, _)| name).eq(expected), "{last:?}");
    assert!(
        last.iter().all(|(_, shape)| shape[..2] == [1, 4]),
        "{last:?}"
    );
}

#[test]
fn bad_input_is_one_message_with_the_documented_code() {
    let trained = Trained::new();
    let ragged = trained.file("ragged.json", "[[1, 2], [3]]");
    let beyond = trained.file("beyond.json", "[1, 9999]");
    let broken = trained.file("broken.json", "[1, ");
    let long = trained.file("long.json", &format!("{:?}", vec![1; 10_000]));
    let out = trained.path("trace.safetensors").display().to_string();
    let trace = |further: &[&str]| {
        let fixed = ["--recurrence", "2", "--out", &out];
        let ended = trained.command("trace", &[&fixed, further].concat());
        assert!(!trained.path("trace.safetensors").exists());
        ended
    };
    refused(&trace(&["--tokens", &ragged]), 3, &["row 1"]);
    refused(&trace(&["--tokens", &beyond]), 3, &["9999"]);
    refused(&trace(&["--tokens", &broken]), 3, &["broken.json"]);
    refused(&trace(&["--tokens", &long]), 3, &["10000", "context"]);
    refused(&trace(&["--prompt", ""]), 3, &["--prompt"]);
    refused(
        &trace(&["--tokens", &ragged, "--prompt", "x"]),
        2,
        &["--prompt"],
    );

    let narrow = trained.states("narrow", [1, 4, 3], 0.0);
    let short = trained.states("short", [1, 2, 32], 0.0);
    let broken = trained.states("nan", [1, 4, 32], f32::NAN);
    for (file, word) in [
        (&narrow, "[batch, seq, 32]"),
        (&short, "2 positions"),
        (&broken, "NaN"),
    ] {
        let ended = trace(&["--prompt", "Four", "--initial-state", file]);
        refused(&ended, 4, &["initial_state", word]);
    }

    let generate = |further: &[&str]| trained.command("generate", further);
    for (further, word) in [
        (&["--temperature", "-1"][..], "--temperature"),
        (&["--top-p", "0"], "--top-p"),
        (&["--exit", "kl", "--recurrence", "3"], "--recurrence"),
        (&["--exit-threshold", "3"], "--exit"),
        (&["--no-cache", "--continuous"], "--continuous"),
        (&["--recurrence", "0"], "from 1 to"),
    ] {
        let ended = generate(&[&["--prompt", "x"], further].concat());
        refused(&ended, 2, &[word]);
    }
    let ended = trained.command("eval", &["--exit", "kl,cosine", "--exit-threshold", "1"]);
    refused(&ended, 2, &["--exit-threshold"]);
}
