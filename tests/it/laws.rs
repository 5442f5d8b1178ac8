//! Tests laws of the loss curve on the command line.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Ended, assert_ok, rows, run, scratch, shared_cache, trainer};

const PEAK: f64 = 3e-4;
const WARMUP: u64 = 100;
/// The constants L0, A, α, C and λ of the law by Tissue et al. (arXiv 2408.11029, section 3).
const CONSTANTS: [f64; 5] = [2.6, 0.5, 0.45, 5.0, 0.995];

/// Writes a table with a curve that follows the law. The sums of the law have one term per step,
/// and the table has a point every twenty steps.
fn write_curve(path: &Path, steps: u64, rate: fn(f64) -> f64) {
    let [l0, a, alpha, c, lambda] = CONSTANTS;
    let mut s1 = (1..WARMUP)
        .map(|t| PEAK * t as f64 / WARMUP as f64)
        .sum::<f64>();
    let (mut momentum, mut s2, mut before) = (0.0, 0.0, PEAK);
    let mut text = String::from("step,lr,loss\n");
    for t in WARMUP..=steps {
        let rate = PEAK * rate((t - WARMUP) as f64 / (steps - WARMUP) as f64);
        s1 += rate;
        momentum = lambda * momentum + (before - rate);
        s2 += momentum;
        before = rate;
        if (t - WARMUP).is_multiple_of(20) {
            let loss = l0 + a * s1.powf(-alpha) - c * s2;
            writeln!(text, "{t},{rate},{loss}").expect("text can be written");
        }
    }
    fs::write(path, text).expect("the table can be written");
}

/// Writes the curves of four schedules: linear, constant, cosine and stepped.
fn write_curves(dir: &Path) {
    write_curve(&dir.join("linear.csv"), 3000, |p| 1.0 - 0.9 * p);
    write_curve(&dir.join("constant.csv"), 3000, |_| 1.0);
    write_curve(&dir.join("cosine.csv"), 4000, |p| {
        0.55 + 0.45 * (std::f64::consts::PI * p).cos()
    });
    write_curve(&dir.join("stepped.csv"), 2500, |p| {
        if p < 0.6 { 1.0 } else { 0.3 }
    });
}

fn fit(dir: &Path, further: &[&str]) -> Ended {
    let mut command = trainer();
    command
        .current_dir(dir)
        .args(["fit-law", "--law", "tissue", "--warmup", "100"]);
    crate::harness::ended(command.args(further).output().expect("the program starts"))
}

#[test]
fn known_constants_come_back_and_curves_that_were_not_fitted_are_predicted() {
    let dir = scratch();
    write_curves(dir.path());
    let args = [
        ".",
        "--fit",
        "linear",
        "constant.csv",
        "--json",
        "--out",
        "law",
    ];
    let ended = fit(dir.path(), &args);
    assert_ok(&ended);
    let found = ended.json();
    assert_eq!(found["law"], "tissue");
    for (symbol, expected) in ["L0", "A", "alpha", "C", "lambda"].iter().zip(CONSTANTS) {
        let value = found["parameters"][symbol].as_f64().expect("a constant");
        // The learning rate is known only at the points of the table. It is assumed to be linear
        // between them.
        assert!((value / expected - 1.0).abs() < 2e-3, "{symbol}: {value}");
    }
    let curves = found["curves"].as_array().expect("curves");
    let fitted: Vec<(&str, bool)> = curves
        .iter()
        .map(|curve| {
            (
                curve["name"].as_str().expect("a name"),
                curve["fitted"] == true,
            )
        })
        .collect();
    let expected = [
        ("constant", true),
        ("linear", true),
        ("cosine", false),
        ("stepped", false),
    ];
    assert_eq!(fitted, expected);
    for curve in &curves[..3] {
        assert!(curve["rmse"].as_f64() < Some(1e-4), "{curve}");
        assert!(curve["r2"].as_f64() > Some(0.9999), "{curve}");
        for error in ["mae", "prede", "worste"] {
            assert!(curve[error].as_f64().is_some(), "{curve}");
        }
    }
    let mean = |name: &str, curves: &[Value]| {
        let values = curves
            .iter()
            .map(|curve| curve[name].as_f64().expect("a number"));
        values.sum::<f64>() / curves.len() as f64
    };
    for (kind, curves) in [("fitted", &curves[..2]), ("predicted", &curves[2..])] {
        for name in ["r2", "mae", "rmse", "prede", "worste"] {
            let found = found["mean"][kind][name].as_f64().expect("a mean");
            assert!(
                (found - mean(name, curves)).abs() < 1e-15,
                "{kind} {name}: {found}"
            );
        }
    }
    // The table has one point every twenty steps, so the jump of the learning rate may be anywhere
    // between two points.
    assert!(curves[3]["rmse"].as_f64() < Some(3e-3), "{}", curves[3]);
    for name in ["fit-law.json", "fit-law.svg", "fit-law.png", "fit-law.csv"] {
        assert!(dir.path().join("law").join(name).is_file(), "{name}");
    }
}

