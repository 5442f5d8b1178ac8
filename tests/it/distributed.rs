//! Runs on several ranks: the costs that a dry run tells, and, under mpirun, the bits, the errors and the ends of whole runs.
//!
//! The tests under mpirun need the cargo feature `mpi` and Open MPI's `mpirun`; without them they say so and do nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rondo_checkpoint::{Which, open};
use serde_json::Value;

use crate::harness::{
    Ended, assert_ok, ended, refused, root, rows, run, scratch, shared_cache, smoke_args,
    timeless_rows,
};

/// How long anything here may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_mins(3);

/// A step of eight micro-batches, which 1, 2, 4 and 8 ranks share.
const SHARED: [&str; 3] = ["train.batch=2", "train.accumulation=8", "train.steps=8"];

/// Returns whether there is an mpirun for this build; says so where there is none.
fn has_mpi() -> bool {
    let mpirun = Command::new("mpirun").arg("--version").output();
    let has_mpirun = mpirun.is_ok_and(|output| output.status.success());
    let has_mpi = cfg!(feature = "mpi") && has_mpirun;
    if !has_mpi {
        #[expect(clippy::print_stderr, reason = "the reader of a test's output is told")]
        {
            eprintln!(
                "skipped: needs --features mpi and mpirun (Debian: openmpi-bin libopenmpi-dev)"
            );
        }
    }
    has_mpi
}

/// Returns mpirun, ready for its arguments.
fn mpirun() -> Command {
    let mut command = Command::new("mpirun");
    command
        .current_dir(root())
        .args(["--oversubscribe", "--bind-to", "none"])
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("RAYON_NUM_THREADS", "1")
        .env("NO_COLOR", "1")
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

const TRAINER: &str = env!("CARGO_BIN_EXE_trainer");

/// Starts the trainer on `ranks`.
fn started(ranks: usize, args: &[String]) -> Child {
    let mut command = mpirun();
    command.args(["-n", &ranks.to_string(), TRAINER]).args(args);
    command.spawn().expect("mpirun starts")
}

/// Waits for the end of a world.
#[track_caller]
fn end_of(mut child: Child) -> Ended {
    let begun = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().expect("it can be killed");
            panic!(
                "mpirun hangs: {:?}",
                ended(child.wait_with_output().expect("an output"))
            );
        }
        sleep(Duration::from_millis(20));
    }
    ended(child.wait_with_output().expect("an output"))
}

fn on_ranks(ranks: usize, args: &[String]) -> Ended {
    match ranks {
        1 => run(args),
        _ => end_of(started(ranks, args)),
    }
}

/// Trains configs/smoke.toml with steps of eight micro-batches and `keys`.
fn shared_args(out: &Path, keys: &[&str]) -> Vec<String> {
    smoke_args(out, &[&SHARED[..], keys].concat())
}

/// Returns the hashes of weights and moments in the newest checkpoint of a run.
fn hashes(run: &Path) -> [String; 2] {
    let checkpoint = open(run, &Which::Latest).expect("a checkpoint");
    ["model.safetensors", "optimizer.safetensors"].map(|name| {
        let bytes = checkpoint.read(name).expect("readable");
        blake3::hash(&bytes).to_hex().to_string()
    })
}

/// Returns the records of training and evaluation without what clocks, machines and ranks give.
fn records(run: &Path) -> Vec<Value> {
    let mut all = Vec::new();
    for kind in ["train", "eval"] {
        for mut row in timeless_rows(run, kind) {
            let metrics = row["metrics"].as_object_mut().expect("metrics");
            for name in ["world_size", "reduce_seconds", "wait_seconds"] {
                metrics.remove(name);
            }
            all.push(row);
        }
    }
    all
}

/// Returns the processes whose command names a run's directory, each with its rank.
fn processes(run: &Path) -> Vec<(u32, Option<usize>)> {
    let wanted = run.display().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if !command.contains(&wanted) || !command.starts_with(TRAINER) {
            return None;
        }
        let environment = fs::read(entry.path().join("environ")).ok()?;
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let rank = environment
            .split('\0')
            .find_map(|one| one.strip_prefix("OMPI_COMM_WORLD_RANK="));
        Some((pid, rank.and_then(|rank| rank.parse().ok())))
    });
    found.collect()
}

