use crate::file::SweepFile;

/// Checks the violations of a file, given as `line key: message`.
fn check(text: &str, expected: &[&str]) {
    let text = format!("base = 'x.toml'\n{text}");
    let violations = SweepFile::parse("sweep.toml", &text).expect_err("a wrong file");
    let found: Vec<String> = violations
        .iter()
        .map(|violation| match violation.origin {
            rondo_config::Origin::File { line } => format!("{line} {violation}"),
            _ => violation.to_string(),
        })
        .collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn a_key_that_is_set_twice_is_refused_with_both_places() {
    check(
        "[[grid]]\nkey = 'a.b'\nvalues = [1]\n[[grid]]\nkey = 'a . b'\nvalues = [1]",
        &["6 grid.1.key: a.b is set twice: here and by grid.0.key"],
    );
    check(
        "[[random]]\nkey = 'a.b'\ndistribution = { kind = 'uniform', low = 0, high = 1 }\n\
         [[list]]\n\"a.c\" = 1\n[[list]]\na.c = 2\n\"a.b\" = 3",
        &["9 list.1.\"a.b\": a.b is set twice: here and by random.0.key"],
    );
    check(
        "[[list]]\n\"a.b\" = 1\na.b = 2",
        &["3 list.0.\"a.b\": a.b is set twice: here and by list.0.a.b"],
    );
}

#[test]
fn a_key_inside_another_one_is_refused_in_either_order() {
    check(
        "[[grid]]\nkey = 'a.b'\nvalues = [1]\n[[grid]]\nkey = 'a'\nvalues = [{}]",
        &["6 grid.1.key: a is set here, and a.b by grid.0.key: one is part of the other"],
    );
    check(
        "[[grid]]\nkey = 'a'\nvalues = [1]\n[[list]]\na.b = 1",
        &["6 list.0.a.b: a.b is set here, and a by grid.0.key: one is part of the other"],
    );
}

#[test]
fn the_seed_belongs_to_the_seeds() {
    check(
        "[[grid]]\nkey = 'run.seed'\nvalues = [1]\n[[list]]\nrun = {}",
        &[
            "3 grid.0.key: run.seed is set by seeds",
            "6 list.0.run: run.seed is set by seeds",
        ],
    );
}

#[test]
fn everything_out_of_range_is_reported_at_once() {
    check(
        "seeds = [1, 1]\ndraws = 0\n\
         [[grid]]\nkey = 'a..b'\nvalues = []\n\
         [[random]]\nkey = 'c'\ndistribution = { kind = 'log-uniform', low = 0, high = 1 }\n\
         [[random]]\nkey = 'd'\ndistribution = { kind = 'uniform', low = 1, high = 1 }\n\
         [[random]]\nkey = 'e'\ndistribution = { kind = 'choice', values = ['x', 'x'] }",
        &[
            "2 seeds: has 1 twice",
            "3 draws: must be at least 1, found 0",
            "5 grid.0.key: \"a..b\" is not a dotted key",
            "6 grid.0.values: must have at least one value",
            "9 random.0.distribution.low: must be above 0 for a logarithm, found 0",
            "12 random.1.distribution.high: must be a number above low = 1, found 1",
            "15 random.2.distribution.values: has \"x\" twice",
        ],
    );
    check("seeds = []", &["2 seeds: must have at least one value"]);
    check("base2 = 1", &["2 base2: unknown key; did you mean `base`?"]);
    check(
        "draws = 2",
        &["2 draws: there is nothing to draw: add [[random]], or leave it out"],
    );
    check(
        "[[list]]\na = 1\n[[list]]\na = 1",
        &["4 list.1: is the same as list.0"],
    );
    check(
        "draw_seed = 9_223_372_036_854_775_808",
        &["2 draw_seed: must be at most 9223372036854775807, found 9223372036854775808"],
    );
}

#[test]
fn a_product_without_end_is_refused() {
    let axis = |n: usize| format!("[[grid]]\nkey = 'k{n}'\nvalues = [1, 2, 3, 4, 5]\n");
    let axes: String = (0..6).map(axis).collect();
    check(&axes, &["expands to more than 10000 runs"]);
}

#[test]
fn runs_with_more_values_than_memory_holds_are_refused() {
    let seeds: Vec<String> = (0..10_000).map(|seed| seed.to_string()).collect();
    let value = "x".repeat(30_000);
    check(
        &format!(
            "seeds = [{}]\n[[grid]]\nkey = 'a'\nvalues = ['{value}']",
            seeds.join(", ")
        ),
        &["expands to more than 268435456 bytes of values over all runs"],
    );
}

#[test]
fn a_value_that_no_run_could_read_is_refused() {
    check(
        "[[grid]]\nkey = 'a'\nvalues = [1, 1979-05-27]",
        &[
            "4 grid.0.values.1: expected a string, a number, true or false, an array or a table, found the date 1979-05-27",
        ],
    );
}

#[test]
fn numbers_that_are_written_in_two_ways_are_one_value() {
    let grid = |values: &str| format!("[[grid]]\nkey = 'a'\nvalues = [{values}]");
    let told = |one: &str, other: &str| {
        format!("4 grid.0.values: has {one} and {other}, which are the same")
    };
    check(&grid("1, 2, 1.0"), &[&told("1", "1.0")]);
    check(
        &grid("{ at = [1] }, { at = [1.0] }"),
        &[&told("{ at = [1] }", "{ at = [1.0] }")],
    );
    // After parsing, both numbers have the same text.
    check(&grid("1e-3, 0.001"), &["4 grid.0.values: has 0.001 twice"]);
    check(
        "[[random]]\nkey = 'a'\ndistribution = { kind = 'choice', values = [2.0, 2] }",
        &["4 random.0.distribution.values: has 2.0 and 2, which are the same"],
    );
    check(
        "[[list]]\na.b = 1\n[[list]]\n\"a.b\" = 1.0",
        &["4 list.1: is the same as list.0"],
    );
}

#[test]
fn values_that_are_not_the_same_number_are_two() {
    let text = "base = 'x.toml'\n[[grid]]\nkey = 'a'\nvalues = [1, '1', true, 'true', [1], 1.5]";
    assert!(SweepFile::parse("sweep.toml", text).is_ok());
}
