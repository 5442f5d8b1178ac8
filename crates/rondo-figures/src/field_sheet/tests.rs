#![expect(clippy::float_cmp, reason = "values are handed through as they are")]

use super::*;
use crate::error::tests::refused;
use crate::golden;
use crate::scene::tests::texts;

fn cell(name: &str, values: &[f64], failures: &[Option<&str>]) -> SheetCell {
    let dot = |(seed, value): (usize, &f64)| SheetDot {
        run: format!("{name}{seed}"),
        seed: seed as u64,
        value: *value,
        failure: failures.get(seed).copied().flatten().map(str::to_owned),
    };
    let dots: Vec<SheetDot> = values.iter().enumerate().map(dot).collect();
    let finite: Vec<f64> = dots
        .iter()
        .map(|dot| dot.value)
        .filter(|value| value.is_finite())
        .collect();
    let mean = finite.iter().sum::<f64>() / finite.len() as f64;
    SheetCell {
        mean: (!finite.is_empty()).then_some(mean),
        deviation: (finite.len() > 1).then_some(0.125),
        dots,
    }
}

fn row(name: &str, cells: Vec<SheetCell>) -> SheetRow {
    SheetRow {
        name: name.to_owned(),
        cells,
    }
}

/// Returns two arms at two rates. At the high rate one arm diverges twice, once with a value that
/// is not finite.
fn usual() -> FieldSheet {
    let diverged = cell(
        "high",
        &[1.75, 40.0, f64::NAN],
        &[None, Some("divergence"), Some("divergence")],
    );
    let collapsed = cell("high", &[2.25, 2.5, 2.0], &[Some("collapse"), None, None]);
    FieldSheet {
        quantity: "Loss (nat/token)".to_owned(),
        better: Better::Lower,
        columns: vec!["peak=2e-3".to_owned(), "peak=0.1".to_owned()],
        rows: vec![
            row(
                "linear",
                vec![cell("low", &[1.5, 1.75, 1.625], &[]), diverged],
            ),
            row(
                "a, \"b\"",
                vec![cell("low", &[1.25, 1.5, 1.375], &[]), collapsed],
            ),
        ],
    }
}

#[test]
fn it_looks_as_it_looked() {
    let picture = field_sheet(&usual()).expect("a picture");
    golden::check("field-sheet", &picture);
    assert_eq!(golden::files(&picture).len(), 3);
}

#[test]
fn every_dot_is_in_the_table_also_one_that_is_drawn_at_an_edge() {
    let picture = field_sheet(&usual()).expect("a picture");
    let expected = "\
row,column,run,seed,value,failure
linear,peak=2e-3,low0,0,1.5,
linear,peak=2e-3,low1,1,1.75,
linear,peak=2e-3,low2,2,1.625,
linear,peak=0.1,high0,0,1.75,
linear,peak=0.1,high1,1,40.0,divergence
linear,peak=0.1,high2,2,,divergence
\"a, \"\"b\"\"\",peak=2e-3,low0,0,1.25,
\"a, \"\"b\"\"\",peak=2e-3,low1,1,1.5,
\"a, \"\"b\"\"\",peak=2e-3,low2,2,1.375,
\"a, \"\"b\"\"\",peak=0.1,high0,0,2.25,collapse
\"a, \"\"b\"\"\",peak=0.1,high1,1,2.5,
\"a, \"\"b\"\"\",peak=0.1,high2,2,2.0,
";
    assert_eq!(picture.csv(), expected);
}

#[test]
fn shares_of_failed_runs_and_best_means_are_written() {
    let sheet = usual();
    let places = Places::of(sheet.dots());
    let axis = Axis::linear("Loss", places.shown.iter().copied(), 0.06).expect("an axis");
    let scene = draw(&sheet, &axis, &places, &caption(&sheet, &places));
    let texts: Vec<&str> = texts(&scene)
        .iter()
        .map(|text| text.content.as_str())
        .collect();
    for part in [
        "linear",
        "best 1.625",
        "2 of 6 failed",
        "2 of 3 failed",
        "1.625 ± 0.125",
        "20.88 ± 0.12",
        "1 of 3 failed",
        "divergence",
        "no failure",
    ] {
        assert!(texts.contains(&part), "{part}: {texts:?}");
    }
}

#[test]
fn the_best_mean_is_the_lowest_or_the_highest_and_failed_runs_are_counted() {
    let sheet = usual();
    assert_eq!(sheet.rows[0].best(Better::Lower), Some((0, 1.625)));
    assert_eq!(sheet.rows[0].best(Better::Higher), Some((1, 20.875)));
    assert_eq!(sheet.rows[0].failed(), (6, 2));
    // A run at two depths is one run.
    let twice = row(
        "x",
        vec![
            sheet.rows[0].cells[1].clone(),
            sheet.rows[0].cells[1].clone(),
        ],
    );
    assert_eq!(twice.failed(), (3, 2));
    let nothing = row("x", vec![cell("x", &[f64::NAN], &[Some("d")])]);
    assert_eq!(nothing.best(Better::Lower), None);
}

#[test]
fn a_failed_run_far_from_all_others_is_at_the_edge_and_counted() {
    let sheet = usual();
    let places = Places::of(sheet.dots());
    // Dots without failure span 1.25 to 2.5, so values above 5 are drawn at the edge.
    assert_eq!(places.shown.iter().copied().fold(0.0, f64::max), 2.5);
    let edge: Vec<f64> = sheet
        .dots()
        .filter(|dot| places.is_at_an_edge(dot))
        .map(|dot| dot.value)
        .collect();
    assert_eq!(edge[0], 40.0);
    assert!(edge.len() == 2 && edge[1].is_nan());
    let caption = caption(&sheet, &places).join(" ");
    assert!(
        caption.contains("2 runs have a value far from"),
        "{caption}"
    );
    // If all runs have failed, all are shown.
    let all = row("x", vec![cell("x", &[9.0, 1e5], &[Some("d"), Some("d")])]);
    let dots: Vec<SheetDot> = all.cells[0].dots.clone();
    assert_eq!(Places::of(dots.iter()).shown, [9.0, 1e5]);
}

#[test]
fn one_column_without_a_name_and_one_seed_are_enough_and_no_value_is_refused() {
    let one = FieldSheet {
        columns: vec![String::new()],
        rows: vec![row("x", vec![cell("x", &[0.5], &[])])],
        ..usual()
    };
    field_sheet(&one).expect("a picture");
    let none = FieldSheet {
        rows: vec![row("x", vec![cell("x", &[f64::NAN], &[Some("d")])])],
        ..one
    };
    refused(field_sheet(&none), "no run has a finite value");
    let short = FieldSheet {
        rows: vec![row("x", Vec::new())],
        ..usual()
    };
    refused(field_sheet(&short), "cells of `x`: expected 2, found 0");
}

#[test]
fn no_row_has_the_colour_of_failures() {
    assert!((0..20).all(|row| colour(row) != RED));
    assert_ne!(colour(2), colour(3));
}

#[test]
fn more_columns_than_stand_abreast_are_broken_into_lines() {
    let sheet = FieldSheet {
        columns: (0..6).map(|column| format!("depth {column}")).collect(),
        rows: vec![row("x", vec![cell("x", &[0.5, 0.75], &[]); 6])],
        ..usual()
    };
    let wide = field_sheet(&sheet).expect("a picture").svg();
    assert_eq!(
        wide.matches(">x<").count(),
        2,
        "the row is named in each line"
    );
}