#[test]
fn what_is_fitted_and_what_is_predicted_can_be_named_in_either_way() {
    let dir = scratch();
    write_curves(dir.path());
    let roles = |args: &[&str]| {
        let ended = fit(dir.path(), &[args, &["--json"]].concat());
        assert_ok(&ended);
        let curves = ended.json()["curves"].as_array().expect("curves").clone();
        let role = |curve: &Value| {
            format!(
                "{}:{}",
                curve["name"].as_str().unwrap_or(""),
                curve["fitted"]
            )
        };
        curves.iter().map(role).collect::<Vec<_>>().join(" ")
    };
    let expected = "linear:true cosine:true constant:false";
    assert_eq!(
        roles(&[
            "--fit",
            "linear.csv,cosine.csv",
            "--predict",
            "constant.csv"
        ]),
        expected
    );
    assert_eq!(
        roles(&["linear.csv", "cosine.csv", "--predict", "constant.csv"]),
        expected
    );
    let three = ["linear.csv", "cosine.csv", "constant.csv"];
    assert_eq!(
        roles(&[&three[..], &["--predict", "constant"]].concat()),
        expected
    );
    assert_eq!(
        roles(&[&three[..], &["--fit", "linear", "cosine"]].concat()),
        expected
    );
    let both = fit(
        dir.path(),
        &["--fit", "linear.csv", "--predict", "linear.csv"],
    );
    assert_eq!(both.code, 2, "{both:?}");
}

#[test]
fn the_searched_schedule_is_a_configuration_that_trains() {
    let dir = scratch();
    write_curves(dir.path());
    let config = crate::harness::root().join("configs/smoke.toml");
    let config = config.canonicalize().expect("a path").display().to_string();
    let args = [
        "linear.csv",
        "cosine.csv",
        "--optimise",
        "--config",
        &config,
        "--out",
        "best",
    ];
    let ended = fit(dir.path(), &args);
    assert_ok(&ended);
    assert!(ended.stdout.contains("the configuration's"), "{ended:?}");
    let text = fs::read_to_string(dir.path().join("best/fit-law.json")).expect("the numbers");
    let found: Value = serde_json::from_str(&text).expect("JSON");
    let searched = &found["schedule"];
    for other in searched["others"].as_array().expect("others") {
        let loss = other["predicted_loss"].as_f64();
        assert!(searched["predicted_loss"].as_f64() <= loss, "{other}");
    }
    let out = dir.path().join("run");
    let best = dir.path().join("best/config.toml");
    assert_ok(&run([
        "--config",
        &best.display().to_string(),
        "--set",
        &shared_cache(),
        "--out",
        &out.display().to_string(),
    ]));
    let trained = rows(&out, "train");
    for point in searched["points"].as_array().expect("points") {
        let step = point[0].as_u64().expect("a step") as usize;
        let rate = trained[step - 1]["metrics"]["lr"].as_f64().expect("a rate");
        let planned = point[1].as_f64().expect("a rate");
        assert!((rate - planned).abs() < 1e-12, "{step}: {rate} {planned}");
    }
    // Without a configuration, the program prints the section for the length of the longest curve.
    let printed = fit(
        dir.path(),
        &["linear.csv", "cosine.csv", "--optimise", "--floor", "3e-5"],
    );
    assert_ok(&printed);
    for part in [
        "steps = 4000",
        "peak = 0.0003",
        "floor = 0.00003",
        "warmup = 100",
        "kind = \"piecewise\"",
    ] {
        assert!(printed.stdout.contains(part), "{part}: {printed:?}");
    }
}

