//! Tests published mechanisms between iterations, in whole runs.

use std::fs;

use serde_json::Value;

use crate::harness::{
    assert_ok, copy_folder, losses, refused, root, run, scratch, smoke, smoke_with, timeless_rows,
};

/// Each arm: its key, and the start of a tensor's name that its checkpoints must contain.
const ARMS: [(&str, &str); 17] = [
    ("model.branch_scale=loop", "core.0.attention.proj"),
    (
        "model.branch_scale={kind=\"deeploop\",iterations=3}",
        "core.0.attention.proj",
    ),
    ("model.conditioning=adaln", "conditioning.maps"),
    ("model.conditioning=branch-gate", "conditioning.queries"),
    ("model.lora={rank=2}", "lora.layers.0.query.a"),
    (
        "model.lora={rank=1,iterations=2,beyond=\"cycle\",matrices=[\"value\",\"down\"]}",
        "lora.layers.0.down.b",
    ),
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
        &["model.injection.window", "the last one reads 2", "found 3"],
    );
}

#[test]
fn the_layout_of_the_reference_refuses_every_arm_by_name() {
    for (arm, told) in [
        ("model.injection=scalar", "model.injection is scalar"),
        ("model.injection=diagonal", "model.injection is diagonal"),
        (
            "model.injection=orthogonal",
            "model.injection is orthogonal",
        ),
        ("model.injection=history", "model.injection is history"),
        ("model.branch_scale=loop", "model.branch_scale is loop"),
        (
            "model.branch_scale=deeploop",
            "model.branch_scale is deeploop",
        ),
        ("model.conditioning=adaln", "model.conditioning is adaln"),
        (
            "model.conditioning=branch-gate",
            "model.conditioning is branch-gate",
        ),
        ("model.lora={rank=1}", "model.lora is set"),
    ] {
        let dir = scratch();
        let (out, there) = (dir.path().join("run"), dir.path().join("there"));
        assert_ok(&smoke_with(
            &out,
            &[arm, "train.steps=1", "schedule.warmup=0"],
        ));
        let [out, there] = [out, there].map(|path| path.display().to_string());
        let ended = run(["export", &out, "--out", &there]);
        refused(&ended, 4, &[told]);
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
            .contains("# The form of the coefficient of each difference."),
        "{}",
        commented.stdout
    );
}

#[test]
fn options_out_of_range_or_of_another_kind_are_refused_by_key() {
    // The test searches for single words, because the lines of a message are wrapped.
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

/// Two runs log different steps, and measure the contraction only at these steps. Their losses are
/// the same.
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
    for gate in ["loop-gate", "branch-gate"] {
        gate_on_depth(gate);
    }
}

#[track_caller]
fn gate_on_depth(gate: &str) {
    let dir = scratch();
    let out = dir.path().join("run");
    let conditioning = format!("model.conditioning={gate}");
    let trained = smoke_with(&out, &[&conditioning, "train.steps=4"]);
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
    refused(&exits, 2, &[gate, "--recurrence"]);
}

#[test]
fn a_branch_scale_or_conditioning_that_the_block_cannot_have_is_refused_with_the_blocks_that_can() {
    for (keys, parts) in [
        (
            ["model.branch_scale=deeploop", "model.block=pre-norm"],
            ["model.branch_scale", "sandwich"],
        ),
        (
            ["model.conditioning=adaln", "model.block=post-norm"],
            ["model.conditioning", "branch-gate"],
        ),
        (
            [
                "model.branch_scale={kind=\"loop\",lambda=0}",
                "model.block=pre-norm",
            ],
            ["model.branch_scale.lambda", "positive"],
        ),
        (
            ["model.lora={rank=0}", "model.block=pre-norm"],
            ["model.lora.rank", "least"],
        ),
        (
            [
                "model.lora={matrices=[\"up\",\"up\"]}",
                "model.block=pre-norm",
            ],
            ["model.lora.matrices", "twice"],
        ),
    ] {
        let dir = scratch();
        let ended = smoke_with(&dir.path().join("run"), &keys);
        refused(&ended, 2, &parts);
    }
}

