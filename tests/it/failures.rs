//! The published failures occur, and the program reports them.
//!
//! The tests run sixty steps of the configurations on a small text. Some effects need longer to
//! appear; scripts/reproduce.sh measures these on whole runs.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use crate::harness::{Ended, assert_ok, rows, run, scratch, shared_cache, smoke, timeless_rows};

const STEPS: u64 = 60;

/// A short run of one of the three configurations.
struct Short {
    train: Vec<(u64, Value)>,
    evals: Vec<(u64, Value)>,
    events: Vec<(u64, Value)>,
    summary: Value,
    ended: Ended,
}

impl Short {
    /// Trains configs/NAME.toml on data/sample.txt, with bytes or with merged tokens.
    fn train(name: &str, peak: &str, tokenizer: &str, further: &[&str]) -> Self {
        let dir = scratch();
        let out = dir.path().join(name);
        let ended = train_into(&out, name, peak, tokenizer, further);
        let of = |kind: &str| {
            let rows = rows(&out, kind).into_iter();
            rows.map(|row| {
                (
                    row["step"].as_u64().expect("a step"),
                    row["metrics"].clone(),
                )
            })
            .collect()
        };
        let summary = fs::read_to_string(out.join("summary.json")).expect("a summary");
        Self {
            train: of("train"),
            evals: of("eval"),
            events: of("event"),
            summary: serde_json::from_str(&summary).expect("JSON"),
            ended,
        }
    }

    fn series(&self, name: &str) -> Vec<(u64, f64)> {
        self.train
            .iter()
            .filter_map(|(step, row)| Some((*step, row[name].as_f64()?)))
            .collect()
    }

    fn last(&self, name: &str) -> f64 {
        let (_, row) = self.evals.last().expect("an evaluation");
        row[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name} in {row}"))
    }

    fn unigram(&self) -> f64 {
        self.evals[0].1["val_unigram_cross_entropy"]
            .as_f64()
            .expect("a number")
    }

    /// Returns the step at which an event was recorded.
    fn told(&self, event: &str) -> Option<u64> {
        let (step, _) = self.events.iter().find(|(_, row)| row["event"] == event)?;
        Some(*step)
    }
}

fn train_into(out: &Path, name: &str, peak: &str, tokenizer: &str, further: &[&str]) -> Ended {
    let sets = [
        "data.paths=[\"data/sample.txt\"]".to_owned(),
        format!("data.tokenizer={tokenizer}"),
        "data.val_fraction=0.1".to_owned(),
        shared_cache(),
        format!("train.steps={STEPS}"),
        "train.seq=32".to_owned(),
        "train.log_every=1".to_owned(),
        "model.d_model=64".to_owned(),
        "schedule.warmup=10".to_owned(),
        format!("schedule.peak={peak}"),
        "eval.every=15".to_owned(),
        "eval.tokens=64".to_owned(),
        "checkpoint.every=1000".to_owned(),
    ];
    let config = format!("configs/{name}.toml");
    let out = out.display().to_string();
    let mut args = vec!["--config", &config, "--out", &out, "--device", "flex"];
    args.extend(sets.iter().flat_map(|set| ["--set", set]));
    args.extend(further);
    run(args)
}

const MERGED: &str = "{ kind = \"bpe\", vocab_size = 512 }";
const BYTES: &str = "{ kind = \"bytes\" }";

fn bad_run_1() -> &'static Short {
    static RUN: OnceLock<Short> = OnceLock::new();
    RUN.get_or_init(|| Short::train("bad-run-1", "8e-3", MERGED, &[]))
}

#[test]
fn the_first_bad_run_collapses_and_stalls_at_the_unigram_entropy() {
    let run = bad_run_1();
    assert_ok(&run.ended);
    for (step, correlation) in run.series("hidden_state_corr") {
        assert!(
            step < STEPS / 4 || correlation >= 0.97,
            "{correlation} at {step}"
        );
    }
    let (loss, unigram) = (run.last("val_cross_entropy"), run.unigram());
    assert!(
        (loss / unigram - 1.0).abs() <= 0.03,
        "{loss} beside {unigram}"
    );
    let shallow = run.last("val_perplexity@1");
    for depth in [4, 8, 16, 32, 64] {
        let deep = run.last(&format!("val_perplexity@{depth}"));
        assert!(
            (deep / shallow - 1.0).abs() <= 0.01,
            "{deep} at {depth}, {shallow} at 1"
        );
    }
}

#[test]
fn a_collapse_is_told_while_it_happens_and_in_the_summary() {
    let run = bad_run_1();
    let step = run.told("hidden-state-collapse").expect("an event");
    assert!(step <= STEPS, "{step}");
    assert!(
        run.ended.stderr.contains("warning: step")
            && run.ended.stderr.contains("hidden-state-collapse"),
        "{:?}",
        run.ended
    );
    assert_eq!(run.summary["verdict"], "hidden-state-collapse");
    assert_eq!(run.summary["findings"][0]["step"], step);
}

