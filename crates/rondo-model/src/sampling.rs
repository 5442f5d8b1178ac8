//! How a token is chosen from logits.
//!
//! The order is: the repetition penalty θ, the temperature, then the filters. The penalty divides
//! the logit of a seen token by θ if the logit is positive, and multiplies the logit by θ if it is
//! negative (Keskar et al. 2019, arXiv 1909.05858, §4.1). The filters keep the k most likely
//! tokens, the most likely tokens that together reach p (Holtzman et al. 2020, arXiv 1904.09751,
//! §3.1), and tokens with at least min-p times the largest probability (Nguyen et al. 2024, arXiv
//! 2407.01082, §3).

use rand::{Rng, RngExt};
use rondo_config::Report;
use rondo_config::report::{at_least_one, positive, positive_fraction, within};
use serde::Serialize;

/// How a token is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sampling {
    /// The temperature, which divides the logits; 0 selects the most likely token.
    pub temperature: f64,
    /// The number of most likely tokens to draw from; `None` keeps all tokens.
    pub top_k: Option<usize>,
    /// The total probability of the most likely tokens to draw from; 1 keeps all tokens.
    pub top_p: f64,
    /// The smallest probability of a token to draw from, as a fraction of the largest probability;
    /// 0 keeps all tokens.
    pub min_p: f64,
    /// θ, the repetition penalty; 1 has no effect.
    pub repetition_penalty: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: None,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
        }
    }
}

impl Sampling {
    /// Reports every value that is out of range, with the name of its option.
    pub fn validate(&self, report: Report<'_>) {
        let Self {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
        } = *self;
        if !(temperature.is_finite() && temperature >= 0.0) {
            let message = format!("must be 0 or a positive number, found {temperature}");
            report("temperature", message);
        }
        at_least_one("top-k", top_k.unwrap_or(1), report);
        positive_fraction("top-p", top_p, report);
        within("min-p", min_p, 0.0..=1.0, report);
        positive("repetition-penalty", repetition_penalty, report);
    }

    /// Chooses a token. The repetition penalty applies to the tokens in `seen`.
    ///
    /// Of tokens with equal logits, the one with the lower id ranks first. A token whose logit is
    /// NaN is never chosen if another logit is a number.
    ///
    /// # Panics
    ///
    /// Panics if there are no logits.
    pub fn choose(&self, logits: &[f32], seen: &[u32], rng: &mut impl Rng) -> u32 {
        let mut ranked = self.penalised(logits, seen);
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let first = ranked.first().expect("a vocabulary has a token");
        if self.temperature <= 0.0 {
            return first.0;
        }
        let largest = first.1;
        ranked.truncate(self.top_k.unwrap_or(ranked.len()).max(1));
        let mut weights: Vec<f64> = ranked
            .iter()
            .map(|(_, logit)| ((logit - largest) / self.temperature).exp())
            .collect();
        let likely = weights.iter().take_while(|weight| **weight >= self.min_p);
        let kept = self.nucleus(&weights).min(likely.count()).max(1);
        weights.truncate(kept);
        let mut left = rng.random::<f64>() * weights.iter().sum::<f64>();
        let drawn = weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        ranked[drawn.unwrap_or(kept - 1)].0
    }

    /// Returns ids and logits, with the penalty applied to seen tokens.
    fn penalised(&self, logits: &[f32], seen: &[u32]) -> Vec<(u32, f64)> {
        let number = |logit: f32| match logit.is_nan() {
            true => f64::NEG_INFINITY,
            false => f64::from(logit),
        };
        let mut all: Vec<(u32, f64)> = (0..).zip(logits.iter().map(|x| number(*x))).collect();
        let mut seen = seen.to_vec();
        seen.sort_unstable();
        seen.dedup();
        for id in seen {
            if let Some((_, logit)) = all.get_mut(id as usize) {
                *logit *= match *logit > 0.0 {
                    true => self.repetition_penalty.recip(),
                    false => self.repetition_penalty,
                };
            }
        }
        all
    }

