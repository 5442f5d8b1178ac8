//! Tests of typical corpora: which files are read, skipped and refused.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{Ended, assert_ok, ended, refused, run, scratch, smoke_with, trainer};

/// Prepares `corpus` with bytes as tokens into `dir/NAME`. `further` holds more arguments.
fn prepare(dir: &Path, name: &str, corpus: &str, further: &[&str]) -> Ended {
    let out = dir.join(name).display().to_string();
    run([
        &["prepare", corpus, "--bytes", "--quiet", "--out", &out],
        further,
    ]
    .concat())
}

#[cfg(unix)]
#[test]
fn what_can_be_read_once_is_refused_before_it_is_opened() {
    let dir = scratch();
    let pipe = dir.path().join("pipe").display().to_string();
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo is there").success());
    for (corpus, name) in [(pipe.as_str(), "pipe:"), ("/dev/null", "/dev/null:")] {
        let ended = prepare(dir.path(), "p", corpus, &[]);
        refused(&ended, 3, &[name, "not a regular file"]);
    }
    let script = "cat data/sample.txt | \"$0\" prepare /dev/stdin --bytes --out \"$1\"";
    let out = dir.path().join("p").display().to_string();
    let piped = Command::new("sh")
        .args(["-c", script])
        .arg(trainer().get_program())
        .arg(&out)
        .current_dir(trainer().get_current_dir().expect("the root"))
        .output();
    refused(
        &ended(piped.expect("a shell")),
        3,
        &["/dev/stdin: not a regular file"],
    );
    assert!(!dir.path().join("p").exists());
}

#[test]
fn what_is_passed_over_is_told_and_written_down() {
    let dir = scratch();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("writable");
        path.display().to_string()
    };
    let table = write("a.csv", "id,text\n1,words and words\n");
    let ended = prepare(dir.path(), "table", &table, &[]);
    assert_ok(&ended);
    assert!(
        ended.stderr.contains("warning: read as one plain text"),
        "{ended:?}"
    );

    let lines =
        "{\"content\":\"one text\"}\n{\"content\":\"half \\ud83d\"}\n{\"content\":\"two texts\"}\n";
    let lines = write("a.ndjson", lines);
    refused(
        &prepare(dir.path(), "p", &lines, &[]),
        3,
        &["a.ndjson:1:", "keys here: content", "--field"],
    );
    let field = ["--json-field", "content"];
    let half = prepare(dir.path(), "p", &lines, &field);
    refused(
        &half,
        3,
        &["a.ndjson:2:", "surrogate pair", "--skip-bad-lines"],
    );
    let further = [&field[..], &["--skip-bad-lines"]].concat();
    let ended = prepare(dir.path(), "lines", &lines, &further);
    assert_ok(&ended);
    assert!(ended.stderr.contains("a.ndjson:2:"), "{ended:?}");
    let info = fs::read_to_string(dir.path().join("lines/corpus.json")).expect("written");
    assert!(info.contains("\"skipped_lines\": 1"), "{info}");
}

#[test]
fn a_folder_stands_for_its_tokenizer() {
    let dir = scratch();
    let folder = dir.path().display().to_string();
    let text = dir.path().join("text.txt");
    fs::write(&text, "the cat sat on the mat\n".repeat(50)).expect("writable");
    let from = "tests/corpus/tokenizer/prepends-a-space.json";
    let root = trainer().get_current_dir().expect("the root").to_owned();
    fs::copy(root.join(from), dir.path().join("tokenizer.json")).expect("a copy");
    fs::write(
        dir.path().join("tokenizer_config.json"),
        "{\"eos_token\": \"</s>\"}",
    )
    .expect("writable");
    let prepare = |tokenizer: &str, out: &str| {
        let out = dir.path().join(out).display().to_string();
        let text = text.display().to_string();
        run([
            "prepare",
            &text,
            "--tokenizer",
            tokenizer,
            "-q",
            "--out",
            &out,
        ])
    };
    assert_ok(&prepare(&folder, "p"));
    let config = format!("{folder}/tokenizer_config.json");
    refused(&prepare(&config, "q"), 3, &["name tokenizer.json"]);
}

#[test]
fn a_text_is_evaluated_as_the_run_reads_its_own() {
    let dir = scratch();
    let line = |i| format!("{{\"content\": \"a text with the number {i} and more words\"}}\n");
    let lines = (0..60).map(line).collect::<Vec<_>>().concat();
    let path = dir.path().join("a.jsonl").display().to_string();
    fs::write(&path, lines).expect("writable");
    let out = dir.path().join("run");
    let keys = [
        &format!("data.paths=[{path:?}]"),
        "data.json_field=content",
        "data.val_fraction=0.3",
        "train.steps=4",
    ];
    assert_ok(&smoke_with(&out, &keys));
    let eval = |further: &[&str]| {
        let run_dir = out.display().to_string();
        run([&["eval", &run_dir, "--device", "flex", "--json"], further].concat())
    };
    assert_ok(&eval(&["--data", &path]));
    let other = eval(&["--data", &path, "--json-field", "body"]);
    refused(&other, 3, &["key `body`", "keys here: content"]);
    for further in [
        &["--max-tokens", "0"][..],
        &["--data", &path, "--max-tokens", "0"],
    ] {
        let ended = eval(further);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains("at least 1"), "{ended:?}");
    }
}

/// Bits per byte refer only to the evaluated targets, not to the text after them.
#[test]
fn bits_per_byte_are_those_of_the_text_that_is_evaluated() {
    let dir = scratch();
    let out = dir.path().join("run");
    let bpe = "data.tokenizer={ kind = \"bpe\", vocab_size = 320 }";
    assert_ok(&smoke_with(&out, &[bpe, "train.steps=4"]));
    let run_dir = out.display().to_string();
    let eval = |text: &str| {
        let path = dir.path().join("t.txt").display().to_string();
        fs::write(&path, text).expect("writable");
        let args = [
            "eval", &run_dir, "--device", "flex", "--json", "--data", &path,
        ];
        let ended = run(args
            .into_iter()
            .chain(["--max-tokens", "64", "--recurrence", "2"]));
        assert_ok(&ended);
        let depth = &ended.json()["runs"][0]["depths"][0];
        let number = |name: &str| depth[name].as_f64().expect("a number");
        (number("loss"), number("bits_per_byte"))
    };
    let start = "fn main() and some words of the text here, ".repeat(8);
    let (short, long, other) = (
        eval(&start),
        eval(&(start.clone() + &"猫".repeat(9000))),
        eval(&(start.clone() + &"\n\n}\n".repeat(9000))),
    );
    assert!(
        short == long && short == other,
        "{short:?}, {long:?}, {other:?}"
    );
}
