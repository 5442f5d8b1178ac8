//! The same run on every device that this build and machine have.

use crate::harness::{assert_ok, losses, run, scratch, smoke};

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

fn agrees_with_flex(kind: &str) {
    if !is_there(kind) {
        return;
    }
    let dir = scratch();
    let (flex, other) = (dir.path().join("flex"), dir.path().join(kind));
    assert_ok(&smoke(&flex, &[]));
    assert_ok(&smoke(&other, &["--device", kind]));
    let (expected, found) = (losses(&flex), losses(&other));
    assert_eq!((expected.len(), found.len()), (20, 20));
    for (step, (a, b)) in (1..).zip(expected.iter().zip(&found)) {
        assert!(
            (a - b).abs() < TOLERANCE,
            "{kind}, step {step}: {b}, not {a}"
        );
    }
}

#[test]
fn wgpu_trains_like_flex() {
    agrees_with_flex("wgpu");
}

#[test]
fn ndarray_trains_like_flex() {
    agrees_with_flex("ndarray");
}

#[test]
fn the_selftest_passes_on_flex() {
    let ended = run(["selftest", "--device", "flex", "--steps", "3", "--json"]);
    assert_ok(&ended);
    assert_eq!(ended.json()["passed"], true);
}