#[test]
fn passes_beyond_the_pairs_of_a_model_are_refused_where_its_rule_says_so_and_run_where_it_says_how()
{
    let fixed = "model.recurrence={sampler=\"fixed\",mean=4,backprop_depth=2,max=4}";
    let train = |out: &std::path::Path, lora: &str, depths: &str| {
        let depths = format!("eval.recurrence={depths}");
        smoke_with(out, &[lora, fixed, &depths, "train.steps=2"])
    };
    let dir = scratch();
    let out = dir.path().join("run");
    let refusing = "model.lora={rank=1,beyond=\"refuse\"}";
    refused(
        &train(&out, refusing, "[1, 8]"),
        2,
        &["eval.recurrence", "refuse", "8"],
    );
    refused(
        &train(
            &out,
            "model.lora={rank=1,iterations=3,beyond=\"refuse\"}",
            "[1]",
        ),
        2,
        &["model.lora.iterations", "4", "3"],
    );
    refused(
        &train(&out, "model.lora={rank=1,iterations=5}", "[1]"),
        2,
        &["model.lora.iterations", "never", "trained"],
    );
    assert_ok(&train(&out, refusing, "[1, 4]"));
    let path = out.display().to_string();
    let eval = |depth: &str| run(["eval", &path, "--device", "flex", "--recurrence", depth]);
    assert_ok(&eval("4"));
    refused(&eval("5"), 2, &["model.lora", "refuse", "5"]);
    let generate = [
        "generate",
        &path,
        "--device",
        "flex",
        "--prompt",
        "a",
        "--max-tokens",
        "1",
    ];
    assert_ok(&run(generate));
    let deeper = run(generate.into_iter().chain(["--recurrence", "5"]));
    refused(&deeper, 2, &["model.lora", "refuse", "5"]);
    let adaptive = run(generate.into_iter().chain(["--exit", "latent-diff"]));
    assert_ok(&adaptive);
    let repeating = dir.path().join("repeating");
    assert_ok(&train(&repeating, "model.lora={rank=1}", "[1, 8]"));
}

/// Copies a model and sets the scales of its layers' norms to one, so that layers differ only in
/// their matrices.
fn with_equal_norms(from: &std::path::Path, to: &std::path::Path) {
    copy_folder(from, to);
    let path = to.join("model.safetensors");
    let mut bytes = fs::read(&path).expect("weights");
    let (length, rest) = bytes.split_at_mut(8);
    let length = u64::from_le_bytes(length.try_into().expect("eight bytes"));
    let (header, data) = rest.split_at_mut(length.try_into().expect("a small header"));
    let header: Value = serde_json::from_slice(header).expect("a header");
    for (name, tensor) in header.as_object().expect("tensors") {
        if name.starts_with("model.layers") && name.contains("layernorm") {
            let offset =
                |end: usize| tensor["data_offsets"][end].as_u64().expect("an offset") as usize;
            for number in data[offset(0)..offset(1)].chunks_exact_mut(4) {
                number.copy_from_slice(&1.0_f32.to_le_bytes());
            }
        }
    }
    fs::write(&path, bytes).expect("written");
}

#[test]
fn a_stack_imported_as_a_loop_with_pairs_of_full_rank_does_what_the_stack_does() {
    let dir = scratch();
    let stack = dir.path().join("stack");
    with_equal_norms(&root().join("tests/golden/hf-tiny/tinyllama"), &stack);
    let stack = stack.display().to_string();
    let tokens = "tests/golden/hf-tiny/tinyllama/io.safetensors";
    let out = |name: &str| dir.path().join(name).display().to_string();
    let loss = |of_run: &str, depth: &str| -> f64 {
        let asked = ["--tokens", tokens, "--recurrence", depth, "--json"];
        let ended = run(["eval", of_run, "--device", "flex"]
            .into_iter()
            .chain(asked));
        assert_ok(&ended);
        let found = ended.json();
        let runs = found["runs"].as_array();
        let of_run = runs.map_or(&found, |runs| &runs[0]);
        of_run["depths"][0]["loss"].as_f64().expect("a loss")
    };
    let plain = out("plain");
    assert_ok(&run(["import", &stack, "--out", &plain]));
    let expected = loss(&plain, "1");
    let gap = |rule: &str, loops: &str, rank: Option<&str>| {
        let looped = out(&format!("{rule}-{}", rank.unwrap_or("none")));
        let mut args = vec!["import", &stack, "--out", &looped];
        args.extend(["--loop", rule, "--loops", loops]);
        args.extend(rank.into_iter().flat_map(|rank| ["--lora-rank", rank]));
        assert_ok(&run(args));
        (loss(&looped, loops) - expected).abs()
    };
    for (rule, loops) in [
        ("cycle-average", "3"),
        ("cycle-stepwise", "3"),
        ("middle-cycle-lower", "2"),
    ] {
        let (without, whole) = (gap(rule, loops, None), gap(rule, loops, Some("48")));
        assert!(whole < 1e-5, "{rule}: {whole}");
        assert!(without > 1e-3, "{rule}: {without}");
    }
    let beside = out("none");
    let asked = ["--loop", "cycle-average", "--loops", "4"];
    let uneven = run(["import", &stack, "--out", &beside]
        .into_iter()
        .chain(asked));
    refused(&uneven, 2, &["--loop", "evenly"]);
}
