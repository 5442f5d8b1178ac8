//! Tests every file in configs/: its resolved form, its documentation, and the results that need no
//! training.

use std::fs;

use crate::harness::{assert_ok, golden, root, run};

/// Returns the names of all configurations below configs/, such as `main` or `gpu/main`.
fn names() -> Vec<String> {
    let mut names = Vec::new();
    for folder in ["", "field/", "gpu/"] {
        for entry in fs::read_dir(root().join("configs").join(folder)).expect("configs/") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                let stem = path.file_stem().expect("a name").to_string_lossy();
                names.push(format!("{folder}{stem}"));
            }
        }
    }
    names.sort();
    names
}

#[test]
fn every_configuration_resolves_to_its_golden_text() {
    assert!(names().len() >= 16, "{:?}", names());
    for name in names() {
        let ended = run([
            "--config",
            &format!("configs/{name}.toml"),
            "--print-config",
        ]);
        assert_ok(&ended);
        golden(&format!("configs/{name}.toml"), &ended.stdout);
    }
}

#[test]
fn what_backward_runs_again_is_nothing_or_an_iteration() {
    let print = |recompute: &str| {
        let set = format!("model.recurrence.recompute={recompute}");
        run([
            "--config",
            "configs/smoke.toml",
            "--print-config",
            "--set",
            &set,
        ])
    };
    let ended = print("iteration");
    assert_ok(&ended);
    assert!(
        ended.stdout.contains("recompute = \"iteration\""),
        "{ended:?}"
    );
    let ended = print("layer");
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("one of none"), "{ended:?}");
}

#[test]
fn every_configuration_opens_with_what_it_is_and_its_command() {
    for name in names() {
        let path = root().join("configs").join(format!("{name}.toml"));
        let text = fs::read_to_string(path).expect("a configuration");
        let head: Vec<&str> = text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .collect();
        assert!(head.len() >= 3, "{name}");
        assert!(
            head.iter().any(|line| line.contains("cargo run --release")),
            "{name}"
        );
    }
}

#[test]
fn the_published_shape_is_counted_without_being_allocated() {
    let ended = run([
        "--config",
        "configs/huginn-3.5b.toml",
        "--device",
        "flex",
        "--dry-run",
        "--json",
    ]);
    // This configuration needs more memory than most machines have.
    assert_eq!(ended.code, 6, "{ended:?}");
    let costs = ended.json();
    assert_eq!(costs["parameters"]["total"], 3_564_976_800_u64);
    assert_eq!(costs["effective_depth"], 132);
    assert_eq!(costs["tokens_per_step"], 16_777_216);
}

#[test]
fn a_dry_run_tries_the_largest_step_and_leaves_nothing_behind() {
    let ended = run([
        "--config",
        "configs/smoke.toml",
        "--device",
        "flex",
        "--dry-run",
    ]);
    assert_ok(&ended);
    assert!(
        ended
            .stdout
            .contains("one step at recurrence 16 (n = 14, k = 2)"),
        "{ended:?}"
    );
    assert!(
        !root().join("runs/smoke/config.toml").exists()
            || root().join("runs/smoke/metrics.jsonl").exists()
    );
}
