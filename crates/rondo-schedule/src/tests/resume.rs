//! Quantities that a resumed run computes again from its configuration.

use super::*;
use crate::RateSum;

const STEPS: u64 = 100;

#[test]
fn the_sum_continued_from_any_step_is_the_sum_of_the_whole() {
    for shape in all() {
        let config = config(shape);
        let before = Schedule::new(&config, run(STEPS));
        let after = Schedule::new(&config, run(STEPS));
        let whole = RateSum::up_to(STEPS, |step| before.rate(step));
        for resumed in 0..=STEPS {
            let mut sum = RateSum::up_to(resumed, |step| before.rate(step));
            (resumed + 1..=STEPS).for_each(|step| sum.add(after.rate(step)));
            assert_eq!(sum, whole, "{config:?} resumed at {resumed}");
        }
    }
}

#[test]
fn a_long_sum_is_right_to_the_last_digit() {
    let config = ScheduleConfig {
        peak: 1e-3,
        ..ScheduleConfig::default()
    };
    let schedule = Schedule::new(&config, run(100_000));
    let sum = RateSum::up_to(100_000, |step| schedule.rate(step));
    assert!((sum.value() - 100.0).abs() < 2e-14, "{}", sum.value());
    let plain: f64 = (1..=100_000).map(|step| schedule.rate(step)).sum();
    assert!((plain - 100.0).abs() > 1e-10, "{plain}");
}
