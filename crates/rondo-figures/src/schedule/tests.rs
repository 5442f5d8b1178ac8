//! Tests of planned runs: panels, staircases and table.

use super::*;
use crate::error::tests::refused;
use crate::golden;

/// Returns a run with these rates and counts of iterations, one entry per step.
fn run(name: &str, planned: &[(f64, usize, usize)]) -> PlannedRun {
    let mut rate_sum = 0.0;
    let steps = (1..).zip(planned).map(|(step, planned)| {
        let (rate, mean_recurrence, backprop_depth) = *planned;
        rate_sum += rate;
        PlannedStep {
            step,
            rate,
            rate_sum,
            mean_recurrence,
            backprop_depth,
        }
    });
    PlannedRun {
        name: name.into(),
        steps: steps.collect(),
    }
}

fn svg(runs: &[PlannedRun]) -> String {
    schedule(runs).expect("a picture").svg()
}

#[test]
fn without_a_curriculum_there_are_two_panels_and_with_one_there_are_three() {
    let still = || run("still", &[(0.5, 8, 4), (0.25, 8, 4)]);
    let mean = run("mean", &[(0.5, 1, 4), (0.25, 8, 4)]);
    let depth = run("a, b", &[(0.5, 8, 2), (0.25, 8, 4)]);
    let drawn = |runs: &[PlannedRun]| schedule(runs).expect("a picture");
    golden::check("schedule", &drawn(&[still(), still()]));
    golden::check("schedule-mean", &drawn(&[still(), mean]));
    golden::check("schedule-depth", &drawn(&[still(), depth]));
}

#[test]
fn a_line_that_another_hides_is_told() {
    let equal = run("a", &[(1.0, 1, 1), (1.0, 8, 4)]);
    assert!(svg(&[equal]).contains("If both are equal, only the solid line is visible."));
}

#[test]
fn iterations_are_counted_from_zero_to_the_most_of_any_run() {
    let runs = [
        run("a", &[(1.0, 2, 1), (1.0, 6, 4)]),
        run("b", &[(1.0, 4, 8)]),
    ];
    let axis = iterations(&runs).expect("a curriculum");
    let ticks: Vec<&str> = axis.ticks.iter().map(|tick| tick.text.as_str()).collect();
    assert_eq!(ticks, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
    // The axis of 0 to 8 has a margin of half an iteration on both sides.
    let share = axis.share(0.0).expect("finite");
    assert!((share - 0.5 / 9.0).abs() < 1e-12, "{share}");
    assert_eq!(iterations(&runs[1..]), None);
}

#[test]
fn a_count_is_held_until_the_step_that_has_another() {
    let planned = run("a", &[(1.0, 1, 2), (1.0, 1, 2), (1.0, 3, 2), (1.0, 3, 2)]);
    let mean = stairs(&planned, |step| step.mean_recurrence);
    assert_eq!(mean, [(1.0, 1.0), (3.0, 1.0), (3.0, 3.0), (4.0, 3.0)]);
    let depth = stairs(&planned, |step| step.backprop_depth);
    assert_eq!(depth, [(1.0, 2.0), (4.0, 2.0)]);
    let single = run("b", &[(1.0, 1, 2)]);
    assert_eq!(stairs(&single, |step| step.mean_recurrence), [(1.0, 1.0)]);
}

#[test]
fn the_table_holds_every_step_and_gaps_are_empty() {
    let mut runs = [
        run("cosine", &[(0.5, 1, 4), (0.25, 8, 4)]),
        run("a, b", &[(0.125, 8, 8); 2]),
    ];
    runs[1].steps[1].rate = f64::NAN;
    let expected = "\
run,step,lr,lr_sum,mean_recurrence,backprop_depth
cosine,1,0.5,0.5,1,4
cosine,2,0.25,0.75,8,4
\"a, b\",1,0.125,0.125,8,8
\"a, b\",2,,0.25,8,8
";
    assert_eq!(schedule(&runs).expect("a picture").csv(), expected);
}

#[test]
fn many_runs_have_colours_of_their_sums_and_no_legend() {
    let runs: Vec<PlannedRun> = (1..=10)
        .map(|i| run(&format!("run {i}"), &[(f64::from(i), 8, 4)]))
        .collect();
    let drawn = svg(&runs);
    assert!(!drawn.contains(">run 1<"));
    assert!(drawn.contains("the brighter, the larger its summed learning rate"));
    assert!(svg(&runs[..9]).contains(">run 1<"));
}

#[test]
fn many_steps_are_drawn_with_few_points_and_tabled_in_full() {
    let steps: Vec<(f64, usize, usize)> = (0..100_000)
        .map(|i| (1.0 / f64::from(i + 1), (i / 10_000) as usize, 4))
        .collect();
    let picture = schedule(&[run("long", &steps)]).expect("a picture");
    assert!(picture.svg().len() < 200_000);
    assert_eq!(picture.csv().lines().count(), 100_001);
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let good = || run("a", &[(1.0, 8, 4)]);
    let nothing = "picture schedule: nothing to draw:";
    refused(schedule(&[]), &format!("{nothing} no run is given"));
    let lacks = format!("{nothing} run `b` has no learning rate that is finite");
    for bare in [run("b", &[]), run("b", &[(f64::NAN, 8, 4)])] {
        refused(schedule(&[good(), bare]), &lacks);
    }
    let mut endless = good();
    endless.steps[0].rate_sum = f64::INFINITY;
    refused(schedule(&[endless]), "no summed learning rate is finite");
}