/// Asserts that every process of a run ends.
#[track_caller]
fn assert_nobody_is_left(run: &Path) {
    let begun = Instant::now();
    while !processes(run).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "{:?} are left", processes(run));
        sleep(Duration::from_millis(20));
    }
}

fn wait_for_lines(run: &Path, lines: usize) {
    let begun = Instant::now();
    let there = || fs::read_to_string(run.join("metrics.jsonl")).map_or(0, |m| m.lines().count());
    while there() < lines {
        assert!(begun.elapsed() < PATIENCE, "{lines} lines");
        sleep(Duration::from_millis(20));
    }
}

fn send(signal: &str, run: &Path, rank: usize) {
    let found = processes(run);
    let (pid, _) = found
        .iter()
        .find(|(_, of)| *of == Some(rank))
        .unwrap_or_else(|| panic!("rank {rank} among {found:?}"));
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &pid.to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
}

/// Returns the settings of a run that lasts until somebody ends it.
fn endless(out: &Path, keys: &[&str]) -> Vec<String> {
    let long = [
        "train.steps=100000",
        "eval.every=100000",
        "checkpoint.every=5",
    ];
    shared_args(out, &[&long[..], keys].concat())
}

#[test]
fn a_dry_run_tells_what_each_rank_sends_and_needs() {
    let dir = scratch();
    let told = |further: &[&str]| {
        let mut args = shared_args(&dir.path().join("run"), &[]);
        let further = ["--dry-run", "--json"].iter().chain(further);
        args.extend(further.map(|arg| (*arg).to_owned()));
        run(args)
    };
    let alone = told(&[]).json();
    assert!(alone.get("bytes_per_step").is_none(), "{alone}");
    let four = told(&["--ranks", "4"]).json();
    let parameters = alone["parameters"]["total"].as_u64().expect("a count");
    // Three quarters of the gradient go out twice.
    assert_eq!(four["bytes_per_step"], 2 * (4 * parameters * 3 / 4));
    assert_eq!(four["micro_batches_per_rank"], 2);
    let memory = |told: &Value| told["memory_bytes"].as_u64().expect("bytes");
    // Two micro-batches a rank have two gradients fewer at a time than eight; the vector that travels is one.
    assert_eq!(memory(&alone) - memory(&four), 4 * parameters);
    let zero = told(&["--ranks", "4", "--set", "distributed.shard_optimizer=true"]).json();
    assert!(memory(&zero) < memory(&four));
    let six = told(&["--ranks", "3"]);
    refused(
        &six,
        2,
        &["train.accumulation = 8 cannot be shared by 3 ranks: start 1, 2, 4 or 8"],
    );
}

#[test]
fn one_two_and_four_ranks_end_with_the_same_bits_and_records() {
    if !has_mpi() {
        return;
    }
    let dir = scratch();
    let task = "data={kind=\"word-problem\",curriculum={start=2,step=1,max=6,pass_accuracy=0.1}}";
    let gates = "model.sparsity={gate_bias=0.5,learned_bias=true}";
    let controller = "controller={target={kind=\"absolute\",cross_entropy=5.0}}";
    let skips = "train.skip_spikes={deviations=0.2,window=2,in_a_row=2}";
    let noise = "perturb=[{kind=\"weight-noise\",at_step=4,std=0.5}]";
    let cases: [(&str, &[&str]); 6] = [
        ("adamw", &["optimizer={kind=\"adamw\"}"]),
        ("raven-adam", &[]),
        ("muon", &["optimizer={kind=\"muon\"}"]),
        (
            "zero",
            &[
                "optimizer={kind=\"muon\"}",
                "distributed.shard_optimizer=true",
            ],
        ),
        ("gates", &[gates, controller]),
        ("skips", &[skips, noise]),
    ];
    let mut runs: Vec<(String, Vec<String>)> = Vec::new();
    for (name, keys) in cases {
        runs.push((name.to_owned(), shared_args(Path::new("OUT"), keys)));
    }
    let keys = [
        task,
        "train.steps=6",
        "train.batch=2",
        "train.accumulation=4",
        "eval.tokens=96",
    ];
    let mut of_task = vec!["--config", "configs/depth-s3.toml", "--device", "flex"];
    of_task.extend(["--out", "OUT"]);
    of_task.extend(keys.iter().flat_map(|key| ["--set", *key]));
    let of_task = of_task.into_iter().map(str::to_owned).collect();
    runs.push(("task".to_owned(), of_task));
    for (name, args) in runs {
        let mut ends = Vec::new();
        for ranks in [1, 2, 4] {
            let out = dir.path().join(format!("{name}-{ranks}"));
            let shown = out.display().to_string();
            let args: Vec<String> = args.iter().map(|arg| arg.replace("OUT", &shown)).collect();
            let ended = on_ranks(ranks, &args);
            assert_ok(&ended);
            ends.push((hashes(&out), records(&out)));
            if ranks > 1 {
                let told = format!("ranks   {ranks} on 1 host (Open MPI");
                assert!(ended.stderr.contains(&told), "{ended:?}");
                let row = &rows(&out, "train")[0]["metrics"];
                assert_eq!(row["world_size"], ranks as f64);
                assert!(
                    row["reduce_seconds"]
                        .as_f64()
                        .is_some_and(|seconds| seconds > 0.0)
                );
            }
        }
        assert!(!ends[0].1.is_empty(), "{name}");
        if name == "skips" {
            let events = rows(&dir.path().join("skips-4"), "event");
            let mut spikes = events.iter().map(|row| &row["metrics"]);
            assert!(spikes.any(|event| event["policy"] == "skip"), "{events:?}");
        }
        assert_eq!(ends[1], ends[0], "{name} on 2 ranks");
        assert_eq!(ends[2], ends[0], "{name} on 4 ranks");
    }
}

