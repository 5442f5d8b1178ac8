//! Trains the same run on every device of this build and machine.

use crate::families::{OF_OTHER_FAMILIES, WHOLE_STACK};
use crate::harness::{
    Ended, assert_ok, ended, losses, refused, rows, run, scratch, smoke, smoke_args, trainer,
};

/// The tolerance for the different order of sums on another device, over twenty steps.
const TOLERANCE: f64 = 1e-3;

pub(crate) fn is_there(kind: &str) -> bool {
    let listed = run(["devices", "--json"]).json();
    let there = listed["devices"]
        .as_array()
        .is_some_and(|all| all.iter().any(|d| d["kind"] == kind));
    if !there {
        use std::io::Write as _;
        // The message is written directly to standard error, because the test harness hides the
        // output of a passing test.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: no {kind} device is built in and there"
        );
    }
    there
}

fn agrees_with_flex(kind: &str, steps: usize, further: &[&str]) {
    if !is_there(kind) {
        return;
    }
    let dir = scratch();
    let (flex, other) = (dir.path().join("flex"), dir.path().join(kind));
    let on = |device| [&["--device", device], further].concat();
    assert_ok(&smoke(&flex, &on("flex")));
    assert_ok(&smoke(&other, &on(kind)));
    let (expected, found) = (losses(&flex), losses(&other));
    assert_eq!((expected.len(), found.len()), (steps, steps));
    for (step, (a, b)) in (1..).zip(expected.iter().zip(&found)) {
        assert!(
            (a - b).abs() < TOLERANCE,
            "{kind}, step {step}: {b}, not {a}"
        );
    }
}

#[test]
fn wgpu_trains_like_flex() {
    agrees_with_flex("wgpu", 20, &[]);
}

/// On a GPU, an attention that has no kernel is composed of operations.
#[test]
fn wgpu_trains_the_structures_of_other_families_like_flex() {
    let norm_of_heads = ["model.qk_norm=head"];
    let keys = [&WHOLE_STACK[..], &OF_OTHER_FAMILIES, &norm_of_heads];
    for keys in keys {
        let set = keys.iter().flat_map(|key| ["--set", key]);
        let further: Vec<&str> = set.chain(["--set", "train.steps=6"]).collect();
        agrees_with_flex("wgpu", 6, &further);
    }
}

#[test]
fn wgpu_trains_with_penalties_and_losses_after_several_iterations_like_flex() {
    let several = "train.loss={kind=\"mean\",weights=\"rising\"}";
    for keys in [
        // A difference of states over a small ε would mostly show the rounding of the states in
        // f32.
        [several, "train.penalty={kind=\"jacobian\",epsilon=1.0}"],
        ["train.penalty={kind=\"norm\"}", "model.block=pre-norm"],
        ["train.penalty={kind=\"fixed-point\"}", several],
    ] {
        let keys = keys.iter().chain(&["train.steps=6"]);
        let set: Vec<&str> = keys.flat_map(|key| ["--set", key]).collect();
        agrees_with_flex("wgpu", 6, &set);
    }
}

/// Half of the gates close at random, so the devices must draw the same gates.
#[test]
fn wgpu_draws_the_gates_of_flex() {
    let gates = "model.sparsity={gate_bias=0.0}";
    let strength = "controller={target={kind=\"absolute\",cross_entropy=9.0}}";
    let keys = [gates, strength, "train.steps=6"];
    agrees_with_flex("wgpu", 6, &keys.map(|key| ["--set", key]).concat());
}

/// Flex uses kernels for this; the other devices use operations with a mask.
#[test]
fn wgpu_and_ndarray_attend_within_documents_like_flex() {
    let dir = scratch();
    let line = |number: usize| {
        let words = ["loop", "state", "depth", "core", "norm"];
        let text = format!("{} {}", words[number % 5], words[number * number % 5]);
        format!(
            "{}\n",
            serde_json::json!({"text": text + &number.to_string()})
        )
    };
    let lines: String = (0..600).map(line).collect();
    let path = dir.path().join("documents.jsonl");
    std::fs::write(&path, lines).expect("writable");
    let paths = format!("data.paths=[\"{}\"]", path.display());
    let keys = [
        paths.as_str(),
        "data.document_mask=true",
        "data.val_fraction=0.2",
        "train.steps=6",
    ];
    let further = keys.map(|key| ["--set", key]).concat();
    for kind in ["wgpu", "ndarray"] {
        agrees_with_flex(kind, 6, &further);
    }
}

