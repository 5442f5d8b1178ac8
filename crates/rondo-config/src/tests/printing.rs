//! Tests of configurations as text, and of their differences.

use super::*;
use crate::{difference, to_toml};

#[test]
fn a_printed_configuration_reads_back_equal() {
    let mut run = valid();
    run.train.lr = 0.1 + 0.2;
    run.model.recurrence.sigma = 7.038_531e-26;
    run.model.recurrence.mean = f64::MIN_POSITIVE;
    run.name = Some("quotes \" and\nlines".to_owned());
    for run in [run, valid(), Run::default()] {
        let text = to_toml(&run).expect("a run has a form in TOML");
        let document = Document::parse("printed.toml", &text).expect("what is printed is TOML");
        assert_eq!(document.read::<Run>(), Ok(run), "{text}");
    }
    let text = to_toml(&valid()).expect("a run has a form in TOML");
    assert!(text.contains("\nlr = 0.001\n"), "{text}");
    let text = to_toml(&Run::default()).expect("a run has a form in TOML");
    assert!(!text.contains("name ="), "{text}");
}

#[test]
fn two_configurations_differ_in_exactly_the_changed_keys() {
    let mut other = valid();
    other.train.lr = 0.5;
    other.name = None;
    other.schedule.knots.push(3.0);
    other.perturb.push(Perturb::Rate { at: 8 });
    assert_eq!(
        difference(&valid(), &valid()).expect("runs have a form in TOML"),
        []
    );
    let differences = difference(&valid(), &other).expect("runs have a form in TOML");
    let shown: Vec<_> = differences
        .iter()
        .map(|d| (d.key.as_str(), d.left.as_deref(), d.right.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            ("name", Some("\"main\""), None),
            ("perturb.2.at", None, Some("8")),
            ("perturb.2.kind", None, Some("\"rate\"")),
            (
                "schedule.knots",
                Some("[1.0, 2.5]"),
                Some("[1.0, 2.5, 3.0]")
            ),
            ("train.lr", Some("0.001"), Some("0.5")),
        ]
    );
}
