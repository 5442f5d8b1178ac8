//! The Multi-Power Law (Luo et al., arXiv 2503.12811):
//!
//! ```text
//! L(t) = L0 + A·S1(t)^−α − B·Σ_{k≤t} (η_{k−1} − η_k)·G(η_k^−γ·S_k(t)),   G(x) = 1 − (C·x + 1)^−β
//! ```
//!
//! with S1(t) the summed rate of all steps, warm-up included, and `S_k(t) = Σ_{τ=k}^t η_τ`. A drop
//! to a rate of 0 is treated as the limit of drops to small rates: the drop has no effect as long
//! as the rate is 0, and its full effect as soon as the rate is positive again.

mod blocks;

use self::blocks::Blocks;
use crate::law::{Value, power_term};
use crate::schedule::Steps;

/// The steps of a schedule, prepared so that sums over many drops are cheap.
#[derive(Clone, Debug)]
pub(crate) struct MultiPower {
    pub(crate) steps: Steps,
    /// ln η_k.
    logs: Vec<f64>,
    blocks: Blocks,
}

/// A weighted sum of G over drops, and its derivatives with respect to C, β and γ.
#[derive(Clone, Copy, Debug, Default)]
struct Reduction {
    sum: f64,
    by_c: f64,
    by_beta: f64,
    by_gamma: f64,
}

/// The constants of G, and the steps. `scales` holds η_k^−γ for every step k, and `logs` holds ln
/// η_k.
struct Drops<'a> {
    steps: &'a Steps,
    c: f64,
    beta: f64,
    scales: Vec<f64>,
    logs: &'a [f64],
}

impl<'a> Drops<'a> {
    fn new(steps: &'a Steps, logs: &'a [f64], constants: &[f64]) -> Self {
        let (c, beta, gamma) = (constants[4], constants[5], constants[6]);
        Self {
            steps,
            c,
            beta,
            scales: logs.iter().map(|log| (-gamma * log).exp()).collect(),
            logs,
        }
    }

    /// Adds `weight·G` for the drop at step k to `to`. `total` is the summed rate at the current
    /// step.
    fn add(&self, to: &mut Reduction, total: f64, k: usize, weight: f64) {
        let since = total - self.steps.sum_before(k);
        if self.steps.rates[k] <= 0.0 {
            to.sum += if since > 0.0 { weight } else { 0.0 };
            return;
        }
        let x = self.scales[k] * since;
        let u = 1.0 + self.c * x;
        let log = u.ln();
        let left = (-self.beta * log).exp();
        // `slope` is ∂G/∂C. γ changes G only through ln x.
        let slope = self.beta * x * left / u;
        to.sum += weight * (1.0 - left);
        to.by_c += weight * slope;
        to.by_beta += weight * log * left;
        to.by_gamma -= weight * self.c * slope * self.logs[k];
    }
}

fn logs(steps: &Steps) -> Vec<f64> {
    steps.rates.iter().map(|rate| rate.ln()).collect()
}

impl MultiPower {
    pub(crate) fn new(steps: Steps) -> Self {
        Self {
            logs: logs(&steps),
            blocks: Blocks::new(&steps),
            steps,
        }
    }

    /// Returns the law's values at the step indices `places`. The sums over drops are within a
    /// relative 10⁻⁷ of the exact sums.
    pub(crate) fn evaluate(&self, constants: &[f64], places: &[usize]) -> Vec<Value> {
        let drops = Drops::new(&self.steps, &self.logs, constants);
        let mut seen = Vec::new();
        places
            .iter()
            .map(|&place| {
                let mut reduction = Reduction::default();
                let total = self.steps.sums[place];
                seen.clear();
                self.blocks.cover(&self.steps, place, &mut seen);
                for (k, weight) in &seen {
                    drops.add(&mut reduction, total, *k, *weight);
                }
                value(constants, total, &reduction)
            })
            .collect()
    }
}