#[test]
fn ndarray_trains_like_flex() {
    agrees_with_flex("ndarray", 20, &[]);
}

#[test]
fn the_selftest_passes_on_flex() {
    let ended = run(["selftest", "--device", "flex", "--steps", "3", "--json"]);
    assert_ok(&ended);
    assert_eq!(ended.json()["passed"], true);
}

/// The weights are no longer finite. A GPU masks the updates out, and the host gets this result at
/// the next logged step.
#[test]
fn updates_that_were_not_made_add_nothing_to_the_summed_rate() {
    for kind in ["flex", "wgpu"] {
        if !is_there(kind) {
            continue;
        }
        let dir = scratch();
        let out = dir.path().join(kind);
        let keys = [
            "schedule.peak=1e30",
            "schedule.warmup=0",
            "train.nonfinite={kind=\"skip\"}",
            "train.steps=5",
            "train.log_every=5",
        ];
        let keys = keys.map(|key| ["--set", key]).concat();
        assert_ok(&smoke(&out, &[&["--device", kind], &keys[..]].concat()));
        let rows = rows(&out, "train");
        let logged = |row: usize, name: &str| rows[row]["metrics"][name].as_f64();
        assert_eq!((rows.len(), rows[1]["step"].as_u64()), (2, Some(5)));
        assert!(logged(0, "lr").is_some());
        assert_eq!(logged(1, "lr_sum"), logged(0, "lr"), "{kind}");
    }
}

/// Returns the precisions that `trainer devices` prints for the first device of a kind.
fn precisions(kind: &str) -> Vec<String> {
    let listed = run(["devices", "--json"]).json();
    let all = listed["devices"].as_array().expect("devices");
    let device = all.iter().find(|device| device["kind"] == kind);
    let precisions = device.expect("it is there")["precisions"].as_array();
    let names = precisions.expect("precisions").iter();
    names
        .map(|name| name.as_str().expect("a name").to_owned())
        .collect()
}

#[test]
fn a_precision_that_a_device_has_not_is_refused_before_anything_is_written() {
    assert_eq!(precisions("flex"), ["f32", "bf16"]);
    let mut refused_there = vec![("flex", "tf32", "f32 is there on every device")];
    if is_there("wgpu") {
        assert_eq!(precisions("wgpu"), ["f32"]);
        refused_there.push(("wgpu", "tf32", "f32 is there on every device"));
        refused_there.push(("wgpu", "bf16", "use f32 here"));
    }
    for (kind, precision, instead) in refused_there {
        let key = format!("device.precision={precision}");
        let told = format!("device.precision = {precision}: not on {kind}: ");
        let dir = scratch();
        let out = dir.path().join("run");
        let ended = smoke(&out, &["--device", kind, "--set", &key]);
        refused(&ended, 2, &[&told, instead]);
        assert!(!out.exists());
        for command in ["bench", "--dry-run"] {
            let mut args = vec![command, "--config", "configs/smoke.toml", "--device", kind];
            args.extend(["--set", &key, "--set", "train.seq=16"]);
            refused(&run(args), 2, &[&told, instead]);
        }
        let selftest = ["selftest", "--device", kind, "--precision", precision];
        refused(&run(selftest), 2, &[&told, instead]);
    }
}

#[test]
fn an_unknown_precision_is_answered_with_those_that_are_known() {
    let dir = scratch();
    let out = dir.path().join("run");
    let ended = smoke(&out, &["--set", "device.precision=f16"]);
    refused(&ended, 2, &["device.precision", "f32", "tf32", "bf16"]);
}

#[test]
fn the_selftest_of_a_precision_has_its_own_tolerance() {
    let selftest = |precision| {
        let mut args = vec!["selftest", "--device", "flex", "--steps", "4", "--json"];
        args.extend(["--precision", precision]);
        let ended = run(args);
        assert_ok(&ended);
        ended.json()
    };
    let (f32, bf16) = (selftest("f32"), selftest("bf16"));
    assert_eq!(f32["largest_difference"], 0.0);
    assert!(bf16["largest_difference"].as_f64() > Some(0.0), "{bf16}");
    assert!(bf16["tolerance"].as_f64() > f32["tolerance"].as_f64());
    let device = bf16["device"].as_str().expect("a device");
    assert!(device.ends_with(", bf16 products"), "{device}");
}

