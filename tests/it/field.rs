//! Published mechanisms between iterations, in whole runs.

use std::fs;

use serde_json::Value;

use crate::harness::{
    assert_ok, copy_folder, losses, refused, run, scratch, smoke, smoke_with, timeless_rows,
};

/// An arm, and its tensors beyond those of a loop without injection parameters.
const ARMS: [(&str, &str); 11] = [
    ("model.hyper_connections={lanes=2}", "lanes.read"),
    ("model.conditioning=embedding", "conditioning.gain"),
    ("model.conditioning=loop-gate", "conditioning.query"),
    ("model.injection=scalar", "injection.alpha"),
    ("model.injection=diagonal", "injection.rates.a_log"),
    (
        "model.injection={kind=\"diagonal\",discretisation=\"zero-order-hold\"}",
        "injection.rates.matrix",
    ),
    ("model.injection=orthogonal", "injection.rates.dt_bias"),
    (
        "model.injection={kind=\"history\",window=2}",
        "history.coefficients",
    ),
    (
        "model.injection={kind=\"history\",form=\"dense\",embedding=\"add\"}",
        "history.lags.0",
    ),
    ("model.loop_residual=infiloop", "residual.beta"),
    (
        "model.loop_residual={kind=\"infiloop\",beta=0.95,learned=false}",
        "residual.query",
    ),
];

fn key(arm: &str) -> String {
    format!("model.injection={arm}")
}

#[test]
fn every_arm_trains_and_goes_on_bit_for_bit_in_the_middle_of_a_run() {
    for (arm, tensor) in ARMS {
        let dir = scratch();
        let (whole, resumed) = (dir.path().join("whole"), dir.path().join("resumed"));
        let keys = [
            arm,
            "train.steps=10",
            "checkpoint.every=5",
            "train.log_every=1",
        ];
        assert_ok(&smoke_with(&whole, &keys));
        copy_folder(&whole, &resumed);
        fs::remove_dir_all(resumed.join("checkpoints/step-00000010")).expect("the last checkpoint");
        assert_ok(&smoke_with(&resumed, &keys));
        for file in ["model.safetensors", "optimizer.safetensors"] {
            let read = |run: &std::path::Path| {
                fs::read(run.join("checkpoints/step-00000010").join(file)).expect("a checkpoint")
            };
            assert!(read(&whole) == read(&resumed), "{arm}: {file} differs");
            let bytes = read(&whole);
            let named = String::from_utf8_lossy(&bytes).contains(&format!("\"{tensor}"));
            assert!(named, "{arm}: {file} has no {tensor}");
        }
        let train = timeless_rows(&whole, "train");
        assert_eq!(train, timeless_rows(&resumed, "train"), "{arm}");
        for row in train.iter().filter(|_| arm.starts_with("model.injection")) {
            let number = |name: &str| row["metrics"][name].as_f64().expect(name);
            assert!(number("contraction") <= number("contraction_max"), "{arm}");
            assert!(number("contraction") > 0.0, "{arm}");
        }
        let of = |losses: &[f64]| (losses[0], losses[losses.len() - 1]);
        let (first, last) = of(&losses(&whole));
        assert!(last < first, "{arm}: {last} after {first}");
    }
}

#[test]
fn every_arm_generates_with_a_cache_what_it_generates_without() {
    for (arm, _) in ARMS {
        let dir = scratch();
        let out = dir.path().join("run");
        assert_ok(&smoke_with(&out, &[arm, "train.steps=4"]));
        let out = out.display().to_string();
        let generate = |further: &[&str]| {
            let mut args = vec![
                "generate",
                &out,
                "--device",
                "flex",
                "--prompt",
                "Four score",
            ];
            args.extend(["--max-tokens", "8", "--recurrence", "5", "--json"]);
            args.extend(further);
            let ended = run(args);
            assert_ok(&ended);
            ended.json()["tokens"].clone()
        };
        let cached = generate(&[]);
        assert!(
            cached.as_array().is_some_and(|tokens| tokens.len() >= 8),
            "{arm}: {cached}"
        );
        assert_eq!(cached, generate(&["--no-cache"]), "{arm}");
        if arm.starts_with("model.hyper_connections") {
            let continuous = ["generate", &out, "--prompt", "a", "--continuous"];
            refused(&run(continuous), 2, &["--continuous", "hyper_connections"]);
        }
    }
}

#[test]
fn a_history_longer_than_any_iteration_reads_is_refused() {
    let dir = scratch();
    let keys = [
        "model.injection={kind=\"history\",window=3}",
        "model.recurrence={sampler=\"fixed\",mean=4,backprop_depth=2,max=4}",
    ];
    let ended = smoke_with(&dir.path().join("run"), &keys);
    refused(
        &ended,
        2,
        &["model.injection.window", "2 earlier", "found 3"],
    );
}