fn value(constants: &[f64], total: f64, reduction: &Reduction) -> Value {
    let b = constants[3];
    let mut value = power_term(constants, total);
    value.loss -= b * reduction.sum;
    value.slopes[3] = -reduction.sum;
    value.slopes[4] = -b * reduction.by_c;
    value.slopes[5] = -b * reduction.by_beta;
    value.slopes[6] = -b * reduction.by_gamma;
    value
}

/// Returns the loss at the last step, and its derivatives with respect to the rates of all steps,
/// from the exact sum over drops. With `x_k = η_k^−γ·S_k`, the rate of step j changes the drops at
/// j and j + 1, every `S_k` with k ≤ j, and the factor `η_j^−γ`.
pub(crate) fn last(steps: &Steps, constants: &[f64]) -> (f64, Vec<f64>) {
    let (exponent, b, gamma) = (constants[2], constants[3], constants[6]);
    let Some(end) = steps.rates.len().checked_sub(1) else {
        return (f64::NAN, Vec::new());
    };
    let total = steps.sums[end];
    let power = power_term(constants, total);
    let common = -exponent * (power.loss - constants[0]) / total;
    let logs = logs(steps);
    let drops = Drops::new(steps, &logs, constants);
    let (mut sum, mut earlier) = (0.0, 0.0);
    let mut slopes = vec![common; end + 1];
    for k in 1..=end {
        let (rate, since) = (steps.rates[k], total - steps.sum_before(k));
        let mut unit = Reduction::default();
        drops.add(&mut unit, total, k, 1.0);
        sum += steps.drops[k] * unit.sum;
        slopes[k - 1] -= b * unit.sum;
        slopes[k] += b * unit.sum;
        if rate > 0.0 {
            // x·∂G/∂x, the factor for changes of S_k and η_k.
            let force = drops.c * unit.by_c * steps.drops[k];
            earlier += force / since;
            slopes[k] += b * gamma * force / rate;
        }
        slopes[k] -= b * earlier;
    }
    (power.loss - b * sum, slopes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::tests::{MULTI_POWER, check_slopes};
    use crate::law::{Law, LawKind, Prepared};
    use crate::schedule::Schedule;

    /// The allowed error of the sum over blocks, relative to the exact sum.
    const ACCURACY: f64 = 1e-7;

    fn schedule(points: Vec<(u64, f64)>) -> Schedule {
        Schedule::new("a", 0.324, points).expect("a schedule")
    }

    /// Returns a schedule with a warm-up of 2160 steps and `horizon` steps after it, with a point
    /// every `every` steps. `rate` gives the rate as a multiple of 3·10⁻⁴.
    fn logged(every: u64, horizon: u64, rate: impl Fn(f64) -> f64) -> Schedule {
        let points = (0..=(horizon / every)).map(|i| {
            let share = (i * every) as f64 / horizon as f64;
            (2160 + i * every, 3e-4 * rate(share))
        });
        schedule(points.collect())
    }

    #[test]
    fn two_drops_are_summed_as_the_formula_says() {
        // η = 4, 4, 1, 1 after a warm-up of 1; γ = ½, C = 1, β = 1: G(x) = x/(1 + x), and at the last
        // step S_3 = 2, x = 2, G = ⅔.
        let schedule = Schedule::new("a", 1.0, vec![(1, 4.0), (2, 4.0), (3, 1.0), (4, 1.0)]);
        let constants = vec![3.0, 11.0, 1.0, 0.1, 1.0, 1.0, 0.5];
        let law = Law::new(LawKind::MultiPower, constants).expect("a law");
        let losses = law.predict(&schedule.expect("a schedule"));
        let expected = [
            3.0 + 11.0 / 5.0,
            3.0 + 11.0 / 9.0,
            3.0 + 11.0 / 10.0 - 0.1 * 3.0 / 2.0,
            3.0 + 11.0 / 11.0 - 0.1 * 3.0 * 2.0 / 3.0,
        ];
        for (loss, expected) in losses.iter().zip(expected) {
            assert!((loss - expected).abs() < 1e-12, "{loss} {expected}");
        }
    }

    #[test]
    fn slopes_are_those_of_the_values() {
        let schedule = logged(40, 2000, |share| 1.0 - 0.9 * share);
        let prepared = Prepared::new(LawKind::MultiPower, &schedule);
        check_slopes(&prepared, &MULTI_POWER);
    }

    /// Compares the sum over blocks with the sum over every step.
    fn check_accuracy(name: &str, schedule: &Schedule, constants: [f64; 7]) {
        let steps = Steps::of(schedule);
        let logs = logs(&steps);
        let drops = Drops::new(&steps, &logs, &constants);
        let stride = steps.logged.len().div_ceil(60);
        let places: Vec<usize> = steps.logged.iter().copied().step_by(stride).collect();
        let law = MultiPower::new(steps.clone());
        let values = law.evaluate(&constants, &places);
        for (place, value) in places.iter().zip(values) {
            let total = steps.sums[*place];
            let (mut exact, mut size) = (Reduction::default(), Reduction::default());
            for k in 1..=*place {
                drops.add(&mut exact, total, k, steps.drops[k]);
                drops.add(&mut size, total, k, steps.drops[k].abs());
            }
            let exact = [exact.sum, exact.by_c, exact.by_beta, exact.by_gamma];
            let size = [size.sum, size.by_c, size.by_beta, size.by_gamma];
            for (i, (exact, size)) in exact.iter().zip(size).enumerate() {
                let slope = -value.slopes[3 + i];
                let sum = if i == 0 { slope } else { slope / constants[3] };
                let error = (sum - exact).abs();
                assert!(
                    error <= ACCURACY * size.abs() + 1e-18,
                    "{name}, step {place}, sum {i}: {error:e} of {exact:e}"
                );
            }
        }
    }

    #[test]
    fn blocks_of_drops_cost_a_ten_millionth_at_most() {
        use std::f64::consts::PI;
        let cosine = |share: f64| 0.55 + 0.45 * (PI * share).cos();
        let linear_to_zero = |share: f64| 1.0 - share;
        let cliff = |share: f64| if share < 0.3 { 1.0 } else { 0.3 };
        let stable = |share: f64| 0.1_f64.powf(((share - 0.8) / 0.2).max(0.0));
        let cyclic = |share: f64| 0.55 + 0.45 * (10.0 * PI * share).cos();
        let ragged = |share: f64| 0.6 + 0.4 * (1e4 * share).sin();
        let shapes: [(&str, &dyn Fn(f64) -> f64); 6] = [
            ("cosine", &cosine),
            ("linear to zero", &linear_to_zero),
            ("cliff", &cliff),
            ("stable", &stable),
            ("cyclic", &cyclic),
            ("ragged", &ragged),
        ];
        let steep = [3.0, 0.5, 0.5, 300.0, 40.0, 2.5, 1.2];
        let flat = [3.0, 0.5, 0.5, 300.0, 0.05, 0.2, 0.1];
        for (name, rate) in shapes {
            for (every, horizon) in [(128, 9984), (1, 4000), (7, 4200)] {
                for constants in [MULTI_POWER, steep, flat] {
                    let schedule = logged(every, horizon, rate);
                    check_accuracy(&format!("{name} by {every}"), &schedule, constants);
                }
            }
        }
    }

    #[test]
    fn a_rate_of_zero_has_the_limit_of_small_ones() {
        let at = |low: f64| {
            let law = Law::new(LawKind::MultiPower, MULTI_POWER.to_vec()).expect("a law");
            law.predict(&schedule(vec![
                (1, 1e-3),
                (50, 1e-3),
                (51, low),
                (60, low),
                (61, 1e-3),
            ]))
        };
        for (zero, small) in at(0.0).iter().zip(at(1e-30)) {
            assert!((zero - small).abs() < 1e-6, "{zero} {small}");
        }
    }
}
