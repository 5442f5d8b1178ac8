//! Tests of runs with gates: axes, both layouts, and table.

use super::*;
use crate::error::tests::refused;
use crate::golden;
use crate::runs::tests::log;
use crate::scene::tests::{covered, texts};

const LAYOUTS: [Layout; 2] = [Layout::Stacked, Layout::SideBySide];

fn run(name: &str) -> SparsityRun {
    SparsityRun {
        name: name.into(),
        sparsity: log(&[(0, 1.0), (50, 0.1), (100, 0.01)]),
        strength: log(&[(1, 0.0), (100, 0.5)]),
        cross_entropy: log(&[(0, 3.0), (100, 2.5)]),
        target: Some(2.4),
        events: vec![(40, "pruning".into()), (60, "pruning".into())],
    }
}

#[test]
fn sparsity_is_logarithmic_and_strength_and_cross_entropy_are_linear() {
    let (_, [kept, strength, loss]) = axes(&[run("a")]).expect("axes");
    let middle = |axis: &Axis, low: f64, high: f64| {
        let share = |value| axis.share(value).expect("a finite value");
        f64::midpoint(share(low), share(high))
    };
    let at = |axis: &Axis, value: f64| axis.share(value).expect("a finite value");
    assert!((at(&kept, 0.1) - middle(&kept, 0.01, 1.0)).abs() < 1e-9);
    assert!((at(&strength, 0.25) - middle(&strength, 0.0, 0.5)).abs() < 1e-9);
    assert!((at(&loss, 2.75) - middle(&loss, 2.5, 3.0)).abs() < 1e-9);
    // The target of 2.4 is below every loss, but inside the panel.
    assert!(at(&loss, 2.4) > 0.0 && at(&loss, 2.4) < at(&loss, 2.5));
}

#[test]
fn stacked_panels_share_the_axis_of_steps_and_panels_side_by_side_have_one_each() {
    let drawn = |layout| sparsity(&[run("a"), run("b")], layout).expect("a picture");
    golden::check("sparsity-stack", &drawn(Layout::Stacked));
    golden::check("sparsity-row", &drawn(Layout::SideBySide));
}

#[test]
fn no_text_leaves_the_picture_or_touches_another() {
    let mut long = run("a-long-name-of-a-run-under-a-controller");
    long.sparsity = log(&[(0, 1.0), (800, 0.0002), (123_456, 0.00002)]);
    long.strength = log(&[(1, 0.0), (123_456, 54_321.0)]);
    for runs in [vec![run("a")], vec![run("a"), run("b"), long]] {
        for layout in LAYOUTS {
            let scene = draw(&runs, layout).expect("a scene");
            let texts = texts(&scene);
            assert!(texts.len() > 15, "{layout:?}");
            for (index, text) in texts.iter().enumerate() {
                let area = covered(text);
                assert!(
                    area.left >= 0.0
                        && area.top >= 0.0
                        && area.right <= f64::from(scene.width)
                        && area.bottom + 0.25 * text.size <= f64::from(scene.height),
                    "{layout:?}: {text:?}"
                );
                for other in &texts[..index] {
                    let near = covered(other);
                    let apart = area.left >= near.right
                        || near.left >= area.right
                        || area.top >= near.bottom
                        || near.top >= area.bottom;
                    assert!(apart, "{layout:?}: {text:?} on {other:?}");
                }
            }
        }
    }
}

#[test]
fn the_files_are_the_same_each_time_and_the_table_in_both_layouts() {
    let files =
        |layout| golden::files(&sparsity(&[run("a"), run("b")], layout).expect("a picture"));
    let (stack, row) = (files(Layout::Stacked), files(Layout::SideBySide));
    assert!(stack == files(Layout::Stacked) && row == files(Layout::SideBySide));
    let same: Vec<bool> = stack.iter().zip(&row).map(|(a, b)| a == b).collect();
    assert_eq!(same, [false, false, true], "svg, png, csv");
    assert_eq!(Layout::default(), Layout::Stacked);
}

#[test]
fn the_table_holds_numbers_targets_and_events() {
    let mut run = run("a");
    run.sparsity.truncate(1);
    run.strength.truncate(1);
    run.cross_entropy[1].value = f64::NAN;
    run.events.truncate(1);
    let expected = "\
run,metric,step,tokens,value,event
a,sparsity,0,0,1.0,
a,strength,1,512,0.0,
a,cross_entropy,0,0,3.0,
a,cross_entropy,100,51200,,
a,target,,,2.4,
a,event,40,,,pruning
";
    for layout in LAYOUTS {
        let picture = sparsity(std::slice::from_ref(&run), layout).expect("a picture");
        assert_eq!(picture.csv(), expected);
    }
}

#[test]
fn a_model_without_an_edge_is_drawn_at_the_smallest_fraction_and_told() {
    let mut run = run("a");
    run.sparsity = log(&[(0, 1.0), (50, 0.1), (100, 0.0)]);
    let svg = sparsity(&[run], Layout::SideBySide)
        .expect("a picture")
        .svg();
    assert!(svg.contains("1 value of Sparsity at or below zero is drawn at the smallest"));
}

#[test]
fn what_a_run_lacks_is_told_by_its_name() {
    let changed = |change: fn(&mut SparsityRun)| {
        let mut bad = run("b");
        change(&mut bad);
        sparsity(&[run("a"), bad], Layout::Stacked)
    };
    let bare = changed(|b| b.strength.clear());
    refused(bare, "run `b` has no strength that is finite");
    let nan = changed(|b| b.cross_entropy = log(&[(1, f64::NAN)]));
    refused(nan, "run `b` has no cross_entropy that is finite");
    for layout in LAYOUTS {
        refused(sparsity(&[], layout), "no run is given");
    }
}
