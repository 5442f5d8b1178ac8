//! A sweep has the same results, however often it is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::harness::{Ended, assert_ok, ended, run, scratch, shared_cache, trainer};

/// Writes a sweep of six runs of a few steps. `more` is appended to the file.
fn sweep_file(dir: &Path, more: &str) -> PathBuf {
    let text = format!(
        "base = \"configs/smoke.toml\"\nseeds = [0, 1]\n\
         [[grid]]\nkey = \"schedule.peak\"\nvalues = [5e-4, 2e-3, 8e-3]\n{more}"
    );
    let path = dir.join("small.toml");
    fs::write(&path, text).expect("the sweep file can be written");
    path
}

fn args(file: &Path, out: &Path) -> Vec<String> {
    let mut args = vec!["sweep".to_owned(), file.display().to_string()];
    args.extend(["--device".to_owned(), "flex".to_owned()]);
    args.extend(["--set".to_owned(), shared_cache()]);
    args.extend(["--out".to_owned(), out.display().to_string()]);
    args
}

fn sweep(file: &Path, out: &Path, further: &[&str]) -> Ended {
    let mut args = args(file, out);
    args.extend(further.iter().map(|one| (*one).to_owned()));
    run(args)
}

fn started(file: &Path, out: &Path) -> Child {
    let mut command = trainer();
    command.args(args(file, out)).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program starts")
}

fn results(out: &Path) -> String {
    fs::read_to_string(out.join("results.csv")).expect("results")
}

