//! Tests the guard on series of losses.

use rondo_model::depth::{Draw, Unroll};

use super::*;

fn plan(step: u64) -> StepPlan {
    let unroll = Unroll {
        no_grad: 1,
        with_grad: 2,
    };
    StepPlan {
        step,
        lr: 1e-3,
        draw: Draw {
            unroll,
            clamped_from: None,
        },
        logged: false,
        evaluated: false,
        saved: false,
    }
}

fn spiky(window: usize, in_a_row: u64) -> Guard {
    let rule = SpikeRule {
        deviations: 2.0,
        window,
        in_a_row,
    };
    Guard::new(NonfiniteRule::Stop {}, Some(rule), GuardState::default())
}

/// Judges a step for each of the losses. Returns whether each update was skipped.
fn skips(guard: &mut Guard, losses: &[f64]) -> Vec<bool> {
    (1..)
        .zip(losses)
        .map(|(step, loss)| {
            let judged = guard.judge(&plan(step), *loss, 1.0).expect("no stop");
            judged.is_some()
        })
        .collect()
}

#[test]
fn a_loss_beyond_the_deviations_of_a_full_window_is_a_spike() {
    // The window has mean 2 and σ = 1, so the limit is 4. Skipped losses do not change the limit.
    let found = skips(&mut spiky(4, 8), &[9.0, 1.0, 3.0, 1.0, 3.0, 4.5, 4.5, 3.0]);
    assert_eq!(
        found,
        [false, false, false, false, false, true, true, false]
    );
    assert_eq!(skips(&mut spiky(4, 8), &[1.0, 3.0, 1.0, 9.0]), [false; 4]);
}

#[test]
fn a_level_that_lasts_is_taken_after_the_bound() {
    let mut guard = spiky(2, 3);
    let found = skips(&mut guard, &[1.0, 1.0, 5.0, 5.0, 5.0, 5.0, 5.0, 9.0]);
    assert_eq!(found, [false, false, true, true, true, false, false, true]);
    assert_eq!(guard.state().skipped, 4);
}

#[test]
fn what_is_not_finite_stops_or_is_skipped_up_to_its_bound() {
    let mut guard = Guard::new(NonfiniteRule::Stop {}, None, GuardState::default());
    let error = guard.judge(&plan(7), f64::NAN, 1.0).expect_err("a stop");
    assert!(
        error
            .to_string()
            .starts_with("step 7: the loss is NaN at recurrence 3 (n = 1, k = 2)")
    );
    let rule = NonfiniteRule::Skip { in_a_row: 2 };
    let mut guard = Guard::new(rule, None, GuardState::default());
    let mut judge = |loss, norm| guard.judge(&plan(1), loss, norm).map(|it| it.is_some());
    assert_eq!(judge(1.0, f64::INFINITY).ok(), Some(true));
    assert_eq!(judge(f64::NAN, 1.0).ok(), Some(true));
    assert_eq!(judge(1.0, 1.0).ok(), Some(false));
    assert_eq!(judge(f64::NAN, 1.0).ok(), Some(true));
    assert_eq!(judge(f64::NAN, 1.0).ok(), Some(true));
    let error = judge(f64::NAN, 1.0).expect_err("a stop").to_string();
    assert!(
        error.contains("2 updates before it were skipped"),
        "{error}"
    );
}

#[test]
fn a_guard_that_goes_on_from_its_state_judges_the_same() {
    let losses = [1.0, 3.0, 2.0, 8.0, 2.5, 8.0, 8.0, 2.0, 3.5, 9.0];
    for cut in 0..losses.len() {
        let mut whole = spiky(3, 2);
        let all = skips(&mut whole, &losses);
        let mut first = spiky(3, 2);
        let mut found = skips(&mut first, &losses[..cut]);
        let text = serde_json::to_string(first.state()).expect("JSON");
        let state = serde_json::from_str(&text).expect("a state");
        let mut rest = Guard::new(first.nonfinite, first.spikes, state);
        found.extend(skips(&mut rest, &losses[cut..]));
        assert_eq!(found, all, "{cut}");
        assert_eq!(rest.state(), whole.state(), "{cut}");
    }
}
