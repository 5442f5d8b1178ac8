//! The reported violations of a schedule's rules, and their keys.

use rondo_config::Document;

use super::*;

/// Returns the keys of every violation.
fn keys(text: &str) -> Vec<String> {
    let document = Document::parse("run.toml", text).expect("TOML");
    match document.read_checked(&ScheduleConfig::validate) {
        Ok(_) => Vec::new(),
        Err(violations) => violations.iter().map(|one| one.key.clone()).collect(),
    }
}

/// Returns the message of the only violation.
fn message(text: &str) -> String {
    let document = Document::parse("run.toml", text).expect("TOML");
    let violations = document.read::<ScheduleConfig>().expect_err("a violation");
    assert_eq!(violations.len(), 1, "{violations}");
    violations[0].message.clone()
}

fn shape_keys(shape: &str) -> Vec<String> {
    keys(&format!(
        "floor = 0.0001\nwarmup = 1\nshape = {{ kind = {shape} }}"
    ))
}

#[test]
fn every_shape_of_these_tests_is_valid() {
    for shape in all() {
        let mut found = Vec::new();
        config(shape).validate(&mut |key, message| found.push(format!("{key}: {message}")));
        assert_eq!(found, [""; 0]);
    }
}

#[test]
fn numbers_out_of_range_are_reported_by_key() {
    for (shape, expected) in [
        ("'polynomial', power = 0", vec!["shape.power"]),
        ("'polynomial', power = nan", vec!["shape.power"]),
        (
            "'step', every = 0, factor = 2",
            vec!["shape.every", "shape.factor"],
        ),
        (
            "'multi-step', at = [], factor = 0",
            vec!["shape.at", "shape.factor"],
        ),
        (
            "'cyclic', period = 0, growth = 0",
            vec!["shape.period", "shape.growth"],
        ),
        ("'piecewise', points = []", vec!["shape.points"]),
        ("'piecewise', points = [[1, 1.5]]", vec!["shape.points.0.1"]),
    ] {
        assert_eq!(shape_keys(shape), expected, "{shape}");
    }
    assert_eq!(keys("peak = 0\nfloor = -1"), ["peak", "floor"]);
    assert_eq!(keys("floor = 0.1"), ["floor"]);
}

#[test]
fn a_fraction_is_a_part_of_the_run_wherever_it_stands() {
    let two = "{ fraction = 2.0 }";
    assert_eq!(keys(&format!("warmup = {two}")), ["warmup.fraction"]);
    for (shape, key) in [
        (
            format!("'trapezoid', cooldown = {two}"),
            "shape.cooldown.fraction",
        ),
        (
            format!("'multi-step', at = [{two}], factor = 1"),
            "shape.at.0.fraction",
        ),
        (
            format!("'piecewise', points = [[{two}, 1]]"),
            "shape.points.0.0.fraction",
        ),
    ] {
        assert_eq!(shape_keys(&shape), [key]);
    }
}

#[test]
fn a_decay_by_equal_factors_needs_a_floor_and_inverse_sqrt_a_warm_up() {
    for shape in [
        "'exponential'",
        "'trapezoid', cooldown = 5, decay = 'exponential'",
    ] {
        assert_eq!(keys(&format!("shape = {{ kind = {shape} }}")), ["floor"]);
        assert_eq!(shape_keys(shape), [""; 0]);
    }
    for warmup in ["0", "{ tokens = 0 }", "{ fraction = 0 }"] {
        let text = format!("warmup = {warmup}\nshape = {{ kind = 'inverse-sqrt' }}");
        assert_eq!(keys(&text), ["warmup"]);
    }
}

#[test]
fn places_must_ascend_in_one_unit() {
    for (shape, expected) in [
        ("'multi-step', at = [3, 3], factor = 1", "shape.at.1"),
        (
            "'multi-step', at = [3, { tokens = 9 }], factor = 1",
            "shape.at.1",
        ),
        ("'piecewise', points = [[5, 1], [4, 1]]", "shape.points.1.0"),
        (
            "'piecewise', points = [[0, 1], [4, 1], [{ fraction = 1 }, 0]]",
            "shape.points.2.0",
        ),
    ] {
        assert_eq!(shape_keys(shape), [expected], "{shape}");
    }
    let jump = "'piecewise', points = [[0, 1], [{ fraction = 0.5 }, 1], [{ fraction = 0.5 }, 0]]";
    assert_eq!(shape_keys(jump), [""; 0]);
}

#[test]
fn a_length_in_no_form_is_told_the_forms_there_are() {
    let forms = "expected a whole number of steps, { tokens = N } or { fraction = X }";
    for (text, found) in [
        ("0.05", "0.05"),
        ("-1", "-1"),
        ("\"2000tok\"", "the string \"2000tok\""),
    ] {
        let message = message(&format!("warmup = {text}"));
        assert_eq!(message, format!("{forms}, found {found}"));
    }
    let both = "warmup = { tokens = 5, fraction = 0.5 }";
    assert_eq!(message(both), "give one of fraction, tokens");
    assert_eq!(keys("warmup = { token = 5 }"), ["warmup.token"]);
    assert_eq!(
        keys("shape = { kind = 'trapezoid', cooldown = 0.5 }"),
        ["shape.cooldown"]
    );
    assert_eq!(
        keys("shape = { kind = 'linear', cooldown = 5 }"),
        ["shape.cooldown"]
    );
}
