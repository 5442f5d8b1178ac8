//! Tests typical sources of data: tables, data sets of the Hub, token files of other trainers,
//! mixtures, and corpora that take a while to prepare.

#[cfg(feature = "hub")]
#[path = "../../crates/rondo-data/src/hub/tests/server.rs"]
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::harness::{
    Ended, assert_ok, ended, refused, root, rows, run, scratch, timeless_rows, trainer,
};

/// Prepares `corpus` into `dir/NAME`. `further` holds more arguments.
fn prepare(dir: &Path, name: &str, corpus: &Path, further: &[&str]) -> Ended {
    let (out, corpus) = (
        dir.join(name).display().to_string(),
        corpus.display().to_string(),
    );
    run([&["prepare", &corpus, "--quiet", "--out", &out], further].concat())
}

/// Returns the names and the contents of the token files in a prepared folder.
fn tokens(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("a prepared folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().display().to_string());
    let mut files: Vec<(String, Vec<u8>)> = names
        .filter(|name| name.ends_with(".tokens"))
        .map(|name| {
            let bytes = fs::read(folder.join(&name)).expect("readable");
            (name, bytes)
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Trains configs/smoke.toml with another `[data]` section.
fn train(dir: &Path, name: &str, data: &str, further: &[&str]) -> Ended {
    let smoke = fs::read_to_string(root().join("configs/smoke.toml")).expect("a configuration");
    let (before, rest) = smoke.split_once("[data]").expect("a section");
    let (_, behind) = rest.split_once("\n[model]").expect("another section");
    let config = dir.join(format!("{name}.toml"));
    fs::write(&config, format!("{before}[data]\n{data}\n[model]{behind}")).expect("writable");
    let (config, out) = (
        config.display().to_string(),
        dir.join(name).display().to_string(),
    );
    run([
        &["--config", &config, "--device", "flex", "--out", &out],
        further,
    ]
    .concat())
}

fn table(name: &str) -> PathBuf {
    root().join("tests/golden/tables").join(name)
}

#[cfg(feature = "columns")]
#[test]
fn the_same_texts_have_the_same_tokens_as_lines_and_in_every_table() {
    let dir = scratch();
    assert_ok(&prepare(
        dir.path(),
        "lines",
        &table("texts.jsonl"),
        &["--bytes"],
    ));
    let lines = tokens(&dir.path().join("lines"));
    for name in [
        "zstd.parquet",
        "pages-2.parquet",
        "plain.arrow",
        "lz4.feather",
    ] {
        assert_ok(&prepare(dir.path(), name, &table(name), &["--bytes"]));
        assert!(tokens(&dir.path().join(name)) == lines, "{name}");
    }
    for name in ["nested.parquet", "nested.arrow", "nested.jsonl"] {
        let field = ["--bytes", "--field", "doc.body"];
        assert_ok(&prepare(dir.path(), name, &table(name), &field));
        assert!(tokens(&dir.path().join(name)) == lines, "{name}");
    }
    let texts = dir.path().join("texts");
    fs::create_dir(&texts).expect("writable");
    let jsonl = fs::read_to_string(table("texts.jsonl")).expect("readable");
    for (number, line) in jsonl.lines().enumerate() {
        let record: serde_json::Value = serde_json::from_str(line).expect("a record");
        let text = record["text"].as_str().expect("a text");
        fs::write(texts.join(format!("{number}.txt")), text).expect("writable");
    }
    assert_ok(&prepare(dir.path(), "plain", &texts, &["--bytes"]));
    assert!(tokens(&dir.path().join("plain")) == lines);
}

#[cfg(feature = "columns")]
#[test]
fn a_damaged_table_ends_a_preparation_with_the_file_and_the_place() {
    let dir = scratch();
    let whole = |name: &str| fs::read(table(name)).expect("readable");
    let changed = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole(name);
        change(&mut bytes);
        bytes
    };
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 9);
    let magic = |bytes: &mut Vec<u8>| bytes[1] ^= 1;
    // The length of the footer is stored directly before the last magic bytes.
    let footer = |behind: usize| {
        move |bytes: &mut Vec<u8>| {
            let end = bytes.len() - behind;
            bytes[end - 4..end].copy_from_slice(&i32::MAX.to_le_bytes());
        }
    };
    // Before the first compressed buffer, its uncompressed size is stored.
    let packed = |bytes: &mut Vec<u8>| {
        let frame = |at: &usize| bytes[*at..].starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
        let at = (8..bytes.len()).find(frame).expect("a packed buffer");
        bytes[at - 8..at].copy_from_slice(&(1_i64 << 40).to_le_bytes());
    };
    for (name, of, change, place) in [
        (
            "cut.parquet",
            "zstd.parquet",
            &cut as &dyn Fn(&mut _),
            "row 1",
        ),
        ("footer.parquet", "zstd.parquet", &footer(4), "row 1"),
        ("cut.feather", "zstd.feather", &cut, "the footer is missing"),
        ("magic.arrow", "views.arrow", &magic, "message 0 at byte 0"),
        (
            "footer.feather",
            "lz4.feather",
            &footer(6),
            "beyond the file",
        ),
        ("packed.feather", "zstd.feather", &packed, "1099511627776"),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, changed(of, change)).expect("writable");
        let ended = prepare(dir.path(), "p", &path, &["--bytes"]);
        refused(&ended, 3, &[&format!("{name}: not a whole "), place]);
    }
}

#[test]
fn a_damaged_file_of_any_other_form_ends_a_run_with_its_name() {
    let dir = scratch();
    let golden = |name: &str| root().join("tests").join(name);
    for (name, of, cut) in [
        ("a.txt.gz", "corpus/documents/gzip", 9),
        ("a.txt.zst", "corpus/documents/zstd", 3),
        ("a.txt", "corpus/documents/not-utf-8", 0),
        ("a.jsonl", "corpus/documents/wrong-field", 0),
    ] {
        let whole = fs::read(golden(of)).expect("readable");
        let path = dir.path().join(name);
        fs::write(&path, &whole[..whole.len() - cut]).expect("writable");
        let ended = prepare(dir.path(), "p", &path, &["--bytes"]);
        refused(&ended, 3, &[name]);
    }
    for (name, of, cut) in [
        ("a.npy", "golden/tokens/u2.npy", 1),
        ("a.bin", "corpus/token_files/llm-c", 1),
        ("a.tokens", "corpus/shard/two-bytes", 1),
    ] {
        let whole = fs::read(golden(of)).expect("readable");
        let path = dir.path().join(name);
        fs::write(&path, &whole[..whole.len() - cut]).expect("writable");
        let data =
            format!("kind = \"tokens\"\ntrain = [{path:?}]\ntokenizer = {{ kind = \"bytes\" }}\n");
        refused(&train(dir.path(), "run", &data, &[]), 3, &[name]);
    }
}

#[cfg(feature = "columns")]
#[test]
fn a_tokenizer_and_a_folder_of_parquet_train_generate_and_evaluate() {
    let dir = scratch();
    // This tokenizer marks spaces, has a token for each byte and tokens outside the model's
    // vocabulary, and truncates to 8 tokens.
    let tokenizer = root().join("tests/golden/tokenizers/unigram.json");
    let folder = dir.path().join("data");
    fs::create_dir(&folder).expect("writable");
    fs::copy(table("zstd.parquet"), folder.join("train-0.parquet")).expect("a copy");
    fs::copy(table("nested.parquet"), folder.join("test-0.parquet")).expect("a copy");
    let data = format!(
        "kind = \"text\"\npaths = [{folder:?}]\nval_fraction = 0.4\ncache = {:?}\ntokenizer = {{ kind = \"file\", path = {tokenizer:?} }}\n",
        dir.path().join("cache"),
    );
    let short = [
        "--set",
        "train.seq=8",
        "--set",
        "eval.tokens=8",
        "--set",
        "train.steps=4",
    ];
    let ended = train(dir.path(), "run", &data, &short);
    assert_ok(&ended);
    assert!(
        ended.stderr.contains("test-0.parquet"),
        "skipped files are reported: {ended:?}"
    );
    let run_dir = dir.path().join("run").display().to_string();
    let generated = run([
        "generate",
        &run_dir,
        "--prompt",
        "the 猫",
        "--max-tokens",
        "4",
        "--device",
        "flex",
    ]);
    assert_ok(&generated);
    for spelling in ["▁", "<0x"] {
        assert!(!generated.stdout.contains(spelling), "{generated:?}");
    }
    // Evaluates the same texts as tables and as lines.
    let losses = ["large.parquet", "plain.arrow", "texts.jsonl"].map(|name| {
        let texts = table(name).display().to_string();
        let ended = run([
            "eval", &run_dir, "--data", &texts, "--device", "flex", "--json",
        ]);
        assert_ok(&ended);
        ended.json()["runs"][0]["depths"].clone()
    });
    assert!(losses[0].is_array(), "{losses:?}");
    assert_eq!(losses[0], losses[2]);
    assert_eq!(losses[1], losses[2]);
}

#[cfg(not(feature = "columns"))]
#[test]
fn a_table_names_the_feature_that_reads_it() {
    let dir = scratch();
    for name in ["zstd.parquet", "plain.arrow"] {
        let ended = prepare(dir.path(), "p", &table(name), &["--bytes"]);
        refused(&ended, 3, &[name, "build it with `--features columns`"]);
    }
}

#[cfg(not(feature = "hub"))]
#[test]
fn files_of_the_hub_name_the_feature_that_gets_them() {
    let dir = scratch();
    let data = "kind = \"text\"\nhub = { repo = \"org/texts\", files = [\"*.parquet\"] }\n";
    let ended = train(dir.path(), "run", data, &[]);
    refused(&ended, 3, &["data.hub", "org/texts", "--features hub"]);
    let ended = prepare_from_hub(dir.path(), "p", "org/texts", &["*.parquet"], &[]);
    refused(&ended, 3, &["--hub", "org/texts", "--features hub"]);
}

/// Prepares files of the Hub into `dir/NAME`. The environment variables are set for the program.
fn prepare_from_hub(
    dir: &Path,
    name: &str,
    repo: &str,
    files: &[&str],
    environment: &[(&str, &str)],
) -> Ended {
    let out = dir.join(name).display().to_string();
    let mut command = trainer();
    for name in ["HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE"] {
        command.env_remove(name);
    }
    command.env("HF_HOME", dir.join("hub"));
    command.env_remove("HF_HUB_CACHE");
    command.envs(environment.iter().copied());
    command.args(["prepare", "--hub", repo, "--bytes", "--quiet", "--out"]);
    command.arg(out).arg("--hub-files").args(files);
    ended(command.output().expect("the program starts"))
}

#[test]
fn a_name_that_no_data_set_of_the_hub_has_is_refused_as_it_is_read() {
    let dir = scratch();
    let url = "https://huggingface.co/datasets/org/texts";
    for (repo, files, parts) in [
        (url, "*.parquet", ["--hub: must be OWNER/NAME", url]),
        ("org/texts@", "*", ["--hub: ", "must not be empty"]),
        ("org/texts", "", ["--hub-files: ", "must not be empty"]),
    ] {
        let ended = prepare_from_hub(dir.path(), "p", repo, &[files], &[]);
        refused(&ended, 2, &parts);
    }
    let out = dir.path().join("p").display().to_string();
    let alone = run(["prepare", "--hub", "org/texts", "--out", &out]);
    refused(&alone, 2, &["--hub-files"]);
    let both = run([
        "prepare",
        "texts",
        "--hub",
        "org/texts",
        "--hub-files",
        "*",
        "--out",
        &out,
    ]);
    refused(&both, 2, &["--hub"]);
}

#[cfg(all(feature = "hub", feature = "columns"))]
#[test]
fn a_data_set_of_the_hub_is_prepared_from_the_server_once_and_then_from_the_cache() {
    let dir = scratch();
    let table_of = |name: &str| fs::read(table(name)).expect("readable");
    let server = server::Server::start([
        ("README.md", b"about".to_vec()),
        ("data/train-0.parquet", table_of("zstd.parquet")),
        ("data/test-0.parquet", table_of("nulls.parquet")),
    ]);
    let online = [("HF_ENDPOINT", server.address.as_str())];
    let offline = [online[0], ("HF_HUB_OFFLINE", "1")];
    let files = ["data/train-*.parquet"];
    let get = |name: &str, files: &[&str], environment: &[(&str, &str)]| {
        prepare_from_hub(dir.path(), name, "org/texts", files, environment)
    };
    let missing = get("p", &files, &offline);
    let parts = [
        "--hub",
        "org/texts at main",
        "HF_HUB_OFFLINE",
        "no such revision",
    ];
    refused(&missing, 3, &parts);
    assert_eq!(server.asked(), 0);
    let none = get("p", &["*.arrow"], &online);
    refused(&none, 3, &["no file matches `*.arrow`", "README.md"]);
    assert_ok(&get("online", &files, &online));
    let asked = server.asked();
    assert_ok(&get("offline", &files, &offline));
    assert_eq!(server.asked(), asked);
    let at = format!("org/texts@{}", server::COMMIT);
    let by_commit = prepare_from_hub(dir.path(), "commit", &at, &files, &offline);
    assert_ok(&by_commit);
    assert_ok(&prepare(
        dir.path(),
        "expected",
        &table("zstd.parquet"),
        &["--bytes"],
    ));
    let expected = tokens(&dir.path().join("expected"));
    for name in ["online", "offline", "commit"] {
        assert!(tokens(&dir.path().join(name)) == expected, "{name}");
    }
    // The server no longer answers: the cache is used, and files that are not in the cache are
    // reported.
    let gone = [("HF_ENDPOINT", "http://127.0.0.1:1")];
    assert_ok(&get("gone", &files, &gone));
    let lacking = get("p", &["data/test-*"], &gone);
    assert_eq!(lacking.code, 3, "{lacking:?}");
    for part in ["cannot be reached", "no file matches `data/test-*`"] {
        assert!(lacking.stderr.contains(part), "{lacking:?}");
    }
}

#[test]
fn token_files_of_another_trainer_are_trained_on_as_they_are() {
    let dir = scratch();
    let sample = fs::read(root().join("data/sample.txt")).expect("a sample");
    let ids = |bytes: &[u8]| {
        bytes
            .iter()
            .flat_map(|&byte| u16::from(byte).to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let (train_part, val_part) = sample.split_at(sample.len() / 10 * 9);
    // The format of nanoGPT: only tokens.
    fs::write(dir.path().join("train.bin"), ids(train_part)).expect("writable");
    // The format of modded-nanogpt: a header of 256 integers, then the tokens.
    let mut header: Vec<u8> = [20_240_520, 1, val_part.len() as i32]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    header.resize(1024, 0);
    fs::write(dir.path().join("val.bin"), [header, ids(val_part)].concat()).expect("writable");
    let data = |vocabulary: &str| {
        format!(
            "kind = \"tokens\"\ntrain = [{:?}]\nval = [{:?}]\ntokenizer = {vocabulary}\n",
            dir.path().join("train.bin"),
            dir.path().join("val.bin")
        )
    };
    let ended = train(
        dir.path(),
        "run",
        &data("{ kind = \"bytes\" }"),
        &["--set", "train.steps=4"],
    );
    assert_ok(&ended);
    assert!(
        ended.stderr.contains("no training token is <|endoftext|>"),
        "{ended:?}"
    );
    let run_dir = dir.path().join("run").display().to_string();
    assert_ok(&run(["eval", &run_dir, "--device", "flex", "--json"]));
    fs::write(dir.path().join("train.bin"), ids(train_part).repeat(2)).expect("writable");
    let changed = run(["eval", &run_dir, "--device", "flex", "--json"]);
    assert!(changed.stderr.contains("has changed"), "{changed:?}");
    fs::write(dir.path().join("train.bin"), [0, 2].repeat(900)).expect("writable");
    let ended = train(dir.path(), "other", &data("{ kind = \"bytes\" }"), &[]);
    refused(
        &ended,
        3,
        &[
            "train.bin: token 512 at position 0",
            "257 tokens",
            "data.raw",
        ],
    );
}

/// Returns a `data` section that mixes the sample with a text of digits.
fn mixture(dir: &Path) -> String {
    let digits = dir.join("digits.txt");
    fs::write(&digits, "0123456789\n".repeat(900)).expect("writable");
    let text = |path: &Path| {
        format!(
            "{{ kind = \"text\", paths = [\"{}\"], tokenizer = {{ kind = \"bytes\" }}, cache = \"{}\" }}",
            path.display(),
            dir.join("cache").display()
        )
    };
    format!(
        "kind = \"mixture\"\nsources = [\n  {{ name = \"prose\", weight = 3, data = {} }},\n  {{ name = \"digits\", weight = 1, data = {} }},\n]\n",
        text(&root().join("data/sample.txt")),
        text(&digits)
    )
}

#[test]
fn a_mixture_resumes_bitwise_and_its_sources_are_evaluated_each() {
    let dir = scratch();
    let data = mixture(dir.path());
    let go = |name: &str, steps: &str| {
        let constant = "schedule.shape={ kind = \"constant\" }";
        let ended = train(
            dir.path(),
            name,
            &data,
            &["--set", constant, "--set", steps],
        );
        assert_ok(&ended);
    };
    go("whole", "train.steps=20");
    go("half", "train.steps=10");
    go("half", "train.steps=20");
    for kind in ["train", "eval"] {
        let [whole, half] =
            ["whole", "half"].map(|name| timeless_rows(&dir.path().join(name), kind));
        assert_eq!(whole, half, "{kind}");
    }
    let last = rows(&dir.path().join("whole"), "eval")
        .pop()
        .expect("an evaluation");
    let metrics = &last["metrics"];
    let loss = |name: &str| {
        metrics[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name} in {metrics}"))
    };
    let prose = loss("val_cross_entropy.source.prose");
    let digits = loss("val_cross_entropy.source.digits");
    // There are 8 rows of 32 targets: six rows of prose and two rows of digits.
    let mean = (6.0 * prose + 2.0 * digits) / 8.0;
    // Both sides add the same losses, but in another order.
    assert!((loss("val_cross_entropy") - mean).abs() < 1e-9, "{metrics}");
    assert!(digits < prose, "digits repeat: {metrics}");
}

#[cfg(unix)]
#[test]
fn a_preparation_that_is_killed_goes_on_and_writes_the_same_tokens() {
    let dir = scratch();
    let line = |i: u64| {
        format!(
            "{{\"text\": \"{} is the number {i} and {}\"}}\n",
            i * 7919 % 9973,
            "more ".repeat((i % 90) as usize)
        )
    };
    let lines: String = (0..40_000).map(line).collect();
    let corpus = dir.path().join("a.jsonl");
    fs::write(&corpus, lines).expect("writable");
    assert_ok(&prepare(
        dir.path(),
        "whole",
        &corpus,
        &["--vocab-size", "300"],
    ));
    let tokenizer = dir
        .path()
        .join("whole/tokenizer.json")
        .display()
        .to_string();
    let further = ["--tokenizer", &tokenizer, "--shard-tokens", "2000000"];
    assert_ok(&prepare(dir.path(), "expected", &corpus, &further));
    let out = dir.path().join("killed").display().to_string();
    for milliseconds in [20, 300, 700] {
        let mut killed = trainer()
            .args([
                "prepare",
                &corpus.display().to_string(),
                "--quiet",
                "--out",
                &out,
            ])
            .args(further)
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        std::thread::sleep(Duration::from_millis(milliseconds));
        // The process may have ended before the kill; this is valid too.
        let _ = killed.kill();
        killed.wait().expect("a child");
    }
    if !Path::new(&out).exists() {
        assert_ok(&prepare(dir.path(), "killed", &corpus, &further));
    }
    assert!(tokens(&dir.path().join("killed")) == tokens(&dir.path().join("expected")));
    let left = fs::read_dir(dir.path()).expect("readable");
    let left = left.map(|entry| entry.expect("an entry").file_name().display().to_string());
    assert!(left.into_iter().all(|name| !name.contains("partial")));
}
