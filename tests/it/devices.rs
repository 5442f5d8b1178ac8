//! The same run on every device that this build and machine have.

use crate::harness::{assert_ok, losses, rows, run, scratch, smoke};

/// What other orders of summation make of twenty steps.
const TOLERANCE: f64 = 1e-3;

pub(crate) fn is_there(kind: &str) -> bool {
    let listed = run(["devices", "--json"]).json();
    let there = listed["devices"]
        .as_array()
        .is_some_and(|all| all.iter().any(|d| d["kind"] == kind));
    if !there {
        use std::io::Write as _;
        // Straight to the terminal: the harness would swallow what a passing test prints.
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

/// Half of the gates are closed by chance: the devices have to draw the same ones.
#[test]
fn wgpu_draws_the_gates_of_flex() {
    let gates = "model.sparsity={gate_bias=0.0}";
    let strength = "controller={target={kind=\"absolute\",cross_entropy=9.0}}";
    let keys = [gates, strength, "train.steps=6"];
    agrees_with_flex("wgpu", 6, &keys.map(|key| ["--set", key]).concat());
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

/// Weights that are no numbers any more: on a GPU the updates are masked out and known at the next logged step.
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
