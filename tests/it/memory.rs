//! Tests insufficient memory. If the program can detect it before anything is allocated, it reports
//! the missing memory then; otherwise it ends with a message of one line.

use std::process::Command;

use crate::harness::{Ended, assert_ok, ended, refused, root, scratch, smoke_args, smoke_with};

/// A run that needs more than a tebibyte, although its weights fit in any memory.
const BEYOND: [&str; 4] = [
    "train.steps=2",
    "train.batch=400000",
    "model.d_model=256",
    "model.d_ff=1024",
];

/// Runs the program with an address space of at most `kib` KiB.
#[cfg(target_os = "linux")]
fn limited<S: AsRef<std::ffi::OsStr>>(kib: u64, args: impl IntoIterator<Item = S>) -> Ended {
    let script = format!("ulimit -v {kib}; exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .current_dir(root())
        .args(["-c", &script, env!("CARGO_BIN_EXE_trainer")])
        .args(args)
        .env("NO_COLOR", "1")
        .env("RUST_BACKTRACE", "1")
        .output();
    ended(output.expect("a shell starts"))
}

#[test]
fn a_run_that_cannot_fit_is_refused_before_anything_is_made() {
    let dir = scratch();
    let out = dir.path().join("run");
    let refusal = smoke_with(&out, &BEYOND);
    refused(
        &refusal,
        6,
        &[
            "TiB of memory",
            "are free on flex",
            "it fits with --set train.batch=",
            "--force",
        ],
    );
    assert_eq!(
        refusal
            .stderr
            .lines()
            .filter(|line| line.contains("memory"))
            .count(),
        1
    );
    assert!(!out.exists(), "nothing was made");
}

#[test]
fn a_dry_run_of_what_cannot_fit_has_the_same_refusal_after_its_tables() {
    let dir = scratch();
    let mut args = smoke_args(&dir.path().join("run"), &BEYOND);
    args.push("--dry-run".to_owned());
    let shown = crate::harness::run(&args);
    refused(
        &shown,
        6,
        &["TiB of memory", "it fits with --set train.batch="],
    );
    assert!(shown.stdout.contains("memory that is free"), "{shown:?}");
    args.push("--json".to_owned());
    let json = crate::harness::run(&args);
    assert_eq!(json.code, 6, "{json:?}");
    let costs = json.json();
    assert!(costs["memory_bytes"].as_u64() > costs["free_memory_bytes"].as_u64());
}

#[test]
fn the_named_remedy_is_accepted() {
    let dir = scratch();
    let refusal = smoke_with(&dir.path().join("run"), &BEYOND);
    let (_, remedy) = refusal
        .stderr
        .split_once("it fits with ")
        .expect("a remedy");
    let keys: Vec<&str> = remedy
        .split([';', '('])
        .next()
        .expect("the first remedy")
        .split_whitespace()
        .filter(|word| *word != "--set")
        .collect();
    let mut args = smoke_args(&dir.path().join("run"), &[&BEYOND[..], &keys].concat());
    args.push("--print-config".to_owned());
    assert_ok(&crate::harness::run(args));
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_of_address_space_counts_as_memory() {
    let dir = scratch();
    let keys = ["train.batch=8000", "model.d_model=256", "model.d_ff=1024"];
    let refusal = limited(3_000_000, smoke_args(&dir.path().join("run"), &keys));
    refused(&refusal, 6, &["of memory and", "GiB are free on flex"]);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_that_runs_out_in_the_middle_is_one_line_and_exit_code_6() {
    let dir = scratch();
    let keys = [
        "train.batch=8000",
        "model.d_model=256",
        "model.d_ff=1024",
        "eval.every=100000",
        "schedule.peak=1e-4",
    ];
    let mut args = smoke_args(&dir.path().join("run"), &keys);
    args.extend(["--force", "--quiet"].map(str::to_owned));
    let out_of_memory = limited(3_000_000, args);
    refused(
        &out_of_memory,
        6,
        &["not enough memory: the system refused"],
    );
    assert_eq!(out_of_memory.stderr.lines().count(), 1, "{out_of_memory:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_evaluation_without_memory_is_one_line_and_exit_code_6() {
    let dir = scratch();
    let run = dir.path().join("run");
    // An evaluation batch of 640,000 tokens needs more than a GiB in any build of the program.
    assert_ok(&smoke_with(&run, &["eval.batch=20000"]));
    let text = dir.path().join("long.txt");
    std::fs::write(&text, "word ".repeat(400_000)).expect("writable");
    let args = [
        "eval",
        &run.display().to_string(),
        "--device",
        "flex",
        "--data",
        &text.display().to_string(),
    ]
    .map(str::to_owned);
    let found = limited(500_000, args);
    refused(&found, 6, &["not enough memory"]);
    let lines: Vec<&str> = found.stderr.lines().collect();
    let [progress, error] = lines[..] else {
        panic!("its progress and one line: {found:?}")
    };
    assert!(progress.starts_with("evaluating: "), "{found:?}");
    assert!(error.starts_with("error: not enough memory"), "{found:?}");
}

/// Runs the program to its end, and returns the largest resident memory that was observed, in KiB.
#[cfg(target_os = "linux")]
fn peak_of(args: &[&str]) -> u64 {
    let mut child = crate::harness::trainer()
        .args(args)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0));
        if let Some(ended) = child.try_wait().expect("a child") {
            break ended;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    assert!(ended.success(), "{args:?}");
    peak
}

/// Every iteration reuses the memory of the previous iteration. Otherwise the 960 additional states
/// of 512 tokens would need 60 MiB.
#[cfg(target_os = "linux")]
#[test]
fn an_evaluation_of_a_thousand_iterations_holds_no_more_than_one_of_64() {
    let dir = scratch();
    let run_dir = dir.path().join("run");
    assert_ok(&smoke_with(&run_dir, &["train.steps=2"]));
    let run_dir = run_dir.display().to_string();
    let eval = |depths: &str| {
        peak_of(&[
            "eval",
            &run_dir,
            "--recurrence",
            depths,
            "--device",
            "flex",
            "--json",
        ])
    };
    let [shallow, deep] = ["1,64", "1,64,1024"].map(eval);
    assert!(shallow > 10_000, "{shallow} KiB");
    assert!(
        deep < shallow + 8 * 1024,
        "{deep} KiB at 1,024 iterations, {shallow} KiB at 64"
    );
}

/// The allowed relative error of an estimate.
const OFF: f64 = 0.15;

/// Uses configs/bench.toml at small shapes in which different parts dominate: the memory of all
/// iterations, the memory of a single iteration, and the scores, which grow with the square of the
/// length.
#[test]
fn the_estimate_for_a_gpu_is_what_its_pools_hold_after_the_largest_step() {
    if !crate::devices::is_there("wgpu") {
        return;
    }
    let recurrence = |n: usize, k: usize, recompute: &str| {
        let total = n + k;
        format!(
            "model.recurrence={{sampler=\"fixed\",mean={total},backprop_depth={k},max={total},recompute=\"{recompute}\"}}"
        )
    };
    let gates = "model.sparsity={gate_bias=0.5}";
    for (recurrence, [batch, seq], further) in [
        (recurrence(4, 2, "none"), [4, 128], &[][..]),
        (recurrence(1, 4, "iteration"), [1, 512], &[]),
        (recurrence(1, 2, "none"), [4, 128], &[gates]),
    ] {
        let [batch, seq] =
            [("batch", batch), ("seq", seq)].map(|(key, n)| format!("train.{key}={n}"));
        let shape = ["model.d_model=64", "model.n_heads=2", "model.d_ff=256"];
        let own = [recurrence.as_str(), &batch, &seq];
        let keys = [&shape[..], &own, further].concat();
        let mut args = vec!["--config", "configs/bench.toml", "--device", "wgpu"];
        args.extend(["--dry-run", "--json"]);
        args.extend(keys.iter().flat_map(|key| ["--set", *key]));
        let ended = crate::harness::run(args);
        assert_ok(&ended);
        let costs = ended.json();
        let bytes = |key: &str| costs[key].as_f64().expect("a number of bytes");
        let (estimate, held) = (bytes("memory_bytes"), bytes("largest_step_memory_bytes"));
        let off = estimate / held - 1.0;
        assert!(
            off.abs() < OFF,
            "{keys:?}: {estimate} for {held}, {off:+.2}"
        );
    }
}
