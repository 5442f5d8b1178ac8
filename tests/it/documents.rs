//! Attention within documents: a row holds several documents, and no document attends to another.

use std::fs;
use std::path::{Path, PathBuf};

use rondo_files::TensorFile;
use serde_json::json;

use crate::harness::{Ended, assert_ok, losses, refused, run, scratch, timeless_rows};

/// The token that ends a document, for byte tokens.
const END: u32 = 256;
/// The tolerance for rows with more than one document, because f32 losses are added in another
/// order.
const ROUNDING: f64 = 1e-6;

/// A folder with a corpus of short documents and its prepared forms. A row of 32 tokens holds
/// several documents.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(scratch());
        let words = ["loop", "state", "depth", "core", "norm", "gate", "token"];
        let document = |number: usize| -> String {
            let words = (0..=number % 4).map(|i| words[(number * number + 3 * i) % 7]);
            let words: Vec<&str> = words.collect();
            json!({"text": format!("{} {number}", words.join(" "))}).to_string() + "\n"
        };
        let lines: String = (0..900).map(document).collect();
        fs::write(place.at("documents.jsonl"), lines).expect("writable");
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn shown(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }

    /// Returns the `data` key for the corpus. `further` holds more settings.
    fn data(&self, further: &str) -> String {
        format!(
            "data={{kind=\"text\",paths=[\"{}\"],tokenizer={{kind=\"bytes\"}},val_fraction=0.2,cache=\"{}\"{further}}}",
            self.shown("documents.jsonl"),
            self.shown("cache"),
        )
    }

    /// Trains some steps with the key `data`.
    fn train(&self, name: &str, data: &str, further: &[&str]) -> Ended {
        let constant = "schedule.shape={ kind = \"constant\" }";
        let mut keys = vec![data, constant, "eval.every=4", "checkpoint.every=4"];
        keys.extend(further);
        smoke_keys(&self.at(name), &keys)
    }

    /// Writes rows of tokens to a file.
    fn rows(&self, name: &str, rows: &[Vec<u32>]) -> String {
        fs::write(self.at(name), json!(rows).to_string()).expect("writable");
        self.shown(name)
    }
}

/// Trains configs/smoke.toml with these keys.
fn smoke_keys(out: &Path, keys: &[&str]) -> Ended {
    let out = out.display().to_string();
    let mut args = vec!["--config", "configs/smoke.toml", "--device", "flex"];
    args.extend(["--out", &out]);
    args.extend(keys.iter().flat_map(|key| ["--set", key]));
    run(args)
}

const MASKED: &str = ",document_mask=true";

/// Returns the tokens of a document of 14 bytes, with the end token.
fn document(text: &str) -> Vec<u32> {
    assert_eq!(text.len(), 14);
    text.bytes().map(u32::from).chain([END]).collect()
}

/// Evaluates rows, and returns the sum of the losses of their targets.
fn total_loss(run_dir: &str, tokens: &str, targets: usize) -> f64 {
    let ended = run([
        "eval",
        run_dir,
        "--tokens",
        tokens,
        "--recurrence",
        "4",
        "--device",
        "flex",
        "--json",
    ]);
    assert_ok(&ended);
    let loss = &ended.json()["runs"][0]["depths"][0]["loss"];
    loss.as_f64().expect("a loss") * targets as f64
}

/// Traces a row, and returns the logits of its positions after four iterations.
fn logits(run_dir: &str, tokens: &str, out: &str) -> Vec<f32> {
    let mut args = vec!["trace", run_dir, "--tokens", tokens, "--recurrence", "4"];
    args.extend(["--device", "flex", "--out", out]);
    assert_ok(&run(args));
    let bytes = fs::read(out).expect("a trace");
    let file = TensorFile::parse(&bytes).expect("a whole trace");
    file.get("logits.4")
        .expect("logits")
        .f32_values()
        .expect("f32")
}