#[test]
fn a_run_goes_on_with_another_number_of_ranks_bit_for_bit() {
    if !has_mpi() {
        return;
    }
    let dir = scratch();
    let args = |out: &Path, steps: u64| {
        let steps = format!("train.steps={steps}");
        shared_args(out, &["schedule.shape={kind=\"constant\"}", &steps])
    };
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    assert_ok(&on_ranks(1, &args(&whole, 12)));
    for (ranks, steps) in [(2, 4), (4, 8), (1, 12)] {
        assert_ok(&on_ranks(ranks, &args(&parts, steps)));
    }
    assert_eq!(hashes(&parts), hashes(&whole));
}

#[test]
fn what_cannot_start_is_said_once_and_leaves_no_process() {
    if !has_mpi() {
        return;
    }
    let dir = scratch();
    let out = dir.path().join("six");
    let six = on_ranks(4, &shared_args(&out, &["train.accumulation=6"]));
    let sentence = "train.accumulation = 6 cannot be shared by 4 ranks: start 1, 2, 3 or 6, or set \
                    train.accumulation to a multiple of 4";
    refused(&six, 2, &[sentence]);
    assert_nobody_is_left(&out);
    assert!(!out.exists());
    // A mistake of the command line, of the configuration, and a command that is one process.
    let wrong = end_of(started(2, &["--no-such-flag".to_owned()]));
    refused(&wrong, 2, &["--no-such-flag"]);
    let key = on_ranks(2, &shared_args(&out, &["train.stepz=6"]));
    refused(&key, 2, &["train.stepz"]);
    let eval = end_of(started(2, &["eval".to_owned(), "runs/none".to_owned()]));
    refused(&eval, 2, &["mpirun of Open MPI has started 2 processes"]);
}

/// Two hosts that see other files under the same names: working directories.
fn on_two_hosts(hosts: [&Path; 2], args: &[String]) -> Ended {
    let mut command = mpirun();
    for (rank, host) in hosts.iter().enumerate() {
        if rank > 0 {
            command.arg(":");
        }
        let host = host.display().to_string();
        command
            .args(["-n", "1", "-wdir", &host, TRAINER])
            .args(args);
    }
    end_of(command.spawn().expect("mpirun starts"))
}

/// Returns arguments of a run on `text.txt` of the working directory.
fn args_on_a_text(out: &Path, keys: &[&str]) -> Vec<String> {
    let config = root().join("configs/smoke.toml").display().to_string();
    let (out, cache) = (out.display().to_string(), shared_cache());
    let mut args = vec!["--config", &config, "--device", "flex", "--out", &out];
    let keys = [&SHARED[..], &["data.paths=[\"text.txt\"]", &cache], keys].concat();
    args.extend(keys.iter().flat_map(|key| ["--set", key]));
    args.into_iter().map(str::to_owned).collect()
}

