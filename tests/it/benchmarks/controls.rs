//! The controls of a depth curve: a fitted temperature and a fitted readout.

use std::fs;

use serde_json::{Value, json};

use super::{eval, golden, imported, lines, outcome_file, outcome_file_at, written};
use crate::harness::{assert_ok, root, run, scratch};

#[test]
fn controls_are_fitted_on_other_documents_and_score_the_items_beside_the_plain_depths() {
    let (dir, run) = imported();
    let text = root().join("data/first.txt");
    let ascii: String = fs::read_to_string(text)
        .expect("a text")
        .chars()
        .filter(char::is_ascii)
        .collect();
    let documents = dir.path().join("documents.txt");
    fs::write(&documents, ascii).expect("writable");
    let (documents, figures) = (documents.display().to_string(), dir.path().join("figures"));
    let figures_path = figures.display().to_string();
    let mut further = vec!["--recurrence", "1,8", "--controls", "--data", &documents];
    further.extend([
        "--control-tokens",
        "2000",
        "--limit",
        "20",
        "--figures",
        &figures_path,
    ]);
    let file = golden().join("multiple_choice.jsonl");
    let ended = eval(&run, &file, &further);
    assert_ok(&ended);
    let found = ended.json();
    let fitted = found["controls"][0]["depths"]
        .as_array()
        .expect("depths")
        .clone();
    assert_eq!(fitted.len(), 2);
    for depth in &fitted {
        let number = |key: &str| {
            depth[key]
                .as_f64()
                .unwrap_or_else(|| panic!("no {key} in {depth}"))
        };
        // The weights are random, so higher temperatures and a fitted readout have much lower
        // losses, even on tokens that were not used for fitting.
        assert!(number("temperature") > 1.0, "{depth}");
        assert!(number("loss_temperature") < number("loss"), "{depth}");
        assert!(
            number("loss_affine") < number("loss_temperature"),
            "{depth}"
        );
        assert_eq!(
            (number("fitted_tokens"), number("tokens")),
            (1000.0, 1000.0)
        );
    }
    let names: Vec<String> = found["tasks"][0]["strata"][0]["runs"][0]["conditions"]
        .as_array()
        .expect("conditions")
        .iter()
        .map(|condition| format!("{} {}", condition["recurrence"], condition["control"]))
        .collect();
    let expected = [
        "1 none",
        "1 temperature",
        "1 affine",
        "8 none",
        "8 temperature",
        "8 affine",
    ];
    let expected = expected.map(|name| name.replace(' ', " \"") + "\"");
    assert_eq!(names, expected);
    assert!(
        figures.join("depth-controls.svg").is_file() && figures.join("benchmarks.svg").is_file()
    );

    // The outcomes without a control must equal the outcomes of an evaluation without controls.
    let with = lines(&outcome_file(&run, "multiple_choice")).split_off(1);
    assert_ok(&eval(
        &run,
        &file,
        &["--recurrence", "1,8", "--limit", "20"],
    ));
    let without = lines(&outcome_file(&run, "multiple_choice")).split_off(1);
    let plain =
        |item: &Value, places: [usize; 2]| places.map(|place| item["outcomes"][place].clone());
    for (with, without) in with.iter().zip(&without) {
        assert_eq!(plain(with, [0, 3]), plain(without, [0, 1]));
    }
}

#[test]
fn a_run_on_a_task_has_controls_by_its_validation_rows() {
    let dir = scratch();
    let out = dir.path().join("run");
    let path = out.display().to_string();
    let mut args = vec!["--config", "configs/depth-s3.toml", "--out", &path, "-q"];
    for set in [
        "train.steps=2",
        "train.batch=4",
        "eval.every=2",
        "eval.tokens=96",
    ] {
        args.extend(["--set", set]);
    }
    assert_ok(&run(args));
    // The vocabulary has one token for each of the six elements, as in scripts/word_problem.py.
    let vocabulary: Value = "abcdef"
        .chars()
        .zip(0..)
        .map(|(letter, id)| (letter.to_string(), json!(id)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let tokenizer = json!({
        "version": "1.0",
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": false},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "a"},
    });
    fs::write(out.join("tokenizer.json"), tokenizer.to_string()).expect("writable");
    fs::write(out.join("tokenizer_config.json"), r#"{"eos_token":"a"}"#).expect("writable");
    let item = r#"{"query":"bd","choices":["a","b","c","d","e","f"],"gold":0}"#;
    let file = written(dir.path(), "products.jsonl", &[item]);
    let ended = eval(
        &out,
        &file,
        &[
            "--recurrence",
            "1,4",
            "--delimiter",
            "",
            "--controls",
            "--control-tokens",
            "192",
        ],
    );
    assert_ok(&ended);
    let found = ended.json();
    // There are eight rows of 24 letters each; half of the letters are used for fitting.
    for depth in found["controls"][0]["depths"].as_array().expect("depths") {
        assert_eq!(
            (&depth["fitted_tokens"], &depth["tokens"]),
            (&json!(96), &json!(96))
        );
        assert!(
            depth["loss_affine"].as_f64().is_some_and(f64::is_finite),
            "{depth}"
        );
    }
    let outcome = &lines(&outcome_file_at(&out, 2, "products"))[1]["outcomes"][0];
    assert_eq!(outcome["loglikelihoods"].as_array().map(Vec::len), Some(6));
}