#[test]
fn a_run_within_documents_trains_resumes_bitwise_and_evaluates() {
    let place = Place::new();
    let masked = place.data(MASKED);
    assert_ok(&place.train("whole", &masked, &["train.steps=8"]));
    assert_ok(&place.train("parts", &masked, &["train.steps=4"]));
    assert_ok(&place.train("parts", &masked, &["train.steps=8"]));
    for kind in ["train", "eval"] {
        let [whole, parts] = ["whole", "parts"].map(|name| timeless_rows(&place.at(name), kind));
        assert_eq!(whole, parts, "{kind}");
    }
    let again = "model.recurrence.recompute=\"iteration\"";
    assert_ok(&place.train("again", &masked, &["train.steps=8", again]));
    assert_eq!(losses(&place.at("whole")), losses(&place.at("again")));
    // If documents attend to their neighbours, the first loss differs, although weights and rows
    // are the same.
    assert_ok(&place.train("open", &place.data(""), &["train.steps=8"]));
    let [whole, open] = ["whole", "open"].map(|name| losses(&place.at(name)));
    assert_ne!(whole[0].to_bits(), open[0].to_bits());
    // `trainer eval` of the validation rows gives the recorded value.
    let recorded = timeless_rows(&place.at("whole"), "eval");
    let recorded = recorded.last().expect("an evaluation")["metrics"]["val_perplexity@4"].clone();
    let whole = place.shown("whole");
    let mut args = vec!["eval", &whole, "--recurrence", "4"];
    args.extend(["--exit", "latent-diff", "--device", "flex", "--json"]);
    let ended = run(args);
    assert_ok(&ended);
    let found = &ended.json()["runs"][0];
    assert_eq!(found["depths"][0]["perplexity"], recorded, "{found}");
    let exits = found["exits"][0]["loss"].as_f64().expect("a loss");
    assert!(exits.is_finite() && exits > 0.0);
    // A resume must not change the setting. `generate` is not affected, because a prompt is one
    // document.
    let ended = place.train("whole", &place.data(""), &["train.steps=9"]);
    refused(
        &ended,
        4,
        &["data.document_mask: true in the run, absent now"],
    );
    let generate = ["generate", &whole, "--prompt", "loop", "--max-tokens", "4"];
    assert_ok(&run([&generate[..], &["--device", "flex"]].concat()));
}

#[test]
fn a_document_does_not_depend_on_its_neighbours_in_the_row() {
    let place = Place::new();
    for (name, further) in [("masked", MASKED), ("open", "")] {
        assert_ok(&place.train(name, &place.data(further), &["train.steps=4"]));
    }
    let [masked, open] = ["masked", "open"].map(|name| place.shown(name));
    // Two documents for the first place, and two for the second place. The latter begin with the
    // same letter.
    let firsts = ["loop loop loop", "depth and core"].map(document);
    let seconds = ["state of state", "some gate here"].map(document);
    let targets = firsts[0].len() + seconds[0].len() - 1;
    let rows = |i: usize, j: usize| vec![[&firsts[i][..], &seconds[j][..]].concat()];
    let loss = |run_dir: &str, i: usize, j: usize| {
        let tokens = place.rows("rows.json", &rows(i, j));
        total_loss(run_dir, &tokens, targets)
    };
    // The contribution of the first document to the loss does not depend on the second document.
    let mixed = |run_dir: &str| {
        let [a, b, c, d] = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(i, j)| loss(run_dir, i, j));
        (a - b - c + d).abs()
    };
    assert!(
        mixed(&masked) < ROUNDING * targets as f64,
        "{}",
        mixed(&masked)
    );
    assert!(mixed(&open) > 1e-3, "{}", mixed(&open));
    // No logit of the second document depends on the first document.
    let second = |run_dir: &str, i: usize| {
        let tokens = place.rows("row.json", &rows(i, 0));
        let logits = logits(run_dir, &tokens, &place.shown("trace.safetensors"));
        let width = logits.len() / (targets + 1);
        let own = &logits[firsts[i].len() * width..];
        own.iter().map(|logit| logit.to_bits()).collect::<Vec<_>>()
    };
    assert!(second(&masked, 0) == second(&masked, 1));
    assert!(second(&open, 0) != second(&open, 1));
    // The documents of a text are also independent of each other.
    let text = |run_dir: &str, first: &str| {
        let lines = [first, "state of state"].map(|text| json!({"text": text}).to_string() + "\n");
        fs::write(place.at("two.jsonl"), lines.concat()).expect("writable");
        let data = place.shown("two.jsonl");
        let mut args = vec!["eval", run_dir, "--data", &data, "--recurrence", "4"];
        args.extend(["--device", "flex", "--json"]);
        let ended = run(args);
        assert_ok(&ended);
        let loss = &ended.json()["runs"][0]["depths"][0]["loss"];
        loss.as_f64().expect("a loss") * targets as f64
    };
    for (run_dir, i) in [(&masked, 0), (&masked, 1), (&open, 0)] {
        let first = ["loop loop loop", "depth and core"][i];
        let found = text(run_dir, first);
        let expected = loss(run_dir, i, 0);
        assert!((found - expected).abs() < ROUNDING, "{found} {expected}");
    }
}