#[test]
fn a_rank_without_data_or_with_other_tokens_ends_all_with_one_message() {
    if !has_mpi() {
        return;
    }
    let dir = scratch();
    let place = |name: &str| -> PathBuf {
        let place = dir.path().join(name);
        fs::create_dir(&place).expect("a folder can be made");
        place
    };
    let [with, without, other] = ["with", "without", "other"].map(place);
    let words = |word: &str| {
        format!("{word} and {word}, and so on to the end of the {word}.\n").repeat(200)
    };
    fs::write(with.join("text.txt"), words("loop")).expect("writable");
    fs::write(other.join("text.txt"), words("loop")).expect("writable");
    let out = dir.path().join("run");
    let none = on_two_hosts([&with, &without], &args_on_a_text(&out, &[]));
    refused(&none, 3, &["rank 1 on ", "text.txt"]);
    assert_nobody_is_left(&out);
    // One text, and tokenizers that were trained on different ones.
    for (host, word) in [(&with, "loop"), (&other, "quagga")] {
        let corpus = host.join("corpus.txt");
        fs::write(&corpus, words(word)).expect("writable");
        let prepared = host.join("prepared").display().to_string();
        let corpus = corpus.display().to_string();
        assert_ok(&run([
            "prepare",
            "-q",
            "--vocab-size",
            "280",
            "--out",
            &prepared,
            &corpus,
        ]));
        fs::copy(
            host.join("prepared/tokenizer.json"),
            host.join("tokenizer.json"),
        )
        .expect("copied");
    }
    let own = "data.tokenizer={kind=\"file\",path=\"tokenizer.json\"}";
    let mixed = on_two_hosts([&with, &other], &args_on_a_text(&out, &[own]));
    refused(
        &mixed,
        3,
        &[
            "rank 1 on ",
            "other tokens than rank 0",
            "another tokenizer",
        ],
    );
    assert_nobody_is_left(&out);
}

