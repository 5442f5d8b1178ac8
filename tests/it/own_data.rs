//! The data of a run is always encoded with the tokenizer that its weights were trained with, and
//! changed data is reported.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Ended, assert_ok, refused, root, rows, run, scratch, smoke_with};

/// A folder with a text, for short runs on this text.
struct Corpus {
    dir: tempfile::TempDir,
}

const BPE: &str = "{kind=\"bpe\",vocab_size=300}";
const BYTES: &str = "{kind=\"bytes\"}";
const OTHER_TOKENS: &str = "has other tokens than the run's; give it the run's tokenizer";

impl Corpus {
    fn new() -> Self {
        let corpus = Self { dir: scratch() };
        let text = fs::read_to_string(root().join("data/sample.txt")).expect("a sample");
        fs::write(corpus.text(), text).expect("writable");
        corpus
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self) -> PathBuf {
        self.at("text.txt")
    }

    /// Puts text with different merges before the text.
    fn grow(&self) {
        let text = fs::read_to_string(self.text()).expect("a text");
        let more = "zyx wvu zyxwvu qqq jjj zyx.\n".repeat(120);
        fs::write(self.text(), more + &text).expect("writable");
    }

    /// Gives the file another modification time, so that the cache key changes. The bytes stay the
    /// same.
    fn touch(&self) {
        let text = fs::File::options().append(true).open(self.text());
        let past = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        text.and_then(|file| file.set_modified(past))
            .expect("a time");
    }

    fn train(&self, out: &Path, data: &str, further: &[&str]) -> Ended {
        let cache = format!("data.cache={}", self.at("cache").display());
        let mut keys = vec![
            cache.as_str(),
            data,
            "eval.every=100",
            "checkpoint.every=100",
        ];
        keys.extend(further);
        smoke_with(out, &keys)
    }

    fn text_keys(&self, tokenizer: &str) -> String {
        let text = self.text();
        format!(
            "data={{kind=\"text\",paths=[\"{}\"],tokenizer={tokenizer},val_fraction=0.1,cache=\"{}\"}}",
            text.display(),
            self.at("cache").display()
        )
    }

    /// Prepares the text as a folder. Returns the `data` key for this folder.
    fn prepare(&self, further: &[&str]) -> String {
        let folder = self.at("prepared");
        let _ = fs::remove_dir_all(&folder);
        let (text, out) = (self.text(), folder.display().to_string());
        let mut args = vec![
            "prepare",
            text.to_str().expect("a path"),
            "-q",
            "--out",
            &out,
        ];
        args.extend(further);
        assert_ok(&run(args));
        format!("data={{kind=\"prepared\",path=\"{out}\"}}")
    }
}

fn tokenizer(run: &Path) -> Vec<u8> {
    fs::read(run.join("tokenizer.json")).expect("a run on text has a tokenizer")
}

fn evaluated(run_dir: &Path) -> Ended {
    let path = run_dir.display().to_string();
    run([
        "eval",
        &path,
        "--device",
        "flex",
        "--recurrence",
        "4",
        "--json",
    ])
}

fn loss(ended: &Ended) -> f64 {
    assert_ok(ended);
    let loss = &ended.json()["runs"][0]["depths"][0]["loss"];
    loss.as_f64().expect("a loss")
}

fn told(run: &Path, event: &str) -> Vec<Value> {
    let events = rows(run, "event").into_iter();
    events
        .map(|row| row["metrics"].clone())
        .filter(|metrics| metrics["event"] == event)
        .collect()
}

#[test]
fn a_text_that_grew_is_read_with_the_runs_own_tokenizer() {
    let corpus = Corpus::new();
    let out = corpus.at("run");
    let data = corpus.text_keys(BPE);
    assert_ok(&corpus.train(&out, &data, &["train.steps=6"]));
    let own = tokenizer(&out);
    let before = evaluated(&out);
    assert!(!before.stderr.contains("has changed"), "{before:?}");
    corpus.touch();
    let touched = evaluated(&out);
    assert!(!touched.stderr.contains("has changed"), "{touched:?}");
    assert_eq!(touched.stdout, before.stdout);

    corpus.grow();
    let grown = evaluated(&out);
    assert!(
        grown.stderr.contains("data has changed since step 6"),
        "{grown:?}"
    );
    // The validation part, at the end of the text, is unchanged. With the same tokenizer, its loss
    // hardly changes.
    let (before, grown) = (loss(&before), loss(&grown));
    assert!((grown - before).abs() < 0.3, "{before} {grown}");
    let resumed = corpus.train(&out, &data, &["train.steps=8"]);
    assert_ok(&resumed);
    assert!(tokenizer(&out) == own, "the tokenizer was replaced");
    let changed = told(&out, "data-changed");
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(changed[0]["what"], "data");
    assert!(
        resumed.stderr.contains("warning: step 6  data-changed"),
        "{resumed:?}"
    );
    // The run now records the data of its last training.
    let again = evaluated(&out);
    assert!(!again.stderr.contains("has changed"), "{again:?}");
}

