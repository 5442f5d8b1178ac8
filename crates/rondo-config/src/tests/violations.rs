//! Tests of the reported violations and their places.

use super::*;

#[test]
fn a_valid_document_reads_with_integers_as_floats_and_the_largest_seed() {
    let run = valid();
    assert_eq!(run.seed, u64::MAX);
    assert_eq!(
        run.model.recurrence,
        Recurrence {
            mean: 16.0,
            sigma: 0.5,
            offset: -3
        }
    );
    assert_eq!(run.model.activation, Activation::SiluGate);
    let clip = Some(Clip::Norm { limit: 1.0 });
    let adamw = Optimizer::Adamw {
        weight_decay: 0.1,
        betas: Some([0.9, 0.95]),
        clip,
    };
    assert_eq!(run.optimizer, adamw);
    assert_eq!(run.perturb[1], Perturb::Rate { at: 7 });
    assert_eq!(run.schedule.knots, [1.0, 2.5]);
}

#[test]
fn every_violation_is_reported_at_once_each_with_its_line() {
    check(
        r#"
sed = 1
[model]
width = -4
heads = 300
bias = "yes"
activation = "rellu"
recurence = { mean = 1 }
[model.recurrence]
mean = [1]
sigma = true
offset = 0.5
[optimizer]
kind = "adan"
weight_decay = "much"
[schedule]
knots = [1, "two", 3, false]
[train]
steps = "many"
lr = 2024-01-01
[[perturb]]
kind = "noise"
at = 1e3
scale = "loud"
volume = 11
[[perturb]]
at = 7
[[perturb]]
kind = "rate"
"#,
        &[],
        &[
            "2 sed: unknown key; did you mean `seed`?",
            "4 model.width: expected a positive whole number, found -4",
            "5 model.heads: expected a whole number from 0 to 255, found 300",
            "6 model.bias: expected true or false, found the string \"yes\"",
            "7 model.activation: unknown variant \"rellu\" (one of relu, silu-gate); did you mean `relu`?",
            "8 model.recurence: unknown key; did you mean `recurrence`?",
            "10 model.recurrence.mean: expected a number, found an array",
            "11 model.recurrence.sigma: expected a number, found true",
            "12 model.recurrence.offset: expected a whole number, found 0.5",
            "14 optimizer.kind: unknown variant \"adan\" (one of adamw, muon, sgd); did you mean `adamw`?",
            "17 schedule.knots.1: expected a number, found the string \"two\"",
            "17 schedule.knots.3: expected a number, found false",
            "19 train.steps: expected a positive whole number, found the string \"many\"",
            "20 train.lr: expected a number, found the date 2024-01-01",
            "23 perturb.0.at: expected a positive whole number, found 1000.0; did you mean `1000`?",
            "24 perturb.0.scale: expected a number, found the string \"loud\"",
            "25 perturb.0.volume: unknown key (known here: at, scale)",
            "26 perturb.1.kind: a value is required",
            "28 perturb.2.at: a value is required",
        ],
    );
}

#[test]
fn violations_inside_nested_tagged_tables_are_found_at_their_own_key() {
    check(
        r#"
[optimizer]
kind = "adamw"
weight_decay = "x"
betas = ["x", "x"]
[optimizer.clip]
kind = "value"
limit = "x"
each = 1
eahc = true
"#,
        &[],
        &[
            "4 optimizer.weight_decay: expected a number, found the string \"x\"",
            "5 optimizer.betas.0: expected a number, found the string \"x\"",
            "5 optimizer.betas.1: expected a number, found the string \"x\"",
            "8 optimizer.clip.limit: expected a number, found the string \"x\"",
            "9 optimizer.clip.each: expected true or false, found 1",
            "10 optimizer.clip.eahc: unknown key; did you mean `each`?",
        ],
    );
    check(
        "optimizer = { kind = 'adamw', clip = { kind = 'nrm', limit = 1 } }",
        &[],
        &[
            "1 optimizer.clip.kind: unknown variant \"nrm\" (one of norm, value); did you mean `norm`?",
            "1 optimizer.weight_decay: a value is required",
        ],
    );
    check(
        "optimizer = { kind = 'adamw', betas = [1], clip = { limit = 1 } }",
        &[],
        &[
            "1 optimizer.betas: expected an array of length 2, found 1 values",
            "1 optimizer.clip.kind: a value is required",
            "1 optimizer.weight_decay: a value is required",
        ],
    );
    check(
        "optimizer.kind = 'muon'\noptimizer.steps = 5000000000\noptimizer.activation = 'gelu'",
        &[],
        &[
            "1 optimizer.momentum: a value is required",
            "2 optimizer.steps: expected a whole number from 0 to 4294967295, found 5000000000",
            "3 optimizer.activation: unknown variant \"gelu\" (one of relu, silu-gate); did you mean `relu`?",
        ],
    );
}

#[test]
fn every_required_key_is_asked_for_even_beside_a_wrong_tagged_table() {
    let found = check_as::<Strict>("[optimizer]\nkind = 'adan'\n[inner]\nwidht = 3\n", &[]);
    assert_eq!(
        found,
        [
            "2 optimizer.kind: unknown variant \"adan\" (one of adamw, muon, sgd); did you mean `adamw`?",
            "3 inner.perturb: a value is required",
            "4 inner.widht: unknown key; did you mean `width`?",
            "- path: a value is required",
            "- pair: a value is required",
            "- steps: a value is required",
        ]
    );
    let all = ["optimizer", "path", "pair", "inner", "steps"];
    let expected = all.map(|key| format!("- {key}: a value is required"));
    assert_eq!(check_as::<Strict>("", &[]), expected);
}