#[test]
fn the_second_bad_run_learns_and_ignores_its_state() {
    // With bytes, the run learns more in sixty steps than with merged tokens. Second moments have a
    // lower bound of 1e-12, so small gradients move the weights little, and the rate must be high.
    let run = Short::train("bad-run-2", "1.1e-2", BYTES, &[]);
    assert_ok(&run.ended);
    let early = |name: &str| {
        let early = run
            .series(name)
            .into_iter()
            .take_while(|(step, _)| *step <= STEPS / 3);
        early.map(|(_, value)| value).fold(0.0, f64::max)
    };
    let peak = early("hidden_state_corr").max(early("last_hidden_token_corr"));
    assert!(peak >= 0.8, "{peak}");
    for (step, correlation) in run.series("hidden_state_corr") {
        assert!(
            step <= STEPS - 10 || correlation < 0.5,
            "{correlation} at {step}"
        );
    }
    let (loss, unigram) = (run.last("val_cross_entropy"), run.unigram());
    assert!(loss < 0.9 * unigram, "{loss} beside {unigram}");
    let ratio = run.last("val_perplexity@1") / run.last("val_perplexity@32");
    assert!((ratio - 1.0).abs() <= 0.03, "{ratio}");
    assert!(run.told("ignored-state").is_some(), "{:?}", run.events);
    assert_eq!(run.told("hidden-state-collapse"), None);
    assert_eq!(run.summary["verdict"], "ignored-state");
}

#[test]
fn the_main_run_gains_from_depth_and_nothing_is_told() {
    let run = Short::train("main", "2e-3", MERGED, &[]);
    assert_ok(&run.ended);
    for (step, correlation) in run.series("hidden_state_corr") {
        assert!(correlation < 0.97, "{correlation} at {step}");
        assert!(
            step <= STEPS - 10 || correlation < 0.5,
            "{correlation} at {step}"
        );
    }
    let ratio = run.last("val_perplexity@1") / run.last("val_perplexity@16");
    assert!(ratio >= 1.15, "{ratio}");
    assert_eq!(run.summary["verdict"], "healthy");
    assert_eq!(run.summary["findings"], serde_json::json!([]));
    // A warning about the few validation tokens is allowed, but no warning about a step.
    assert!(
        !run.ended.stderr.contains("warning: step"),
        "{:?}",
        run.ended
    );
}

#[test]
fn a_policy_stops_a_run_with_everything_saved_and_stays_in_force() {
    let dir = scratch();
    let out = dir.path().join("stopped");
    let stop = "diagnosis.hidden_state_collapse.policy=stop";
    let early = "diagnosis.hidden_state_collapse.steps=3";
    let train = |set: &[&str]| train_into(&out, "bad-run-1", "8e-3", MERGED, set);
    let ended = train(&["--set", stop, "--set", early]);
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("diagnosis.hidden_state_collapse.policy=warn"),
        "{ended:?}"
    );
    let events = rows(&out, "event");
    let last = events.last().expect("an event");
    assert_eq!(last["metrics"]["event"], "checkpoint");
    let step = last["step"].as_u64().expect("a step");
    assert!(step < STEPS, "{step}");
    let again = train(&["--set", stop, "--set", early]);
    assert_eq!(again.code, 5, "{again:?}");
    let on = format!("train.steps={}", step + 2);
    let warned = train(&["--set", early, "--set", &on]);
    assert_ok(&warned);
    assert_eq!(rows(&out, "train").last().expect("a row")["step"], step + 2);
}

#[test]
fn a_failure_that_is_off_is_not_told_and_known_to_the_verdict() {
    let off = "diagnosis.hidden_state_collapse.policy=off";
    let run = Short::train("bad-run-1", "8e-3", MERGED, &["--set", off]);
    assert_ok(&run.ended);
    assert_eq!(run.told("hidden-state-collapse"), None);
    assert_eq!(run.summary["verdict"], "hidden-state-collapse");
}

#[test]
fn a_resumed_run_finds_what_an_uninterrupted_one_does() {
    let dir = scratch();
    let train = |out: &Path, steps: &str| {
        let mut args = vec!["--set", steps];
        for set in [
            "schedule.shape={ kind = \"constant\" }",
            "schedule.peak=0.2",
            "diagnosis.divergence.steps=1",
            "diagnosis.divergence.rise=0.01",
        ] {
            args.extend(["--set", set]);
        }
        assert_ok(&smoke(out, &args));
    };
    let findings = |out: &Path| {
        let found = timeless_rows(out, "event").into_iter();
        found
            .filter(|row| row["metrics"]["since"].is_number())
            .collect::<Vec<Value>>()
    };
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    train(&whole, "train.steps=40");
    train(&parts, "train.steps=20");
    train(&parts, "train.steps=40");
    assert!(!findings(&whole).is_empty());
    assert_eq!(findings(&parts), findings(&whole));
}
