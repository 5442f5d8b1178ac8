//! The scores of an item do not depend on the other items of a batch, or on the other depths of a
//! pass.

use std::fs;

use serde_json::{Value, json};

use super::{eval, golden, imported, lines, outcome_file, outcomes, written};
use crate::harness::assert_ok;

/// Returns items of different lengths, from 5 to 400 bytes.
fn unequal() -> Vec<String> {
    let long = "river stone ".repeat(30);
    [
        json!({"query": "a", "choices": ["b", "cd", "a longer answer than the others"], "gold": 0}),
        json!({"query": long, "choices": ["x", "stone and rain"], "gold": 1}),
        json!({"query": "Seven over", "choices": ["nine", "ten"], "gold": 0}),
        json!({"query": "Tree wind dog green, and small far but", "choices": ["open", "one house"], "gold": 1}),
    ]
    .iter()
    .map(Value::to_string)
    .collect()
}

#[test]
fn an_item_of_a_batch_has_the_bits_that_it_has_alone() {
    let (dir, run) = imported();
    let together: Vec<String> = unequal();
    let together: Vec<&str> = together.iter().map(String::as_str).collect();
    for state in ["zero", "seed"] {
        let further = ["--recurrence", "1,3,8", "--initial-state", state];
        let tasks = written(dir.path(), "together.jsonl", &together);
        assert_ok(&eval(&run, &tasks, &further));
        let all = outcomes(&outcome_file(&run, "together"));
        // The initial states depend on the number of the item. The items before this one are
        // therefore kept, but shortened to one character.
        for (number, line) in together.iter().enumerate() {
            let short = r#"{"query":"q","choices":["a","b"],"gold":0}"#;
            let mut alone = vec![short; number];
            alone.push(line);
            let tasks = written(dir.path(), "alone.jsonl", &alone);
            assert_ok(&eval(&run, &tasks, &further));
            let found = outcomes(&outcome_file(&run, "alone"));
            assert_eq!(
                found[number]["outcomes"], all[number]["outcomes"],
                "{state}, item {number}"
            );
        }
    }
}

#[test]
fn an_item_by_itself_in_the_program_has_the_bits_that_it_has_among_sixty() {
    let (dir, run) = imported();
    let further = ["--recurrence", "1,4,8"];
    let file = golden().join("language_modeling.jsonl");
    assert_ok(&eval(&run, &file, &further));
    let all = outcomes(&outcome_file(&run, "language_modeling"));
    let items = fs::read_to_string(&file).expect("items");
    let lengths: Vec<usize> = items.lines().map(str::len).collect();
    assert!(lengths.iter().min() < Some(&60) && lengths.iter().max() > Some(&400));
    for number in [0, 1, 2, 30, 59] {
        let line = items.lines().nth(number).expect("an item");
        let tasks = written(dir.path(), "one.jsonl", &[line]);
        assert_ok(&eval(&run, &tasks, &further));
        let found = outcomes(&outcome_file(&run, "one"));
        assert_eq!(
            found[0]["outcomes"], all[number]["outcomes"],
            "item {number}"
        );
    }
}

#[test]
fn a_depth_has_the_bits_in_a_pass_of_many_that_it_has_alone() {
    let (_dir, run) = imported();
    let file = golden().join("schema.jsonl");
    let among = eval(&run, &file, &["--recurrence", "8,1,4,4"]);
    assert_ok(&among);
    let among = outcomes(&outcome_file(&run, "schema"));
    for (place, depth) in ["1", "4", "8"].into_iter().enumerate() {
        assert_ok(&eval(&run, &file, &["--recurrence", depth]));
        let alone = outcomes(&outcome_file(&run, "schema"));
        for (alone, among) in alone.iter().zip(&among) {
            assert_eq!(
                alone["outcomes"][0], among["outcomes"][place],
                "depth {depth}"
            );
        }
    }
}

#[test]
fn the_first_line_of_the_outcomes_says_what_was_asked() {
    let (_dir, run) = imported();
    let file = golden().join("multiple_choice.jsonl");
    assert_ok(&eval(
        &run,
        &file,
        &["--recurrence", "2", "--shots", "1", "--limit", "3"],
    ));
    let found = lines(&outcome_file(&run, "multiple_choice"));
    assert_eq!(found.len(), 4);
    let head = &found[0];
    assert_eq!(head["task"], "multiple_choice");
    assert_eq!(
        (&head["shots"], &head["items"], &head["step"]),
        (&json!(1), &json!(3), &json!(0))
    );
    assert_eq!(
        (&head["rules"], &head["initial_state"]),
        (&json!("lm-eval"), &json!("zero"))
    );
    assert_eq!(
        head["conditions"],
        json!([{"recurrence": 2, "control": "none"}])
    );
}