    /// Returns how many of the most likely tokens are needed to reach the total probability top-p.
    fn nucleus(&self, weights: &[f64]) -> usize {
        if self.top_p >= 1.0 {
            return weights.len();
        }
        let needed = self.top_p * weights.iter().sum::<f64>();
        let mut sum = 0.0;
        let last = weights.iter().position(|weight| {
            sum += weight;
            sum >= needed
        });
        last.map_or(weights.len(), |last| last + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Stream, generator};

    /// Returns the logarithms of 1, 4, 1, 2: the probabilities are 1/8, 1/2, 1/8, 1/4.
    fn logits() -> Vec<f32> {
        [1.0_f32, 4.0, 1.0, 2.0].map(f32::ln).to_vec()
    }

    fn shares(sampling: Sampling) -> [f64; 4] {
        let mut counts = [0.0; 4];
        let mut rng = generator(1, Stream::Sampling, 0);
        for _ in 0..20_000 {
            counts[sampling.choose(&logits(), &[], &mut rng) as usize] += 1.0 / 20_000.0;
        }
        counts
    }

    #[track_caller]
    fn assert_shares(sampling: Sampling, expected: [f64; 4]) {
        let found = shares(sampling);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 0.015, "{found} {expected}");
            assert!(expected > 0.0 || *found <= 0.0, "{found} {expected}");
        }
    }

    const WARM: Sampling = Sampling {
        temperature: 1.0,
        top_k: None,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
    };

    #[test]
    fn tokens_are_drawn_by_their_probability() {
        assert_shares(WARM, [0.125, 0.5, 0.125, 0.25]);
        let hot = Sampling {
            temperature: 0.5,
            ..WARM
        };
        assert_shares(hot, [1.0, 16.0, 1.0, 4.0].map(|x| x / 22.0));
    }

    #[test]
    fn each_filter_leaves_the_likeliest() {
        let two = [0.0, 2.0 / 3.0, 0.0, 1.0 / 3.0];
        for sampling in [
            Sampling {
                top_k: Some(2),
                ..WARM
            },
            Sampling {
                top_p: 0.75,
                ..WARM
            },
            Sampling { min_p: 0.4, ..WARM },
        ] {
            assert_shares(sampling, two);
        }
    }

    #[test]
    fn zero_temperature_takes_the_first_of_the_likeliest() {
        let mut rng = generator(1, Stream::Sampling, 0);
        let greedy = Sampling::default();
        assert_eq!(greedy.choose(&[0.0, 2.0, 2.0], &[], &mut rng), 1);
        assert_eq!(greedy.choose(&[f32::NAN, -1.0], &[], &mut rng), 1);
    }

    #[test]
    fn the_penalty_makes_seen_tokens_less_likely_once() {
        let mut rng = generator(1, Stream::Sampling, 0);
        let greedy = Sampling {
            repetition_penalty: 2.0,
            ..Sampling::default()
        };
        assert_eq!(greedy.choose(&[3.0, 2.0], &[0, 0, 0], &mut rng), 1);
        assert_eq!(greedy.choose(&[-1.0, -1.5], &[0, 9], &mut rng), 1);
        assert_eq!(greedy.choose(&[3.0, 1.0], &[0, 0, 0], &mut rng), 0);
    }

    #[test]
    fn values_out_of_range_are_named() {
        let bad = Sampling {
            temperature: -1.0,
            top_k: Some(0),
            top_p: 0.0,
            min_p: 2.0,
            repetition_penalty: f64::NAN,
        };
        let mut names = Vec::new();
        bad.validate(&mut |name, _| names.push(name.to_owned()));
        assert_eq!(
            names,
            [
                "temperature",
                "top-k",
                "top-p",
                "min-p",
                "repetition-penalty"
            ]
        );
    }
}
