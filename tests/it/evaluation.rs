//! Tests of `trainer eval`, which evaluates a checkpoint.

use std::fs;

use crate::harness::{assert_ok, rows, run, scratch, smoke};

#[test]
fn a_checkpoint_evaluates_as_the_run_did_at_its_end() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke(&out, &[]));
    let path = out.display().to_string();
    let ended = run(["eval", &path, "--device", "flex", "--json"]);
    assert_ok(&ended);
    let found = &ended.json()["runs"][0];
    assert_eq!(found["step"], 20);
    let logged = rows(&out, "eval").pop().expect("an evaluation");
    for depth in found["depths"].as_array().expect("depths") {
        let name = format!("val_loss@{}", depth["recurrence"]);
        assert_eq!(depth["loss"], logged["metrics"][&name], "{name}");
        let loss = depth["loss"].as_f64().expect("a loss");
        let perplexity = depth["perplexity"].as_f64().expect("a perplexity");
        assert!((perplexity - loss.exp()).abs() < 1e-9 * perplexity);
        // Each byte is one token. Only the ends of texts are tokens without a byte.
        let bits = depth["bits_per_byte"]
            .as_f64()
            .expect("text has bits per byte");
        assert!((bits / (loss / std::f64::consts::LN_2) - 1.0).abs() < 0.01);
    }
}

#[test]
fn depth_checkpoint_state_and_tokens_can_be_chosen() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke(&out, &[]));
    let path = out.display().to_string();
    let ended = run([
        "eval",
        &path,
        "--device",
        "flex",
        "--recurrence",
        "2,1",
        "--checkpoint",
        "10",
        "--initial-state",
        "zero",
        "--json",
    ]);
    assert_ok(&ended);
    let found = &ended.json()["runs"][0];
    assert_eq!(found["step"], 10);
    let depths: Vec<u64> = found["depths"]
        .as_array()
        .expect("depths")
        .iter()
        .filter_map(|d| d["recurrence"].as_u64())
        .collect();
    assert_eq!(depths, [1, 2]);

    let tokens = dir.path().join("tokens.json");
    fs::write(&tokens, "[[70, 111, 117, 114], [115, 99, 111, 114, 101]]").expect("a file");
    let ended = run([
        "eval",
        &path,
        "--device",
        "flex",
        "--tokens",
        &tokens.display().to_string(),
    ]);
    assert_ok(&ended);
    assert!(ended.stdout.contains("recurrence"), "{ended:?}");
    fs::write(&tokens, "[70, 9999]").expect("a file");
    let ended = run([
        "eval",
        &path,
        "--device",
        "flex",
        "--tokens",
        &tokens.display().to_string(),
    ]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("9999"), "{ended:?}");

    let text = [
        "eval",
        &path,
        "--device",
        "flex",
        "--data",
        "data/first.txt",
        "--max-tokens",
        "200",
    ];
    assert_ok(&run(text));
    let ended = run(["eval", &path, "--device", "flex", "--checkpoint", "11"]);
    assert_eq!(ended.code, 4, "{ended:?}");
}

#[test]
fn a_task_is_evaluated_with_accuracy_overall_and_by_position() {
    let dir = scratch();
    let out = dir.path().join("run");
    let path = out.display().to_string();
    let small = [
        "--config",
        "configs/depth-s3.toml",
        "--device",
        "flex",
        "--out",
        &path,
        "--set",
        "train.steps=2",
        "--set",
        "train.batch=2",
        "--set",
        "eval.tokens=96",
        "--set",
        "eval.recurrence=[1,2]",
    ];
    assert_ok(&run(small));
    let found = run(["eval", &path, "--device", "flex", "--json"]);
    assert_ok(&found);
    let depth = found.json()["runs"][0]["depths"][0].clone();
    let positions = depth["accuracy_by_position"]
        .as_array()
        .expect("positions")
        .clone();
    let mean = positions
        .iter()
        .filter_map(serde_json::Value::as_f64)
        .sum::<f64>()
        / positions.len() as f64;
    assert!((mean - depth["accuracy"].as_f64().expect("accuracy")).abs() < 1e-9);
}

#[test]
fn the_mean_depth_is_counted_once_where_it_is_among_the_configured_ones() {
    let dir = scratch();
    // The mean depth is 4, and it is always evaluated.
    for (name, depths) in [
        ("there", "[1, 4, 8]"),
        ("beside", "[1, 8]"),
        ("twice", "[8, 1, 8]"),
    ] {
        let depths = format!("eval.recurrence={depths}");
        let ended = smoke(
            &dir.path().join(name),
            &["--set", "train.steps=1", "--set", &depths],
        );
        assert_ok(&ended);
        assert!(ended.stderr.contains(" at 3 depths "), "{}", ended.stderr);
    }
}
