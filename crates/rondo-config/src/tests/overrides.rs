//! Tests of assignments from the command line.

use super::*;
use crate::path;

/// Returns where a dotted key was written.
fn origin(document: &Document, key: &str) -> Origin {
    let node = path::parse(key).and_then(|path| document.root.get(&path));
    node.map_or(Origin::Missing, |node| node.origin.clone())
}

#[test]
fn overrides_are_read_as_toml_or_else_as_text_and_make_the_tables_they_need() {
    let mut document = Document::parse("valid.toml", VALID).expect("VALID is TOML");
    for assignment in [
        "model.recurrence.mean=4.5",
        " train.steps = 7 ",
        "name=a run",
        "model.activation=relu",
        "schedule.knots=[]",
        "perturb.1.at=9",
        "optimizer={kind=\"muon\", momentum=0.9, steps=5, activation=\"relu\"}",
    ] {
        assert_eq!(document.set(assignment), [""; 0]);
    }
    let mut expected = valid();
    expected.model.recurrence.mean = 4.5;
    expected.train.steps = 7;
    expected.name = Some("a run".to_owned());
    expected.model.activation = Activation::Relu;
    expected.schedule.knots.clear();
    expected.perturb[1] = Perturb::Rate { at: 9 };
    expected.optimizer = Optimizer::Muon {
        momentum: 0.9,
        steps: 5,
        activation: Activation::Relu,
    };
    assert_eq!(document.read::<Run>(), Ok(expected));

    let text = "model.recurrence.mean=4.5".to_owned();
    assert_eq!(
        origin(&document, "model.recurrence.mean"),
        Origin::Override { text }
    );
    assert_eq!(
        origin(&document, "model.recurrence"),
        Origin::File { line: 11 }
    );
    assert_eq!(
        origin(&document, "perturb.1.kind"),
        Origin::File { line: 36 }
    );
    assert_eq!(origin(&document, "train.nothing"), Origin::Missing);

    let mut empty = Document::parse("empty.toml", "").expect("no text is TOML");
    empty.set("model.recurrence.mean=2");
    assert_eq!(
        empty.read::<Run>().map(|run| run.model.recurrence.mean),
        Ok(2.0)
    );
}

#[test]
fn bad_overrides_are_reported_with_everything_else() {
    check(
        "[train]\nsteps = 3\nlr = 'x'\n[[perturb]]\nkind = 'rate'\nat = 1",
        &[
            "steps",
            "=3",
            "a..b=3",
            "train.steps=",
            "train.steps.more=1",
            "perturb.1.at=3",
            "optimizer.kind=adan",
            "model.heads=many",
            "model.recurrence={mean=1, maen=2}",
        ],
        &[
            "3 train.lr: expected a number, found the string \"x\"",
            "--set steps: expected key=value",
            "--set =3: the part before `=` is not a dotted key",
            "--set a..b=3: the part before `=` is not a dotted key",
            "--set train.steps=: nothing follows `=`",
            "--set train.steps.more=1: train.steps is 3, not a table",
            "--set perturb.1.at=3: perturb has 1 elements, counted from 0",
            "--set model.heads=many: expected a whole number from 0 to 255, found the string \"many\"",
            "--set model.recurrence={mean=1, maen=2}: model.recurrence.maen: unknown key; did you mean `mean`?",
            "--set optimizer.kind=adan: unknown variant \"adan\" (one of adamw, muon, sgd); did you mean `adamw`?",
        ],
    );
}

#[test]
fn a_changed_kind_drops_what_the_file_wrote_for_the_other_variant() {
    let mut document = Document::parse("valid.toml", VALID).expect("VALID is TOML");
    assert_eq!(document.set("optimizer.kind=adamw"), [""; 0]);
    assert_eq!(document.read::<Run>(), Ok(valid()));

    document.set("optimizer.momentum=0.9");
    document.set("optimizer.steps=5");
    document.set("optimizer.activation=relu");
    let dropped = document.set("optimizer.kind=muon");
    let gone = ["betas", "clip.kind", "clip.limit", "clip", "weight_decay"];
    assert_eq!(dropped, gone.map(|key| format!("optimizer.{key}")));
    let muon = Optimizer::Muon {
        momentum: 0.9,
        steps: 5,
        activation: Activation::Relu,
    };
    assert_eq!(document.read::<Run>().map(|run| run.optimizer), Ok(muon));
}

#[test]
fn a_plain_table_keeps_its_keys_when_its_kind_changes() {
    let text = "[device]\nkind = \"auto\"\nthreads = 2\n";
    let parsed = Document::parse("plain.toml", text).expect("this is TOML");
    let mut document = parsed.with_plain_tables(&["device"]);
    assert!(document.set("device.kind=flex").is_empty());
    assert_eq!(document.flatten()["device.threads"], "2");
}