/// Runs `trainer bench --what launches` with a tiny shape.
fn tiny_launches(kind: &str, further: &[&str]) -> Ended {
    let mut args = vec!["bench", "--what", "launches", "--device", kind];
    args.extend(["--set", "train.batch=1", "--set", "train.seq=8"]);
    args.extend(["--set", "model.d_model=16", "--set", "model.n_heads=2"]);
    args.extend(["--set", "model.d_ff=24", "--set", "model.vocab_size=32"]);
    args.extend(["--set", "eval.recurrence=[1,2]"]);
    let ended = run([&args[..], further].concat());
    assert_ok(&ended);
    ended
}

/// Returns the number of launches for each kind of work, from `trainer bench --what launches`.
fn launches(kind: &str, further: &[&str]) -> Vec<u64> {
    let report = tiny_launches(kind, &[&["--json"], further].concat()).json();
    assert_eq!(report["what"], "launches");
    let rows = report["launches"].as_array().expect("rows");
    let works: Vec<&str> = rows.iter().filter_map(|row| row["work"].as_str()).collect();
    let expected = [
        "training step",
        "training step that is logged",
        "forward pass",
        "evaluation",
    ];
    assert_eq!(works, expected);
    let count = |row: &serde_json::Value| {
        let kernels = row["by_kernel"].as_array().expect("kernels").iter();
        let sum: u64 = kernels.filter_map(|one| one["launches"].as_u64()).sum();
        let total = row["launches"].as_u64().expect("a number");
        assert_eq!(sum, total, "{row}");
        assert_eq!(row["rounds"].as_array().map(Vec::len), Some(1), "{row}");
        total
    };
    rows.iter().map(count).collect()
}

#[test]
fn a_processor_launches_nothing_and_a_gpu_more_with_every_iteration() {
    assert_eq!(launches("flex", &[]), [0; 4]);
    let text = tiny_launches("flex", &[]);
    assert!(text.stdout.contains("launches nothing"), "{text:?}");
    if !is_there("wgpu") {
        return;
    }
    let at = |n: u64| {
        let mean = format!("model.recurrence.mean={}", n + 2);
        let depth = "model.recurrence.backprop_depth=2";
        launches("wgpu", &["--set", &mean, "--set", depth])
    };
    let [short, longer, longest] = [0, 3, 6].map(at);
    // Each additional iteration without gradient launches the same kernels.
    for work in [0, 2] {
        let [first, second] = [longer[work] - short[work], longest[work] - longer[work]];
        assert!(first > 0, "{short:?} {longer:?}");
        assert_eq!(first, second, "{short:?} {longer:?} {longest:?}");
        assert!(first.is_multiple_of(3), "{first}");
    }
    // A logged step also measures its states.
    assert!(short[1] > short[0], "{short:?}");
}

/// The variable that limits the vector instructions of the CPU.
const INSTRUCTIONS: &str = "RONDO_INSTRUCTIONS";

/// Trains configs/smoke.toml into `out` on flex, with the variable set to `value`.
fn limited_to(value: &str, out: &std::path::Path) -> Ended {
    let mut command = trainer();
    command.env(INSTRUCTIONS, value).args(smoke_args(out, &[]));
    ended(command.output().expect("the program starts"))
}

#[test]
fn a_run_without_avx512_trains_alike() {
    let dir = scratch();
    let (all, limited) = (dir.path().join("all"), dir.path().join("limited"));
    assert_ok(&smoke(&all, &[]));
    let of_limited = limited_to("avx2", &limited);
    assert_ok(&of_limited);
    assert!(!of_limited.stderr.contains("AVX-512"), "{of_limited:?}");
    let (expected, found) = (losses(&all), losses(&limited));
    assert_eq!(expected.len(), found.len());
    for (step, (a, b)) in (1..).zip(expected.iter().zip(&found)) {
        assert!((a - b).abs() < TOLERANCE, "step {step}: {b}, not {a}");
    }
}

#[test]
fn another_limit_of_the_instructions_is_refused() {
    let dir = scratch();
    let refusal = limited_to("sse", &dir.path().join("run"));
    refused(&refusal, 2, &[INSTRUCTIONS, "sse", "set it to avx2"]);
}