#[test]
fn curves_that_cannot_be_read_or_fitted_are_refused() {
    let dir = scratch();
    write_curves(dir.path());
    let refused = |args: &[&str]| {
        let ended = fit(dir.path(), args);
        (ended.code, ended.stderr)
    };
    fs::write(dir.path().join("bad.csv"), "step,lr,loss\n1,x,3\n").expect("a file");
    let (code, message) = refused(&["bad.csv"]);
    assert_eq!(code, 3);
    assert!(
        message.contains("bad.csv`, line 2: lr: expected a number"),
        "{message}"
    );
    let (code, message) = refused(&["constant.csv"]);
    assert_eq!(code, 3);
    assert!(
        message.contains("the rate is constant in every curve"),
        "{message}"
    );
    let (code, message) = refused(&["nowhere.csv"]);
    assert_eq!(code, 2);
    assert!(message.contains("nowhere.csv"), "{message}");
    assert_eq!(refused(&[]).0, 2);
    assert_eq!(refused(&["linear.csv", "--law", "tisue"]).0, 2);
}

#[test]
fn a_curve_is_the_same_however_its_table_is_written() {
    let dir = scratch();
    write_curves(dir.path());
    let text = fs::read_to_string(dir.path().join("linear.csv")).expect("a table");
    let law = || {
        let ended = fit(dir.path(), &["linear.csv", "cosine.csv", "--json"]);
        assert_ok(&ended);
        (ended.json()["parameters"].clone(), ended.stderr)
    };
    let (expected, _) = law();
    let rewritten = |line: &dyn Fn(&str) -> String| -> String {
        let lines: Vec<String> = text.lines().map(line).collect();
        lines.join("\n")
    };
    let quoted = rewritten(&|line| format!("\"{}\"", line.replace(',', "\",\"")));
    let float_steps = rewritten(&|line| match line.split_once(',') {
        Some((step, rest)) if step != "step" => format!("{step}.0,{rest}"),
        _ => line.to_owned(),
    });
    let variants = [
        format!("\u{feff}{text}"),
        text.replace('\n', "\r"),
        text.replace(',', ";")
            .replace("step;lr;loss", "Step;LR;Loss"),
        text.replace(',', " \t"),
        quoted,
        float_steps,
    ];
    for variant in variants {
        fs::write(dir.path().join("linear.csv"), &variant).expect("a table");
        let start: String = variant.chars().take(40).collect();
        let (found, told) = law();
        assert_eq!(found, expected, "{start:?}");
        assert_eq!(told, "", "{start:?}");
    }
    // These are the records of a run that was resumed at step 180 and logged some steps twice.
    let mut rows: Vec<&str> = text.lines().collect();
    rows.splice(5..5, ["180,3e-4,9", "200,3e-4,9"]);
    fs::write(dir.path().join("linear.csv"), rows.join("\n")).expect("a table");
    let (found, told) = law();
    assert_eq!(found, expected);
    assert!(
        told.contains("linear.csv") && told.contains("2 rows"),
        "{told}"
    );
}

#[test]
fn a_table_that_is_none_is_refused_in_a_short_line() {
    let dir = scratch();
    let refused = |text: &str, parts: &[&str]| {
        fs::write(dir.path().join("bad.csv"), text).expect("a table");
        let ended = fit(dir.path(), &["bad.csv"]);
        crate::harness::refused(&ended, 3, parts);
        assert!(ended.stderr.len() < 300, "{ended:?}");
    };
    let header = "step,lr,loss\n";
    refused(&format!("{header}1,1,3\n2,1,NaN\n"), &["line 3: loss: NaN"]);
    refused(
        &format!("{header}1.5,1,3\n"),
        &["line 2: step: expected a whole number, found `1.5`"],
    );
    refused(
        &format!("{header}1,1,3\n2,1,3\n1,1,3\n"),
        &["line 4: step 1 goes back"],
    );
    refused(&"1,1,3;".repeat(10_000), &["line 1: no column `step`"]);
    refused(&"\u{0}".repeat(100_000), &["line 1"]);
}