#[test]
fn a_text_that_was_edited_under_bytes_is_told_of() {
    let corpus = Corpus::new();
    let out = corpus.at("run");
    let data = corpus.text_keys(BYTES);
    assert_ok(&corpus.train(&out, &data, &["train.steps=3"]));
    corpus.touch();
    assert_ok(&corpus.train(&out, &data, &["train.steps=4"]));
    assert!(told(&out, "data-changed").is_empty());
    corpus.grow();
    assert_ok(&corpus.train(&out, &data, &["train.steps=5"]));
    let changed = told(&out, "data-changed");
    assert_eq!(changed.len(), 1, "{changed:?}");
    let said = changed[0]["now"].as_str().expect("a sentence");
    assert!(
        said.contains("other documents") && said.contains("training tokens, now"),
        "{said}"
    );
}

#[test]
fn a_tokenizer_file_that_was_replaced_does_not_reach_the_run() {
    let corpus = Corpus::new();
    let out = corpus.at("run");
    let copy = |further: &[&str]| {
        corpus.prepare(further);
        fs::copy(corpus.at("prepared/tokenizer.json"), corpus.at("mine.json"))
            .expect("a tokenizer");
    };
    copy(&["--vocab-size", "300"]);
    let file = format!(
        "{{kind=\"file\",path=\"{}\"}}",
        corpus.at("mine.json").display()
    );
    let data = corpus.text_keys(&file);
    assert_ok(&corpus.train(&out, &data, &["train.steps=4"]));
    let (own, before) = (tokenizer(&out), evaluated(&out));
    let text = fs::read(corpus.text()).expect("a text");
    corpus.grow();
    copy(&["--vocab-size", "300"]);
    fs::write(corpus.text(), text).expect("writable");
    assert!(fs::read(corpus.at("mine.json")).expect("a tokenizer") != own);
    let after = evaluated(&out);
    assert_eq!(after.stdout, before.stdout);
    assert_ok(&corpus.train(&out, &data, &["train.steps=5"]));
    assert!(tokenizer(&out) == own, "the tokenizer was replaced");
    assert!(told(&out, "data-changed").is_empty());
}

#[test]
fn a_folder_that_was_prepared_again_is_refused_or_told_of() {
    let corpus = Corpus::new();
    let out = corpus.at("run");
    let data = corpus.prepare(&["--vocab-size", "300"]);
    assert_ok(&corpus.train(&out, &data, &["train.steps=4"]));
    let keep = |name: &str| fs::read(out.join(name)).expect("a file of the run");
    let (own, metrics) = (keep("tokenizer.json"), keep("metrics.jsonl"));
    let text = fs::read(corpus.text()).expect("a text");
    corpus.grow();
    corpus.prepare(&["--vocab-size", "300"]);
    let resumed = corpus.train(&out, &data, &["train.steps=5"]);
    for ended in [evaluated(&out), resumed] {
        refused(&ended, 3, &[OTHER_TOKENS, "trainer prepare --tokenizer"]);
    }
    assert!(keep("tokenizer.json") == own && keep("metrics.jsonl") == metrics);
    // Follows the advice of the message: prepares the old text with the run's tokenizer, but with
    // another split.
    fs::write(corpus.text(), text).expect("writable");
    let own = out.join("tokenizer.json").display().to_string();
    corpus.prepare(&["--tokenizer", &own, "--val-fraction", "0.2"]);
    let ended = evaluated(&out);
    assert_ok(&ended);
    assert!(ended.stderr.contains("the same documents"), "{ended:?}");
    assert_ok(&corpus.train(&out, &data, &["train.steps=5"]));
    assert_eq!(told(&out, "data-changed").len(), 1);
}

