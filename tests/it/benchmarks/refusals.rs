//! Invalid input is refused with the file, the line and the reason. The exit code is 3 for data and
//! 2 for usage, and nothing is written.

use super::{eval, golden, imported, written};
use crate::harness::refused;

#[test]
fn wrong_items_are_refused_with_file_line_and_reason_and_nothing_is_written() {
    let (dir, run) = imported();
    let good = r#"{"query":"q","choices":["a","b"],"gold":0}"#;
    for (line, reason) in [
        (r#"{"question":"q","answers":["a"]}"#, "of no known kind"),
        (r#"{"query":"q","choices":["a","b"]}"#, "`gold` is missing"),
        (
            r#"{"query":"q","choices":["a","b"],"gold":2}"#,
            "`gold` must be a number from 0 to 1",
        ),
        (
            r#"{"query":"q","choices":["a",""],"gold":0}"#,
            "`choices` 1 is empty",
        ),
        ("{}", "an item without keys"),
        ("{", "not JSON"),
        (r#"{"text":"t"}"#, "a file holds one kind"),
    ] {
        let tasks = written(dir.path(), "bad.jsonl", &[good, line]);
        let ended = eval(&run, &tasks, &["--recurrence", "1"]);
        refused(&ended, 3, &["bad.jsonl:2: ", reason]);
        assert!(ended.stdout.is_empty(), "{ended:?}");
        assert!(!run.join("tasks").exists(), "{line}");
    }
    let tasks = written(dir.path(), "empty.jsonl", &[""]);
    refused(
        &eval(&run, &tasks, &["--recurrence", "1"]),
        3,
        &["empty.jsonl: holds no item"],
    );
    let missing = dir.path().join("missing.jsonl");
    refused(
        &eval(&run, &missing, &["--recurrence", "1"]),
        3,
        &["cannot read", "missing.jsonl"],
    );
}

#[test]
fn only_a_continuation_that_does_not_fit_by_itself_is_too_long() {
    let (dir, run) = imported();
    let item = |length: usize| {
        let continuation = "x".repeat(length);
        format!(
            r#"{{"context":"{}","continuation":"{continuation}"}}"#,
            "c".repeat(500)
        )
    };
    let tasks = written(dir.path(), "long.jsonl", &[&item(128)]);
    assert_eq!(eval(&run, &tasks, &["--recurrence", "1"]).code, 0);
    let tasks = written(dir.path(), "longer.jsonl", &[&item(5), &item(129)]);
    let ended = eval(&run, &tasks, &["--recurrence", "1"]);
    refused(
        &ended,
        3,
        &["longer.jsonl:2: the 129 tokens that are scored do not fit the model's context of 128"],
    );
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let (dir, run) = imported();
    let choices = golden().join("multiple_choice.jsonl");
    let one = written(
        dir.path(),
        "one.jsonl",
        &[r#"{"query":"q","choices":["a","b"],"gold":0}"#],
    );
    let asked = written(
        dir.path(),
        "asked.jsonl",
        &[r#"{"context":"c","answer":"a"}"#],
    );
    for (tasks, further, code, reason) in [
        (
            &choices,
            &["--by", "area"][..],
            3,
            "no item has the field `area`",
        ),
        (
            &choices,
            &["--shots", "3"],
            3,
            "2 examples in the file beside it; 3 are asked for",
        ),
        (
            &one,
            &["--shots", "1"],
            3,
            "0 other items to draw examples from; 1 are asked for",
        ),
        (&choices, &["--exit", "kl"], 2, "--exit"),
        (
            &choices,
            &["--data", "README.md"],
            2,
            "--controls, which is not given",
        ),
        (&choices, &["--controls"], 2, "has no text of its own"),
        (&choices, &["--max-tokens", "5"], 2, "--limit"),
        (&choices, &["--rules", "core", "--bos", "on"], 2, "--bos"),
        (
            &choices,
            &["--initial-state", "s.safetensors"],
            2,
            "`seed` or `zero`",
        ),
        (
            &choices,
            &["--pattern", "a"],
            2,
            "--pattern: this option is for generated answers",
        ),
        (&asked, &["--pattern", "("], 2, "--pattern"),
        (
            &asked,
            &["--max-new-tokens", "128"],
            2,
            "no room for a prompt",
        ),
    ] {
        let ended = eval(&run, tasks, &[&["--recurrence", "1"], further].concat());
        refused(&ended, code, &[reason]);
        assert!(!run.join("tasks").exists(), "{further:?}");
    }
}
