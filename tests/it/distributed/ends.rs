//! Runs that cannot start, and how ranks end: errors, signals, kills and hangs.

use super::*;

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
    // The three cases: an error in the command line, an error in the configuration, and a command
    // that runs only in one process.
    let wrong = end_of(started(2, &["--no-such-flag".to_owned()]));
    refused(&wrong, 2, &["--no-such-flag"]);
    let key = on_ranks(2, &shared_args(&out, &["train.stepz=6"]));
    refused(&key, 2, &["train.stepz"]);
    let eval = end_of(started(2, &["eval".to_owned(), "runs/none".to_owned()]));
    refused(&eval, 2, &["mpirun of Open MPI has started 2 processes"]);
}

/// Simulates two hosts that have different files under the same names, by two working directories.
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

/// Returns the arguments for a run on the file `text.txt` in the working directory.
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
    // The text is the same on both hosts, but the tokenizers were trained on different texts.
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
    // The corpus is already prepared, and only few records are written. The first file above the
    // limit is therefore a checkpoint.
    let first = dir.path().join("first");
    assert_ok(&run(shared_args(&first, &["train.steps=1"])));
    let quiet = ["train.log_every=100000", "metrics.tensorboard=false"];
    let args = endless(&out, &quiet);
    let mut command = mpirun();
    // MPI uses the network for messages, because its shared memory is also a file and falls under
    // the limit.
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
    // The schedule has no horizon, so the learning rates do not depend on the planned end of the
    // run.
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
            .contains("all ranks end, the run resumes from step "),
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
    // The run can be resumed in one process.
    let steps = format!("train.steps={}", saved + 2);
    assert_ok(&run(shared_args(&out, &[&steps, "eval.every=100000"])));
}
