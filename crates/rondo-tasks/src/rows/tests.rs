use super::*;
use crate::tests::task;

/// Returns one token per byte.
fn bytes(text: &str) -> Vec<u32> {
    text.bytes().map(u32::from).collect()
}

fn planned(lines: &[&str], rules: Rules, context: usize) -> Result<Plan> {
    let task = task(lines);
    let template = Template {
        rules,
        delimiter: rules.delimiter(task.kind).to_owned(),
        shots: 0,
    };
    plan(
        &task,
        &template,
        Window {
            context,
            opening: 0,
        },
        |text| Ok(bytes(text)),
    )
}

fn text(tokens: &[u32]) -> String {
    tokens
        .iter()
        .map(|token| char::from(*token as u8))
        .collect()
}

#[test]
fn a_continuation_is_predicted_from_the_last_token_before_it() {
    let plan = planned(
        &[r#"{"query":"ab","choices":["c","de"],"gold":0}"#],
        Rules::LmEval,
        9,
    );
    let plan = plan.expect("fits");
    let found: Vec<_> = plan
        .rows
        .iter()
        .map(|row| (text(&row.inputs), row.first, text(&row.targets)))
        .collect();
    let expected =
        [("ab ", 1, " c"), ("ab d", 1, " de")].map(|(i, f, t)| (i.to_owned(), f, t.to_owned()));
    assert_eq!(found, expected);
    assert_eq!(plan.cuts(), (0, 0));
}

#[test]
fn white_space_at_the_end_of_the_context_moves_to_the_continuation() {
    let plan = planned(
        &["{\"context\":\"a \\u001f\",\"continuation\":\"b\"}"],
        Rules::LmEval,
        9,
    );
    let row = &plan.expect("fits").rows[0];
    assert_eq!((row.first, text(&row.targets)), (0, " \u{1f}b".to_owned()));
}

#[test]
fn without_a_context_the_first_token_is_predicted_from_the_opening() {
    for context in ["", " "] {
        let line = format!(r#"{{"context":"{context}","continuation":"bc"}}"#);
        let plan = planned(&[&line], Rules::LmEval, 9).expect("fits");
        let row = &plan.rows[0];
        assert_eq!((row.inputs[0], row.first), (0, 0), "{context:?}");
        assert_eq!(text(&row.targets), format!("{context}bc"));
    }
}

#[test]
fn long_items_lose_their_beginning_and_the_loss_is_counted() {
    let line = r#"{"query":"abcdef","choices":["x","yz"],"gold":0}"#;
    let plan = planned(&[line], Rules::LmEval, 4).expect("the choices fit");
    // Five tokens are kept. The last of them is predicted but not read.
    assert_eq!(text(&plan.rows[0].inputs), "def ");
    assert_eq!(
        (plan.rows[0].first, text(&plan.rows[0].targets)),
        (2, " x".to_owned())
    );
    assert_eq!(text(&plan.rows[1].inputs), "ef y");
    assert_eq!(plan.cuts(), (1, 3 + 4));
    let refused = planned(&[line], Rules::LmEval, 2).expect_err("three tokens, two positions");
    let message = refused.to_string();
    assert!(
        message.contains("t.jsonl:1: the 3 tokens that are scored do not fit"),
        "{message}"
    );
}

#[test]
fn core_scores_what_comes_after_the_common_beginning() {
    let line = r#"{"query":"q","choices":["open","open far","one"],"gold":0}"#;
    let plan = planned(&[line], Rules::Core, 32).expect("fits");
    // All choices begin with "q o" after the opening.
    let targets: Vec<String> = plan.rows.iter().map(|row| text(&row.targets)).collect();
    assert_eq!(targets, ["pen", "pen far", "ne"]);
    assert_eq!(plan.rows[0].inputs[0], 0);
    assert_eq!(plan.undecided(), 0);
}

#[test]
fn where_one_choice_begins_all_others_nothing_of_it_is_scored() {
    let plan = planned(
        &[r#"{"query":"q","choices":["open","open far"],"gold":0}"#],
        Rules::Core,
        32,
    );
    let plan = plan.expect("fits");
    assert_eq!((plan.rows.len(), plan.undecided()), (0, 1));
}

#[test]
fn core_scores_the_common_end_of_a_schema_even_within_the_contexts() {
    let line = r#"{"context_options":["a red","b red"],"continuation":"x","gold":0}"#;
    let plan = planned(&[line], Rules::Core, 32).expect("fits");
    assert_eq!(text(&plan.rows[0].targets), " red x");
    assert_eq!(plan.rows[0].first, 1);
}

#[test]
fn core_keeps_as_many_tokens_as_the_context_has_positions() {
    let line = r#"{"query":"abcdef","choices":["x","y"],"gold":0}"#;
    let plan = planned(&[line], Rules::Core, 4).expect("fits");
    // The last four tokens of "\0abcdef x" are kept. The last of them is predicted but not read.
    assert_eq!(text(&plan.rows[0].inputs), "ef ");
    assert_eq!(
        (plan.rows[0].first, text(&plan.rows[0].targets)),
        (2, "x".to_owned())
    );
    let line = r#"{"context":"a","continuation":"bcde"}"#;
    let refused = planned(&[line], Rules::Core, 4).expect_err("five with the one before");
    assert!(refused.to_string().contains("do not fit"), "{refused}");
}

#[test]
fn a_text_is_predicted_whole_in_windows_that_overlap_only_where_the_last_is_short() {
    let plan = planned(&[r#"{"text":"abcdefghij"}"#], Rules::LmEval, 4).expect("a text");
    let found: Vec<_> = plan
        .rows
        .iter()
        .map(|row| (text(&row.inputs), row.first, text(&row.targets)))
        .collect();
    let expected = [("\0abc", 0, "abcd"), ("defg", 0, "efgh"), ("fghi", 2, "ij")];
    assert_eq!(
        found,
        expected.map(|(i, f, t)| (i.to_owned(), f, t.to_owned()))
    );
}

#[test]
fn a_text_without_tokens_names_its_line() {
    let task = task(&[r#"{"text":"a"}"#]);
    let template = Template {
        rules: Rules::LmEval,
        delimiter: String::new(),
        shots: 0,
    };
    let window = Window {
        context: 4,
        opening: 0,
    };
    let refused = plan(&task, &template, window, |_| Ok(Vec::new())).expect_err("no token");
    assert!(
        refused
            .to_string()
            .contains("t.jsonl:1: the text has no token of its own"),
        "{refused}"
    );
}