#[test]
fn the_layout_of_the_reference_refuses_every_arm_by_name() {
    for (arm, name) in [
        ("scalar", "scalar"),
        ("diagonal", "diagonal"),
        ("orthogonal", "orthogonal"),
        ("history", "history"),
    ] {
        let dir = scratch();
        let (out, there) = (dir.path().join("run"), dir.path().join("there"));
        assert_ok(&smoke_with(
            &out,
            &[&key(arm), "train.steps=1", "schedule.warmup=0"],
        ));
        let [out, there] = [out, there].map(|path| path.display().to_string());
        let ended = run(["export", &out, "--out", &there]);
        refused(&ended, 4, &[&format!("model.injection is {name}")]);
        assert_ok(&run(["export", &out, "--out", &there, "--format", "rondo"]));
    }
}

#[test]
fn an_injection_is_written_as_a_word_or_as_a_table_and_printed_so_that_it_reads_back() {
    let dir = scratch();
    let print = |key: &str| {
        let ended = run([
            "--config",
            "configs/smoke.toml",
            "--set",
            key,
            "--print-config",
        ]);
        assert_ok(&ended);
        ended.stdout
    };
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let word = print("model.injection=add");
    assert!(
        lines(&word).contains(&"injection = \"add\"".to_owned()),
        "{word}"
    );
    assert_eq!(word, print("model.injection={kind=\"add\"}"));
    let history = print("model.injection=history");
    for line in [
        "[model.injection]",
        "kind = \"history\"",
        "window = 1",
        "form = \"channel\"",
        "embedding = \"linear\"",
    ] {
        assert!(lines(&history).contains(&line.to_owned()), "{history}");
    }
    let path = dir.path().join("printed.toml");
    fs::write(&path, &history).expect("a file");
    let path = path.display().to_string();
    let again = run(["--config", &path, "--print-config"]);
    assert_ok(&again);
    assert_eq!(again.stdout, history);
    let commented = run(["--config", &path, "--print-config=commented"]);
    assert_ok(&commented);
    assert!(
        commented
            .stdout
            .contains("# What multiplies each difference."),
        "{}",
        commented.stdout
    );
}

#[test]
fn options_out_of_range_or_of_another_kind_are_refused_by_key() {
    // Only single words are searched, because the lines of a message are wrapped.
    for (value, parts) in [
        (
            "{kind=\"history\",window=0}",
            &["model.injection.window", "1"][..],
        ),
        (
            "{kind=\"history\",window=9}",
            &["model.injection.window", "8"],
        ),
        (
            "{kind=\"scalar\",start=nan}",
            &["model.injection.start", "finite"],
        ),
        (
            "{kind=\"diagonal\",window=2}",
            &["model.injection.window", "unknown", "history"],
        ),
        ("diagonaal", &["diagonaal", "`diagonal`"]),
        (
            "{kind=\"ortogonal\"}",
            &["model.injection.kind", "`orthogonal`"],
        ),
        ("{window=2}", &["model.injection.kind", "required"]),
    ] {
        let dir = scratch();
        let set = key(value);
        let ended = smoke(&dir.path().join("run"), &["--set", &set]);
        refused(&ended, 2, parts);
    }
}

/// Two runs that log different steps, and only measure the contraction there, have the same losses.
#[test]
fn a_step_that_is_not_logged_trains_the_same() {
    let dir = scratch();
    let train = |name: &str, every: &str| {
        let out = dir.path().join(name);
        let every = format!("train.log_every={every}");
        assert_ok(&smoke_with(
            &out,
            &["model.injection=diagonal", "train.steps=8", &every],
        ));
        let last = timeless_rows(&out, "train").pop().expect("a record");
        let metrics = &last["metrics"];
        [&metrics["loss"], &metrics["contraction"]].map(Value::clone)
    };
    assert_eq!(train("each", "1"), train("last", "8"));
}

#[test]
fn a_gate_on_the_depth_of_the_pass_is_evaluated_at_each_depth_by_itself_and_refuses_exits() {
    let dir = scratch();
    let out = dir.path().join("run");
    let trained = smoke_with(&out, &["model.conditioning=loop-gate", "train.steps=4"]);
    assert_ok(&trained);
    let told: Vec<&str> = trained.stderr.split_whitespace().collect();
    let told = told.join(" ");
    assert!(told.contains("takes a pass of its own"), "{trained:?}");
    let out = out.display().to_string();
    let eval = |depths: &str| {
        let ended = run([
            "eval",
            &out,
            "--device",
            "flex",
            "--recurrence",
            depths,
            "--json",
        ]);
        assert_ok(&ended);
        ended.json()
    };
    let losses = |found: &Value| -> Vec<(u64, f64)> {
        let runs = found["runs"]
            .as_array()
            .map_or(std::slice::from_ref(found), Vec::as_slice);
        let depths = runs[0]["depths"].as_array().expect("depths").iter();
        let one = |depth: &Value| {
            let loss = depth["loss"].as_f64().expect("a loss");
            (depth["recurrence"].as_u64().expect("a depth"), loss)
        };
        depths.map(one).collect()
    };
    let together = losses(&eval("1,3,6"));
    let alone: Vec<(u64, f64)> = ["1", "3", "6"]
        .iter()
        .flat_map(|depth| losses(&eval(depth)))
        .collect();
    assert_eq!(together, alone);
    let exits = run(["eval", &out, "--device", "flex", "--exit", "latent-diff"]);
    refused(&exits, 2, &["loop-gate", "--recurrence"]);
}