#[test]
fn weights_are_not_taken_to_data_of_another_tokenizer() {
    let corpus = Corpus::new();
    let (first, second) = (corpus.at("first"), corpus.at("second"));
    assert_ok(&corpus.train(&first, &corpus.text_keys(BPE), &["train.steps=2"]));
    corpus.grow();
    let from = format!("init.from=\"{}\"", first.display());
    let start = |data: &str| corpus.train(&second, data, &["train.steps=2", &from]);
    let same_size = start(&corpus.text_keys(BPE));
    refused(
        &same_size,
        3,
        &["init.from", OTHER_TOKENS, "first/tokenizer.json"],
    );
    let prepared = start(&corpus.prepare(&["--vocab-size", "300"]));
    refused(&prepared, 3, &["init.from", "trainer prepare --tokenizer"]);
    assert!(!second.exists(), "a refused start leaves nothing behind");
    let own = first.join("tokenizer.json").display().to_string();
    let cured = start(&corpus.text_keys(&format!("{{kind=\"file\",path=\"{own}\"}}")));
    assert_ok(&cured);
    assert!(tokenizer(&second) == tokenizer(&first));
}

#[test]
fn a_tokenizer_that_was_put_in_place_of_the_runs_own_is_refused_everywhere() {
    let corpus = Corpus::new();
    let out = corpus.at("run");
    let data = corpus.text_keys(BPE);
    assert_ok(&corpus.train(&out, &data, &["train.steps=2"]));
    corpus.grow();
    corpus.prepare(&["--vocab-size", "300"]);
    fs::copy(
        corpus.at("prepared/tokenizer.json"),
        out.join("tokenizer.json"),
    )
    .expect("a file");
    let at = |name: &str| corpus.at(name).display().to_string();
    let (path, exported, trace) = (at("run"), at("exported"), at("trace.safetensors"));
    let text = corpus.text().display().to_string();
    for ended in [
        evaluated(&out),
        run(["eval", &path, "--data", &text, "--device", "flex"]),
        run(["generate", &path, "--prompt", "a", "--device", "flex"]),
        run(["export", &path, "--out", &exported]),
        run([
            "trace",
            &path,
            "--prompt",
            "a",
            "--recurrence",
            "2",
            "--out",
            &trace,
            "--device",
            "flex",
        ]),
        corpus.train(&out, &data, &["train.steps=3"]),
    ] {
        refused(
            &ended,
            3,
            &["tokenizer.json", "the weights were trained with"],
        );
    }
    fs::remove_file(out.join("tokenizer.json")).expect("a file");
    let gone = evaluated(&out);
    refused(&gone, 3, &[OTHER_TOKENS, "which is gone"]);
}

#[test]
fn runs_of_a_sweep_that_are_still_to_begin_have_the_tokens_of_the_others() {
    let corpus = Corpus::new();
    let (file, out) = (corpus.at("small.toml"), corpus.at("sweep"));
    let text = "base = \"configs/smoke.toml\"\nseeds = [0]\n\
                [[grid]]\nkey = \"schedule.peak\"\nvalues = [5e-4, 2e-3]\n";
    fs::write(&file, text).expect("writable");
    let sweep = |tokenizer: &str, out: &Path| {
        let (data, out) = (corpus.text_keys(tokenizer), out.display().to_string());
        let file = file.display().to_string();
        let mut args = vec!["sweep", &file, "--device", "flex", "--out", &out, "-q"];
        args.extend([
            "--set",
            &data,
            "--set",
            "train.steps=2",
            "--set",
            "eval.every=2",
        ]);
        run(args)
    };
    let bytes = corpus.at("bytes");
    assert_ok(&sweep(BPE, &out));
    assert_ok(&sweep(BYTES, &bytes));
    for out in [&out, &bytes] {
        fs::remove_dir_all(out.join("runs/peak=2e-3,seed=0")).expect("a run");
    }
    corpus.grow();
    let ended = sweep(BPE, &out);
    refused(
        &ended,
        3,
        &[
            "the tokens differ from those of the runs of this sweep",
            "peak=5e-4,seed=0",
        ],
    );
    let ended = sweep(BYTES, &bytes);
    assert_ok(&ended);
    assert!(
        ended.stderr.contains("warning: the data has changed"),
        "{ended:?}"
    );
}
