use super::*;
use crate::rows::Planned;
use crate::tests::task;

fn answered(right: bool) -> Outcome {
    Outcome {
        acc: Some(right),
        ..Outcome::default()
    }
}

/// Returns a run at depths 1 and 2. A 1 in `answers` stands for a right answer, a 0 for a wrong
/// one.
fn run(name: &str, answers: [&[u8]; 2]) -> RunOutcomes {
    let of = |answers: &[u8]| {
        answers
            .iter()
            .map(|one| Some(answered(*one == 1)))
            .collect()
    };
    RunOutcomes {
        run: name.to_owned(),
        step: 7,
        conditions: [1, 2].map(Condition::depth).into(),
        outcomes: answers.map(of).into(),
    }
}

fn report(by: Option<&str>, runs: &[RunOutcomes]) -> TaskReport {
    let lines: Vec<String> = (0..6)
        .map(|i| {
            format!(
                r#"{{"query":"q{i}","choices":["a","b"],"gold":0,"area":"{}"}}"#,
                ["x", "y"][i % 2]
            )
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let plan = Plan {
        items: vec![
            Planned {
                rows: 0..0,
                cut: 2,
                undecided: false
            };
            6
        ],
        ..Plan::default()
    };
    let task = task(&lines);
    let items = Items::of(&task, &plan, Rules::LmEval, 0);
    TaskReport::new(&items, by, runs).expect("a report")
}

#[test]
fn depths_are_compared_item_by_item() {
    let found = report(
        None,
        &[run("a", [&[0, 0, 0, 0, 1, 1], &[1, 1, 1, 0, 1, 1]])],
    );
    assert_eq!((found.items, found.items_cut, found.tokens_cut), (6, 6, 12));
    let all = &found.strata[0];
    let scores: Vec<f64> = all.runs[0]
        .conditions
        .iter()
        .map(|scored| scored.scores[&Measure::Acc].value)
        .collect();
    assert!((scores[0] - 2.0 / 6.0).abs() < 1e-12 && (scores[1] - 5.0 / 6.0).abs() < 1e-12);
    let [pair] = all.runs[0].pairs.as_slice() else {
        panic!("two depths make one pair")
    };
    let test = pair.test.expect("a test");
    // Three items are right only at the second depth, and none only at the first: 2 · ½ · 1/8.
    assert_eq!((test.only_first, test.only_second), (0, 3));
    assert!((test.mid_p - 0.125).abs() < 1e-12);
    assert!((pair.difference - 0.5).abs() < 1e-12);
    assert!(
        pair.interval
            .is_some_and(|interval| interval.low <= 0.5 && interval.high >= 0.5)
    );
}

#[test]
fn strata_are_reported_beside_all_items_and_runs_are_compared_at_the_same_depth() {
    let runs = [
        run("a", [&[1, 0, 1, 0, 1, 0], &[1, 0, 1, 0, 1, 0]]),
        run("b", [&[1, 1, 1, 1, 1, 1], &[0, 0, 0, 0, 0, 0]]),
    ];
    let found = report(Some("area"), &runs);
    let names: Vec<_> = found
        .strata
        .iter()
        .map(|s| (s.stratum.as_deref(), s.items))
        .collect();
    assert_eq!(names, [(None, 6), (Some("x"), 3), (Some("y"), 3)]);
    let differences: Vec<f64> = found.strata[0]
        .between_runs
        .iter()
        .map(|one| one.difference)
        .collect();
    assert_eq!(differences.len(), 2);
    assert!((differences[0] - 0.5).abs() < 1e-12 && (differences[1] + 0.5).abs() < 1e-12);
    // At depth 1 in stratum y, run a is wrong everywhere and run b is right everywhere.
    assert!((found.strata[2].between_runs[0].difference - 1.0).abs() < 1e-12);
}

#[test]
fn an_item_that_is_undecided_in_one_run_counts_in_none() {
    let mut runs = [run("a", [&[1; 6], &[1; 6]]), run("b", [&[0; 6], &[0; 6]])];
    runs[1].outcomes[0][3] = None;
    let found = report(None, &runs);
    assert_eq!((found.undecided, found.strata[0].items), (1, 5));
}

#[test]
fn a_report_is_flat_json() {
    let found = report(None, &[run("a", [&[1; 6], &[1, 1, 1, 0, 0, 0]])]);
    let json = serde_json::to_value(&found).expect("JSON");
    let of_run = &json["strata"][0]["runs"][0];
    let condition = &of_run["conditions"][1];
    assert_eq!(condition["recurrence"], 2);
    assert_eq!(condition["control"], "none");
    assert_eq!(condition["acc"]["value"], 0.5);
    let pair = &of_run["pairs"][0];
    assert_eq!(pair["measure"], "acc");
    assert_eq!(
        pair["first"],
        serde_json::json!({"run": "a", "recurrence": 1, "control": "none"})
    );
    assert_eq!(
        (&pair["only_first"], &pair["only_second"]),
        (&3.into(), &0.into())
    );
    assert_eq!(pair["mid_p"], pair["mid_p_holm"]);
    assert_eq!(json["kind"], "multiple_choice");
    assert_eq!(json["rules"], "lm-eval");
}