/// Waits until a sweep has marked this number of runs as ended. There is a time limit.
fn wait_for(out: &Path, marks: usize) {
    let begun = Instant::now();
    let count = || fs::read_dir(out.join("outcomes")).map_or(0, Iterator::count);
    while count() < marks && begun.elapsed() < Duration::from_mins(2) {
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_sweep_that_is_killed_again_and_again_ends_with_the_same_results() {
    let dir = scratch();
    let file = sweep_file(dir.path(), "");
    let (whole, killed) = (dir.path().join("whole"), dir.path().join("killed"));
    let ended = sweep(&file, &whole, &["--parallel", "2"]);
    assert_ok(&ended);
    assert!(ended.stdout.contains("Spearman"), "{ended:?}");
    // Each kill occurs in the middle of a run, some time after another run has ended.
    for (marks, millis) in [(0, 300), (1, 150), (2, 400), (4, 50)] {
        let mut child = started(&file, &killed);
        wait_for(&killed, marks);
        sleep(Duration::from_millis(millis));
        child.kill().expect("the sweep can be killed");
        child.wait().expect("the sweep ends");
    }
    let last = sweep(&file, &killed, &[]);
    assert_ok(&last);
    assert_eq!(results(&killed), results(&whole));
    assert_eq!(results(&whole).lines().count(), 1 + 6);
    // A finished sweep has nothing left to do.
    let before = fs::metadata(killed.join("runs/peak=5e-4,seed=0/metrics.jsonl")).expect("metrics");
    assert_ok(&sweep(&file, &killed, &[]));
    let after = fs::metadata(killed.join("runs/peak=5e-4,seed=0/metrics.jsonl")).expect("metrics");
    assert_eq!(before.modified().ok(), after.modified().ok());
}

#[cfg(unix)]
#[test]
fn an_interrupted_sweep_lets_its_runs_save_and_goes_on() {
    let dir = scratch();
    let file = sweep_file(dir.path(), "");
    let out = dir.path().join("out");
    let child = started(&file, &out);
    wait_for(&out, 1);
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(killed.is_ok_and(|status| status.success()));
    let ended = ended(child.wait_with_output().expect("the sweep ends"));
    assert_eq!(ended.code, 75, "{ended:?}");
    assert!(
        ended.stderr.contains("the same command resumes"),
        "{ended:?}"
    );
    let next = sweep(&file, &out, &["--json"]);
    assert_ok(&next);
    let runs = next.json()["runs"].as_array().expect("runs").clone();
    assert_eq!(runs.len(), 6);
    assert!(
        runs.iter().all(|run| run["status"] == "finished"),
        "{runs:?}"
    );
}

#[test]
fn failed_runs_are_kept_and_named_and_retried_when_asked() {
    let dir = scratch();
    // With the second value, a run fails at its start.
    let file = sweep_file(
        dir.path(),
        "[[list]]\ntrain.batch = 4\n\
         [[list]]\ninit = { from = \"no/such/run\" }\n",
    );
    let out = dir.path().join("out");
    let first = sweep(&file, &out, &[]);
    assert_eq!(first.code, 1, "{first:?}");
    assert!(
        first.stderr.contains("6 of 12 runs have failed"),
        "{first:?}"
    );
    assert!(first.stdout.contains("no/such/run"), "{first:?}");
    let table = results(&out);
    assert_eq!(table.matches(",failed,").count(), 6, "{table}");
    assert_eq!(table.matches(",finished,").count(), 6, "{table}");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("a log").file_name();
    let mut logs = fs::read_dir(out.join("logs")).expect("logs").map(name);
    // Values that cannot be part of a file name are represented by a hash.
    let is_failed = |name: &std::ffi::OsString| {
        name.to_string_lossy()
            .starts_with("peak=5e-4,from=no_such_run-")
    };
    let log = out.join("logs").join(logs.find(is_failed).expect("a log"));
    fs::remove_file(&log).expect("a failed run has a log");
    assert_eq!(sweep(&file, &out, &[]).code, 1);
    assert!(
        !log.is_file(),
        "a failed run was started again without --retry"
    );
    assert_eq!(sweep(&file, &out, &["--retry"]).code, 1);
    assert!(log.is_file(), "a failed run was not started again");
}

#[test]
fn another_sweep_in_the_same_directory_is_refused_by_key() {
    let dir = scratch();
    let file = sweep_file(dir.path(), "");
    let out = dir.path().join("out");
    assert_ok(&sweep(&file, &out, &["--quiet"]));
    let text = fs::read_to_string(&file).expect("the sweep file");
    fs::write(&file, text.replace("8e-3", "9e-3")).expect("the sweep file can be written");
    let other = sweep(&file, &out, &[]);
    assert_eq!(other.code, 4, "{other:?}");
    assert!(other.stderr.contains("grid"), "{other:?}");
    let based = sweep(
        &sweep_file(dir.path(), ""),
        &out,
        &["--set", "train.batch=3"],
    );
    assert_eq!(based.code, 4, "{based:?}");
    assert!(based.stderr.contains("train.batch"), "{based:?}");
}

#[test]
fn a_dry_run_lists_the_runs_with_their_cost_and_makes_nothing() {
    let dir = scratch();
    let file = sweep_file(dir.path(), "");
    let out = dir.path().join("out");
    let listed = sweep(&file, &out, &["--dry-run", "--json"]);
    assert_ok(&listed);
    let object = listed.json();
    let runs = object["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 6);
    assert_eq!(runs[0]["run"], "peak=5e-4,seed=0");
    assert_eq!(runs[0]["tokens"], 20 * 4 * 32);
    assert_eq!(runs[2]["sets"]["schedule.peak"], 2e-3);
    let flops: f64 = runs.iter().filter_map(|run| run["flops"].as_f64()).sum();
    assert!((object["total"]["flops"].as_f64().expect("a sum") / flops - 1.0).abs() < 1e-12);
    assert!(object["total"]["training_seconds"].as_f64() > Some(0.0));
    let text = sweep(&file, &out, &["--dry-run"]);
    assert!(text.stdout.contains("6 runs"), "{text:?}");
    assert!(
        text.stdout.lines().all(|line| line.chars().count() <= 80),
        "{text:?}"
    );
    assert!(!out.exists());
}

#[test]
fn a_wrong_key_in_any_run_is_told_before_anything_is_made() {
    let dir = scratch();
    let file = sweep_file(
        dir.path(),
        "[[grid]]\nkey = \"model.d_modl\"\nvalues = [32]\n",
    );
    let out = dir.path().join("out");
    let refused = sweep(&file, &out, &[]);
    assert_eq!(refused.code, 2, "{refused:?}");
    for part in ["peak=5e-4", "model.d_modl", "d_model"] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
    assert!(!out.exists());
}

#[test]
fn the_shipped_sweeps_are_valid_and_as_large_as_they_say() {
    for (name, runs) in [
        ("sweeps/lr-schedules", 54),
        ("sweeps/depth", 54),
        ("field/sheets/injections", 36),
        ("field/sheets/fixed-or-random", 12),
    ] {
        let file = format!("configs/{name}.toml");
        let shown = run(["schedule", &file, "--json"]);
        assert_ok(&shown);
        assert_eq!(shown.json()["configs"].as_array().map(Vec::len), Some(runs));
    }
}

#[test]
fn the_picture_of_a_sweep_has_its_rank_correlation() {
    let dir = scratch();
    let file = sweep_file(dir.path(), "");
    let (out, figures) = (dir.path().join("out"), dir.path().join("figures"));
    assert_ok(&sweep(&file, &out, &["--quiet"]));
    let figure = |further: &[&str]| {
        let mut args = vec!["figure".to_owned(), "lr-schedules".to_owned()];
        args.extend([out.display().to_string(), "--out".to_owned()]);
        args.push(figures.display().to_string());
        args.extend(further.iter().map(|one| (*one).to_owned()));
        run(args)
    };
    assert_ok(&figure(&[]));
    let text = fs::read_to_string(figures.join("lr-schedules.json")).expect("the numbers");
    let numbers: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(numbers["runs"].as_array().map(Vec::len), Some(6));
    assert_eq!(numbers["spearman"]["pairs"], 6);
    // After twenty steps, runs with a higher peak have a lower loss.
    assert!(
        numbers["spearman"]["rho"].as_f64() < Some(-0.8),
        "{numbers}"
    );
    let laws = dir.path().join("law");
    let fit = run([
        "fit-law",
        &out.display().to_string(),
        "--law",
        "tissue",
        "--out",
        &laws.display().to_string(),
    ]);
    assert_ok(&fit);
    assert_ok(&figure(&[
        "--law",
        &laws.join("fit-law.json").display().to_string(),
    ]));
    let table = fs::read_to_string(figures.join("lr-schedules.csv")).expect("a table");
    assert_eq!(table.matches("\nlaw,").count(), 6, "{table}");
}

#[test]
fn what_the_diagnosis_says_of_a_run_stands_beside_its_status() {
    let dir = scratch();
    let file = dir.path().join("hot.toml");
    let text = "base = \"configs/smoke.toml\"\n[[grid]]\nkey = \"schedule.peak\"\nvalues = [2e-3, 30.0]\n\
                [[grid]]\nkey = \"train.clip\"\nvalues = [false]\n\
                [[grid]]\nkey = \"train.steps\"\nvalues = [100]\n\
                [[grid]]\nkey = \"train.nonfinite\"\nvalues = [{ kind = \"skip\", in_a_row = 1000 }]\n";
    fs::write(&file, text).expect("the sweep file can be written");
    let out = dir.path().join("out");
    let ended = sweep(&file, &out, &["--json"]);
    assert_ok(&ended);
    let shown = ended.json();
    let runs = shown["runs"].as_array().expect("runs");
    for (run, healthy) in runs.iter().zip([true, false]) {
        assert_eq!(run["status"], "finished", "{run}");
        assert_eq!(run["verdict"] == "healthy", healthy, "{run}");
        let summary = out
            .join("runs")
            .join(run["run"].as_str().expect("a name"))
            .join("summary.json");
        let summary = fs::read_to_string(summary).expect("a summary");
        let summary: serde_json::Value = serde_json::from_str(&summary).expect("JSON");
        assert_eq!(run["verdict"], summary["verdict"]);
    }
    let verdict = runs[1]["verdict"].as_str().expect("a verdict");
    let table = results(&out);
    assert!(table.starts_with("run,status,verdict,seed,"), "{table}");
    assert!(
        table.contains(&format!(",finished,{verdict},0,")),
        "{table}"
    );
    let again = sweep(&file, &out, &[]);
    assert_ok(&again);
    assert!(
        again.stdout.contains("verdict") && again.stdout.contains(verdict),
        "{again:?}"
    );
    assert!(
        again.stdout.lines().all(|line| line.chars().count() <= 80),
        "{again:?}"
    );
}

#[test]
fn a_value_that_is_written_in_two_ways_is_told() {
    let dir = scratch();
    let file = sweep_file(
        dir.path(),
        "[[grid]]\nkey = \"train.clip\"\nvalues = [1, 0.5, 1.0]\n",
    );
    let refused = sweep(&file, &dir.path().join("out"), &[]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("grid.1.values: has 1 and 1.0, which are the same"),
        "{refused:?}"
    );
}

#[test]
fn a_sweep_that_could_not_train_starts_by_the_same_command_once_it_is_corrected() {
    let dir = scratch();
    let out = dir.path().join("out");
    let file = sweep_file(dir.path(), "");
    let of = |key: &str| sweep(&file, &out, &["--set", key]);
    // The first sweep lacks its data, the second lacks a run to start from, and the third lacks
    // nothing.
    let no_data = of("data.paths=[\"no/such/text.txt\"]");
    assert_eq!(no_data.code, 3, "{no_data:?}");
    let no_start = of("init={ from = \"no/such/run\" }");
    assert_eq!(no_start.code, 1, "{no_start:?}");
    assert!(
        no_start.stderr.contains("6 of 6 runs have failed"),
        "{no_start:?}"
    );
    assert_ok(&sweep(&file, &out, &[]));
    assert_eq!(results(&out).matches(",finished,").count(), 6);
    // Now runs have been trained, so the configuration must not change.
    assert_eq!(of("train.batch=3").code, 4);
}

#[test]
fn shards_that_run_side_by_side_end_with_the_results_of_one_sweep() {
    let dir = scratch();
    let file = sweep_file(dir.path(), "");
    let (whole, cut) = (dir.path().join("whole"), dir.path().join("cut"));
    assert_ok(&sweep(&file, &whole, &["--quiet"]));

    let first = sweep(&file, &cut, &["--shard", "0/3", "--json"]);
    assert_ok(&first);
    let json = first.json();
    assert_eq!(
        json["missing"],
        serde_json::json!([
            {"shard": "1/3", "runs": ["peak=5e-4,seed=1", "peak=8e-3,seed=0"]},
            {"shard": "2/3", "runs": ["peak=2e-3,seed=0", "peak=8e-3,seed=1"]},
        ])
    );
    let told = sweep(&file, &cut, &["--shard", "0/3"]);
    assert_ok(&told);
    let line = "not ended: peak=5e-4,seed=1, peak=8e-3,seed=0 of shard 1/3\n\
                not ended: peak=2e-3,seed=0, peak=8e-3,seed=1 of shard 2/3\n";
    assert!(told.stdout.contains(line), "{told:?}");

    let at_once: Vec<Child> = ["1/3", "2/3"]
        .iter()
        .map(|shard| {
            let mut command = trainer();
            command.args(args(&file, &cut)).args(["--shard", shard]);
            command.stdin(Stdio::null()).stdout(Stdio::piped());
            command.stderr(Stdio::piped()).spawn().expect("a shard")
        })
        .collect();
    for child in at_once {
        assert_ok(&ended(child.wait_with_output().expect("a shard ends")));
    }
    assert_eq!(results(&cut), results(&whole));
    // All runs are finished: the whole sweep has nothing left to do, and no run is missing.
    let all = sweep(&file, &cut, &["--json"]);
    assert_ok(&all);
    assert_eq!(all.json()["missing"], serde_json::json!([]));
}

#[test]
fn a_shard_lists_its_own_runs_and_a_wrong_one_is_refused() {
    let dir = scratch();
    let file = sweep_file(dir.path(), "");
    let out = dir.path().join("out");
    let listed = sweep(&file, &out, &["--shard", "1/4", "--dry-run", "--json"]);
    assert_ok(&listed);
    let json = listed.json();
    let runs = json["runs"].as_array().expect("runs");
    let names: Vec<&str> = runs.iter().filter_map(|run| run["run"].as_str()).collect();
    assert_eq!(names, ["peak=5e-4,seed=1", "peak=8e-3,seed=1"]);
    let refused = sweep(&file, &out, &["--shard", "4/4"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("there is no shard 4 of 4: they are numbered from 0 to 3"),
        "{refused:?}"
    );
    assert!(!out.exists());
}

#[test]
fn seeds_have_a_table_of_their_own_and_equal_summed_rates_no_correlation() {
    let dir = scratch();
    let file = dir.path().join("clips.toml");
    let text = "base = \"configs/smoke.toml\"\nseeds = [0, 1]\n\
                [[grid]]\nkey = \"train.clip\"\nvalues = [0.25, 1.0]\n";
    fs::write(&file, text).expect("the sweep file can be written");
    let out = dir.path().join("out");
    let shown = sweep(&file, &out, &[]);
    assert_ok(&shown);
    for part in [
        "mean ± standard deviation over seeds",
        "clip=0.25,seed=0",
        "clip=1  ",
        "2 healthy",
    ] {
        assert!(shown.stdout.contains(part), "{part}: {shown:?}");
    }
    assert!(
        shown.stdout.lines().all(|line| line.chars().count() <= 80),
        "{shown:?}"
    );
    // All runs have the same schedule, so there is no correlation with the learning rate.
    assert!(!shown.stdout.contains("Spearman"), "{shown:?}");
    let again = sweep(&file, &out, &["--json"]);
    assert_ok(&again);
    let json = again.json();
    assert_eq!(json["spearman"], serde_json::Value::Null);
    let setting = &json["settings"][0];
    assert_eq!(setting["setting"], "clip=0.25");
    assert_eq!(setting["verdicts"], serde_json::json!({"healthy": 2}));
    let of_seed = |seed: usize| json["runs"][seed]["numbers"]["val_cross_entropy"].as_f64();
    let (a, b) = (of_seed(0).expect("a loss"), of_seed(1).expect("a loss"));
    let spread = &setting["numbers"]["val_cross_entropy"];
    let near = |found: &serde_json::Value, expected: f64| {
        (found.as_f64().expect("a number") - expected).abs() < 1e-9
    };
    // The standard deviation of two values that differ by d is √(2 · (d/2)² / 1) = d / √2.
    assert!(near(&spread["mean"], f64::midpoint(a, b)), "{setting}");
    assert!(
        near(&spread["sd"], (a - b).abs() / 2.0_f64.sqrt()),
        "{setting}"
    );
    let table = fs::read_to_string(out.join("settings.csv")).expect("the settings");
    assert!(
        table.starts_with("setting,seeds,finished,verdicts,train.clip,"),
        "{table}"
    );
    assert!(table.contains("\nclip=0.25,2,2,2 healthy,0.25,"), "{table}");
}

#[test]
fn a_sweep_that_an_earlier_version_began_goes_on_with_its_names() {
    let dir = scratch();
    let file = sweep_file(dir.path(), "");
    let (out, whole) = (dir.path().join("out"), dir.path().join("whole"));
    assert_ok(&sweep(&file, &out, &["--shard", "0/3"]));
    // These are the directories that an earlier version would have left.
    for (name, earlier) in [
        ("peak=5e-4,seed=0", "peak0-seed0"),
        ("peak=2e-3,seed=1", "peak1-seed1"),
    ] {
        for (folder, ending) in [("runs", ""), ("logs", ".log"), ("outcomes", ".json")] {
            let path = |name: &str| out.join(folder).join(format!("{name}{ending}"));
            fs::rename(path(name), path(earlier)).expect("what an ended run has left");
        }
    }
    let metrics = || fs::metadata(out.join("runs/peak1-seed1/metrics.jsonl"));
    let before = metrics().and_then(|metrics| metrics.modified());
    let listed = sweep(&file, &out, &["--dry-run", "--json"]);
    assert_ok(&listed);
    assert_eq!(listed.json()["runs"][1]["run"], "peak0-seed1");
    let next = sweep(&file, &out, &["--json"]);
    assert_ok(&next);
    let after = metrics().and_then(|metrics| metrics.modified());
    assert_eq!(before.expect("a time"), after.expect("a time"));
    let names = |json: &serde_json::Value| -> Vec<String> {
        let runs = json["runs"].as_array().expect("runs").clone();
        let name = |run: &serde_json::Value| run["run"].as_str().map(str::to_owned);
        runs.iter().filter_map(name).collect()
    };
    let earlier = [
        "peak0-seed0",
        "peak0-seed1",
        "peak1-seed0",
        "peak1-seed1",
        "peak2-seed0",
        "peak2-seed1",
    ];
    assert_eq!(names(&next.json()), earlier);
    assert_eq!(fs::read_dir(out.join("runs")).expect("runs").count(), 6);
    assert_ok(&sweep(&file, &whole, &["--quiet"]));
    // The values equal those of a sweep that the current version ran from the beginning.
    let numbers = |out: &Path| -> Vec<String> {
        let table = results(out);
        let rest = |line: &str| {
            let from = line.find(",finished,").expect("a finished run");
            line[from..].to_owned()
        };
        table.lines().skip(1).map(rest).collect()
    };
    assert_eq!(numbers(&out), numbers(&whole));
    assert_ok(&run([
        "figure",
        "lr-schedules",
        &out.display().to_string(),
        "--out",
        &dir.path().join("f").display().to_string(),
    ]));
}
