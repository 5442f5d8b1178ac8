//! What a new user tries in the first hour: explained keys, names from other trainers, a base
//! configuration, a configuration of one's own.

use std::fs;

use crate::harness::{
    assert_ok, refused, run, scratch, shared_cache, smoke, smoke_args, smoke_with,
};

#[test]
fn a_key_a_verdict_and_another_trainers_name_are_explained() {
    let peak = run(["explain", "schedule.peak"]);
    assert_ok(&peak);
    for part in [
        "schedule.peak (a number, default 0.001",
        "change  The first key to tune",
    ] {
        assert!(peak.stdout.contains(part), "{peak:?}");
    }
    assert_eq!(run(["explain", "lr"]).stdout, peak.stdout);
    let collapse = run(["explain", "hidden-state-collapse"]);
    assert_ok(&collapse);
    for part in ["looks", "cure", "schedule.peak=2e-3", "trainer figure"] {
        assert!(collapse.stdout.contains(part), "{collapse:?}");
    }
    refused(
        &run(["explain", "schedule.paek"]),
        2,
        &["did you mean `schedule.peak`?"],
    );
    let all = run(["explain", "--json"]).json();
    assert!(
        all["keys"].as_array().is_some_and(|keys| keys.len() > 150),
        "{}",
        all["keys"]
    );
}

#[test]
fn train_and_a_positional_file_are_the_plain_command() {
    let plain = run(["--config", "configs/smoke.toml", "--print-config"]);
    assert_ok(&plain);
    for words in [
        &["train", "configs/smoke.toml", "--print-config"][..],
        &["configs/smoke.toml", "--print-config"],
    ] {
        assert_eq!(run(words).stdout, plain.stdout, "{words:?}");
    }
    refused(
        &run(["trian", "configs/smoke.toml"]),
        2,
        &["did you mean `train`?"],
    );
}

#[test]
fn a_commented_configuration_trains_as_the_plain_one() {
    let dir = scratch();
    let commented = run(["configs/smoke.toml", "--print-config=commented"]);
    assert_ok(&commented);
    let file = dir.path().join("commented.toml");
    fs::write(&file, &commented.stdout).expect("a file");
    let again = run([file.display().to_string().as_str(), "--print-config"]);
    assert_eq!(
        again.stdout,
        run(["configs/smoke.toml", "--print-config"]).stdout
    );
}

#[test]
fn names_of_other_trainers_are_answered_with_the_keys_here() {
    let dir = scratch();
    let file = dir.path().join("theirs.toml");
    fs::write(
        &file,
        "max_steps = 10\n[optimizer]\nkind = 'adamw'\nlr = 1e-3\n[train]\nseq = 8\n",
    )
    .expect("a file");
    let ended = run([file.display().to_string().as_str()]);
    refused(
        &ended,
        2,
        &[
            "max_steps: unknown key; here it is `train.steps`",
            "optimizer.lr: unknown key; here it is `schedule.peak`",
        ],
    );
    // The consequences of the unknown key are not reported.
    assert!(!ended.stderr.contains("give a budget"), "{ended:?}");
}

#[test]
fn a_configuration_with_a_base_trains_and_a_key_is_unset() {
    let dir = scratch();
    let smoke = crate::harness::root().join("configs/smoke.toml");
    let file = dir.path().join("mine.toml");
    let text = format!(
        "base = \"{}\"\nunset = [\"train.steps\"]\n[train]\ntokens = 256\n",
        smoke.display()
    );
    fs::write(&file, text).expect("a file");
    let file = file.display().to_string();
    let printed = run([file.as_str(), "--print-config"]);
    assert_ok(&printed);
    assert!(
        printed.stdout.contains("tokens = 256") && !printed.stdout.contains("\nsteps = 20"),
        "{printed:?}"
    );
    let out = dir.path().join("run").display().to_string();
    let ended = run([
        &file,
        "--device",
        "flex",
        "--out",
        &out,
        "--set",
        &shared_cache(),
    ]);
    assert_ok(&ended);
    let out = dir.path().join("steps").display().to_string();
    let keys = ["train.tokens=null", "train.steps=2"]
        .map(|key| ["--set", key])
        .concat();
    let cache = shared_cache();
    let mut words = vec![
        file.as_str(),
        "--device",
        "flex",
        "--out",
        &out,
        "--set",
        &cache,
    ];
    words.extend(keys);
    assert_ok(&run(words));
    refused(
        &run([file.as_str(), "--set", "train.seqq=null"]),
        2,
        &["train.seqq=null: it is not set"],
    );
}

#[test]
fn a_runs_records_are_a_table() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke(&out, &[]));
    let out = out.display().to_string();
    let table = run(["metrics", &out, "--format", "csv"]);
    assert_ok(&table);
    let mut lines = table.stdout.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    assert_eq!(header[..4], ["step", "tokens", "time", "kind"]);
    assert!(
        header.contains(&"loss") && header.contains(&"val_perplexity@8"),
        "{header:?}"
    );
    let records = run(["metrics", &out, "--json"]).json();
    assert_eq!(
        lines.count(),
        records["records"].as_array().map_or(0, Vec::len)
    );
}

#[test]
fn a_finding_ends_with_what_to_try() {
    let dir = scratch();
    let out = dir.path().join("run");
    // With this threshold, every correlation counts as a collapse.
    let ended = smoke_with(
        &out,
        &[
            "diagnosis.hidden_state_collapse.correlation=1e-9",
            "diagnosis.hidden_state_collapse.steps=1",
        ],
    );
    assert_ok(&ended);
    for part in [
        "try: start again with a third of schedule.peak",
        "trainer explain hidden-state-collapse",
    ] {
        assert!(ended.stderr.contains(part), "{ended:?}");
    }
    let compared = run(["compare", &out.display().to_string()]);
    assert!(compared.stdout.contains("try: start again"), "{compared:?}");
}

#[test]
fn a_new_configuration_for_a_text_trains() {
    let dir = scratch();
    let file = dir.path().join("mine.toml").display().to_string();
    let made = run([
        "new",
        &file,
        "--data",
        "data/sample.txt",
        "--minutes",
        "1",
        "--device",
        "flex",
    ]);
    assert_ok(&made);
    assert!(
        made.stdout.contains("budget  ") && made.stdout.contains("passes over"),
        "{made:?}"
    );
    refused(
        &run(["new", &file, "--data", "data/sample.txt"]),
        2,
        &["is there already"],
    );
    let out = dir.path().join("run").display().to_string();
    let further = ["train.steps=2", "eval.tokens=256", "schedule.warmup=1"]
        .map(|key| ["--set", key])
        .concat();
    let mut words = vec!["train", &file, "--out", &out];
    words.extend(further);
    assert_ok(&run(words));
}

#[test]
fn a_rate_that_is_known_to_fail_is_told_before_the_first_step() {
    let dir = scratch();
    let mut words = smoke_args(&dir.path().join("run"), &["schedule.peak=1"]);
    words.push("--dry-run".to_owned());
    let ended = run(words);
    assert!(
        ended.stderr.contains("schedule.peak: at a rate of"),
        "{ended:?}"
    );
}
