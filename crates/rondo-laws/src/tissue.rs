//! `L = L0 + A·S1^−α − C·S2` (Tissue et al., arXiv 2408.11029). S1 is the summed rate. S2 sums a
//! decaying memory of the drops of the rate: `S2 = Σ_{i≤s} m_i`,
//! `m_i = λ·m_{i−1} + (η_{i−1} − η_i)`.

use crate::law::{Value, power_term};
use crate::schedule::Steps;

/// Returns the law's values at the step indices `places`, which must ascend, in one pass over the
/// steps.
pub(crate) fn evaluate(steps: &Steps, constants: &[f64], places: &[usize]) -> Vec<Value> {
    let (scale, lambda) = (constants[3], constants[4]);
    let mut memory = Memory::default();
    let mut next = 0;
    places
        .iter()
        .map(|&place| {
            steps.drops[next..=place]
                .iter()
                .for_each(|drop| memory.add(lambda, *drop));
            next = place + 1;
            let mut value = power_term(constants, steps.sums[place]);
            value.loss -= scale * memory.sum;
            value.slopes[3] = -memory.sum;
            value.slopes[4] = -scale * memory.sum_slope;
            value
        })
        .collect()
}

/// The memory m and its sum S2, each with its derivative with respect to λ.
#[derive(Default)]
struct Memory {
    kept: f64,
    kept_slope: f64,
    sum: f64,
    sum_slope: f64,
}

impl Memory {
    fn add(&mut self, lambda: f64, drop: f64) {
        self.kept_slope = lambda * self.kept_slope + self.kept;
        self.kept = lambda * self.kept + drop;
        self.sum += self.kept;
        self.sum_slope += self.kept_slope;
    }
}

/// Returns the loss at the last step T, and its derivatives with respect to the rates of all steps.
/// A drop at step k contributes `g_k = (1 − λ^(T−k+1))/(1 − λ)` times its size to S2 at step T.
pub(crate) fn last(steps: &Steps, constants: &[f64]) -> (f64, Vec<f64>) {
    let (exponent, scale, lambda) = (constants[2], constants[3], constants[4]);
    let Some(end) = steps.rates.len().checked_sub(1) else {
        return (f64::NAN, Vec::new());
    };
    let sum = steps.sums[end];
    let power = power_term(constants, sum);
    let common = -exponent * (power.loss - constants[0]) / sum;
    let (mut kept, mut decay) = (0.0, 1.0);
    let (mut memory, mut later) = (0.0, 0.0);
    let mut slopes = vec![0.0; end + 1];
    for k in (0..=end).rev() {
        kept += decay;
        decay *= lambda;
        // The first step has no drop.
        let own = if k == 0 { 0.0 } else { kept };
        memory += steps.drops[k] * own;
        slopes[k] = common - scale * (later - own);
        later = own;
    }
    (power.loss - scale * memory, slopes)
}

#[cfg(test)]
mod tests {
    use crate::law::tests::{TISSUE, check_slopes};
    use crate::law::{Law, LawKind, Prepared};
    use crate::schedule::Schedule;

    #[test]
    fn a_single_drop_is_remembered_with_decay() {
        // η = 2, 1, 1: m = 0, 1, ½ and S2 = 0, 1, 1½; S1 = 2, 3, 4.
        let schedule = Schedule::new("a", 0.0, vec![(1, 2.0), (2, 1.0), (3, 1.0)]);
        let law = Law::new(LawKind::Tissue, vec![3.0, 12.0, 1.0, 0.1, 0.5]).expect("a law");
        let losses = law.predict(&schedule.expect("a schedule"));
        for (loss, expected) in losses.iter().zip([9.0, 3.0 + 4.0 - 0.1, 3.0 + 3.0 - 0.15]) {
            assert!((loss - expected).abs() < 1e-12, "{loss} {expected}");
        }
    }

    #[test]
    fn slopes_are_those_of_the_values() {
        let schedule = Schedule::new("a", 0.3, vec![(1, 3e-3), (90, 2e-3), (100, 1e-3)]);
        let prepared = Prepared::new(LawKind::Tissue, &schedule.expect("a schedule"));
        check_slopes(&prepared, &TISSUE);
    }
}