#[test]
fn every_kind_of_data_with_documents_has_the_mask() {
    let place = Place::new();
    let folder = place.shown("folder");
    let corpus = place.shown("documents.jsonl");
    let mut args = vec!["prepare", &corpus, "--bytes", "--quiet"];
    args.extend(["--val-fraction", "0.2", "--out", &folder]);
    assert_ok(&run(args));
    let text = place.data("").replacen("data=", "", 1);
    let tokens = "tokenizer={kind=\"bytes\"},document_mask=true";
    let kinds = [
        ("text", place.data(MASKED)),
        (
            "prepared",
            format!("data={{kind=\"prepared\",path=\"{folder}\"{MASKED}}}"),
        ),
        (
            "tokens",
            format!(
                "data={{kind=\"tokens\",train=[\"{folder}/train.tokens\"],val=[\"{folder}/val.tokens\"],{tokens}}}"
            ),
        ),
        (
            "mixture",
            format!(
                "data={{kind=\"mixture\",sources=[{{name=\"all\",weight=1,data={text}}}]{MASKED}}}"
            ),
        ),
    ];
    // All kinds of data have the same tokens. All have the same rows too, except the mixture, whose
    // rows have another order.
    let mut first = None;
    for (kind, data) in kinds {
        let ended = place.train(kind, &data, &["train.steps=2", "eval.every=1"]);
        assert_ok(&ended);
        let run_dir = place.at(kind);
        let steps = losses(&run_dir);
        let evals = timeless_rows(&run_dir, "eval");
        let start = evals[0]["metrics"]["val_cross_entropy"].clone();
        let (expected, known) = first.get_or_insert((steps.clone(), start.clone()));
        assert_eq!(start, *known, "{kind}");
        if kind == "mixture" {
            let own = &evals[0]["metrics"]["val_cross_entropy.source.all"];
            assert_eq!(*own, start);
        } else {
            assert_eq!(steps, *expected, "{kind}");
        }
    }
}

#[test]
fn what_cannot_have_a_document_mask_is_refused_with_its_key() {
    let place = Place::new();
    let refuse = |name: &str, data: &str, further: &[&str], parts: &[&str]| {
        let ended = place.train(name, data, further);
        refused(&ended, 2, parts);
        assert!(!place.at(name).exists(), "nothing is written");
    };
    let masked = place.data(MASKED);
    let gates = "model.sparsity={gate_bias=0.0}";
    refuse(
        "gates",
        &masked,
        &[gates],
        &["data.document_mask: not with gates", "model.sparsity"],
    );
    let switch = format!(
        "perturb=[{{kind=\"data-switch\",at_step=2,{}}}]",
        place.data(MASKED)
    );
    refuse(
        "switch",
        &place.data(""),
        &[gates, &switch],
        &["perturb.0.data.document_mask: not with gates"],
    );
    refuse(
        "task",
        "data={kind=\"arithmetic\",document_mask=true}",
        &[],
        &["data.document_mask"],
    );
    let text = masked.replacen("data=", "", 1);
    refuse(
        "mixture",
        &format!("data={{kind=\"mixture\",sources=[{{name=\"all\",weight=1,data={text}}}]}}"),
        &[],
        &["data.sources.0.data.document_mask", "beside `sources`"],
    );
    // These tokens have no end token between documents.
    let tokens: Vec<u8> = (0..2000_u16).flat_map(|i| (i % 90).to_le_bytes()).collect();
    fs::write(place.at("train.bin"), tokens).expect("writable");
    let one = format!(
        "data={{kind=\"tokens\",train=[\"{}\"],tokenizer={{kind=\"bytes\"}}{MASKED}}}",
        place.shown("train.bin")
    );
    let ended = place.train("one", &one, &[]);
    refused(&ended, 2, &["document_mask: no training token is"]);
    // This tokenizer has no end-of-text token.
    let json = place.shown("none.json");
    let model = json!({"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"});
    let tokenizer = json!({"version": "1.0", "added_tokens": [], "model": model});
    fs::write(&json, tokenizer.to_string()).expect("writable");
    let none = masked.replace(
        "tokenizer={kind=\"bytes\"}",
        &format!("tokenizer={{kind=\"file\",path=\"{json}\"}}"),
    );
    let ended = place.train("none", &none, &[]);
    refused(&ended, 3, &["no token ends a text", "end_of_text"]);
}