#[test]
fn sections_of_the_wrong_shape_are_reported_once() {
    check(
        "model = 3\noptimizer = 'adamw'\ntrain = [1]\nperturb = { at = 1 }\n[schedule]\nnames = 'a'",
        &[],
        &[
            "1 model: expected a table, found 3",
            "2 optimizer: expected a table, found the string \"adamw\"",
            "3 train: expected a table, found an array",
            "4 perturb: expected an array, found a table",
            "6 schedule.names: expected an array, found the string \"a\"",
        ],
    );
}

#[test]
fn a_syntax_error_is_one_violation_with_line_and_column() {
    let found = check_as::<Run>("seed = 1\n  é = 3\n", &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("2 ") && found[0].ends_with("(column 3)"),
        "{found:?}"
    );
    let found = check_as::<Run>("[train]\nsteps = 1\nsteps = 2\n", &[]);
    assert_eq!(found, ["3 duplicate key (column 1)"]);
}

#[test]
fn numbers_beyond_all_ranges_are_violations() {
    check(
        "seed = 18446744073709551616\nmodel.width = 9223372036854775808\ntrain.lr = 1e999",
        &[],
        &[
            "1 seed: expected a positive whole number, found the number 18446744073709551616, which is out of range",
            "3 train.lr: expected a number, found the number 1e999, which is out of range",
        ],
    );
}

#[test]
fn a_key_in_the_wrong_section_is_answered_with_the_right_one() {
    check(
        "mean_recurrence = 4\n[model]\nsteps = 3\n[train]\noptimizer_betas = [0.9, 0.95]",
        &[],
        &[
            "1 mean_recurrence: unknown key (known here: limits, model, name, optimizer, perturb, schedule, seed, train); \
             did you mean `model.recurrence.mean`?",
            "3 model.steps: unknown key (known here: activation, bias, heads, recurrence, width); \
             did you mean `train.steps`?",
            "5 train.optimizer_betas: unknown key (known here: lr, steps); did you mean `optimizer.betas`?",
        ],
    );
}

#[test]
fn a_key_of_another_variant_is_answered_with_its_kind() {
    check(
        "[optimizer]\nkind = 'sgd'\nmomentum = 0.9\n[[perturb]]\nkind = 'rate'\nat = 1\nscale = 2",
        &[],
        &[
            "3 optimizer.momentum: unknown key of kind = \"sgd\" (a key of kind = \"muon\")",
            "7 perturb.0.scale: unknown key of kind = \"rate\" (a key of kind = \"noise\")",
        ],
    );
}

#[test]
fn a_value_of_several_forms_is_described_by_its_title_or_by_all_of_them() {
    check(
        "[limits]\nclip = 'off'\nspan = -1",
        &[],
        &[
            "2 limits.clip: expected true or false or a number, found the string \"off\"",
            "3 limits.span: expected a number of steps or { tokens = N }, found -1",
        ],
    );
    check(
        "[limits]\nspan = { tokens = 'x' }\nclip = true",
        &[],
        &["2 limits.span.tokens: expected a positive whole number, found the string \"x\""],
    );
    check(
        "[limits]\nspan = { token = 1 }",
        &[],
        &["2 limits.span.token: unknown key; did you mean `tokens`?"],
    );
    check(
        "[limits]\nspan = { tokens = 1, share = 0.5 }",
        &[],
        &["2 limits.span: give one of share, tokens"],
    );
}

#[test]
fn what_only_the_type_refuses_is_told_at_its_key() {
    check(
        "[limits]\neven = 4\n[train]\nsteps = 1",
        &["limits.even=3"],
        &["--set limits.even=3: 3 is odd"],
    );
    check(
        "[[odd]]",
        &["limits.even=3"],
        &[
            "1 odd: unknown key (known here: limits, model, name, optimizer, perturb, schedule, seed, train)",
        ],
    );
}

#[test]
fn what_a_check_reports_is_located_at_its_key_or_the_section_around_it() {
    let document = Document::parse("valid.toml", VALID).expect("VALID is TOML");
    let found = [
        "train.steps",
        "model.recurrence.depth",
        "eval.every",
        "perturb.1.scale",
    ];
    let violations = document
        .read_checked::<Run>(&|_, report| {
            for key in found {
                report(key, "too large".to_owned());
            }
        })
        .expect_err("the check finds something");
    let lines: Vec<_> = violations
        .iter()
        .map(|violation| violation.origin.clone())
        .collect();
    let line = |line| Origin::File { line };
    assert_eq!(lines, [line(11), line(27), line(35), Origin::Missing]);
}

#[test]
fn a_check_speaks_with_the_reader_but_not_of_what_could_not_be_read() {
    let text = VALID.replace("steps = ", "steps = \"many\" # ");
    assert_ne!(text, VALID);
    let document = Document::parse("run.toml", &text).expect("it is TOML");
    let violations = document
        .read_checked::<Run>(&|_, report| {
            report("train.steps", "a consequence".to_owned());
            report("model.recurrence.mean", "too large".to_owned());
        })
        .expect_err("two things are wrong");
    let mut keys: Vec<_> = violations.iter().map(|found| found.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["model.recurrence.mean", "train.steps"]);
}