#[test]
fn a_full_disk_on_rank_0_ends_all_with_its_code() {
    if !has_mpi() {
        return;
    }
    let dir = scratch();
    let out = dir.path().join("run");
    // The corpus is there, and few records are written: the first file beyond the limit is a checkpoint's.
    let first = dir.path().join("first");
    assert_ok(&run(shared_args(&first, &["train.steps=1"])));
    let quiet = ["train.log_every=100000", "metrics.tensorboard=false"];
    let args = endless(&out, &quiet);
    let mut command = mpirun();
    // Messages through the network: the shared memory of the engine is a file, too.
    command.args([
        "--mca",
        "btl",
        "self,tcp",
        "--mca",
        "btl_tcp_if_include",
        "lo",
    ]);
    let full = "ulimit -f 40; exec \"$0\" \"$@\"";
    command
        .args(["-n", "1", "sh", "-c", full, TRAINER])
        .args(&args);
    command.args([":", "-n", "1", TRAINER]).args(&args);
    let ended = end_of(command.spawn().expect("mpirun starts"));
    assert_eq!(ended.code, 4, "{ended:?}");
    assert_eq!(ended.stderr.matches("error:").count(), 1, "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    assert_nobody_is_left(&out);
}

#[test]
fn a_killed_rank_ends_all_and_the_run_goes_on_with_another_number() {
    if !has_mpi() {
        return;
    }
    let dir = scratch();
    let (out, whole) = (dir.path().join("run"), dir.path().join("whole"));
    // A schedule without a horizon: the rates are the same whenever the run ends.
    let constant = "schedule.shape={kind=\"constant\"}";
    let child = started(2, &endless(&out, &[constant]));
    wait_for_lines(&out, 14);
    send("KILL", &out, 1);
    let killed = end_of(child);
    assert_ne!(killed.code, 0, "{killed:?}");
    assert_nobody_is_left(&out);
    let saved = open(&out, &Which::Latest).expect("a checkpoint").step();
    let steps = format!("train.steps={}", saved + 4);
    let keys = [constant, &steps, "eval.every=100000"];
    assert_ok(&on_ranks(4, &shared_args(&out, &keys)));
    assert_ok(&on_ranks(1, &shared_args(&whole, &keys)));
    assert_eq!(hashes(&out), hashes(&whole));
}

#[test]
fn a_stopped_rank_ends_all_after_the_deadline_with_its_name() {
    if !has_mpi() {
        return;
    }
    let dir = scratch();
    let out = dir.path().join("run");
    let child = started(2, &endless(&out, &["distributed.timeout=2"]));
    wait_for_lines(&out, 14);
    send("STOP", &out, 1);
    let ended = end_of(child);
    assert_eq!(ended.code, 7, "{ended:?}");
    assert!(ended.stderr.contains("2 s without rank 1 ("), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("all ranks end, the run goes on from step "),
        "{ended:?}"
    );
    assert_nobody_is_left(&out);
}

#[test]
fn a_polite_signal_to_any_rank_saves_and_ends_all_after_the_same_step() {
    if !has_mpi() {
        return;
    }
    let dir = scratch();
    let out = dir.path().join("run");
    let child = started(4, &endless(&out, &["checkpoint.every=100000"]));
    wait_for_lines(&out, 6);
    send("USR1", &out, 3);
    let ended = end_of(child);
    refused(&ended, 75, &["interrupted after step"]);
    assert_nobody_is_left(&out);
    let saved = open(&out, &Which::Latest).expect("a checkpoint").step();
    let row = rows(&out, "train").pop().expect("a row");
    assert_eq!(row["step"], saved);
    // It goes on, in one process.
    let steps = format!("train.steps={}", saved + 2);
    assert_ok(&run(shared_args(&out, &[&steps, "eval.every=100000"])));
}

/// A small shape for benchmarks, once.
fn bench_args(further: &[&str]) -> Vec<String> {
    let args = [
        "bench",
        "--config",
        "configs/smoke.toml",
        "--device",
        "flex",
        "--warmup",
        "1",
        "--steps",
        "2",
    ];
    args.iter()
        .chain(further)
        .map(|&one| one.to_owned())
        .collect()
}

#[test]
fn a_bench_of_sums_by_one_process_says_how_ranks_are_started() {
    let how = "mpirun -n 2 --bind-to none trainer bench --what reduce";
    refused(&run(bench_args(&["--what", "reduce"])), 2, &[how]);
}

#[test]
fn ranks_time_their_sums() {
    if !has_mpi() {
        return;
    }
    let ended = on_ranks(2, &bench_args(&["--what", "reduce", "--json"]));
    assert_ok(&ended);
    let told = ended.json();
    assert_eq!(told["world_size"], 2);
    let sizes = told["sizes"].as_array().expect("sizes");
    let bytes: Vec<u64> = sizes
        .iter()
        .filter_map(|size| size["bytes"].as_u64())
        .collect();
    assert_eq!(bytes[..3], [1_000_000, 10_000_000, 100_000_000]);
    assert_eq!(bytes.len(), 4);
    for size in sizes {
        for name in ["copy", "fast", "ordered", "fast_bf16"] {
            assert!(size["seconds"][name].as_f64() > Some(0.0), "{name}: {size}");
        }
    }
    let efficiencies = told["efficiency"].as_array().expect("efficiencies");
    let ordered: Vec<f64> = efficiencies
        .iter()
        .filter_map(|row| row["ordered"].as_f64())
        .collect();
    assert_eq!(ordered.len(), 4);
    assert!(
        ordered.is_sorted() && ordered[0] > 0.0 && ordered[3] < 1.0,
        "{told}"
    );
}

#[test]
fn ranks_time_the_step_that_they_share() {
    if !has_mpi() {
        return;
    }
    let ended = on_ranks(2, &bench_args(&["--json", "--set", "train.accumulation=2"]));
    assert_ok(&ended);
    let told = ended.json();
    assert_eq!(told["world_size"], 2);
    let number = |name: &str| told[name].as_f64().expect("a number");
    // Two micro-batches of four sequences of 32 tokens.
    let product = number("tokens_per_second") * number("step_seconds");
    assert!((product - 256.0).abs() < 1e-6, "{told}");
    assert!(number("reduce_seconds") > 0.0, "{told}");
    assert!(number("reduce_seconds") < number("step_seconds"), "{told}");

    let unshared = "train.accumulation = 1 cannot be shared by 2 ranks";
    refused(&on_ranks(2, &bench_args(&[])), 2, &[unshared]);
    let alone = "`--what nodes` is of one process";
    refused(&on_ranks(2, &bench_args(&["--what", "nodes"])), 2, &[alone]);
}
